//! What holds for every action in the registry, checked on one or more cases of each, which the action's own file
//! brings. Nothing about a single action belongs here.

use std::collections::BTreeSet;

use kexec_api::plan::{Expectation, FieldChange, Permission, PlanContent, Step};
use serde_json::{Map, Value, json};

use crate::action::{Action, Planner, Target};
use crate::cases;
use crate::facts::Facts;
use crate::fixtures::{Refusal, parameters, run};
use crate::registry::{Lookup, Registry};

/// What every action brings to be tested by.
pub(crate) trait Cases {
    /// At least one case, each of which needs writes unless the action only looks; all kinds of steps that the action knows are among them.
    fn cases() -> Vec<Case>;
}

/// One target, as an action is asked to change it.
pub(crate) struct Case {
    action: &'static str,
    /// What is special about it; empty for the plain case.
    special: &'static str,
    target: Target,
    parameters: Map<String, Value>,
    facts: Facts,
}

impl Case {
    /// A case of an action with these parameters, and with all that it must know.
    pub(crate) fn of<A: Action>(
        special: &'static str,
        target: Target,
        given: Value,
        facts: Facts,
    ) -> Self {
        Self {
            action: A::METADATA.action_type,
            special,
            target,
            parameters: parameters(given),
            facts,
        }
    }

    fn plan_on(&self, planner: &Planner, live: Value) -> PlanContent {
        let target = Target {
            live,
            ..self.target.clone()
        };
        let common = planner.check(&self.parameters).expect("parameters fit");
        let needs = planner
            .needs(&target, &self.parameters, &self.facts)
            .expect("parameters fit");
        assert_eq!(
            self.facts.missing(needs),
            [],
            "a case of {} has all facts",
            self.action
        );
        let draft = planner
            .draft(&target, &self.parameters, &self.facts)
            .expect("parameters fit")
            .expect("plans");
        planner.content(&target, &common, &draft)
    }

    fn plan(&self, planner: &Planner) -> PlanContent {
        self.plan_on(planner, self.target.live.clone())
    }
}

/// Runs `check` on every case, with its planner and its plan.
fn for_each_case(check: impl Fn(&Case, &Planner, &PlanContent)) {
    let registry = Registry::built_in();
    for case in cases() {
        let Lookup::Found(planner) = registry.lookup(case.action) else {
            panic!("{} is not in the registry", case.action);
        };
        check(&case, planner, &case.plan(planner));
    }
}

/// Runs steps in order on the one object that is there: those on others of another kind are left out.
fn run_all(steps: &[Step], mut object: Option<Value>) -> (Result<(), Refusal>, Option<Value>) {
    let kind = steps.first().map(|step| step.target().kind.clone());
    let on_it = |step: &&Step| Some(&step.target().kind) == kind.as_ref();
    let result = steps
        .iter()
        .filter(on_it)
        .try_for_each(|step| run(step, &mut object));
    (result, object)
}

fn executed(case: &Case, plan: &PlanContent) -> Option<Value> {
    let (result, after) = run_all(&plan.steps, Some(case.target.live.clone()));
    assert_eq!(result, Ok(()), "{}", case.action);
    after
}

#[test]
fn every_action_has_a_case() {
    let with_case: BTreeSet<&str> = cases().iter().map(|case| case.action).collect();
    for action in Registry::built_in().action_types() {
        assert!(
            with_case.contains(action),
            "`cases` in {action}.rs is empty: give {action} at least one"
        );
    }
}

#[test]
fn a_plan_names_its_target_its_writes_and_its_proof() {
    for_each_case(|case, planner, plan| {
        assert_eq!(plan.target(), Some(&case.target.reference));
        assert_eq!(
            (plan.action.as_str(), plan.version.as_str()),
            (case.action, planner.metadata().version)
        );
        assert!(
            plan.steps.is_empty() == planner.metadata().only_looks()
                && !plan.expectations.is_empty(),
            "{}",
            case.action
        );
        assert!(plan.hash().is_ok());
        assert_eq!(
            *plan,
            case.plan(planner),
            "the same input gives the same plan"
        );
    });
}

#[test]
fn a_plan_then_its_inverse_leaves_everything_as_it_was() {
    for_each_case(|case, planner, plan| {
        if planner.metadata().reversible {
            let after = executed(case, plan);
            assert_ne!(after.as_ref(), Some(&case.target.live), "{}", case.action);
            let (result, restored) = run_all(&plan.rollback, after);
            assert_eq!(
                (result, restored),
                (Ok(()), Some(case.target.live.clone())),
                "{}",
                case.action
            );
        } else {
            assert_eq!(plan.rollback, [], "{}", case.action);
        }
    });
}

#[test]
fn an_inverse_that_would_undo_a_newer_change_is_refused_and_changes_nothing() {
    for_each_case(|case, _, plan| {
        let after = executed(case, plan).unwrap_or_default();
        for step in &plan.rollback {
            let Step::Patch { changes, .. } = step else {
                panic!("{} undoes by {}", case.action, step.verb());
            };
            for change in changes {
                let newer = changed_by_someone_else(&after, change);
                let (result, left) = run_all(&plan.rollback, Some(newer.clone()));
                assert!(
                    matches!(result, Err(Refusal::OtherValue(_))),
                    "{}: {result:?}",
                    case.action
                );
                assert_eq!(left, Some(newer), "{}", case.action);
            }
        }
    });
}

/// The object after somebody gave the field a value that is in no plan.
fn changed_by_someone_else(object: &Value, change: &FieldChange) -> Value {
    let mut newer = object.clone();
    let (parent, key) = change.path.rsplit_once('/').expect("is a pointer");
    let parent = newer
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .expect("is an object");
    let value = match change.before.as_ref().or(change.after.as_ref()) {
        // A boolean has no third value: the other one, where the API leaves out a false.
        Some(Value::Bool(_)) => change.before.is_none().then_some(json!(true)),
        Some(Value::Number(_)) => Some(json!(77)),
        Some(Value::Object(_)) => Some(json!({"newer": "AQID"})),
        Some(Value::Array(_)) => Some(json!(["newer"])),
        Some(Value::String(_)) => Some(json!("newer")),
        Some(Value::Null) | None => panic!("{} changes nothing", change.path),
    };
    match value {
        Some(value) => drop(parent.insert(key.to_owned(), value)),
        None => drop(parent.remove(key)),
    }
    newer
}

#[test]
fn a_plan_that_runs_twice_changes_nothing_more() {
    for_each_case(|case, _, plan| {
        let after = executed(case, plan);
        let (result, again) = run_all(&plan.steps, after.clone());
        assert_eq!(result.is_ok(), plan.steps.is_empty(), "{}", case.action);
        assert_eq!(again, after, "{}", case.action);
    });
}

#[test]
fn an_object_that_took_the_targets_name_is_not_touched() {
    for_each_case(|case, _, plan| {
        let mut other = case.target.live.clone();
        other["metadata"]["uid"] = "another".into();
        let (result, left) = run_all(&plan.steps, Some(other.clone()));
        let expected = if plan.steps.is_empty() {
            Ok(())
        } else {
            Err(Refusal::OtherObject)
        };
        assert_eq!((result, left), (expected, Some(other)), "{}", case.action);
    });
}

#[test]
fn an_idempotent_action_has_no_steps_on_what_it_changed() {
    for_each_case(|case, planner, plan| {
        if planner.metadata().idempotent {
            let after = executed(case, plan).expect("is still there");
            let again = case.plan_on(planner, after);
            assert_eq!(
                (again.steps, again.rollback, again.permissions),
                (vec![], vec![], vec![]),
                "{}",
                case.action
            );
            assert_eq!(again.expectations, plan.expectations, "{}", case.action);
        }
    });
}

#[test]
fn fields_that_are_expected_hold_afterwards_and_not_before() {
    for_each_case(|case, _, plan| {
        if plan.steps.is_empty() {
            return;
        }
        let after = executed(case, plan).unwrap_or_default();
        for expectation in &plan.expectations {
            if let Expectation::Fields { fields, .. } = expectation {
                let hold = |live: &Value| {
                    fields
                        .iter()
                        .all(|field| live.pointer(&field.path) == field.value.as_ref())
                };
                assert!(hold(&after) && !hold(&case.target.live), "{}", case.action);
            }
        }
    });
}

#[test]
fn the_rules_are_those_that_the_plans_need_and_no_more() {
    for planner in Registry::built_in().planners() {
        let metadata = planner.metadata();
        let granted = metadata
            .rules
            .iter()
            .map(|rule| format!("{} {}/{}", rule.verb, rule.group, rule.resource));
        let plans = cases()
            .into_iter()
            .filter(|case| case.action == metadata.action_type);
        let permissions = plans.flat_map(|case| case.plan(planner).permissions);
        let needed = permissions.map(|right| {
            let subresource = right
                .subresource
                .map_or_else(String::new, |name| format!("/{name}"));
            format!(
                "{} {}/{}{subresource}",
                right.verb, right.group, right.resource
            )
        });
        assert_eq!(
            needed.collect::<BTreeSet<_>>(),
            granted.collect(),
            "{}",
            metadata.action_type
        );
    }
}

#[test]
fn rights_lie_in_the_written_objects_namespaces_and_cluster_wide_only_for_kinds_without_one() {
    for_each_case(|case, _, plan| {
        let written = |right: &Permission| {
            plan.steps.iter().any(|step| {
                let target = step.target();
                target.resource == right.resource && target.namespace == right.namespace
            })
        };
        assert!(plan.permissions.iter().all(written), "{}", case.action);
    });
}

#[test]
fn plans_look_like_this() {
    for_each_case(|case, planner, plan| {
        let hash = plan.hash().expect("hashes");
        let draft = planner.draft(&case.target, &case.parameters, &case.facts);
        let draft = draft.expect("parameters fit").expect("plans");
        let shown =
            json!({"summary": draft.summary, "notes": draft.notes, "hash": hash, "plan": plan});
        let name = format!("{} {}", case.action, case.special);
        insta::assert_json_snapshot!(name.trim().replace(' ', "_"), shown);
    });
}
