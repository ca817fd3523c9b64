//! Where an execution stands and how it ended (ST-01, ST-05). What moves it from one phase to the next is the core
//! crate's decision, not this file's.

use crate::closed_enum::closed_enum;

closed_enum! {
    /// Where an execution stands. The last four are terminal; only `completed` may still be left, once, by a rollback
    /// that a person asks for.
    pub enum Phase {
        /// Created, or waiting in the queue for its target's lock or for a free slot.
        Pending = "pending",
        /// Accepted; the checks run and the plan is made. Nothing outside status is written.
        Validating = "validating",
        /// Planned and checked; waiting for a person to approve the plan's hash.
        AwaitingApproval = "awaiting-approval",
        /// The plan's Job runs, or is about to.
        Executing = "executing",
        /// The writes are done; the expectations are being proven on the live cluster.
        Monitoring = "monitoring",
        /// The inverse plan runs.
        RollingBack = "rolling-back",
        /// The action was executed and its outcome proven, or its dry run succeeded.
        Completed = "completed",
        /// The action was refused, failed, or its outcome could not be proven.
        Failed = "failed",
        /// The execution was cancelled before its action was done.
        Cancelled = "cancelled",
        /// The inverse plan was executed and proven.
        RolledBack = "rolled-back",
    }
}

impl Phase {
    /// Whether the execution has ended.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Cancelled | Self::RolledBack => true,
            Self::Pending
            | Self::Validating
            | Self::AwaitingApproval
            | Self::Executing
            | Self::Monitoring
            | Self::RollingBack => false,
        }
    }
}

closed_enum! {
    /// What became of the action as a whole.
    pub enum ActionResult {
        /// Every write was made and the outcome was proven.
        Success = "success",
        /// The action failed or was refused.
        Failure = "failure",
        /// Some writes were made and others were not.
        PartialSuccess = "partial-success",
        /// The action was stopped on request.
        Cancelled = "cancelled",
        /// The action's deadline passed.
        Timeout = "timeout",
    }
}

closed_enum! {
    /// What a parent workflow is told about its step.
    pub enum Outcome {
        /// The step did what it was asked to do.
        Succeeded = "succeeded",
        /// The step did not do what it was asked to do.
        Failed = "failed",
        /// Writes may have been made, and what they led to could not be established: look at the target.
        Unknown = "unknown",
        /// The step was stopped on request.
        Cancelled = "cancelled",
        /// The step's changes were undone.
        RolledBack = "rolled-back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_four_last_phases_are_terminal() {
        let terminal: Vec<_> = Phase::ALL
            .iter()
            .filter(|phase| phase.is_terminal())
            .map(|phase| phase.as_str())
            .collect();
        assert_eq!(
            terminal,
            ["completed", "failed", "cancelled", "rolled-back"]
        );
    }

    #[test]
    fn a_phase_reads_back_from_its_own_text() {
        for phase in Phase::ALL {
            assert_eq!(Phase::from_text(phase.as_str()), Some(*phase));
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.as_str());
        }
        assert_eq!(Phase::from_text("done"), None);
    }
}
