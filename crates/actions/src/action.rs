//! What an action is: typed parameters, metadata, needs and a planner; and the one place where a draft becomes a
//! whole plan. Nothing about a single action belongs here.

use std::collections::BTreeSet;
use std::fmt;

use kexec_api::condition::Reason;
use kexec_api::plan::{Expectation, ObjectRef, Permission, PlanContent, Step};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::facts::{FactError, Facts, Need};
use crate::metadata::Metadata;
use crate::parameters::{
    self, CommonParameters, ExpectedCondition, ParameterError, ParameterSchema,
};

/// The object an execution is aimed at, as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Which object, with its UID.
    pub reference: ObjectRef,
    /// The live object.
    pub live: Value,
    /// When the execution was created, as RFC 3339 in UTC: the one time a plan may hold, since it is the same whenever
    /// the plan is made.
    pub asked_at: String,
}

/// One named contribution to the risk of a plan; the score is added to that of the action's own level.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskFactor {
    /// What raises or lowers the risk, for people.
    pub text: String,
    /// How much, from -1 to 1.
    pub score: f64,
}

impl RiskFactor {
    /// Distance of two neighbouring risk levels on the score from 0 to 1: a factor of it raises a plan by one level.
    pub const ONE_LEVEL: f64 = 0.25;

    /// A factor that raises the risk by one level.
    #[must_use]
    pub fn one_level(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            score: Self::ONE_LEVEL,
        }
    }
}

/// What an action decides; everything else of a plan follows from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// The writes, in order; empty when the target is as asked for already.
    pub steps: Vec<Step>,
    /// What proves the outcome.
    pub expectations: Vec<Expectation>,
    /// What raises the risk beyond the action's own level.
    pub risk_factors: Vec<RiskFactor>,
    /// What was asked for and is not done by this version, for people.
    pub notes: Vec<String>,
    /// One sentence on what the plan does.
    pub summary: String,
}

/// Why no plan could be made. Every message says what is wrong, where, and what to do instead.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A parameter does not fit the target.
    #[error("{0}")]
    InvalidParameter(String),
    /// The target does not allow the action.
    #[error("{0}")]
    RefuseTarget(String),
    /// The target is going away already.
    #[error("{0} is being deleted: wait until it is gone and name what replaces it")]
    TargetBeingDeleted(String),
    /// Something the plan depends on is not there or is not as it must be.
    #[error("{0}")]
    UnmetDependency(String),
    /// This version cannot do what was asked for.
    #[error("{0}")]
    NotSupported(String),
    /// The plan could not be made from what was read.
    #[error("failed to read {what} of {object}")]
    ReadFact {
        /// The field or object.
        what: &'static str,
        /// Of which object.
        object: String,
    },
    /// A fact that the plan depends on is not known.
    #[error(transparent)]
    UseFact(FactError),
}

impl PlanError {
    /// The reason that goes into the execution's status.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::InvalidParameter(_) => Reason::InvalidParameter,
            Self::RefuseTarget(_) => Reason::InvalidTarget,
            Self::UnmetDependency(_) => Reason::CheckFailed,
            Self::NotSupported(_) => Reason::NotSupported,
            Self::TargetBeingDeleted(_) => Reason::TargetBeingDeleted,
            Self::ReadFact { .. } => Reason::InternalError,
            Self::UseFact(error) => match error {
                FactError::UseUnread { .. } => Reason::InternalError,
                FactError::FindObject { .. } => Reason::CheckFailed,
                FactError::FindApi { .. } => Reason::ApiNotServed,
                FactError::ReadForbidden { .. } => Reason::NotReadable,
            },
        }
    }

    /// A parameter that does not fit the target; `path` is as in `parameters.replicas`.
    pub(crate) fn invalid_parameter(path: &str, message: impl fmt::Display) -> Self {
        Self::InvalidParameter(format!("spec.actionDefinition.{path} {message}"))
    }

    /// A field of an object that is not of the form its API gives it.
    pub(crate) fn unreadable(what: &'static str, object: &ObjectRef) -> Self {
        Self::ReadFact {
            what,
            object: object.to_string(),
        }
    }
}

/// One action: a pure planner.
pub trait Action {
    /// Its parameters, beside those that every action has.
    type Parameters: DeserializeOwned + JsonSchema;

    /// What it says of itself.
    const METADATA: Metadata;

    /// What it must know beyond the target. Asked again until nothing is missing.
    fn needs(target: &Target, parameters: &Self::Parameters, facts: &Facts) -> Vec<Need>;

    /// The draft of the plan. All values are absolute; the same input gives the same draft.
    fn plan(
        target: &Target,
        parameters: &Self::Parameters,
        facts: &Facts,
    ) -> Result<Draft, PlanError>;
}

type NeedsFn = fn(&Target, &Map<String, Value>, &Facts) -> Result<Vec<Need>, ParameterError>;
type DraftFn =
    fn(&Target, &Map<String, Value>, &Facts) -> Result<Result<Draft, PlanError>, ParameterError>;

/// An action with its parameters' type erased, as the registry holds it.
pub struct Planner {
    metadata: Metadata,
    schema: ParameterSchema,
    needs: NeedsFn,
    draft: DraftFn,
}

impl Planner {
    /// The planner of an action.
    #[must_use]
    pub fn of<A: Action>() -> Self {
        Self {
            metadata: A::METADATA,
            schema: ParameterSchema::of::<A::Parameters>(),
            needs: |target, parameters, facts| {
                Ok(A::needs(target, &parameters::read(parameters)?, facts))
            },
            draft: |target, parameters, facts| {
                Ok(A::plan(target, &parameters::read(parameters)?, facts))
            },
        }
    }

    /// What the action says of itself.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The JSON schema of its parameters.
    #[must_use]
    pub fn schema(&self) -> &ParameterSchema {
        &self.schema
    }

    /// Checks the parameters strictly and reads those that every action has.
    pub fn check(
        &self,
        parameters: &Map<String, Value>,
    ) -> Result<CommonParameters, ParameterError> {
        self.schema.check(self.metadata.action_type, parameters)
    }

    /// What must be read before [`Planner::plan`] can be called.
    pub fn needs(
        &self,
        target: &Target,
        parameters: &Map<String, Value>,
        facts: &Facts,
    ) -> Result<Vec<Need>, ParameterError> {
        (self.needs)(target, parameters, facts)
    }

    /// The draft of the plan; none for a target that is being deleted. The outer error is one of the parameters, the
    /// inner one of the planner.
    pub fn draft(
        &self,
        target: &Target,
        parameters: &Map<String, Value>,
        facts: &Facts,
    ) -> Result<Result<Draft, PlanError>, ParameterError> {
        let common: CommonParameters = parameters::read(parameters)?;
        let draft = (self.draft)(target, parameters, facts)?;
        if target.live.pointer("/metadata/deletionTimestamp").is_some() {
            return Ok(Err(PlanError::TargetBeingDeleted(
                target.reference.to_string(),
            )));
        }
        Ok(draft.and_then(|draft| {
            refuse_conditions_of_the_deleted(target, &common, &draft).map(|()| draft)
        }))
    }

    /// The plan that follows from a draft: permissions from its steps, inverse steps when the action is reversible,
    /// and the conditions the execution itself expects of a target that outlives the plan (SP-66).
    #[must_use]
    pub fn content(
        &self,
        target: &Target,
        common: &CommonParameters,
        draft: &Draft,
    ) -> PlanContent {
        let inverse = || draft.steps.iter().rev().filter_map(Step::inverse).collect();
        let outlives = !deletes(&draft.steps, target);
        let expected_conditions = common.expected_conditions.iter().filter(|_| outlives);
        let conditions = expected_conditions.map(|expected| Expectation::Condition {
            object: target.reference.clone(),
            condition_type: expected.condition_type.clone(),
            status: expected.status.clone(),
            reason: expected.reason.clone(),
        });
        PlanContent {
            action: self.metadata.action_type.to_owned(),
            version: self.metadata.version.to_owned(),
            targets: vec![target.reference.clone()],
            steps: draft.steps.clone(),
            expectations: draft
                .expectations
                .iter()
                .cloned()
                .chain(conditions)
                .collect(),
            rollback: if self.metadata.reversible {
                inverse()
            } else {
                Vec::new()
            },
            permissions: permissions(&draft.steps),
        }
    }
}

/// Whether the steps delete the target, or have it evicted.
fn deletes(steps: &[Step], target: &Target) -> bool {
    steps.iter().any(|step| match step {
        Step::Delete {
            target: deleted, ..
        } => *deleted == target.reference,
        Step::Evict {
            target: evicted, ..
        } => *evicted == target.reference,
        Step::Patch { .. } => false,
    })
}

/// Refuses conditions that nothing can show: a deleted target has none, and of its replacement only that it is ready
/// is proven.
fn refuse_conditions_of_the_deleted(
    target: &Target,
    common: &CommonParameters,
    draft: &Draft,
) -> Result<(), PlanError> {
    if !deletes(&draft.steps, target) {
        return Ok(());
    }
    let replaced = draft
        .expectations
        .iter()
        .any(|one| matches!(one, Expectation::Replaced { .. }));
    let proven =
        |one: &ExpectedCondition| replaced && one.condition_type == "Ready" && one.status == "True";
    let instead = if replaced {
        "write only Ready with status True, which its replacement is proven to have"
    } else {
        "leave parameters.expectedConditions out"
    };
    match common.expected_conditions.iter().find(|one| !proven(one)) {
        None => Ok(()),
        Some(one) => Err(PlanError::NotSupported(format!(
            "spec.actionDefinition.parameters.expectedConditions asks for {}={} of {}, which is deleted: {instead}",
            one.condition_type, one.status, target.reference
        ))),
    }
}

/// The rights the steps need, each once.
fn permissions(steps: &[Step]) -> Vec<Permission> {
    let rights: BTreeSet<Permission> = steps.iter().map(permission).collect();
    rights.into_iter().collect()
}

/// The right one step needs.
fn permission(step: &Step) -> Permission {
    let target = step.target();
    Permission {
        group: target.group().to_owned(),
        resource: target.resource.clone(),
        subresource: step.subresource().map(str::to_owned),
        verb: step.verb().to_owned(),
        namespace: target.namespace.clone(),
    }
}

#[cfg(test)]
mod tests;
