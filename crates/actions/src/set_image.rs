//! `set_image`: sets the images of named containers of a workload, which rolls them out (BR-EXEC-002, BR-EXEC-006).
//! Containers that are not named keep theirs.

use std::collections::BTreeMap;

use kexec_api::execution::spec::{Category, RiskLevel};
use kexec_api::plan::FieldValue;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, Rule, TargetKind};
use crate::pod_template::{self, TEMPLATE, TemplateChange};
use crate::{containers, difference};

/// Most containers that one execution may name.
const MAX_CONTAINERS: u32 = 64;

/// The right that it takes on one kind.
const fn rule(resource: &'static str) -> Rule {
    Rule {
        group: "apps",
        resource,
        verb: "patch",
        reason: "sets the images of the named containers of the pod template, and nothing else",
    }
}

pub(crate) struct SetImage;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Parameters {
    /// Names of containers, those of `initContainers` among them, and the image each gets.
    #[schemars(schema_with = "images")]
    images: BTreeMap<String, String>,
}

fn images(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": MAX_CONTAINERS,
        "propertyNames": {
            "maxLength": 63,
            "title": "the name of a container: lower-case letters, digits and \"-\"",
            "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        },
        "additionalProperties": {
            "type": "string",
            "maxLength": 1024,
            "title": "an image such as \"shop:1.2.3\", without spaces",
            "pattern": "^[^\\s]+$",
        },
    })
}

impl Action for SetImage {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "set_image",
        aliases: &[],
        version: "v1.2",
        description: "Sets the images of named containers of a workload, which then replaces its pods.",
        category: Category::Core,
        risk: RiskLevel::High,
        reversible: true,
        idempotent: true,
        targets: &[
            TargetKind::DEPLOYMENT,
            TargetKind::STATEFUL_SET,
            TargetKind::DAEMON_SET,
        ],
        rules: &[
            rule("deployments"),
            rule("statefulsets"),
            rule("daemonsets"),
        ],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(target: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        pod_template::needs(target)
    }

    fn plan(target: &Target, parameters: &Parameters, facts: &Facts) -> Result<Draft, PlanError> {
        let images = &parameters.images;
        if images.is_empty() {
            return Err(PlanError::invalid_parameter(
                "parameters.images",
                "names no container: write at least one with its image",
            ));
        }
        let template = pod_template::of(target)?;
        let (wanted, expected) = with_images(target, template, images)?;
        let fits = |pod: &Value| {
            images.iter().all(|(name, image)| {
                let container = containers::in_pod(pod, name);
                container.and_then(|container| container.get("image"))
                    == Some(&Value::from(image.as_str()))
            })
        };
        let shown: Vec<String> = images
            .iter()
            .map(|(name, image)| format!("{name} to {image}"))
            .collect();
        let change = TemplateChange {
            changes: difference::changes(TEMPLATE, template, &wanted),
            expected,
            fits: &fits,
            summary: format!(
                "set images of {}: {}; all its pods are replaced",
                target.reference,
                shown.join(", ")
            ),
        };
        pod_template::draft(target, facts, change)
    }
}

/// The template with these images, and the fields that hold them.
fn with_images(
    target: &Target,
    template: &Value,
    images: &BTreeMap<String, String>,
) -> Result<(Value, Vec<FieldValue>), PlanError> {
    let known = containers::of(target, template)?;
    let mut wanted = template.clone();
    let mut expected = Vec::new();
    for (name, image) in images {
        let container = containers::named(target, &known, name, "parameters.images")?;
        let held = wanted.pointer_mut(&container.path);
        let held = held.and_then(Value::as_object_mut).ok_or_else(|| {
            PlanError::unreadable("spec.template.spec.containers", &target.reference)
        })?;
        held.insert("image".to_owned(), image.as_str().into());
        let field = |key: &str, value: &str| FieldValue {
            path: format!("{TEMPLATE}{}/{key}", container.path),
            value: Some(value.into()),
        };
        expected.extend([field("name", name), field("image", image)]);
    }
    Ok((wanted, expected))
}

#[cfg(test)]
mod tests {
    use kexec_api::plan::Expectation;
    use serde_json::json;

    use super::*;
    use crate::every_action::{Case, Cases};
    use crate::fixtures::{workload, workload_facts, workload_pod};

    impl Cases for SetImage {
        fn cases() -> Vec<Case> {
            let case = |special, kind| {
                let facts = workload_facts(Vec::new());
                let parameters = json!({"images": {"main": "shop:2", "prepare": "tools:2"}});
                Case::of::<Self>(special, with_init(kind), parameters, facts)
            };
            vec![
                case("", TargetKind::DEPLOYMENT),
                case("of a statefulset", TargetKind::STATEFUL_SET),
                case("of a daemonset", TargetKind::DAEMON_SET),
            ]
        }
    }

    fn with_init(kind: TargetKind) -> Target {
        let mut target = workload(kind);
        target.live["spec"]["template"]["spec"]["initContainers"] =
            json!([{"name": "prepare", "image": "tools:1"}]);
        target
    }

    fn planned(images: &[(&str, &str)], pods: Vec<Value>) -> Result<Draft, PlanError> {
        let images = images
            .iter()
            .map(|(name, image)| ((*name).to_owned(), (*image).to_owned()))
            .collect();
        let target = with_init(TargetKind::DEPLOYMENT);
        SetImage::plan(&target, &Parameters { images }, &workload_facts(pods))
    }

    fn refusal(images: &[(&str, &str)]) -> String {
        planned(images, Vec::new())
            .expect_err("is refused")
            .to_string()
    }

    #[test]
    fn only_the_named_containers_are_changed_behind_a_guard_of_their_names() {
        let draft = planned(&[("main", "shop:2"), ("prepare", "tools:1")], Vec::new());
        let step = draft.expect("plans").steps.remove(0);
        assert_eq!(
            step.diff(),
            ["spec.template.spec.containers.0.image: \"shop:1\" -> \"shop:2\""]
        );
        let patch = step.json_patch().expect("is a patch");
        let tested =
            json!({"op": "test", "path": "/spec/template/spec/containers/0/name", "value": "main"});
        assert_eq!(patch[1], tested);
    }

    #[test]
    fn a_name_that_no_container_has_is_refused_with_the_nearest_or_all() {
        assert_eq!(
            refusal(&[("mian", "shop:2")]),
            "spec.actionDefinition.parameters.images names \"mian\", which is no container of Deployment/web/shop: did you \
             mean \"main\"?"
        );
        assert_eq!(
            refusal(&[("zzz", "shop:2")]),
            "spec.actionDefinition.parameters.images names \"zzz\", which is no container of Deployment/web/shop: it has \
             main, prepare"
        );
        assert_eq!(
            refusal(&[]),
            "spec.actionDefinition.parameters.images names no container: write at least one with its image"
        );
    }

    #[test]
    fn a_pod_that_has_all_the_images_already_may_stay() {
        let pod = |uid: &str, image: &str| {
            let mut pod = workload_pod(uid);
            pod["spec"]["containers"][0]["image"] = image.into();
            pod
        };
        let pods = vec![pod("p-old", "shop:1"), pod("p-new", "shop:2")];
        let draft = planned(&[("main", "shop:2")], pods).expect("plans");
        let old_pods = draft.expectations.into_iter().find_map(|one| match one {
            Expectation::RolledOut { old_pods, .. } => Some(old_pods),
            _ => None,
        });
        assert_eq!(old_pods, Some(["p-old"].into_iter().collect()));
    }
}
