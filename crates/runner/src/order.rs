//! What the process was told: the work order and, where it is to write, who it is. Read from the environment and
//! checked; nothing is sent.

use kexec_api::names::{
    ENV_JOB_UID, ENV_PLAN_FILE, ENV_PLAN_HASH, ENV_POD_NAMESPACE, ENV_POD_UID, ENV_ROOT,
    ENV_WORK_ORDER,
};
use kexec_api::plan::{HashPlanError, PlanHash, Step};
use kexec_api::work::{Stage, WorkOrder};
use serde_json::Value;

use crate::text::printable;

/// Longest part of a work order that does not fit which is repeated in a result, in characters.
const MAX_ECHO_CHARS: usize = 80;

/// Why there is nothing to do: the process was told nothing, or something that does not fit.
#[derive(Debug, thiserror::Error)]
pub enum ReadOrderError {
    /// A variable is missing or empty.
    #[error("the environment variable \"{0}\" is not set; the pod template of the Job must set it")]
    FindVariable(&'static str),
    /// The work order is not one.
    #[error("failed to read the work order in the environment variable \"{ENV_WORK_ORDER}\"")]
    ParseOrder(#[source] serde_json::Error),
    /// The file that holds the plan cannot be read.
    #[error("failed to read the plan from \"{path}\"")]
    ReadPlanFile {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file that holds the plan holds none.
    #[error("failed to understand the plan in \"{path}\"")]
    ParsePlanFile {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The plan has no canonical form.
    #[error("failed to compute the plan's hash")]
    HashPlan(#[source] HashPlanError),
    /// The hash the order states is not the one the Job was made for.
    #[error(
        "the work order states the plan hash \"{stated}\", but the Job was made for \"{expected}\""
    )]
    MatchStatedHash {
        /// What the order says.
        stated: PlanHash,
        /// What the literal variable says.
        expected: PlanHash,
    },
    /// The plan is not the one that was pinned.
    #[error(
        "the plan's hash is \"{actual}\", but the Job was made for \"{expected}\"; the plan was changed"
    )]
    MatchPlanHash {
        /// What the plan's content gives.
        actual: PlanHash,
        /// What the literal variable says.
        expected: PlanHash,
    },
    /// A rollback was ordered of a plan that cannot be undone.
    #[error("the work order asks for the stage \"rollback\", but the plan has no inverse steps")]
    FindInverseSteps,
}

/// Who the process is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// Namespace of its pod, where the claim lives.
    pub pod_namespace: String,
    /// UID of its pod, the claim's holder.
    pub pod_uid: String,
    /// UID of its Job, the claim's owner.
    pub job_uid: String,
}

/// How the steps are to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Mode {
    /// With `dryRun=All`, without a claim.
    DryRun,
    /// For real, after taking the claim as this one.
    Write(Identity),
}

impl Mode {
    /// True for a dry run.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        matches!(self, Self::DryRun)
    }
}

/// What to do and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The order; its plan is the one the Job was made for.
    pub order: WorkOrder,
    /// How its steps are to be sent.
    pub mode: Mode,
}

/// The steps `order` asks for.
#[must_use]
pub fn steps(order: &WorkOrder) -> &[Step] {
    match order.stage {
        Stage::Execute => &order.plan.steps,
        Stage::Rollback => &order.plan.rollback,
    }
}

/// Reads and checks what the process was told by `environment`.
pub fn read(
    dry_run: bool,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Assignment, ReadOrderError> {
    let variable = |name| {
        environment(name)
            .filter(|value| !value.is_empty())
            .ok_or(ReadOrderError::FindVariable(name))
    };
    let order = order_of(&variable(ENV_WORK_ORDER)?, &environment)?;
    check_hash(&order, PlanHash::from(variable(ENV_PLAN_HASH)?))?;
    if order.stage == Stage::Rollback && order.plan.rollback.is_empty() {
        return Err(ReadOrderError::FindInverseSteps);
    }
    let mode = if dry_run {
        Mode::DryRun
    } else {
        Mode::Write(Identity {
            pod_namespace: variable(ENV_POD_NAMESPACE)?,
            pod_uid: variable(ENV_POD_UID)?,
            job_uid: variable(ENV_JOB_UID)?,
        })
    };
    Ok(Assignment { order, mode })
}

/// The order, with its plan from the file that holds it where the order leaves it out.
fn order_of(
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<WorkOrder, ReadOrderError> {
    let Some(file) = environment(ENV_PLAN_FILE).filter(|file| !file.is_empty()) else {
        return serde_json::from_str(text).map_err(ReadOrderError::ParseOrder);
    };
    let path = environment(ENV_ROOT).unwrap_or_default() + &file;
    let plan = std::fs::read(&path).map_err(|source| ReadOrderError::ReadPlanFile {
        path: path.clone(),
        source,
    })?;
    let plan: Value = serde_json::from_slice(&plan)
        .map_err(|source| ReadOrderError::ParsePlanFile { path, source })?;
    let mut order: Value = serde_json::from_str(text).map_err(ReadOrderError::ParseOrder)?;
    if let Some(order) = order.as_object_mut() {
        order.insert("plan".to_owned(), plan);
    }
    serde_json::from_value(order).map_err(ReadOrderError::ParseOrder)
}

/// The order, its plan and the Job must agree on one hash.
fn check_hash(order: &WorkOrder, expected: PlanHash) -> Result<(), ReadOrderError> {
    if order.plan_hash != expected {
        return Err(ReadOrderError::MatchStatedHash {
            stated: order.plan_hash.clone(),
            expected,
        });
    }
    let actual = order.plan.hash().map_err(ReadOrderError::HashPlan)?;
    if actual != expected {
        return Err(ReadOrderError::MatchPlanHash { actual, expected });
    }
    Ok(())
}

/// What a result is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// UID of the execution.
    pub execution_uid: String,
    /// Number of the attempt.
    pub attempt: u32,
    /// Which steps.
    pub stage: Stage,
    /// Hash of the plan.
    pub plan_hash: PlanHash,
}

impl From<&WorkOrder> for Subject {
    fn from(order: &WorkOrder) -> Self {
        Self {
            execution_uid: order.execution.uid.clone(),
            attempt: order.attempt,
            stage: order.stage,
            plan_hash: order.plan_hash.clone(),
        }
    }
}

impl Subject {
    /// What can be made out of an order that could not be read; the rest stays empty, 0 and `execute`.
    #[must_use]
    pub fn guess(environment: impl Fn(&str) -> Option<String>) -> Self {
        let order = environment(ENV_WORK_ORDER)
            .and_then(|text| serde_json::from_str::<Value>(&text).ok())
            .unwrap_or_default();
        let text = |pointer: &str| {
            order
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(|text| printable(text, MAX_ECHO_CHARS))
                .unwrap_or_default()
        };
        Self {
            execution_uid: text("/execution/uid"),
            attempt: order
                .pointer("/attempt")
                .and_then(|attempt| u32::try_from(attempt.as_u64()?).ok())
                .unwrap_or_default(),
            stage: order
                .pointer("/stage")
                .and_then(|stage| serde_json::from_value(stage.clone()).ok())
                .unwrap_or(Stage::Execute),
            plan_hash: text("/planHash").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::*;
    use crate::fixture::{identity, order, scale};
    use crate::server::with_causes;

    fn environment(order: &WorkOrder) -> HashMap<&'static str, String> {
        HashMap::from([
            (ENV_WORK_ORDER, serde_json::to_string(order).unwrap()),
            (ENV_PLAN_HASH, order.plan.hash().unwrap().to_string()),
            (ENV_POD_NAMESPACE, "kubernaut-system".to_owned()),
            (ENV_POD_UID, "u-pod".to_owned()),
            (ENV_JOB_UID, "u-job".to_owned()),
        ])
    }

    fn read_from(
        dry_run: bool,
        environment: &HashMap<&'static str, String>,
    ) -> Result<Assignment, ReadOrderError> {
        read(dry_run, |name| environment.get(name).cloned())
    }

    #[test]
    fn a_fitting_order_is_taken_with_the_pods_identity() {
        let order = order(vec![scale(2, 5)]);
        let assignment = read_from(false, &environment(&order)).unwrap();
        assert_eq!(assignment.mode, Mode::Write(identity()));
        assert_eq!(assignment.order, order);
    }

    #[test]
    fn every_variable_is_required_and_named_when_it_is_missing_or_empty() {
        for name in [
            ENV_WORK_ORDER,
            ENV_PLAN_HASH,
            ENV_POD_NAMESPACE,
            ENV_POD_UID,
            ENV_JOB_UID,
        ] {
            let mut environment = environment(&order(vec![scale(2, 5)]));
            environment.insert(name, String::new());
            let error = read_from(false, &environment).unwrap_err();
            assert!(
                matches!(error, ReadOrderError::FindVariable(missing) if missing == name),
                "{error}"
            );
            environment.remove(name);
            let error = read_from(false, &environment).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_dry_run_needs_no_identity() {
        let mut environment = environment(&order(vec![scale(2, 5)]));
        for name in [ENV_POD_NAMESPACE, ENV_POD_UID, ENV_JOB_UID] {
            environment.remove(name);
        }
        assert_eq!(read_from(true, &environment).unwrap().mode, Mode::DryRun);
    }

    #[test]
    fn garbage_is_refused_and_says_where() {
        for garbage in ["nonsense", "{}", "null", "[1]", "{\"attempt\": -1}"] {
            let mut environment = environment(&order(vec![]));
            environment.insert(ENV_WORK_ORDER, garbage.to_owned());
            let error = read_from(false, &environment).unwrap_err();
            assert!(matches!(error, ReadOrderError::ParseOrder(_)), "{error}");
            assert!(
                with_causes(&error).contains("line 1 column"),
                "{}",
                with_causes(&error)
            );
        }
    }

    #[test]
    fn an_order_for_another_hash_is_refused() {
        let mut environment = environment(&order(vec![scale(2, 5)]));
        environment.insert(ENV_PLAN_HASH, "sha256:other".to_owned());
        let error = read_from(false, &environment).unwrap_err();
        assert!(
            matches!(error, ReadOrderError::MatchStatedHash { .. }),
            "{error}"
        );
    }

    #[test]
    fn a_changed_plan_is_refused_though_order_and_job_agree_on_a_hash() {
        let pinned = order(vec![scale(2, 5)]);
        let mut changed = pinned.clone();
        changed.plan.steps = vec![scale(2, 500)];
        let mut environment = environment(&changed);
        environment.insert(ENV_PLAN_HASH, pinned.plan_hash.to_string());
        let error = read_from(false, &environment).unwrap_err();
        assert!(
            matches!(error, ReadOrderError::MatchPlanHash { .. }),
            "{error}"
        );
    }

    #[test]
    fn a_rollback_without_inverse_steps_is_refused() {
        let mut order = order(vec![scale(2, 5)]);
        order.stage = Stage::Rollback;
        order.plan.rollback.clear();
        order.plan_hash = order.plan.hash().unwrap();
        let error = read_from(false, &environment(&order)).unwrap_err();
        assert!(matches!(error, ReadOrderError::FindInverseSteps), "{error}");
    }

    #[test]
    fn the_result_of_an_unreadable_order_says_what_could_be_made_out() {
        let text =
            json!({"execution": {"uid": "e-7"}, "attempt": 3, "stage": "rollback", "planHash": 5})
                .to_string();
        let subject = Subject::guess(|_| Some(text.clone()));
        assert_eq!(
            subject,
            Subject {
                execution_uid: "e-7".into(),
                attempt: 3,
                stage: Stage::Rollback,
                plan_hash: String::new().into(),
            }
        );
        let long = json!({"execution": {"uid": "e".repeat(5000)}}).to_string();
        assert_eq!(
            Subject::guess(|_| Some(long.clone())).execution_uid.len(),
            MAX_ECHO_CHARS
        );
        assert_eq!(Subject::guess(|_| None).attempt, 0);
    }
}
