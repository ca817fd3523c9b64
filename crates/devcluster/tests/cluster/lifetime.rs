//! Everything ends with the process that started it; the binary's commands.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use kexec_devcluster::{
    cli::instance::{self, State, lives},
    programs,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{stand_in, until};

fn devcluster(folder: &Path, command: &str) -> Command {
    let mut devcluster = Command::new(env!("CARGO_BIN_EXE_devcluster"));
    devcluster
        .arg(command)
        .arg("--dir")
        .arg(folder)
        .stdin(Stdio::null());
    devcluster
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

/// A folder for one cluster; below the dev cluster's own, like all that it writes.
fn folder() -> tempfile::TempDir {
    let parent = programs::home().unwrap().join("tmp");
    std::fs::create_dir_all(&parent).unwrap();
    tempfile::Builder::new()
        .prefix("up-")
        .tempdir_in(parent)
        .unwrap()
}

async fn ready(folder: &Path) -> State {
    until("a ready cluster", || async {
        instance::running(folder).is_some_and(|state| state.ready)
    })
    .await;
    instance::running(folder).unwrap()
}

#[tokio::test]
async fn nothing_outlives_a_parent_that_is_killed() {
    let folder = folder();
    let mut parent = devcluster(folder.path(), "up")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let state = ready(folder.path()).await;
    let names: Vec<&str> = state
        .programs
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler"
        ]
    );
    assert!(state.programs.iter().all(|(_, pid)| lives(*pid)));
    kill_process(Pid::from_child(&parent), Signal::KILL).unwrap();
    parent.wait().unwrap();
    until("the end of every program", || async {
        state.programs.iter().all(|(_, pid)| !lives(*pid))
    })
    .await;
    assert_eq!(instance::running(folder.path()), None);
}

#[tokio::test]
async fn a_cluster_in_the_background_comes_up_once_and_goes_down_whole() {
    let folder = folder();
    let at = folder.path().to_owned();
    let run = |command: &'static str, more: &'static [&'static str]| {
        let at = at.clone();
        async move {
            let mut devcluster = devcluster(&at, command);
            devcluster.args(more);
            tokio::task::spawn_blocking(move || devcluster.output().unwrap())
                .await
                .unwrap()
        }
    };
    let up = run("up", &["--detach"]).await;
    assert!(up.status.success(), "{}", text(&up));
    assert!(text(&up).contains("devcluster down"), "{}", text(&up));
    let state = instance::running(folder.path()).unwrap();
    let status = run("status", &[]).await;
    assert!(text(&status).starts_with("ready"), "{}", text(&status));
    let again = run("up", &["--detach"]).await;
    assert!(!again.status.success());
    assert!(text(&again).contains("running already"), "{}", text(&again));
    let down = run("down", &[]).await;
    assert!(down.status.success(), "{}", text(&down));
    // An ended process is there until its parent, which is not ours, has taken note of it.
    until("the end of every process", || async {
        let mut pids = state.programs.iter().map(|(_, pid)| *pid);
        pids.all(|pid| !lives(pid)) && !lives(state.pid)
    })
    .await;
    assert_eq!(run("status", &[]).await.status.code(), Some(3));
}

#[tokio::test]
async fn the_status_shows_the_operator_that_runs_also_after_its_restart() {
    let folder = folder();
    let operator = stand_in(
        folder.path(),
        "operator.sh",
        "#!/bin/sh\nwhile :; do sleep 0.05; done\n",
    );
    let account = folder.path().join("account.json");
    let text_of = r#"{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator", "namespace": "default"}}"#;
    std::fs::write(&account, text_of).unwrap();
    let mut parent = devcluster(folder.path(), "up")
        .arg("--operator")
        .arg(operator)
        .args(["--operator-service-account", "default/operator"])
        .arg("--manifests")
        .arg(&account)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let operator_of = |state: State| {
        let mut programs = state.programs.into_iter();
        programs.find_map(|(name, pid)| (name == "operator").then_some(pid))
    };
    let first = operator_of(ready(folder.path()).await).unwrap();
    kill_process(
        Pid::from_raw(first.try_into().unwrap()).unwrap(),
        Signal::KILL,
    )
    .unwrap();
    let now = || instance::running(folder.path()).and_then(operator_of);
    until("another operator in the state", || async {
        now().is_some_and(|pid| pid != first && lives(pid))
    })
    .await;
    let status = devcluster(folder.path(), "status").output().unwrap();
    let shown = format!("operator: process {}", now().unwrap());
    assert!(text(&status).contains(&shown), "{}", text(&status));
    kill_process(Pid::from_child(&parent), Signal::TERM).unwrap();
    parent.wait().unwrap();
}
