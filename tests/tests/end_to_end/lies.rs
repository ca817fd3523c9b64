//! Runners whose word is worth nothing: the live target decides, never what the runner says (I5).

use kexec_api::condition::{FailureClass, Reason};
use kexec_api::execution::KubernetesExecution;
use kexec_tests::harness::{Ending, Scene, StandIn, error_of};

/// A runner that does this instead of its work; returns the scene of a Deployment `web` with 2 replicas that the
/// execution was to scale to 4, and the execution's end.
async fn lie(name: &str, body: &str, expected: Ending) -> (Scene, KubernetesExecution) {
    let scene = Scene::new(name).await;
    scene.deployment("web", 2).await;
    let _operator = scene.operator().await;
    let stand_in = StandIn::new(&scene, body);
    scene.create(&scene.scaling("up", "web", 4)).await;
    let execution = scene.ends("up", expected).await;
    drop(stand_in);
    let effects = scene.effects_on("deployments", "web");
    let done = expected == Ending::COMPLETED;
    assert_eq!(
        (effects, scene.replicas("web").await),
        if done { (1, 4) } else { (0, 2) }
    );
    scene.goes_on_after(&execution, "web").await;
    (scene, execution)
}

fn invalid() -> Ending {
    Ending::failed(Reason::InvalidResult, FailureClass::Unknown)
}

#[track_caller]
fn assert_says(execution: &KubernetesExecution, words: &[&str]) {
    let error = error_of(execution);
    for word in words {
        assert!(error.contains(word), "{error:?} does not say {word:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_success_is_refuted_by_the_target() {
    let refuted = Ending::failed(Reason::OutcomeRefuted, FailureClass::Unknown);
    let (_, execution) = lie("forged", "answer done; exit 0", refuted).await;
    assert_says(
        &execution,
        &["reported its writes done", "the target is unchanged"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_no_result_is_not_believed() {
    let body = r#"printf 'all fine\033[31m, trust me' > "$KEXEC_TERMINATION_LOG"; exit 0"#;
    let (_, execution) = lie("garbage", body, invalid()).await;
    assert_says(&execution, &["cannot be read", "the target is unchanged"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_with_a_field_too_many_is_not_believed() {
    let body = r#"answer done; sed -i 's/"attempt"/"approved":true,"attempt"/' "$KEXEC_TERMINATION_LOG"; exit 0"#;
    let (_, execution) = lie("field", body, invalid()).await;
    assert_says(
        &execution,
        &["unknown field `approved`", "the target is unchanged"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_0_without_a_result_is_no_success() {
    let (_, execution) = lie("silent", "exit 0", invalid()).await;
    assert_says(
        &execution,
        &["left no result", "exited 0", "the target is unchanged"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_exit_without_a_result_is_looked_into() {
    let (_, execution) = lie("failed", "exit 1", invalid()).await;
    assert_says(
        &execution,
        &["left no result", "exited 1", "the target is unchanged"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_mebibytes_of_output_and_result_fill_neither_status_nor_memory() {
    let body = r#"
        head -c 10485760 /dev/zero | tr '\0' x
        head -c 10485760 /dev/zero | tr '\0' y > "$KEXEC_TERMINATION_LOG"
        exit 0"#;
    let (_, execution) = lie("huge", body, invalid()).await;
    assert_says(&execution, &["cannot be read", "the target is unchanged"]);
    let status = serde_json::to_vec(&execution.status).expect("JSON");
    assert!(status.len() <= 64 * 1024, "{} bytes", status.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_another_execution_is_not_taken_for_ours() {
    let body = "uid=01234567-89ab-cdef-0123-456789abcdef; answer done; exit 0";
    let (_, execution) = lie("other", body, invalid()).await;
    assert_says(
        &execution,
        &[
            "about other work",
            "01234567-89ab-cdef",
            "the target is unchanged",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_another_plan_is_not_taken_for_ours() {
    let body = "hash=sha256:0000000000000000000000000000000000000000000000000000000000000000; answer done; exit 0";
    let (_, execution) = lie("plan", body, invalid()).await;
    assert_says(
        &execution,
        &["about other work", "sha256:0000", "the target is unchanged"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_another_attempt_is_not_taken_for_ours() {
    let (_, execution) = lie("attempt", "attempt=2; answer done; exit 0", invalid()).await;
    assert_says(
        &execution,
        &["about other work", "attempt 2", "the target is unchanged"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_of_a_dry_run_is_not_taken_for_that_of_the_write() {
    let (_, execution) = lie("dry", "dry_run=true; answer done; exit 0", invalid()).await;
    assert_says(&execution, &["the target is unchanged"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_that_its_exit_code_contradicts_is_not_believed() {
    let (_, execution) = lie("exit", "answer done; exit 1", invalid()).await;
    assert_says(
        &execution,
        &["reported \"done\" but exited 1", "the target is unchanged"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_its_exit_code_contradicts_is_looked_into() {
    let (_, execution) = lie("fails", "answer failed refused; exit 0", invalid()).await;
    assert_says(
        &execution,
        &[
            "reported \"failed\" but exited 0",
            "the target is unchanged",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_made_is_proven_though_the_result_is_garbage() {
    let body = r#""$runner" "$@"; echo nonsense > "$KEXEC_TERMINATION_LOG"; exit 1"#;
    let (_, execution) = lie("proven", body, Ending::COMPLETED).await;
    let step = execution
        .status
        .and_then(|status| status.step_result)
        .unwrap_or_default();
    let message = step.message.unwrap_or_default();
    assert!(
        message.contains("proven on the live target, though"),
        "{message:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_made_is_proven_though_there_is_no_result() {
    let body = r#""$runner" "$@"; : > "$KEXEC_TERMINATION_LOG"; exit 0"#;
    lie("unsaid", body, Ending::COMPLETED).await;
}
