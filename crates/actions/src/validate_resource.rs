//! `validate_resource`: says whether its target exists and is healthy by what its kind shows of that (SP-35). It writes
//! nothing, and gives the target until the execution's time-out to become so.

use kexec_api::execution::spec::{Category, RiskLevel};
use kexec_api::plan::{Expectation, FieldValue, ObjectRef};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, TargetKind};
use crate::rollout;

pub(crate) struct ValidateResource;

/// None but the common ones.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Parameters {}

impl Action for ValidateResource {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "validate_resource",
        aliases: &[],
        version: "v1.0",
        description: "Says whether the target exists and is healthy, and writes nothing.",
        category: Category::Core,
        risk: RiskLevel::Low,
        reversible: false,
        idempotent: true,
        targets: TargetKind::READABLE,
        rules: &[],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(_: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        Vec::new()
    }

    fn plan(target: &Target, _: &Parameters, _: &Facts) -> Result<Draft, PlanError> {
        let object = &target.reference;
        let (what, healthy) = health(target)?;
        Ok(Draft {
            summary: format!("look whether {object} {what}"),
            expectations: std::iter::once(exists(object)).chain(healthy).collect(),
            ..Draft::default()
        })
    }
}

/// The same object is still there.
pub(crate) fn exists(object: &ObjectRef) -> Expectation {
    fields(object, &[("/metadata/uid", object.uid.clone().into())])
}

/// What a healthy object of the target's kind shows, in words and as an expectation; existence alone where the kind
/// shows no more.
fn health(target: &Target) -> Result<(&'static str, Option<Expectation>), PlanError> {
    let object = &target.reference;
    let condition = |kind: &str| Expectation::Condition {
        object: object.clone(),
        condition_type: kind.to_owned(),
        status: "True".to_owned(),
        reason: None,
    };
    let is = |kind: TargetKind| kind.kind == object.kind && kind.api_version == object.api_version;
    Ok(
        if is(TargetKind::DEPLOYMENT) || is(TargetKind::STATEFUL_SET) {
            let expected = rolled_out(target)?;
            ("has all its replicas updated and available", Some(expected))
        } else if is(TargetKind::DAEMON_SET) {
            let expected = on_all_nodes(target)?;
            ("has a ready pod on each of its nodes", Some(expected))
        } else if is(TargetKind::NODE) || is(TargetKind::POD) {
            ("is ready", Some(condition("Ready")))
        } else if is(TargetKind::JOB) {
            ("is complete", Some(condition("Complete")))
        } else if is(TargetKind::PERSISTENT_VOLUME_CLAIM) {
            let bound = fields(object, &[("/status/phase", "Bound".into())]);
            ("is bound", Some(bound))
        } else {
            ("exists", None)
        },
    )
}

fn rolled_out(target: &Target) -> Result<Expectation, PlanError> {
    let object = &target.reference;
    Ok(Expectation::WorkloadReady {
        object: object.clone(),
        selector: rollout::selector(&target.live, object)?,
        replicas: rollout::replicas(&target.live, object)?,
        known_crash_loops: Vec::new(),
    })
}

fn on_all_nodes(target: &Target) -> Result<Expectation, PlanError> {
    let object = &target.reference;
    let number = |pointer: &str, what: &'static str| {
        let number = target.live.pointer(pointer).filter(|value| value.is_u64());
        number
            .cloned()
            .ok_or_else(|| PlanError::unreadable(what, object))
    };
    let desired = number(
        "/status/desiredNumberScheduled",
        "status.desiredNumberScheduled",
    )?;
    let generation = number("/metadata/generation", "metadata.generation")?;
    Ok(fields(
        object,
        &[
            ("/status/observedGeneration", generation),
            ("/status/numberReady", desired),
        ],
    ))
}

fn fields(object: &ObjectRef, fields: &[(&str, Value)]) -> Expectation {
    let field = |(path, value): &(&str, Value)| FieldValue {
        path: (*path).to_owned(),
        value: Some(value.clone()),
    };
    Expectation::Fields {
        object: object.clone(),
        fields: fields.iter().map(field).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::every_action::{Case, Cases};
    use crate::fixtures::{bare_pod, config_map, deployment, node, target};

    impl Cases for ValidateResource {
        fn cases() -> Vec<Case> {
            let case =
                |special, target| Case::of::<Self>(special, target, json!({}), Facts::default());
            vec![
                case("", deployment(&json!(2))),
                case("of_a_node", node(&json!({}))),
                case("of_a_daemon_set", daemon_set(&json!(3))),
            ]
        }
    }

    fn daemon_set(desired: &Value) -> Target {
        let live = json!({
            "metadata": {"namespace": "web", "name": "proxy", "uid": "d-2", "generation": 4},
            "status": {"desiredNumberScheduled": desired},
        });
        target(TargetKind::DAEMON_SET, live)
    }

    fn summary(target: &Target) -> String {
        let draft = ValidateResource::plan(target, &Parameters {}, &Facts::default());
        draft.expect("plans").summary
    }

    #[test]
    fn what_healthy_means_follows_the_kind() {
        let pvc = json!({"metadata": {"namespace": "web", "name": "data", "uid": "v-1"}});
        let job = json!({"metadata": {"namespace": "web", "name": "once", "uid": "j-1"}});
        let cases = [
            (
                deployment(&json!(2)),
                "look whether Deployment/web/shop has all its replicas updated and available",
            ),
            (
                daemon_set(&json!(3)),
                "look whether DaemonSet/web/proxy has a ready pod on each of its nodes",
            ),
            (
                target(TargetKind::POD, bare_pod("p-1", true)),
                "look whether Pod/web/shop-p-1 is ready",
            ),
            (
                target(TargetKind::PERSISTENT_VOLUME_CLAIM, pvc),
                "look whether PersistentVolumeClaim/web/data is bound",
            ),
            (
                target(TargetKind::JOB, job),
                "look whether Job/web/once is complete",
            ),
            (
                config_map(json!({})),
                "look whether ConfigMap/web/settings exists",
            ),
        ];
        for (target, expected) in cases {
            assert_eq!(summary(&target), expected);
        }
    }

    #[test]
    fn counts_that_cannot_be_read_are_not_guessed_at() {
        let target = daemon_set(&json!("x"));
        let odd = ValidateResource::plan(&target, &Parameters {}, &Facts::default());
        assert_eq!(
            odd.expect_err("cannot be read").to_string(),
            "failed to read status.desiredNumberScheduled of DaemonSet/web/proxy"
        );
    }
}
