//! Condition types, the closed list of reasons, and the class of failure each reason belongs to. When a condition is
//! set is decided elsewhere.

use crate::closed_enum::closed_enum;

closed_enum! {
    /// The conditions of a KubernetesExecution (ST-93).
    pub enum ConditionType {
        /// True only when the execution succeeded.
        Ready = "Ready",
        /// True when the action type is registered, enabled and of a compatible version.
        ActionSupported = "ActionSupported",
        /// True when every blocking check passed and the plan is pinned.
        Validated = "Validated",
        /// True when no approval is needed or the plan's hash was approved.
        Approved = "Approved",
        /// True while the action's Job runs.
        Executing = "Executing",
        /// True in every terminal phase: the condition to wait on.
        Completed = "Completed",
        /// True when the inverse plan was executed and proven.
        RolledBack = "RolledBack",
    }
}

closed_enum! {
    /// The status of a condition (ST-94).
    pub enum ConditionStatus {
        /// The condition holds.
        True = "True",
        /// The condition does not hold.
        False = "False",
        /// Whether the condition holds is not known.
        Unknown = "Unknown",
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

closed_enum! {
    /// Why a condition has its status, why an execution ended, or why a check was not performed.
    pub enum Reason {
        /// The action was executed and its outcome proven. Nothing is left to do.
        ExecutionCompleted = "ExecutionCompleted",
        /// The action type is registered and enabled. Nothing is left to do.
        ActionRegistered = "ActionRegistered",
        /// Every blocking check passed. Nothing is left to do.
        ValidationPassed = "ValidationPassed",
        /// The dry run was asked for and succeeded; nothing was written. Create an execution without `dryRun` to act.
        DryRunSucceeded = "DryRunSucceeded",
        /// The target's lock or a free slot is awaited. `status.queue` says what for; it starts by itself.
        Queued = "Queued",
        /// The execution was accepted and its checks begin. Nothing is left to do.
        Accepted = "Accepted",
        /// The Job was created and its pod has not started yet. Nothing is left to do.
        JobCreated = "JobCreated",
        /// The Job's pod runs. `kubectl logs` shows its progress.
        JobRunning = "JobRunning",
        /// The writes are done and their outcome is being proven. Nothing is left to do.
        VerifyingOutcome = "VerifyingOutcome",
        /// The expectations were seen to hold on the live cluster. Nothing is left to do.
        OutcomeVerified = "OutcomeVerified",
        /// No action of that type is registered. Correct `actionType`; the message names the nearest.
        UnknownAction = "UnknownAction",
        /// The action is registered but switched off. Ask who runs the cluster to enable it.
        ActionDisabled = "ActionDisabled",
        /// A parameter is unknown, missing, of the wrong type or out of bounds. The message names it and what to write.
        InvalidParameter = "InvalidParameter",
        /// The target reference contradicts itself or the kind's scope. The message says what to write.
        InvalidTarget = "InvalidTarget",
        /// The target does not exist. Check its name and namespace.
        TargetNotFound = "TargetNotFound",
        /// The target is being deleted. Wait for its replacement and name that one.
        TargetBeingDeleted = "TargetBeingDeleted",
        /// The action does not apply to the target's kind. The message lists the kinds it applies to.
        TargetKindMismatch = "TargetKindMismatch",
        /// Another object now bears the target's name; nothing was written to it. Look at it and create a new execution.
        TargetReplaced = "TargetReplaced",
        /// The target does not have the labels or fields the reference demands. Correct the guards or the target.
        TargetGuardMismatch = "TargetGuardMismatch",
        /// The cluster does not serve the target's API. Correct `apiVersion` or install what serves it.
        ApiNotServed = "ApiNotServed",
        /// The controller may not read a kind the plan needs. The message names the rule to aggregate.
        NotReadable = "NotReadable",
        /// The spec asks for something that this version cannot do. The message names the field to leave out.
        NotSupported = "NotSupported",
        /// An approval is needed and this version cannot take one. Leave out what demands it.
        ApprovalUnavailable = "ApprovalUnavailable",
        /// A check was asked for that this version or cluster cannot run. Leave it out, or supply what it needs.
        CheckUnavailable = "CheckUnavailable",
        /// A safety check did not pass. `status.validationResults` says which and why.
        CheckFailed = "CheckFailed",
        /// The API server did not answer a live read in time. Create a new execution when it does.
        ConnectivityFailed = "ConnectivityFailed",
        /// The action's ServiceAccount lacks a permission of the plan. The message names the missing rule.
        PermissionDenied = "PermissionDenied",
        /// It is not known who asked for the execution. Set `spec.requestedBy`, or enable its stamping at admission.
        RequesterUnknown = "RequesterUnknown",
        /// The requester may not execute this action in the target's namespace. The message names the missing rule.
        RequesterDenied = "RequesterDenied",
        /// The admission policies are absent or altered, so nothing is executed. Install them as the chart ships them.
        PoliciesMissing = "PoliciesMissing",
        /// The target lies in a namespace that no action may touch. Choose another target or change the policy.
        ProtectedNamespace = "ProtectedNamespace",
        /// The target changed between planning and writing; nothing was written. Create a new execution.
        PlanStale = "PlanStale",
        /// The plan is larger than can be stored. Act on fewer or smaller objects.
        PlanTooLarge = "PlanTooLarge",
        /// The target already is as asked; nothing was written. Nothing is left to do.
        NoChange = "NoChange",
        /// An object could not be decoded. Correct or delete it; the message says where it breaks.
        UndecodableObject = "UndecodableObject",
        /// The API server refused a write in the dry run; nothing was written. The message quotes its answer.
        DryRunFailed = "DryRunFailed",
        /// A webhook in the way does not support dry runs; nothing was written. The message names it.
        DryRunUnsupported = "DryRunUnsupported",
        /// A write was refused or failed. The message quotes the answer; operations tell which writes were made.
        ActionFailed = "ActionFailed",
        /// The writes were reported done but the live cluster shows otherwise. Look at the target.
        OutcomeRefuted = "OutcomeRefuted",
        /// Whether the writes took effect could not be established. Look at the target.
        OutcomeUnknown = "OutcomeUnknown",
        /// The outcome did not show within `healthCheckTimeout`. Look at the target; raise the time-out if it is slow.
        HealthCheckTimeout = "HealthCheckTimeout",
        /// The execution's `timeout` passed. Operations tell which writes were made; raise the time-out if it is slow.
        DeadlineExceeded = "DeadlineExceeded",
        /// The runner's pod or node vanished. The message says whether anything was written.
        RunnerLost = "RunnerLost",
        /// The runner was killed or evicted. The message says by what.
        RunnerKilled = "RunnerKilled",
        /// The runner's pod did not start in time; nothing was written. The message quotes the events.
        RunnerNeverStarted = "RunnerNeverStarted",
        /// The runner's image could not be pulled; nothing was written. Make the image available.
        ImagePullFailed = "ImagePullFailed",
        /// The runner ran out of memory. Raise the action's memory limit.
        OutOfMemory = "OutOfMemory",
        /// A quota leaves no room for the Job or its pod; nothing was written. Raise it or wait.
        QuotaExceeded = "QuotaExceeded",
        /// The runner's result is absent or makes no sense, and the target was looked at instead. See the message.
        InvalidResult = "InvalidResult",
        /// Another pod held the attempt's claim; this one wrote nothing. See the message for what the target shows.
        ClaimLost = "ClaimLost",
        /// A foreign object bears the name that the attempt's Job needs; nothing was written. Remove that object.
        NameConflict = "NameConflict",
        /// The Job was deleted while it ran. The message says whether anything was written.
        JobDeleted = "JobDeleted",
        /// The execution was cancelled on request. Operations tell which writes were made.
        Cancelled = "Cancelled",
        /// Cancelling was asked for and the runner is being stopped. Nothing is left to do.
        CancelRequested = "CancelRequested",
        /// The execution was deleted while it ran, and so cancelled. Nothing is undone.
        Deleted = "Deleted",
        /// What was asked for was not done. The message says why.
        NotPerformed = "NotPerformed",
        /// The action is being undone. Nothing is left to do.
        RollingBack = "RollingBack",
        /// What the action had changed was restored, and that was proven. Nothing is left to do.
        RollbackCompleted = "RollbackCompleted",
        /// A rollback would overwrite a newer change, so nothing was restored. Undo by hand what is still to be undone.
        RollbackRefused = "RollbackRefused",
        /// Some of what the action had changed was restored and some was not. The message names what was left.
        RollbackIncomplete = "RollbackIncomplete",
        /// Nothing was restored, or it could not be established what was. Look at the target.
        RollbackFailed = "RollbackFailed",
        /// The operator itself failed. Report it with the controller's log.
        InternalError = "InternalError",
    }
}

closed_enum! {
    /// Whose failure a failure is: it decides on retries and is a metric label.
    pub enum FailureClass {
        /// The cluster could not run the action: image, quota, node, pod, API server.
        Infrastructure = "infrastructure",
        /// The action ran and its writes failed.
        Action = "action",
        /// What was asked for is wrong or cannot be done by this version.
        Validation = "validation",
        /// Somebody lacks a right, or a policy forbids it.
        Denied = "denied",
        /// The cluster is not, or no longer, in the state that the action needs.
        Precondition = "precondition",
        /// A deadline passed.
        Timeout = "timeout",
        /// What happened could not be established, or is not what was reported.
        Unknown = "unknown",
        /// A person stopped it.
        Cancelled = "cancelled",
        /// The operator itself failed.
        Internal = "internal",
    }
}

impl Reason {
    /// The class of the failure this reason names, or `None` for a reason that names progress or success.
    #[must_use]
    pub const fn failure_class(self) -> Option<FailureClass> {
        Some(match self {
            Self::ExecutionCompleted
            | Self::ActionRegistered
            | Self::ValidationPassed
            | Self::DryRunSucceeded
            | Self::Queued
            | Self::Accepted
            | Self::JobCreated
            | Self::JobRunning
            | Self::VerifyingOutcome
            | Self::OutcomeVerified
            | Self::NoChange
            | Self::CancelRequested
            | Self::NotPerformed
            | Self::RollingBack
            | Self::RollbackCompleted => return None,
            Self::UnknownAction
            | Self::ActionDisabled
            | Self::InvalidParameter
            | Self::InvalidTarget
            | Self::TargetKindMismatch
            | Self::ApiNotServed
            | Self::NotSupported
            | Self::ApprovalUnavailable
            | Self::CheckUnavailable
            | Self::PlanTooLarge
            | Self::UndecodableObject
            | Self::DryRunUnsupported => FailureClass::Validation,
            Self::PermissionDenied
            | Self::NotReadable
            | Self::RequesterUnknown
            | Self::RequesterDenied
            | Self::PoliciesMissing
            | Self::ProtectedNamespace => FailureClass::Denied,
            Self::TargetNotFound
            | Self::TargetBeingDeleted
            | Self::TargetReplaced
            | Self::TargetGuardMismatch
            | Self::CheckFailed
            | Self::PlanStale
            | Self::RollbackRefused => FailureClass::Precondition,
            Self::DryRunFailed
            | Self::ActionFailed
            | Self::RollbackIncomplete
            | Self::RollbackFailed => FailureClass::Action,
            Self::HealthCheckTimeout | Self::DeadlineExceeded => FailureClass::Timeout,
            Self::OutcomeRefuted | Self::OutcomeUnknown | Self::InvalidResult => {
                FailureClass::Unknown
            }
            Self::ConnectivityFailed
            | Self::RunnerLost
            | Self::RunnerKilled
            | Self::RunnerNeverStarted
            | Self::ImagePullFailed
            | Self::OutOfMemory
            | Self::QuotaExceeded
            | Self::ClaimLost
            | Self::NameConflict
            | Self::JobDeleted => FailureClass::Infrastructure,
            Self::Cancelled | Self::Deleted => FailureClass::Cancelled,
            Self::InternalError => FailureClass::Internal,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_words_that_a_condition_may_carry() {
        for reason in Reason::ALL {
            let text = reason.as_str();
            assert!(
                text.starts_with(|first: char| first.is_ascii_uppercase()),
                "{text}"
            );
            assert!(
                text.chars()
                    .all(|character| character.is_ascii_alphanumeric()),
                "{text}"
            );
            assert_eq!(Reason::from_text(text), Some(*reason));
        }
    }

    #[test]
    fn the_reasons_of_the_printed_example_exist() {
        for text in ["ExecutionCompleted", "ActionRegistered", "ValidationPassed"] {
            assert!(Reason::from_text(text).is_some(), "{text}");
        }
    }

    #[test]
    fn progress_is_no_failure_and_a_refuted_outcome_is_one() {
        assert_eq!(Reason::Queued.failure_class(), None);
        assert_eq!(
            Reason::OutcomeRefuted.failure_class(),
            Some(FailureClass::Unknown)
        );
        assert_eq!(
            Reason::QuotaExceeded.failure_class(),
            Some(FailureClass::Infrastructure)
        );
    }
}
