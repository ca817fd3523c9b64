//! The README's demo: the commands of its section "By hand", on real nodes.

use kexec_tests::harness::{Scene, repository};

use super::turns;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_readme_tells_to_type_scales_the_example() {
    let _turn = turns::shared().await;
    let scene = Scene::real("demo").await;
    let example = repository().join("examples/scale-deployment.yaml");
    let example = example.to_str().expect("a path");
    scene.kubectl(&["apply", "-f", example]).await;
    let completed = [
        "-n",
        "demo",
        "wait",
        "--for=condition=Completed",
        "kexec/scale-web",
    ];
    scene
        .kubectl(&[&completed[..], &["--timeout=90s"]].concat())
        .await;
    let description = scene
        .kubectl(&["-n", "demo", "describe", "kexec", "scale-web"])
        .await;
    for word in ["ExecutionCompleted", "spec.replicas: 2 -> 5"] {
        assert!(description.contains(word), "{description}");
    }
    let job = [
        "-n",
        "demo",
        "get",
        "kexec",
        "scale-web",
        "-o",
        "jsonpath={.status.job.name}",
    ];
    let job = format!("job/{}", scene.kubectl(&job).await);
    let log = scene
        .kubectl(&["-n", "kubernaut-system", "logs", &job])
        .await;
    assert!(log.contains("\"object\":\"Deployment/demo/web\""), "{log}");
    let ready = [
        "-n",
        "demo",
        "get",
        "deployment",
        "web",
        "-o",
        "jsonpath={.status.readyReplicas}",
    ];
    assert_eq!(scene.kubectl(&ready).await, "5");
}
