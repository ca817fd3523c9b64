use kexec_api::plan::Expectation;

use super::*;
use crate::every_action::{Case, Cases};
use crate::facts::Fact;
use crate::fixtures::{ready_node, workload, workload_facts, workload_pod};

impl Cases for IncreaseResources {
    fn cases() -> Vec<Case> {
        let case = |special, kind| {
            let parameters = json!({"resourceLimits": {"memory": "1024Mi"}, "resourceRequests": {"cpu": "0.5", "storage": "1Gi"}});
            let target = limited(kind);
            let facts = world(&target, Vec::new());
            Case::of::<Self>(special, target, parameters, facts)
        };
        vec![
            case("", TargetKind::DEPLOYMENT),
            case("of a statefulset", TargetKind::STATEFUL_SET),
            case("of a daemonset", TargetKind::DAEMON_SET),
        ]
    }
}

/// A workload whose container may use 512Mi of memory and 1 of CPU, and asks for 256Mi.
fn limited(kind: TargetKind) -> Target {
    let mut target = workload(kind);
    target.live["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "1", "memory": "512Mi"}, "requests": {"cpu": "250m", "memory": "256Mi"}});
    target.live["status"] = json!({"desiredNumberScheduled": 2});
    target
}

fn world(target: &Target, pods: Vec<Value>) -> Facts {
    let mut facts = workload_facts(pods);
    let [ranges, quotas, nodes] = resource_room::needs(target);
    facts.insert(ranges, Fact::List(Vec::new()));
    facts.insert(quotas, Fact::List(Vec::new()));
    facts.insert(nodes, Fact::List(vec![ready_node("n-1")]));
    facts
}

fn plan_on(target: &Target, parameters: Value, pods: Vec<Value>) -> Result<Draft, PlanError> {
    let parameters = serde_json::from_value(parameters).expect("are parameters");
    IncreaseResources::plan(target, &parameters, &world(target, pods))
}

fn plan(parameters: Value) -> Result<Draft, PlanError> {
    plan_on(&limited(TargetKind::DEPLOYMENT), parameters, Vec::new())
}

fn diff(parameters: Value) -> Vec<String> {
    let draft = plan(parameters).expect("plans");
    draft
        .steps
        .first()
        .map(kexec_api::plan::Step::diff)
        .unwrap_or_default()
}

fn refusal(parameters: Value) -> String {
    let error = plan(parameters).expect_err("is refused").to_string();
    error
        .strip_prefix("spec.actionDefinition.parameters.")
        .expect("names the parameter")
        .to_owned()
}

#[test]
fn amounts_are_set_as_the_api_server_writes_them_and_others_are_left_alone() {
    let asked = json!({"resourceLimits": {"memory": "1024Mi"}, "resourceRequests": {"cpu": "0.5", "storage": "1Gi"}});
    let place = "spec.template.spec.containers.0.resources";
    assert_eq!(
        diff(asked),
        [
            format!("{place}.limits.memory: \"512Mi\" -> \"1Gi\""),
            format!("{place}.requests.cpu: \"250m\" -> \"500m\""),
            format!("{place}.requests.ephemeral-storage: (unset) -> \"1Gi\""),
        ]
    );
}

#[test]
fn the_same_amount_in_another_form_is_no_change() {
    let asked = json!({"resourceLimits": {"cpu": "1000m", "memory": "0.5Gi"}});
    assert_eq!(diff(asked), [""; 0]);
}

#[test]
fn nothing_is_lowered() {
    assert_eq!(
        refusal(json!({"resourceLimits": {"memory": "256Mi"}})),
        "resourceLimits.memory is 256Mi, less than the 512Mi that container \"main\" has now: write 512Mi or more"
    );
    assert_eq!(
        refusal(json!({"resourceRequests": {"cpu": "249m"}})),
        "resourceRequests.cpu is 249m, less than the 250m that container \"main\" has now: write 250m or more"
    );
    assert_eq!(
        refusal(json!({"resourceLimits": {"storage": "1Gi"}})),
        "resourceLimits.storage is 1Gi, and container \"main\" has no limit of ephemeral-storage now, so any would lower it: \
         leave it out"
    );
    let mut target = limited(TargetKind::DEPLOYMENT);
    target.live["spec"]["template"]["spec"]["containers"][0]["resources"] =
        json!({"limits": {"cpu": "1"}});
    let error = plan_on(
        &target,
        json!({"resourceRequests": {"cpu": "500m"}}),
        Vec::new(),
    );
    let error = error.expect_err("its limit is its request").to_string();
    assert!(error.contains("less than the 1 that container"), "{error}");
}

#[test]
fn a_limit_stays_at_least_as_high_as_the_request() {
    assert_eq!(
        refusal(json!({"resourceRequests": {"memory": "1Gi"}})),
        "resourceRequests.memory is 1Gi, which would leave container \"main\" a request of 1Gi above its limit of 512Mi of \
         memory: raise the limit as well"
    );
    assert_eq!(
        diff(json!({"resourceRequests": {"memory": "1Gi"}, "resourceLimits": {"memory": "1Gi"}}))
            .len(),
        2
    );
}

#[test]
fn one_of_several_containers_must_be_named() {
    let mut target = limited(TargetKind::DEPLOYMENT);
    let containers = &mut target.live["spec"]["template"]["spec"]["containers"];
    containers.as_array_mut().expect("is a list").push(
        json!({"name": "proxy", "image": "proxy:1", "resources": {"limits": {"memory": "64Mi"}}}),
    );
    let asked =
        |containers: Value| json!({"resourceLimits": {"memory": "2Gi"}, "containers": containers});
    let error = plan_on(&target, asked(json!([])), Vec::new()).expect_err("names none");
    assert_eq!(
        error.to_string(),
        "spec.actionDefinition.parameters.containers is missing, and Deployment/web/shop has main, proxy: name those that \
         get the amounts"
    );
    let error = plan_on(&target, asked(json!(["prxy"])), Vec::new()).expect_err("is unknown");
    assert!(
        error.to_string().ends_with("did you mean \"proxy\"?"),
        "{error}"
    );
    let draft = plan_on(&target, asked(json!(["proxy"])), Vec::new()).expect("plans");
    assert_eq!(
        draft.steps[0].diff(),
        ["spec.template.spec.containers.1.resources.limits.memory: \"64Mi\" -> \"2Gi\""]
    );
}

#[test]
fn at_least_one_amount_is_asked_for_and_none_beyond_all_bounds() {
    assert_eq!(
        refusal(json!({})),
        "resourceLimits (nor resourceRequests) names no amount: write at least one"
    );
    assert_eq!(
        refusal(json!({"resourceLimits": {"cpu": "999999999999999Ei"}})),
        "resourceLimits.cpu is \"999999999999999Ei\", which is too large"
    );
}

#[test]
fn the_plan_says_that_pods_restart_and_lets_those_stay_that_have_the_amounts() {
    let pod = |uid: &str, cpu: &str| {
        let mut pod = workload_pod(uid);
        pod["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": cpu}});
        pod
    };
    let pods = vec![pod("p-old", "250m"), pod("p-new", "1000m")];
    let asked = json!({"resourceRequests": {"cpu": "1"}});
    let draft = plan_on(&limited(TargetKind::DEPLOYMENT), asked, pods).expect("plans");
    assert_eq!(
        draft.summary,
        "raise requests.cpu 1 of main in Deployment/web/shop: its pods are restarted, all of them"
    );
    let old_pods = draft.expectations.into_iter().find_map(|one| match one {
        Expectation::RolledOut { old_pods, .. } => Some(old_pods),
        _ => None,
    });
    assert_eq!(old_pods, Some(["p-old"].into_iter().collect()));
}
