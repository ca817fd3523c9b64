//! The revisions of a workload that its controller keeps: `ReplicaSets` of a Deployment, `ControllerRevisions` of the others; and
//! rolling back to one of them (BR-EXEC-006). The three actions differ in nothing but the kind.

use kexec_api::plan::ObjectRef;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::action::{Draft, PlanError, RiskFactor, Target};
use crate::facts::{Facts, Need};
use crate::metadata::TargetKind;
use crate::pod_template::{self, TemplateChange};
use crate::{pod_owner, rollout};

/// The annotation by which a Deployment numbers its `ReplicaSets`.
const NUMBER: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";

/// The labels by which controllers tell the pods of one revision from those of another.
const HASH_LABELS: [&str; 2] = ["pod-template-hash", "controller-revision-hash"];

/// The parameters of the actions that roll back.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parameters {
    /// Number of the revision to roll back to, as `kubectl rollout history` lists it (SP-67); the one before the present
    /// one when left out.
    #[schemars(range(min = 1, max = i32::MAX))]
    rollback_revision: Option<u64>,
}

/// One revision.
#[derive(Clone, Debug, PartialEq)]
struct Revision {
    number: u64,
    /// The object that keeps it, for people.
    keeper: String,
    /// The pod template, without what its controller adds.
    template: Value,
    /// The values that a pod of it may have in one of [`HASH_LABELS`].
    hashes: Vec<String>,
}

/// What must be known: the revisions, and what every change of a template needs.
pub(crate) fn needs(target: &Target) -> Vec<Need> {
    let revisions = revisions_of(target).ok();
    pod_template::needs(target)
        .into_iter()
        .chain(revisions)
        .collect()
}

fn revisions_of(target: &Target) -> Result<Need, PlanError> {
    let workload = &target.reference;
    let kind = if workload.kind == TargetKind::DEPLOYMENT.kind {
        TargetKind::REPLICA_SET
    } else {
        TargetKind::CONTROLLER_REVISION
    };
    Ok(Need::List {
        kind: kind.to_kind(),
        namespace: workload.namespace.clone(),
        selector: rollout::selector(&target.live, workload)?,
    })
}

/// The draft that brings back the template of a revision; one without steps when the workload has it already.
pub(crate) fn draft(
    target: &Target,
    parameters: &Parameters,
    facts: &Facts,
) -> Result<Draft, PlanError> {
    let kept = facts
        .require_list(&revisions_of(target)?)
        .map_err(PlanError::UseFact)?;
    let workload = &target.reference;
    let history = history(workload, kept)?;
    let present = history.last().ok_or_else(|| no_revision(workload, "no"))?;
    let wanted = choose(workload, &history, parameters.rollback_revision)?;
    let template = without_nulls(pod_template::of(target)?);
    let fits = |pod: &Value| is_of(pod, wanted);
    let summary = format!(
        "roll back {workload} from revision {} to revision {}, as {} keeps it",
        present.number, wanted.number, wanted.keeper
    );
    let change = TemplateChange::to(&template, &wanted.template, &fits, summary);
    let mut draft = pod_template::draft(target, facts, change)?;
    if !draft.steps.is_empty() {
        let factor = broken_pod(target, facts)?.map(RiskFactor::one_level);
        draft.risk_factors.extend(factor);
    }
    Ok(draft)
}

/// The revisions that the workload controls, the oldest first.
fn history(workload: &ObjectRef, kept: &[Value]) -> Result<Vec<Revision>, PlanError> {
    let revisions = pod_owner::controlled_by(kept, workload)
        .into_iter()
        .map(|keeper| revision(workload, keeper));
    let mut history: Vec<Revision> = revisions.collect::<Result<_, _>>()?;
    history.sort_by_key(|revision| revision.number);
    Ok(history)
}

fn revision(workload: &ObjectRef, keeper: &Value) -> Result<Revision, PlanError> {
    let odd = || PlanError::unreadable("a revision", workload);
    let text = |pointer: &str| keeper.pointer(pointer).and_then(Value::as_str);
    let name = text("/metadata/name").ok_or_else(odd)?;
    let is_replica_set = workload.kind == TargetKind::DEPLOYMENT.kind;
    let (number, template) = if is_replica_set {
        let number = text(NUMBER).and_then(|number| number.parse().ok());
        (number, keeper.pointer("/spec/template"))
    } else {
        let number = keeper.get("revision").and_then(Value::as_u64);
        (number, keeper.pointer("/data/spec/template"))
    };
    let label = |key: &&str| {
        let label = keeper.pointer("/metadata/labels")?.get(*key)?;
        label.as_str().map(str::to_owned)
    };
    Ok(Revision {
        number: number.ok_or_else(odd)?,
        keeper: if is_replica_set {
            format!("ReplicaSet \"{name}\"")
        } else {
            format!("ControllerRevision \"{name}\"")
        },
        template: as_written(template.ok_or_else(odd)?),
        hashes: HASH_LABELS
            .iter()
            .filter_map(label)
            .chain([name.to_owned()])
            .collect(),
    })
}

/// The template as it stood in the workload: without the label that tells `ReplicaSets` apart, and the mark of a patch.
fn as_written(template: &Value) -> Value {
    let mut written = without_nulls(template);
    if let Some(template) = written.as_object_mut() {
        template.remove("$patch");
    }
    let labels = written.pointer_mut("/metadata/labels");
    if let Some(labels) = labels.and_then(Value::as_object_mut) {
        labels.remove("pod-template-hash");
    }
    written
}

/// A value without its fields that are null, which the API server does not tell from absent ones.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), without_nulls(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// The revision asked for, or the one before the present one.
fn choose<'a>(
    workload: &ObjectRef,
    history: &'a [Revision],
    asked: Option<u64>,
) -> Result<&'a Revision, PlanError> {
    let Some(asked) = asked else {
        let previous = history.iter().rev().nth(1);
        return previous.ok_or_else(|| no_revision(workload, "only one"));
    };
    let found = history.iter().find(|revision| revision.number == asked);
    found.ok_or_else(|| {
        let known: Vec<String> = history
            .iter()
            .map(|revision| revision.number.to_string())
            .collect();
        PlanError::invalid_parameter(
            "parameters.rollbackRevision",
            format!(
                "is {asked}, which {workload} does not keep: it has {}",
                known.join(", ")
            ),
        )
    })
}

fn no_revision(workload: &ObjectRef, how_many: &str) -> PlanError {
    PlanError::RefuseTarget(format!(
        "{workload} keeps {how_many} revision, so there is none to roll back to: set what is wrong in its template, for \
         instance by the action set_image"
    ))
}

/// Whether a pod is of a revision.
fn is_of(pod: &Value, revision: &Revision) -> bool {
    let label = |key: &&str| pod.pointer("/metadata/labels")?.get(*key)?.as_str();
    HASH_LABELS
        .iter()
        .filter_map(label)
        .any(|hash| revision.hashes.iter().any(|one| one == hash))
}

/// A StatefulSet that keeps the order waits for a pod that is not ready before it replaces it, whatever its template says.
fn broken_pod(target: &Target, facts: &Facts) -> Result<Option<String>, PlanError> {
    let workload = &target.reference;
    let policy = target.live.pointer("/spec/podManagementPolicy");
    let is_parallel = policy.is_some_and(|policy| policy == "Parallel");
    if workload.kind != TargetKind::STATEFUL_SET.kind || is_parallel {
        return Ok(None);
    }
    let selector = rollout::selector(&target.live, workload)?;
    let pods = Need::pods(workload.namespace.as_deref(), &selector);
    let pods = facts.require_list(&pods).map_err(PlanError::UseFact)?;
    let broken = pod_owner::controlled_by(pods, workload)
        .into_iter()
        .find(|pod| !pod_owner::is_ready(pod));
    let name = broken.and_then(|pod| pod.pointer("/metadata/name"));
    Ok(name.and_then(Value::as_str).map(|name| {
        format!("pod \"{name}\" is not ready, and the StatefulSet may wait for it for ever: delete it if it stays so")
    }))
}

#[cfg(test)]
mod tests;
