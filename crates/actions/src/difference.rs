//! What it takes to change one JSON value into another, field by field. What the values mean does not belong here.

use std::collections::BTreeSet;

use kexec_api::plan::{FieldChange, FieldValue, pointer_segment};
use serde_json::{Map, Value};

/// The changes from `before` to `after`, both at `path`; none when they are the same. Objects are changed key by key, and
/// lists of objects with the same names in the same order member by member, each guarded by its name; all else as a whole.
/// An object never comes to be empty by it, since the API server does not show empty maps.
pub(crate) fn changes(path: &str, before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    visit(path, Some(before), Some(after), &mut found);
    found
}

/// What the changed fields hold afterwards, guards included.
pub(crate) fn held_afterwards(changes: &[FieldChange]) -> Vec<FieldValue> {
    let held = |change: &FieldChange| FieldValue {
        path: change.path.clone(),
        value: change.after.clone(),
    };
    changes.iter().map(held).collect()
}

fn visit(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after)))
            if !before.is_empty() && !after.is_empty() =>
        {
            visit_keys(path, before, after, found);
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) if are_alike(before, after) => {
            visit_members(path, before, after, found);
        }
        _ => found.push(FieldChange {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

fn visit_keys(
    path: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    found: &mut Vec<FieldChange>,
) {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let path = format!("{path}/{}", pointer_segment(key));
        visit(&path, before.get(key), after.get(key), found);
    }
}

fn visit_members(path: &str, before: &[Value], after: &[Value], found: &mut Vec<FieldChange>) {
    for (index, (before, after)) in before.iter().zip(after).enumerate() {
        if before != after {
            let path = format!("{path}/{index}");
            found.push(guard(&format!("{path}/name"), before.get("name")));
            visit(&path, Some(before), Some(after), found);
        }
    }
}

fn guard(path: &str, held: Option<&Value>) -> FieldChange {
    FieldChange {
        path: path.to_owned(),
        before: held.cloned(),
        after: held.cloned(),
    }
}

/// Whether two lists hold objects of the same names, in the same order.
fn are_alike(before: &[Value], after: &[Value]) -> bool {
    let name = |member: &Value| {
        member
            .get("name")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    before.len() == after.len()
        && before
            .iter()
            .zip(after)
            .all(|(before, after)| name(before).is_some() && name(before) == name(after))
}

#[cfg(test)]
mod tests {
    use kexec_api::plan::Step;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::fixtures::{deployment, run};

    fn shown(before: &Value, after: &Value) -> Vec<String> {
        let changes = changes("/t", before, after);
        changes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn keys_are_changed_one_by_one_and_maps_that_come_or_go_as_a_whole() {
        let before = json!({"a": {"x": 1, "y": 2}, "gone": {"x": 1}, "same": [1]});
        let after = json!({"a": {"x": 1, "y": 3, "z": 4}, "came": {"x": 1}, "same": [1]});
        assert_eq!(
            shown(&before, &after),
            [
                "t.a.y: 2 -> 3",
                "t.a.z: (unset) -> 4",
                "t.came: (unset) -> {\"x\":1}",
                "t.gone: {\"x\":1} -> (unset)"
            ]
        );
        assert_eq!(
            shown(&json!({"a": {}}), &json!({"a": {"x": 1}})),
            ["t.a: {} -> {\"x\":1}"]
        );
    }

    #[test]
    fn members_of_the_same_names_are_changed_in_place_behind_a_guard() {
        let list =
            |image: &str| json!([{"name": "a", "image": "x"}, {"name": "b", "image": image}]);
        let changes = changes("/l", &list("1"), &list("2"));
        let paths: Vec<(&str, bool)> = changes
            .iter()
            .map(|change| (change.path.as_str(), change.is_guard()))
            .collect();
        assert_eq!(paths, [("/l/1/name", true), ("/l/1/image", false)]);
    }

    #[test]
    fn lists_that_differ_in_their_members_are_changed_as_a_whole() {
        let named =
            |names: &[&str]| -> Value { names.iter().map(|name| json!({"name": name})).collect() };
        for (before, after) in [
            (named(&["a"]), named(&["a", "b"])),
            (named(&["a", "b"]), named(&["b", "a"])),
            (json!(["x"]), json!(["y"])),
        ] {
            assert_eq!(shown(&before, &after).len(), 1, "{before} {after}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            "[a-c]".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            let named = ("[a-b]", inner.clone())
                .prop_map(|(name, value)| json!({"name": name, "v": value}));
            prop_oneof![
                prop::collection::vec(named, 1..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c/~]", inner, 1..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_changes_turn_one_into_the_other_and_back(before in any_value(), after in any_value()) {
            let mut target = deployment(&2.into());
            target.live["spec"]["template"] = before.clone();
            let step = Step::Patch {
                target: target.reference.clone(),
                subresource: None,
                changes: changes("/spec/template", &before, &after),
            };
            let original = target.live.clone();
            let mut object = Some(target.live);
            prop_assert_eq!(run(&step, &mut object), Ok(()));
            prop_assert_eq!(&object.as_ref().expect("is there")["spec"]["template"], &after);
            prop_assert_eq!(run(&step.inverse().expect("has one"), &mut object), Ok(()));
            prop_assert_eq!(object, Some(original));
        }
    }
}
