//! The real binary: its exit codes, its termination message and its log, where no cluster answers.
#![allow(
    clippy::unwrap_used,
    reason = "what fails while a test is set up fails the test"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use kexec_api::names::{
    ENV_JOB_UID, ENV_PLAN_HASH, ENV_POD_NAMESPACE, ENV_POD_UID, ENV_TERMINATION_LOG, ENV_WORK_ORDER,
};
use kexec_api::plan::{FieldChange, ObjectRef, PlanContent, Step};
use kexec_api::work::{
    ExecutionRef, MAX_RESULT_BYTES, Stage, StepOutcome, WorkOrder, WorkOutcome, WorkResult,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

fn order(deadline: &str) -> WorkOrder {
    let target = ObjectRef {
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        resource: "deployments".into(),
        namespace: Some("web".into()),
        name: "shop".into(),
        uid: "u-shop".into(),
    };
    let plan = PlanContent {
        action: "scale_deployment".into(),
        version: "v1.2".into(),
        targets: vec![target.clone()],
        steps: vec![Step::Patch {
            target,
            subresource: Some("scale".into()),
            changes: vec![FieldChange {
                path: "/spec/replicas".into(),
                before: Some(2.into()),
                after: Some(5.into()),
            }],
        }],
        expectations: vec![],
        rollback: vec![],
        permissions: vec![],
    };
    WorkOrder {
        execution: ExecutionRef {
            namespace: "web".into(),
            name: "scale-shop".into(),
            uid: "e-1".into(),
        },
        attempt: 1,
        stage: Stage::Execute,
        deadline: deadline.parse().unwrap(),
        plan_hash: plan.hash().unwrap(),
        plan,
    }
}

/// A runner with a termination log, and a kubeconfig of a server at a port where nobody listens.
struct Runner {
    directory: TempDir,
    command: Command,
}

impl Runner {
    fn new(order: &WorkOrder) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let token = directory.path().join("token");
        fs::write(&token, "t").unwrap();
        let kubeconfig = directory.path().join("kubeconfig");
        let content = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "u", "user": {"tokenFile": token}}],
        });
        fs::write(&kubeconfig, content.to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kexec-runner"));
        command
            .args(["execute"])
            .env_clear()
            .env("KUBECONFIG", kubeconfig)
            .env(
                ENV_TERMINATION_LOG,
                directory.path().join("termination-log"),
            )
            .env(ENV_WORK_ORDER, serde_json::to_string(order).unwrap())
            .env(ENV_PLAN_HASH, order.plan_hash.as_str())
            .env(ENV_POD_NAMESPACE, "kubernaut-system")
            .env(ENV_POD_UID, "u-pod")
            .env(ENV_JOB_UID, "u-job");
        Self { directory, command }
    }

    fn output(&mut self) -> Output {
        self.command.output().unwrap()
    }

    fn message(&self) -> WorkResult {
        let path: PathBuf = self.directory.path().join("termination-log");
        let message = fs::read(path).unwrap();
        assert!(message.is_ascii() && message.len() <= MAX_RESULT_BYTES);
        serde_json::from_slice(&message).unwrap()
    }
}

const FUTURE: &str = "2100-01-01T00:00:00Z";
const PAST: &str = "2001-01-01T00:00:00Z";

#[test]
fn garbage_instead_of_an_order_exits_2_with_one_sentence() {
    let mut runner = Runner::new(&order(FUTURE));
    runner
        .command
        .env(ENV_WORK_ORDER, "\u{202e}garbage\u{1b}[2J");
    let output = runner.output();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let result = runner.message();
    assert_eq!(result.outcome, WorkOutcome::CouldNotStart);
    let error = result.error.unwrap();
    assert!(
        error.starts_with("failed to take the work order"),
        "{error}"
    );
}

#[test]
fn a_hash_that_does_not_fit_exits_2() {
    let mut runner = Runner::new(&order(FUTURE));
    runner.command.env(ENV_PLAN_HASH, "sha256:other");
    assert_eq!(runner.output().status.code(), Some(2));
    let result = runner.message();
    assert_eq!((result.execution_uid.as_str(), result.attempt), ("e-1", 1));
    assert!(result.error.unwrap().contains("\"sha256:other\""));
}

#[test]
fn without_a_way_to_the_api_server_it_exits_2() {
    let mut runner = Runner::new(&order(FUTURE));
    runner.command.env("KUBECONFIG", "/does/not/exist");
    assert_eq!(runner.output().status.code(), Some(2));
    assert_eq!(runner.message().outcome, WorkOutcome::CouldNotStart);
}

#[test]
fn after_its_deadline_it_exits_1_and_the_log_ends_with_the_whole_result() {
    let mut runner = Runner::new(&order(PAST));
    let output = runner.output();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let result = runner.message();
    assert_eq!(
        (result.outcome, result.metrics.calls),
        (WorkOutcome::Interrupted, 0)
    );
    let log = String::from_utf8(output.stdout).unwrap();
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    assert_eq!(
        serde_json::from_str::<WorkResult>(log.lines().last().unwrap()).unwrap(),
        result
    );
}

#[test]
fn a_termination_log_that_cannot_be_written_changes_no_exit_code() {
    let mut runner = Runner::new(&order(PAST));
    runner
        .command
        .env(ENV_TERMINATION_LOG, "/does/not/exist/termination-log");
    let output = runner.output();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("failed to write the result to \"/does/not/exist/termination-log\""),
        "{said}"
    );
}

#[test]
fn sigterm_ends_the_tries_to_reach_the_server_and_nothing_was_written() {
    let mut runner = Runner::new(&order(FUTURE));
    let mut child: Child = runner.command.stdout(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("trying again") {
        line.clear();
        assert_ne!(
            log.read_line(&mut line).unwrap(),
            0,
            "the runner ended before it tried again"
        );
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    log.read_to_string(&mut line).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let result = runner.message();
    assert_eq!(result.outcome, WorkOutcome::Interrupted);
    assert_eq!(result.steps[0].outcome, StepOutcome::Skipped);
    assert!(result.error.unwrap().contains("asked to stop"));
    assert!(result.metrics.calls > 0 && result.metrics.failed_calls == result.metrics.calls);
}

#[test]
fn the_version_is_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_kexec-runner"))
        .arg("--version")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().trim(),
        concat!("kexec-runner ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn an_idle_runner_needs_no_order_and_ends_well_when_it_is_told_to() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kexec-runner"))
        .arg("idle")
        .env_clear()
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.contains("idle until told to end"), "{line}");
    assert_eq!(child.try_wait().unwrap(), None);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
