use kexec_api::plan::Step;
use proptest::collection::btree_map;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::action::Planner;
use crate::every_action::{Case, Cases};
use crate::fixtures::{Refusal, config_map, parameters, run};

impl Cases for ModifyConfigMap {
    fn cases() -> Vec<Case> {
        let case = |special, settings, parameters| {
            Case::of::<Self>(special, config_map(settings), parameters, Facts::default())
        };
        vec![
            case(
                "",
                json!({"data": {"level": "info", "old": "1"}, "binaryData": {"seed": "AQI="}}),
                json!({"data": {"level": "debug", "old": null, "new": ""}, "binaryData": {"seed": null}}),
            ),
            case("first key", json!({}), json!({"data": {"a": "1"}})),
        ]
    }
}

fn keys<const N: usize>(keys: [(&str, Option<&str>); N]) -> Keys {
    keys.into_iter()
        .map(|(key, value)| (key.to_owned(), value.map(str::to_owned)))
        .collect()
}

fn text<const N: usize>(data: [(&str, Option<&str>); N]) -> Parameters {
    Parameters {
        data: keys(data),
        binary_data: Keys::new(),
        ..Parameters::default()
    }
}

fn plan(target: &Target, parameters: &Parameters) -> Result<Draft, PlanError> {
    ModifyConfigMap::plan(target, parameters, &Facts::default())
}

fn diff(fields: Value, parameters: &Parameters) -> Vec<String> {
    plan(&config_map(fields), parameters)
        .expect("plans")
        .steps
        .iter()
        .flat_map(Step::diff)
        .collect()
}

fn refusal(fields: Value, parameters: &Parameters) -> String {
    plan(&config_map(fields), parameters)
        .expect_err("is refused")
        .to_string()
}

#[test]
fn keys_are_set_changed_and_removed_one_by_one() {
    let live = json!({"data": {"a.properties": "1", "b": "2", "c": "3"}});
    let asked = text([("a.properties", Some("9")), ("b", None), ("d/e", Some("4"))]);
    assert_eq!(
        diff(live, &asked),
        [
            "data[a.properties]: \"1\" -> \"9\"",
            "data.b: \"2\" -> (unset)",
            "data[d/e]: (unset) -> \"4\""
        ]
    );
}

#[test]
fn a_map_that_comes_or_goes_is_changed_as_a_whole() {
    assert_eq!(
        diff(json!({}), &text([("a", Some("1"))])),
        ["data: (unset) -> {\"a\":\"1\"}"]
    );
    assert_eq!(
        diff(json!({"data": {"a": "1"}}), &text([("a", None)])),
        ["data: {\"a\":\"1\"} -> (unset)"]
    );
}

#[test]
fn keys_that_are_as_asked_for_already_yield_no_step_but_are_proven() {
    let live = config_map(json!({"data": {"a": "1"}}));
    let draft = plan(&live, &text([("a", Some("1")), ("gone", None)])).expect("plans");
    assert_eq!(draft.steps, []);
    assert_eq!(
        draft.expectations,
        [Expectation::Fields {
            object: live.reference,
            fields: vec![
                FieldValue {
                    path: "/data/a".into(),
                    value: Some("1".into())
                },
                FieldValue {
                    path: "/data/gone".into(),
                    value: None
                },
            ],
        }]
    );
}

#[test]
fn a_key_may_move_from_one_map_to_the_other_but_not_be_in_both() {
    let live = || json!({"binaryData": {"a": "AQI="}});
    assert_eq!(
        refusal(live(), &text([("a", Some("1"))])),
        "spec.actionDefinition.parameters would put key \"a\" into both data and binaryData: set it to null in one of \
         them"
    );
    let moved = Parameters {
        data: keys([("a", Some("1"))]),
        binary_data: keys([("a", None)]),
        ..Parameters::default()
    };
    assert_eq!(
        diff(live(), &moved),
        [
            "data: (unset) -> {\"a\":\"1\"}",
            "binaryData: {\"a\":\"AQI=\"} -> (unset)"
        ]
    );
}

#[test]
fn an_immutable_one_is_refused() {
    assert_eq!(
        refusal(
            json!({"immutable": true, "data": {"a": "1"}}),
            &text([("a", Some("2"))])
        ),
        "ConfigMap/web/settings is immutable: create a new ConfigMap and let its users name that one"
    );
}

#[test]
fn naming_no_key_is_refused() {
    assert_eq!(
        refusal(json!({"data": {"a": "1"}}), &Parameters::default()),
        "spec.actionDefinition.parameters.data (nor binaryData, nor remove) names no key: write at least one key in one of \
         them"
    );
}

#[test]
fn a_mebibyte_fits_and_a_byte_more_does_not() {
    let held =
        |bytes: usize| json!({"data": {"a": "x".repeat(bytes)}, "binaryData": {"b": "AQI="}});
    let one_byte = text([("c", Some("y"))]);
    assert!(plan(&config_map(held(MAX_BYTES - 3)), &one_byte).is_ok());
    assert_eq!(
        refusal(held(MAX_BYTES - 2), &one_byte),
        "spec.actionDefinition.parameters would give ConfigMap/web/settings 1048577 bytes, more than the 1048576 it may \
         hold: set less, or remove other keys"
    );
}

#[test]
fn base64_counts_by_the_bytes_it_stands_for() {
    for (base64, bytes) in [
        ("", 0),
        ("AQ==", 1),
        ("AQI=", 2),
        ("AQID", 3),
        ("AQIDBA==", 4),
    ] {
        assert_eq!(decoded_bytes(base64), bytes, "{base64}");
    }
}

#[test]
fn data_that_is_no_map_of_text_is_not_guessed_at() {
    assert_eq!(
        refusal(json!({"data": {"a": 1}}), &text([("b", Some("2"))])),
        "failed to read data of ConfigMap/web/settings"
    );
}

#[test]
fn a_summary_names_a_few_keys_and_counts_the_rest() {
    assert_eq!(summarised(&["a", "b"]), "a, b");
    assert_eq!(
        summarised(&["a", "b", "c", "d", "e", "f", "g"]),
        "a, b, c, d, e and 2 more"
    );
}

#[test]
fn keys_and_values_that_kubernetes_would_not_take_are_refused_by_name() {
    let checked = |given| Planner::of::<ModifyConfigMap>().check(&parameters(given));
    let refusal = |given| {
        let refused = checked(given).expect_err("is refused").to_string();
        refused.replace("spec.actionDefinition.parameters", "")
    };
    let a_key = "write a key of letters, digits, \"-\", \"_\" and \".\" that is neither \".\" nor begins with \"..\"";
    for key in ["a b", "", ".", "..", "..a", "é", "a\n"] {
        let place = format!(".data[{}]", json!(key));
        assert_eq!(
            refusal(json!({"data": {key: "1"}})),
            format!("{place} has a name that does not fit: {a_key}")
        );
    }
    assert!(
        refusal(json!({"data": {"k".repeat(254): "1"}})).ends_with("write at most 253 characters")
    );
    for value in ["AQ", "AQ=", "AR==", "A===", "AQI=\n", "_-8="] {
        assert_eq!(
            refusal(json!({"binaryData": {"a": value}})),
            format!(
                ".binaryData.a is {}: write standard base64 with its padding",
                json!(value)
            )
        );
    }
    assert_eq!(
        refusal(json!({"data": {"a": 1}})),
        ".data.a is 1: write null or text"
    );
    assert_eq!(
        refusal(json!({"data": null})),
        ".data is null: write an object, or leave it out"
    );
    let good = json!({"data": {".a": "", "A-1_.b": null}, "binaryData": {"b": "", "c": "AQ==", "d": "AQI="}});
    assert!(checked(good).is_ok());
}

fn key() -> impl Strategy<Value = String> {
    // Few and odd keys, so that what is asked for meets what is there.
    prop_oneof![
        Just("a"),
        Just("b.c"),
        Just("d~1e"),
        Just("/"),
        Just("0"),
        Just("-")
    ]
    .prop_map(str::to_owned)
}

fn held() -> impl Strategy<Value = Value> {
    btree_map(key(), "[xy]{0,2}", 0..4).prop_map(|map| json!(map))
}

prop_compose! {
    fn live()(data in held(), absent in any::<bool>()) -> Target {
        let empty = data.as_object().is_some_and(Map::is_empty);
        config_map(if absent || empty { json!({}) } else { json!({"data": data}) })
    }
}

proptest! {
    #[test]
    fn a_plan_does_what_is_asked_its_inverse_undoes_it_and_neither_runs_twice(
        target in live(),
        asked in btree_map(key(), proptest::option::of("[xy]{0,2}"), 1..4),
    ) {
        let parameters = Parameters { data: asked.clone(), ..Parameters::default() };
        let draft = plan(&target, &parameters).expect("plans");
        let mut object = Some(target.live.clone());
        for step in &draft.steps {
            prop_assert_eq!(run(step, &mut object), Ok(()));
        }
        let changed = object.clone().expect("is there");
        for (key, value) in &asked {
            let held = changed.get("data").and_then(|data| data.get(key)).and_then(Value::as_str);
            prop_assert_eq!(held, value.as_deref());
        }
        let again = Target { live: changed, ..target.clone() };
        prop_assert_eq!(plan(&again, &parameters).expect("plans").steps, vec![]);
        for step in &draft.steps {
            prop_assert!(matches!(run(step, &mut object), Err(Refusal::OtherValue(_))));
        }
        for step in draft.steps.iter().rev().filter_map(Step::inverse) {
            prop_assert_eq!(run(&step, &mut object), Ok(()));
        }
        prop_assert_eq!(object, Some(target.live));
    }
}

#[test]
fn keys_to_remove_are_removed_from_the_map_they_are_in() {
    let live = json!({"data": {"a": "1", "b": "2"}, "binaryData": {"c": "AQ==", "d": "Ag=="}});
    let asked = Parameters {
        remove: ["a", "c", "absent"].map(str::to_owned).to_vec(),
        ..Parameters::default()
    };
    assert_eq!(
        diff(live, &asked),
        [
            "data.a: \"1\" -> (unset)",
            "binaryData.c: \"AQ==\" -> (unset)"
        ]
    );
}

#[test]
fn a_key_that_is_both_set_and_removed_is_refused() {
    let asked = Parameters {
        remove: vec!["a".to_owned()],
        ..text([("a", Some("1"))])
    };
    let message = refusal(json!({"data": {}}), &asked);
    assert!(
        message.contains("parameters.remove names \"a\", which is also given a value"),
        "{message}"
    );
}
