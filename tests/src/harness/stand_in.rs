//! Programs that stand in for the runner in a scene's Jobs: ones that lie, hang, write late, or wait for the test. The
//! dry run stays the real runner's. What such a program does is the test's matter.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::api::core::v1::Pod;
use kexec_api::names;
use kexec_devcluster::node::{ActiveFault, Fault};

use super::cluster::binary;
use super::scene::Scene;
use super::wait::eventually;

/// Holds the real runner back until the test says `go`.
pub const HELD_BEFORE_THE_WRITE: &str = r#"say holding; await go; exec "$runner" "$@""#;

/// Lets the real runner write, then keeps the container until the test says `go`.
pub const HELD_AFTER_THE_WRITE: &str =
    r#""$runner" "$@"; code=$?; say written; await go; exit $code"#;

/// What a stand-in can use:
/// - `$runner`, the real one; `$kubectl`; `$uid` and `$name` of the execution; `$stage`, what the Job is for;
/// - `say WORD` tells the test, `await WORD` waits until the test says it;
/// - `answer OUTCOME` leaves a result that is about the very work that was ordered.
const PRELUDE: &str = r#"
case "$*" in *--dry-run*) exec "$runner" "$@" ;; esac
uid=${KEXEC_WORK_ORDER#*'"uid":"'}; uid=${uid%%'"'*}
name=${KEXEC_WORK_ORDER#*'"name":"'}; name=${name%%'"'*}
stage=${KEXEC_WORK_ORDER#*'"stage":"'}; stage=${stage%%'"'*}
hash=$KEXEC_PLAN_HASH; attempt=1; dry_run=false
say() { : > "$folder/$1"; }
await() { while [ ! -e "$folder/$1" ]; do sleep 0.05; done; }
answer() {
  printf '{"executionUid":"%s","attempt":%s,"stage":"%s","dryRun":%s,"planHash":"%s","outcome":"%s",' \
    "$uid" "$attempt" "$stage" "$dry_run" "$hash" "$1" > "$KEXEC_TERMINATION_LOG"
  printf '"steps":[{"step":0,"outcome":"%s"}],"metrics":{"calls":1,"failedCalls":0,"timedOutCalls":0,' \
    "${2:-written}" >> "$KEXEC_TERMINATION_LOG"
  printf '"totalMillis":1,"slowestMillis":1,"fastestMillis":1}}' >> "$KEXEC_TERMINATION_LOG"
}
"#;

/// A program that runs in place of the runner for as long as this exists. Pods that run already keep theirs.
pub struct StandIn {
    folder: PathBuf,
    _faults: Vec<ActiveFault>,
}

impl StandIn {
    /// Has the shell commands `body` run in place of the scene's runner.
    #[must_use]
    pub fn new(scene: &Scene, body: &str) -> Self {
        Self::with_faults(scene, body, &[])
    }

    /// The same, on pods that are struck by more faults.
    #[must_use]
    pub fn with_faults(scene: &Scene, body: &str, faults: &[Fault]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = scene
            .cluster
            .plane()
            .folder()
            .join(format!("stand-in-{number}"));
        fs::create_dir_all(&folder).expect("a folder");
        let script = folder.join("run");
        let programs = kexec_devcluster::programs::Programs::find().expect("programs");
        let (runner, kubectl) = (binary("kexec-runner"), programs.kubectl);
        let settings = format!(
            "runner='{}'; kubectl='{}'; folder='{}'",
            runner.display(),
            kubectl.display(),
            folder.display()
        );
        fs::write(
            &script,
            format!("#!/bin/sh\n{settings}\n{PRELUDE}\n{body}\n"),
        )
        .expect("a script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("permissions");
        let faults = [&[Fault::ReplaceBinary(script)], faults].concat();
        Self {
            folder,
            _faults: faults
                .into_iter()
                .map(|fault| fault_on(scene, fault))
                .collect(),
        }
    }

    /// Tells the program that waits for `word`.
    pub fn say(&self, word: &str) {
        fs::write(self.folder.join(word), "").expect("a file");
    }

    /// Waits until the program says `word`.
    pub async fn says(&self, word: &str) {
        let file = self.folder.join(word);
        eventually(&format!("the stand-in to say '{word}'"), || async {
            file.exists().then_some(())
        })
        .await;
    }
}

/// Asks for a fault on the runners' pods of a scene.
pub fn fault_on(scene: &Scene, fault: Fault) -> ActiveFault {
    let namespace = scene.namespace.clone();
    let is_of_scene = move |pod: &Pod| {
        let labels = pod.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(names::LABEL_EXECUTION_NAMESPACE)) == Some(&namespace)
    };
    scene
        .cluster
        .node()
        .faults()
        .for_pods_of(is_of_scene, fault)
}
