//! Helm and our chart: where they are, what the chart renders to, and Helm as an administrator of a cluster runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kexec_devcluster::ControlPlane;
use serde::Deserialize;
use serde_json::Value;

/// The release's name in the documentation.
pub const RELEASE: &str = "kubernaut-executor";

/// The chart of this checkout.
#[must_use]
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(xtask::install::chart::CHART)
}

/// The values of one of the variants that the chart is checked in.
#[must_use]
pub fn variant(name: &str) -> PathBuf {
    chart().join("ci").join(format!("{name}-values.yaml"))
}

/// Helm, with nothing of the user's own.
#[must_use]
pub fn helm() -> Command {
    let folder = kexec_devcluster::programs::home().expect("the folder of the dev cluster");
    let program = folder.join("bin/helm");
    assert!(
        program.is_file(),
        "{} is not there: run `make helm-bin`",
        program.display()
    );
    let mut command = Command::new(program);
    for variable in ["HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_CACHE_HOME"] {
        command.env(variable, folder.join("helm"));
    }
    command.env_remove("KUBECONFIG");
    command
}

/// Helm against a cluster.
#[must_use]
pub fn helm_on(plane: &ControlPlane) -> Command {
    let mut command = helm();
    command.env("KUBECONFIG", plane.kubeconfig());
    command
}

/// What it prints; what it complains of when it fails.
pub fn run(command: &mut Command) -> Result<String, String> {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("helm runs");
    if status.success() {
        Ok(String::from_utf8(stdout).expect("text"))
    } else {
        Err(String::from_utf8_lossy(&stderr).into_owned())
    }
}

/// The objects of a rendered chart, in order.
#[must_use]
pub fn objects(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .filter(|object| !object.is_null())
        .collect()
}

/// What the chart renders to in `kubernaut-system` with these arguments.
pub fn render(arguments: &[&str]) -> Result<Vec<Value>, String> {
    let mut command = helm();
    command
        .args(["template", RELEASE])
        .arg(chart())
        .args(["--namespace", "kubernaut-system"])
        .args(arguments);
    run(&mut command).map(|text| objects(&text))
}

/// What a variant renders to.
#[must_use]
pub fn render_variant(name: &str) -> Vec<Value> {
    let values = variant(name);
    render(&["--values", &values.to_string_lossy()]).expect("the chart renders")
}
