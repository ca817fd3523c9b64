//! What the runner is told (`WorkOrder`) and what it answers (`WorkResult`), with its exit codes.
//! The controller trusts nothing in a result that it can see for itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::plan::{PlanContent, PlanHash};

/// Largest termination message the runner writes, in bytes: with a mesh's sidecars the kubelet keeps only 3 KiB a
/// container of the pod's 12.
pub const MAX_RESULT_BYTES: usize = 2048;

/// What a Job is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Runs the plan's steps.
    Execute,
    /// Runs the plan's inverse steps.
    Rollback,
}

impl Stage {
    /// The stage as label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::Rollback => "rollback",
        }
    }
}

/// The execution a Job belongs to.
#[derive(Clone, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecutionRef {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
}

/// Everything the runner is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkOrder {
    /// For whom.
    pub execution: ExecutionRef,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Which steps.
    pub stage: Stage,
    /// When to stop before the next write; earlier than the pod's own deadline, so that a result can be written.
    pub deadline: Timestamp,
    /// The plan.
    pub plan: PlanContent,
    /// The plan's hash, which the runner checks before anything else.
    pub plan_hash: PlanHash,
}

/// How the runner's work ended, as far as it knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkOutcome {
    /// Every step was written (or, in a dry run, accepted).
    Done,
    /// The API server refused a step; earlier steps may have been written.
    Failed,
    /// The work order could not be read or did not fit; nothing was written.
    CouldNotStart,
    /// The target is no longer as planned; the step concerned, and those after it, were not written.
    PreconditionFailed,
    /// Another pod holds the claim; nothing was written by this one.
    ClaimLost,
    /// Asked to stop, or out of time, before all steps were written.
    Interrupted,
    /// A step's answer was lost: it may or may not have been written.
    Unknown,
}

impl WorkOutcome {
    /// Exit code of the runner's process. An interrupted or unknown end is 1, as a failed exec is: only the result
    /// tells them apart.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed | Self::Interrupted | Self::Unknown => 1,
            Self::CouldNotStart => 2,
            Self::PreconditionFailed => 3,
            Self::ClaimLost => 4,
        }
    }
}

/// How one step ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    /// The API server confirmed the write.
    Written,
    /// The API server refused it, or it could not be sent: not written.
    Refused,
    /// The answer was lost: it may have been written.
    Unknown,
    /// Not tried.
    Skipped,
    /// A rollback found it undone already: it is as it was before the action. Nothing was sent that changes it. Or a
    /// drain found the pod gone already.
    Unneeded,
    /// A rollback found a value that is not ours: somebody changed it since the action. Not written.
    Foreign,
}

/// One step as the runner ran it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepRecord {
    /// Index in the plan's steps, or in a rollback in its inverse steps, from 0.
    pub step: u32,
    /// Index of the one change of the step that this is about, where a rollback went through them one by one; absent
    /// when it is about the whole step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<u32>,
    /// How it ended.
    pub outcome: StepOutcome,
    /// When it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// How long the API server took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// What the API server said, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The runner's own figures (ST-67…ST-77). Times in milliseconds, memory in bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunnerMetrics {
    /// API calls made.
    pub calls: u32,
    /// Calls answered with an error or not at all.
    pub failed_calls: u32,
    /// Calls that ran into their time-out.
    pub timed_out_calls: u32,
    /// Sum of all calls' times.
    pub total_millis: u64,
    /// The slowest call.
    pub slowest_millis: u64,
    /// The fastest call.
    pub fastest_millis: u64,
    /// CPU time used, user and system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u64>,
    /// Wall time of the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_millis: Option<u64>,
    /// Largest memory held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Bytes sent and received on the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_bytes: Option<u64>,
}

/// What the runner answers in its termination message: one JSON document, ASCII, at most [`MAX_RESULT_BYTES`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkResult {
    /// UID of the execution the work was for.
    pub execution_uid: String,
    /// Number of the attempt.
    pub attempt: u32,
    /// Which steps.
    pub stage: Stage,
    /// True when every write was sent with `dryRun=All`.
    pub dry_run: bool,
    /// Hash of the plan that ran.
    pub plan_hash: PlanHash,
    /// How it ended.
    pub outcome: WorkOutcome,
    /// One sentence on what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The steps, in order; shortened from the end when the message would grow too large.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepRecord>,
    /// Steps left out above; the log has them all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted_steps: u32,
    /// The runner's own figures.
    pub metrics: RunnerMetrics,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(count: &u32) -> bool {
    *count == 0
}
