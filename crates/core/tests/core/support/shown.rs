//! Decisions in one line, for tables; and what must hold of every status whatever it says.

use kexec_api::condition::{ConditionStatus, ConditionType, FailureClass};
use kexec_api::execution::KubernetesExecutionStatus;
use kexec_api::phase::{ActionResult, Outcome, Phase};
use kexec_core::decide::{Decision, Whose};

use super::World;
use super::world::at;

/// Most bytes a status may have (I12).
const STATUS_MAX: usize = 64 * 1024;

/// What is decided, in one line. A status is shown as `record phase/Reason actionResult outcome`, with `verified` when
/// the outcome was proven; times count from the start.
pub fn line(world: &World) -> String {
    let decision = world.decide();
    match &decision {
        Decision::Record(status) => {
            assert_consistent(status);
            format!("record {}", shown(status))
        }
        Decision::RecordIntent(status, _) => {
            assert_consistent(status);
            format!("intend {}", shown(status))
        }
        Decision::Wait { until: Some(until) } => {
            format!("wait until {}", until.duration_since(at(0)).as_secs())
        }
        Decision::ExpireJob {
            whose: Whose::Current,
            seconds,
        } => format!("expire-job {seconds}"),
        Decision::ExpireJob {
            whose: Whose::Previous,
            seconds,
        } => format!("expire-job {seconds} of the previous attempt"),
        Decision::Tombstone(Whose::Previous) | Decision::DeleteJob(Whose::Previous) => {
            format!("{} of the previous attempt", decision.name())
        }
        Decision::Read(needs) | Decision::Watch(needs) => {
            let needs: Vec<String> = needs.iter().map(ToString::to_string).collect();
            format!("{} {}", decision.name(), needs.join(", "))
        }
        Decision::TakeTurn(_)
        | Decision::Probe
        | Decision::Ask(_)
        | Decision::Refresh
        | Decision::KeepPlan(_)
        | Decision::ReadPlan
        | Decision::CreateJob(_)
        | Decision::ReadStartEvents
        | Decision::Tombstone(Whose::Current)
        | Decision::StopPod
        | Decision::DeleteJob(Whose::Current)
        | Decision::DeleteExecution
        | Decision::Wait { until: None } => decision.name().to_owned(),
    }
}

fn shown(status: &KubernetesExecutionStatus) -> String {
    let phase = status.phase.expect("has a phase");
    let completed = status
        .condition(ConditionType::Completed)
        .expect("has Completed");
    let reason = completed.reason.clone().unwrap_or_default();
    let Some(step) = &status.step_result else {
        return format!("{phase}/{reason}");
    };
    let summary = status.execution_summary.as_ref().expect("has a summary");
    let result = summary.action_result.map_or("none", ActionResult::as_str);
    let outcome = step.outcome.map_or("none", Outcome::as_str);
    let verified = if step.verified == Some(true) {
        " verified"
    } else {
        ""
    };
    format!("{phase}/{reason} {result} {outcome}{verified}")
}

/// What must hold of every status that is written.
pub fn assert_consistent(status: &KubernetesExecutionStatus) {
    let phase = status.phase.expect("has a phase");
    let is = |kind| {
        status
            .condition(kind)
            .map(|condition: &kexec_api::execution::status::Condition| condition.status)
    };
    let terminal = phase.is_terminal();
    let asked = is(ConditionType::RolledBack).is_some() && status.step_result.is_some();
    assert_eq!(
        is(ConditionType::Completed),
        Some((terminal || phase == Phase::RollingBack && asked).into()),
        "Completed in {phase}"
    );
    assert_eq!(
        is(ConditionType::Ready),
        Some((phase == Phase::Completed).into()),
        "Ready in {phase}"
    );
    if terminal {
        assert_ne!(
            is(ConditionType::Executing),
            Some(ConditionStatus::True),
            "Executing in {phase}"
        );
        assert_ended(status, phase);
    } else if phase == Phase::RollingBack {
        assert_ne!(asked, status.error.is_some(), "what failed, or who asked");
    } else {
        assert_eq!(
            (&status.step_result, &status.error),
            (&None, &None),
            "an end in {phase}"
        );
    }
    for condition in &status.conditions {
        assert!(condition.known_reason().is_some(), "{condition:?}");
        assert!(
            condition
                .message
                .as_ref()
                .is_some_and(|message| !message.is_empty()),
            "{condition:?}"
        );
        assert_eq!(condition.observed_generation, Some(1), "{condition:?}");
    }
    let bytes = serde_json::to_vec(status).expect("is JSON").len();
    assert!(bytes <= STATUS_MAX, "{bytes} bytes");
}

fn assert_ended(status: &KubernetesExecutionStatus, phase: Phase) {
    let success = phase == Phase::Completed;
    let completed = status
        .condition(ConditionType::Completed)
        .expect("has Completed");
    let class = completed
        .known_reason()
        .and_then(kexec_api::condition::Reason::failure_class);
    let undone = phase == Phase::RolledBack;
    assert_eq!(class.is_none(), success || undone, "{completed:?}");
    assert_eq!(
        class == Some(FailureClass::Cancelled),
        phase == Phase::Cancelled,
        "{completed:?}"
    );
    let summary = status.execution_summary.as_ref().expect("has a summary");
    assert!(
        summary.completion_time.is_some() && summary.duration.is_some(),
        "{summary:?}"
    );
    let undoing = status.condition(ConditionType::RolledBack).is_some();
    assert!(
        undoing || (summary.action_result == Some(ActionResult::Success)) == success,
        "{summary:?}"
    );
    let step = status.step_result.as_ref().expect("has a step result");
    assert_eq!(
        step.outcome == Some(Outcome::Succeeded),
        success,
        "{step:?}"
    );
    assert_eq!(step.message, completed.message, "one sentence for all");
    assert!(
        undone || status.error.is_none() == success,
        "{:?}",
        status.error
    );
    assert_eq!(status.queue, None);
}
