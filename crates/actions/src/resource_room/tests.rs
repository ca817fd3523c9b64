use serde_json::json;

use super::*;
use crate::facts::Fact;
use crate::fixtures::{facts, ready_node, workload};

fn template(cpu: &str) -> Value {
    let resources = json!({"limits": {"cpu": cpu}, "requests": {"cpu": cpu}});
    json!({"spec": {"containers": [{"name": "main", "resources": resources}, {"name": "other", "resources": resources}]}})
}

fn target() -> Target {
    workload(TargetKind::DEPLOYMENT)
}

fn node(cpu: &str) -> Value {
    let mut node = ready_node("n-1");
    node["status"]["allocatable"] = json!({"cpu": cpu});
    node
}

/// From 1 CPU in each of two containers to 2, of 2 replicas.
fn judged(
    ranges: Vec<Value>,
    quotas: Vec<Value>,
    nodes: Vec<Value>,
) -> Result<Vec<String>, PlanError> {
    let lists = [ranges, quotas, nodes].map(Fact::List);
    let facts = facts(needs(&target()).into_iter().zip(lists));
    factors(&target(), (&template("1"), &template("2")), &facts)
}

fn range(of: &str, most: &str) -> Value {
    json!({"metadata": {"name": "range"}, "spec": {"limits": [{"type": of, "max": {"cpu": most}}]}})
}

fn quota(key: &str, most: &str, used: &str) -> Value {
    json!({"metadata": {"name": "quota"}, "spec": {}, "status": {"hard": {key: most}, "used": {key: used}}})
}

fn refusal(ranges: Vec<Value>, quotas: Vec<Value>) -> String {
    let error = judged(ranges, quotas, vec![node("8")]).expect_err("is refused");
    assert!(matches!(error, PlanError::UnmetDependency(_)));
    error.to_string()
}

#[test]
fn a_limit_range_bounds_each_container_and_each_pod() {
    assert_eq!(
        refusal(vec![range("Container", "1500m")], Vec::new()),
        "LimitRange \"range\" allows a container at most 1500m of cpu, and Deployment/web/shop would have 2: ask for less, or \
         raise what is allowed"
    );
    assert_eq!(
        refusal(vec![range("Pod", "3")], Vec::new()),
        "LimitRange \"range\" allows a pod at most 3 of cpu, and Deployment/web/shop would have 4: ask for less, or raise \
         what is allowed"
    );
    let wide = vec![
        range("Container", "2"),
        range("Pod", "4"),
        range("PersistentVolumeClaim", "1"),
    ];
    assert_eq!(judged(wide, Vec::new(), vec![node("8")]), Ok(Vec::new()));
}

#[test]
fn a_quota_must_have_left_what_all_pods_take_more() {
    for key in ["cpu", "requests.cpu", "limits.cpu"] {
        assert_eq!(
            refusal(Vec::new(), vec![quota(key, "7", "4")]),
            format!(
                "ResourceQuota \"quota\" allows 7 of {key}, of which 4 are used, and Deployment/web/shop would take 4 more: \
                 raise the quota, or ask for less"
            )
        );
    }
    for passed_over in [quota("limits.memory", "1", "1"), quota("pods", "2", "2")] {
        assert_eq!(
            judged(Vec::new(), vec![passed_over], vec![node("8")]),
            Ok(Vec::new())
        );
    }
    let mut scoped = quota("cpu", "7", "4");
    scoped["spec"]["scopes"] = json!(["BestEffort"]);
    assert_eq!(
        judged(Vec::new(), vec![scoped], vec![node("8")]),
        Ok(Vec::new())
    );
}

#[test]
fn a_quota_without_room_for_one_more_pod_is_a_risk() {
    let judge = |used: &str| judged(Vec::new(), vec![quota("cpu", "10", used)], vec![node("8")]);
    assert_eq!(judge("6"), Ok(Vec::new()));
    let mut small = quota("cpu", "10", "6500m");
    assert!(judged(Vec::new(), vec![small.clone()], vec![node("8")]).is_err());
    let only_one = {
        let mut target = target();
        target.live["spec"]["replicas"] = json!(1);
        target
    };
    small["status"]["used"]["cpu"] = json!("7");
    let lists = [Vec::new(), vec![small], vec![node("8")]].map(Fact::List);
    let facts = facts(needs(&only_one).into_iter().zip(lists));
    assert_eq!(
        factors(&only_one, (&template("1"), &template("2")), &facts),
        Ok(vec![
            "ResourceQuota \"quota\" has no cpu left for one more pod, so a rollout that starts new pods first cannot go on"
                .to_owned()
        ])
    );
}

#[test]
fn a_pod_that_no_node_is_large_enough_for_is_a_risk() {
    let risk = "no node that takes pods is large enough for such a pod, so it may never start";
    let judge = |nodes| judged(Vec::new(), Vec::new(), nodes);
    assert_eq!(judge(vec![node("3"), node("4")]), Ok(Vec::new()));
    assert_eq!(judge(vec![node("3900m")]), Ok(vec![risk.to_owned()]));
    let mut cordoned = node("8");
    cordoned["spec"]["unschedulable"] = true.into();
    assert_eq!(judge(vec![cordoned]), Ok(vec![risk.to_owned()]));
}

#[test]
fn nothing_is_asked_of_a_template_that_stays() {
    let lists = [vec![range("Pod", "1")], Vec::new(), Vec::new()].map(Fact::List);
    let facts = facts(needs(&target()).into_iter().zip(lists));
    assert_eq!(
        factors(&target(), (&template("2"), &template("2")), &facts),
        Ok(Vec::new())
    );
}

#[test]
fn what_was_not_read_is_not_taken_for_none() {
    for unread in needs(&target()) {
        let others = needs(&target()).into_iter().filter(|need| *need != unread);
        let nodes = || Fact::List(vec![node("8")]);
        let facts = facts(others.map(|need| (need, nodes())));
        let factors = factors(&target(), (&template("1"), &template("2")), &facts);
        assert!(matches!(factors, Err(PlanError::UseFact(_))), "{unread}");
    }
}
