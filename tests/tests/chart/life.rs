//! A release from its installation to its end and beyond, by the real Helm: what becomes of the executions.

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kexec_api::execution::KubernetesExecution;
use kexec_api::phase::Phase;
use kexec_tests::harness::{eventually, phase};
use kexec_tests::helm::{RELEASE, chart, render_variant};
use kube::CustomResourceExt;
use kube::api::{Api, ListParams};
use serde_json::json;
use tempfile::TempDir;

use crate::site::{SYSTEM, Site, assert_survived};

/// A column that an older CRD does not have.
const COLUMN: &str = "    - description: Who asked for the execution
      jsonPath: .spec.requestedBy.username
      name: Requester
      priority: 1
      type: string
";

/// A copy of the chart as it might have been before: another version, and a CRD without one of its columns.
fn older() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("kubernaut-executor");
    copy_folder(&chart(), &copy);
    let edit = |file: &str, from: &str, to: &str| {
        let path = copy.join(file);
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from), "{file} has no {from:?}");
        fs::write(path, text.replace(from, to)).expect("a file");
    };
    edit("Chart.yaml", "\nversion: 0.1.0", "\nversion: 0.0.9");
    edit("templates/crds/kubernetesexecutions.yaml", COLUMN, "");
    (folder, copy)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file");
        }
    }
}

/// Whether the cluster's CRD has the column of [`COLUMN`]; `None` without a CRD.
async fn has_column(site: &Site) -> Option<bool> {
    let definitions: Api<CustomResourceDefinition> = Api::all(site.client.clone());
    let found = definitions.get_opt(KubernetesExecution::crd_name()).await;
    let versions = found.expect("an answer")?.spec.versions;
    let mut columns = versions
        .iter()
        .flat_map(|version| version.additional_printer_columns.iter().flatten());
    Some(columns.any(|column| column.name == "Requester"))
}

async fn completes(site: &Site, name: &str, replicas: i32) -> KubernetesExecution {
    site.scale(name, "demo", i64::from(replicas)).await;
    let ended = site.ended(name, "demo").await;
    assert_eq!(phase(&ended), Some(Phase::Completed), "{:?}", ended.status);
    assert_eq!(site.replicas("demo").await, Some(replicas));
    ended
}

/// Asks for that many slow replicas, and returns once they are waited for.
async fn under_way(site: &Site, name: &str, replicas: i64) {
    site.scale(name, "slow", replicas).await;
    eventually("the execution to be under way", || async {
        let found = site.execution(name, "slow").await?;
        (phase(&found) == Some(Phase::Monitoring)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_survive_upgrade_rollback_uninstallation_and_reinstallation() {
    let site = Site::new().await;
    site.workload("demo", "ready").await;
    site.workload("slow", "slow=10").await;
    let (_folder, older) = older();

    site.release("install", &older, &[]).await;
    assert_eq!(has_column(&site).await, Some(false));
    let first = completes(&site, "first", 2).await;

    under_way(&site, "across", 3).await;
    site.release("upgrade", &chart(), &[]).await;
    assert_eq!(has_column(&site).await, Some(true), "Helm upgrades the CRD");
    assert_survived(&first, site.execution("first", "demo").await);
    let across = site.ended("across", "slow").await;
    assert_eq!(
        phase(&across),
        Some(Phase::Completed),
        "{:?}",
        across.status
    );
    let second = completes(&site, "second", 3).await;

    site.helm(&["rollback", RELEASE, "1", "--wait", "--timeout", "90s"])
        .await;
    assert_eq!(has_column(&site).await, Some(false));
    assert_survived(&second, site.execution("second", "demo").await);
    let third = completes(&site, "third", 4).await;

    under_way(&site, "over", 5).await;
    let installed = what_is_left(&site).await;
    assert!(installed.len() > 20, "{installed:?}");
    site.helm(&["uninstall", RELEASE, "--wait", "--timeout", "90s"])
        .await;
    assert_eq!(what_is_left(&site).await, Vec::<String>::new());
    assert_eq!(has_column(&site).await, Some(false), "the CRD stays");
    for (before, name) in [(&first, "first"), (&second, "second"), (&third, "third")] {
        assert_survived(before, site.execution(name, "demo").await);
    }

    site.release("install", &chart(), &[]).await;
    assert_eq!(has_column(&site).await, Some(true), "the CRD is taken over");
    assert_survived(&third, site.execution("third", "demo").await);
    let over = site.ended("over", "slow").await;
    assert_eq!(phase(&over), Some(Phase::Completed), "{:?}", over.status);
    completes(&site, "fourth", 5).await;
    site.plane.stop().await;
}

/// What of the release is still in the cluster, the CRD apart.
async fn what_is_left(site: &Site) -> Vec<String> {
    let mut command = site.plane.kubectl();
    command.args([
        "get",
        "deployments,services,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,resourcequotas,\
         poddisruptionbudgets,validatingadmissionpolicies,mutatingadmissionpolicies",
        "--all-namespaces",
        "--selector",
        "app.kubernetes.io/managed-by=Helm",
        "--output",
        "name",
    ]);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("a task").expect("kubectl runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pod_of_the_release_and_of_its_jobs_passes_pod_security_restricted() {
    let site = Site::new().await;
    site.workload("demo", "ready").await;
    site.release("install", &chart(), &["--set", "prePuller.enabled=true"])
        .await;
    completes(&site, "scale", 2).await;
    let pods: Api<Pod> = Api::namespaced(site.client.clone(), SYSTEM);
    let pods = pods.list(&ListParams::default()).await.expect("pods");
    let accounts: std::collections::BTreeSet<_> = pods
        .into_iter()
        .filter_map(|pod| pod.spec?.service_account_name)
        .collect();
    assert_eq!(
        accounts.into_iter().collect::<Vec<_>>(),
        [
            "kexec-scale-deployment",
            "kubernaut-executor",
            "kubernaut-image-prepuller"
        ]
    );
    let problem = refusal_of(&site, "everything").await;
    assert_eq!(problem, None, "the API server takes every switch");
    site.plane.stop().await;
}

/// What the API server says against the objects of a variant, if anything. It does not know the `ServiceMonitor`.
async fn refusal_of(site: &Site, variant: &str) -> Option<String> {
    let mut objects = render_variant(variant);
    objects.retain(|object| object["kind"] != "ServiceMonitor");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("objects.json");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    fs::write(&file, list.to_string()).expect("a file");
    let mut command = site.plane.kubectl();
    command
        .args([
            "apply",
            "--server-side",
            "--dry-run=server",
            "--force-conflicts",
            "--filename",
        ])
        .arg(&file);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("a task").expect("kubectl runs");
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}
