//! What runs by `devcluster isolate` leaves nothing behind, however it ends.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kexec_tests::harness::{binary, eventually};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::Mutex;

/// Each isolation removes what killed ones have left, so that two tests would see each other's.
static TURN: Mutex<()> = Mutex::const_new(());

fn isolate(command: &[&str]) -> Command {
    let mut isolate = Command::new(binary("devcluster"));
    isolate.args(["isolate", "--"]).args(command);
    isolate
}

/// A hierarchy of cgroups.
fn hierarchy() -> &'static str {
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        "/sys/fs/cgroup"
    } else {
        "/sys/fs/cgroup/pids"
    }
}

/// Whether a process runs whose command line has this word.
fn runs(word: &str) -> bool {
    let processes = fs::read_dir("/proc").expect("processes").flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let mut words = lines.map(|line| {
        line.split(|byte| *byte == 0)
            .any(|it| it == word.as_bytes())
    });
    words.any(|found| found)
}

/// A command, isolated, that has started a process in a session of its own and waits; the word by which that is known.
async fn started(number: u32) -> (Child, String) {
    let word = format!("{number}{}", std::process::id());
    let command = format!(r#"{}; setsid sleep {word} & wait"#, make_cgroup());
    let mut isolated = isolate(&["sh", "-c", &command]);
    // A group of its own, so that nobody but the kernel ends what it started.
    let isolated = isolated.process_group(0).stdin(Stdio::null()).spawn();
    let isolated = isolated.expect("a process");
    eventually("the command to run", || async { runs(&word).then_some(()) }).await;
    (isolated, word)
}

/// A shell's command that makes a cgroup below that of its isolation.
fn make_cgroup() -> String {
    format!(r#"mkdir -p "{}$DEVCLUSTER_CGROUP/node""#, hierarchy())
}

/// The cgroup of what runs by this process of `devcluster isolate`, which the tests' own isolation is around.
fn cgroup(isolated: u32) -> PathBuf {
    let outer =
        std::env::var("DEVCLUSTER_CGROUP").expect("these tests run by `devcluster isolate`");
    PathBuf::from(format!("{}{outer}/devcluster-{isolated}", hierarchy()))
}

async fn is_gone(word: &str) {
    eventually("the command to be gone", || async {
        (!runs(word)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nothing_outlives_a_command_that_was_killed_but_a_cgroup_that_the_next_one_removes() {
    let _turn = TURN.lock().await;
    let (mut isolated, word) = started(864).await;
    isolated.kill().expect("killed");
    isolated.wait().expect("an end");
    is_gone(&word).await;
    let left = cgroup(isolated.id());
    assert!(left.exists());
    let next = isolate(&["true"]).status().expect("an end");
    assert!(next.success());
    assert!(!left.exists());
}

#[tokio::test]
async fn a_command_that_is_told_to_end_takes_all_with_it() {
    let _turn = TURN.lock().await;
    let (mut isolated, word) = started(865).await;
    let cgroup = cgroup(isolated.id());
    assert!(cgroup.exists());
    kill_process(Pid::from_child(&isolated), Signal::TERM).expect("a signal");
    isolated.wait().expect("an end");
    is_gone(&word).await;
    assert!(!cgroup.exists());
}

#[tokio::test]
async fn a_command_ends_as_it_does_alone_without_its_cgroups() {
    let _turn = TURN.lock().await;
    let command = format!("{} && exit 7", make_cgroup());
    let mut isolated = isolate(&["sh", "-c", &command]).spawn().expect("a process");
    let status = isolated.wait().expect("an end");
    assert_eq!(status.code(), Some(7));
    assert!(!cgroup(isolated.id()).exists());
}

/// An isolation inside another one cannot know whose the other cgroups are.
#[tokio::test]
async fn a_command_leaves_the_cgroups_around_it_alone() {
    let _turn = TURN.lock().await;
    let outer =
        std::env::var("DEVCLUSTER_CGROUP").expect("these tests run by `devcluster isolate`");
    let empty = PathBuf::from(format!("{}{outer}/empty", hierarchy()));
    fs::create_dir_all(&empty).expect("a cgroup");
    let status = isolate(&["true"]).status().expect("an end");
    assert!(status.success());
    assert!(empty.exists());
    fs::remove_dir(&empty).expect("removed");
}
