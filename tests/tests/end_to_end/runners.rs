//! Programs that take the runner's place in a pod: ones that lie, fail or hang.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use k8s_openapi::api::core::v1::Pod;
use kexec_api::names;
use kexec_devcluster::node::{ActiveFault, Fault};
use kexec_tests::harness::{Scene, binary};

/// Whether the pod is a runner's for an execution in this namespace.
pub fn is_of(pod: &Pod, namespace: &str) -> bool {
    let labels = pod.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(names::LABEL_EXECUTION_NAMESPACE)).is_some_and(|value| value == namespace)
}

/// Has this program run in place of the runner, for the executions of the scene.
pub fn replace(scene: &Scene, program: PathBuf) -> ActiveFault {
    let namespace = scene.namespace.clone();
    let faults = scene.cluster.node().faults();
    faults.for_pods_of(move |pod| is_of(pod, &namespace), Fault::ReplaceBinary(program))
}

/// Whether the container that writes runs.
pub fn is_executing(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses
        .filter(|status| status.name == names::CONTAINER_EXECUTE)
        .any(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()))
}

/// What a held runner waits for.
pub struct Gate(PathBuf);

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Self(folder().join(format!("gate-{}", NUMBER.fetch_add(1, Ordering::Relaxed))))
    }

    /// Lets the runner go on.
    pub fn open(&self) {
        fs::write(&self.0, "").expect("a gate");
    }
}

/// The real runner, held before it does anything in the container that writes, until the gate is open.
pub fn waiting_for(gate: &Gate) -> PathBuf {
    script(&format!(
        "case \"$2\" in --dry-run) ;; *) while [ ! -e {gate} ]; do sleep 0.05; done;; esac\nexec {runner} \"$@\"\n",
        gate = gate.0.display(),
        runner = binary("kexec-runner").display(),
    ))
}

/// A runner whose write is refused: its dry run is the real one.
pub fn failing() -> PathBuf {
    script(&format!(
        "case \"$2\" in --dry-run) exec {runner} \"$@\";; esac\n{RESULT}\nresult failed ',\"error\":\"the API server is in a bad mood\"'\nexit 1\n",
        runner = binary("kexec-runner").display(),
    ))
}

/// A runner that hangs, deaf to SIGTERM: its dry run is the real one.
pub fn hanging() -> PathBuf {
    script(&format!(
        "case \"$2\" in --dry-run) exec {runner} \"$@\";; esac\ntrap '' TERM\nwhile :; do sleep 1; done\n",
        runner = binary("kexec-runner").display(),
    ))
}

/// Shell functions that write a result about the very work that was ordered.
const RESULT: &str = r#"
field() { printf '%s' "$KEXEC_WORK_ORDER" | sed -n "s/.*\"execution\":{[^}]*\"uid\":\"\([^\"]*\)\".*/\1/p"; }
result() {
  printf '{"executionUid":"%s","attempt":1,"stage":"execute","dryRun":false,"planHash":"%s","outcome":"%s"%s,"metrics":{"calls":0,"failedCalls":0,"timedOutCalls":0,"totalMillis":0,"slowestMillis":0,"fastestMillis":0}}' \
    "$(field)" "$KEXEC_PLAN_HASH" "$1" "$2" > "$KEXEC_TERMINATION_LOG"
}
"#;

/// Writes a shell script to be run in place of the runner.
pub fn script(body: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let path = folder().join(format!("runner-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
    // A script is run through the shell: one that was just written may still be open in a forked child.
    fs::write(&path, format!("#!/bin/sh\n{body}")).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
    path
}

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("kexec-runners-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}
