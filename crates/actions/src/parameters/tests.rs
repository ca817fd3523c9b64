use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::fixtures::parameters;

/// One field of every form that parameters take.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is of interest")]
struct Sample {
    /// Required.
    #[schemars(range(max = i32::MAX))]
    replicas: u32,
    /// May be left out.
    grace_period_seconds: Option<u32>,
    /// A closed object that may be left out.
    window: Option<Window>,
    /// A map whose values may be null.
    #[serde(default)]
    keys: BTreeMap<String, Option<String>>,
    /// A number that may have a fraction.
    #[serde(default)]
    share: f64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is of interest")]
struct Window {
    /// A duration.
    #[schemars(regex(pattern = r"^[0-9]+(s|m|h)$"))]
    drain_timeout: Option<String>,
    /// A short text.
    #[schemars(length(min = 1, max = 3))]
    zone: Option<String>,
}

fn check(given: Value) -> Result<CommonParameters, String> {
    let schema = ParameterSchema::of::<Sample>();
    schema
        .check("scale_thing", &parameters(given))
        .map_err(|error| error.to_string())
}

fn refusal(given: Value) -> String {
    let refused = check(given).expect_err("is refused");
    let sentence = refused
        .strip_prefix("spec.actionDefinition.parameters")
        .expect("names the place");
    sentence.to_owned()
}

#[test]
fn good_parameters_pass_and_the_common_ones_are_read() {
    let common = check(json!({
        "replicas": 3, "force": true, "share": 2, "gracePeriodSeconds": 0, "keys": {"a": null, "b": "c"},
        "window": {"drainTimeout": "5m"}, "expectedConditions": [{"type": "Available", "status": "True"}],
    }));
    let common = common.expect("fits");
    assert!(common.force && !common.dry_run);
    assert_eq!(common.expected_conditions[0].condition_type, "Available");
    assert_eq!(common.expected_conditions[0].reason, None);
    assert_eq!(
        check(json!({"replicas": 0})).expect("fits"),
        CommonParameters::default()
    );
}

#[test]
fn an_unknown_parameter_names_the_nearest_or_all() {
    assert_eq!(
        refusal(json!({"replicas": 3, "replica": 3})),
        ".replica is not a parameter of scale_thing: did you mean \"replicas\"?"
    );
    assert_eq!(
        refusal(json!({"replicas": 3, "dryrun": true})),
        ".dryrun is not a parameter of scale_thing: did you mean \"dryRun\"?"
    );
    assert_eq!(
        refusal(json!({"replicas": 3, "xyz": 1})),
        ".xyz is not a parameter of scale_thing: it takes dryRun, expectedConditions, force, gracePeriodSeconds, keys, \
         replicas, share, window"
    );
}

#[test]
fn an_unknown_key_of_a_nested_object_names_the_nearest_of_that_object() {
    let conditions = json!([{"type": "Ready", "status": "True"}, {"type": "Ready", "status": "True", "reasons": "x"}]);
    assert_eq!(
        refusal(json!({"replicas": 3, "expectedConditions": conditions})),
        ".expectedConditions[1].reasons is not a parameter of scale_thing: did you mean \"reason\"?"
    );
    assert_eq!(
        refusal(json!({"replicas": 3, "window": {"until": 5}})),
        ".window.until is not a parameter of scale_thing: it takes drainTimeout, zone"
    );
}

#[test]
fn a_missing_parameter_says_what_to_write() {
    assert_eq!(
        refusal(json!({})),
        ".replicas is missing: write a whole number"
    );
    assert_eq!(
        refusal(json!({"replicas": 1, "expectedConditions": [{"status": "True"}]})),
        ".expectedConditions[0].type is missing: write text"
    );
}

#[test]
fn a_wrong_type_says_what_to_write() {
    assert_eq!(
        refusal(json!({"replicas": "5"})),
        ".replicas is \"5\": write a whole number, not text"
    );
    assert_eq!(
        refusal(json!({"replicas": [5]})),
        ".replicas is [5]: write a whole number"
    );
    assert_eq!(
        refusal(json!({"replicas": 1, "force": 1})),
        ".force is 1: write true or false"
    );
    assert_eq!(
        refusal(json!({"replicas": 1, "window": "5m"})),
        ".window is \"5m\": write an object, not text"
    );
    assert_eq!(
        refusal(json!({"replicas": 1, "keys": {"a.b": 1}})),
        ".keys[\"a.b\"] is 1: write null or text"
    );
    assert_eq!(
        refusal(json!({"replicas": 1, "share": "half"})),
        ".share is \"half\": write a number, not text"
    );
    assert_eq!(
        refusal(json!({"replicas": 1, "expectedConditions": {}})),
        ".expectedConditions is {}: write a list"
    );
}

#[test]
fn replicas_that_are_negative_fractional_or_too_many_are_refused() {
    assert_eq!(
        refusal(json!({"replicas": -1})),
        ".replicas is -1: write a number that is at least 0"
    );
    assert_eq!(
        refusal(json!({"replicas": 2.5})),
        ".replicas is 2.5: write a whole number"
    );
    assert_eq!(
        refusal(json!({"replicas": 5.0})),
        ".replicas is 5.0: write a whole number without a decimal point"
    );
    for (given, shown) in [
        (json!(3_000_000_000_u64), "3000000000"),
        (json!(1e30), "1e+30"),
        (json!(u64::MAX), "18446744073709551615"),
    ] {
        assert_eq!(
            refusal(json!({"replicas": given})),
            format!(".replicas is {shown}: write a number that is at most 2147483647")
        );
    }
}

#[test]
fn null_is_refused_wherever_a_parameter_has_a_name() {
    assert_eq!(
        refusal(json!({"replicas": null})),
        ".replicas is null: write a whole number"
    );
    assert_eq!(
        refusal(json!({"replicas": 1, "force": null})),
        ".force is null: write true or false, or leave it out"
    );
    assert_eq!(
        refusal(json!({"replicas": 1, "gracePeriodSeconds": null})),
        ".gracePeriodSeconds is null: write a whole number, or leave it out"
    );
    assert_eq!(
        refusal(json!({"replicas": 1, "window": null})),
        ".window is null: write an object, or leave it out"
    );
    assert_eq!(
        refusal(
            json!({"replicas": 1, "expectedConditions": [{"type": "A", "status": "True", "reason": null}]})
        ),
        ".expectedConditions[0].reason is null: write text, or leave it out"
    );
}

#[test]
fn a_value_outside_its_words_form_or_length_is_refused() {
    assert_eq!(
        refusal(
            json!({"replicas": 1, "expectedConditions": [{"type": "Ready", "status": "true"}]})
        ),
        ".expectedConditions[0].status is \"true\": write one of \"True\", \"False\", \"Unknown\""
    );
    assert_eq!(
        refusal(json!({"replicas": 1, "window": {"drainTimeout": "5 minutes"}})),
        ".window.drainTimeout is \"5 minutes\": write text of the form ^[0-9]+(s|m|h)$"
    );
    assert_eq!(
        refusal(json!({"replicas": 1, "window": {"zone": ""}})),
        ".window.zone is \"\": write at least 1 character"
    );
    assert_eq!(
        refusal(json!({"replicas": 1, "window": {"zone": "abcd"}})),
        ".window.zone is \"abcd\": write at most 3 characters"
    );
    let condition = json!({"type": "Ready", "status": "True"});
    let refused = refusal(json!({"replicas": 1, "expectedConditions": vec![condition; 33]}));
    assert!(
        refused.ends_with("...: write at most 32 items"),
        "{refused}"
    );
}

#[test]
fn text_of_the_user_is_shortened_and_cannot_mislead_a_terminal() {
    let refused =
        refusal(json!({"replicas": format!("\u{1b}[2J\u{202e}\u{85}{}", "x".repeat(100_000))}));
    assert!(
        refused.starts_with(".replicas is \"\\u001b[2J\\u{202e}\\u{85}xxx"),
        "{refused}"
    );
    assert!(refused.len() < 200, "{refused}");
    let refused = refusal(json!({"replicas": 1, "\u{7f}".repeat(1000): 1}));
    assert!(
        refused.starts_with("[\"\\u{7f}") && refused.len() < 900,
        "{refused}"
    );
}

#[test]
fn of_several_mistakes_the_first_by_path_is_reported() {
    assert_eq!(
        refusal(json!({"window": {"zone": 1}, "replicas": 5.0, "force": "yes"})),
        ".force is \"yes\": write true or false, not text"
    );
}

#[test]
fn an_own_parameter_that_bears_a_common_name_describes_it() {
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Own {
        /// What force means here.
        #[serde(default)]
        force: bool,
    }
    let schema = ParameterSchema::of::<Own>();
    assert_eq!(
        schema.as_json()["properties"]["force"]["description"],
        "What force means here."
    );
    assert_eq!(schema.names(), ["dryRun", "expectedConditions", "force"]);
}

#[test]
fn a_broken_schema_is_our_error_and_not_the_users() {
    let mut schema = ParameterSchema::of::<Sample>();
    schema.validator = Err("no such keyword".into());
    let refused = schema
        .check("scale_thing", &Map::new())
        .expect_err("cannot be checked");
    assert_eq!(
        refused.message,
        "cannot be checked: the schema of scale_thing is broken: no such keyword"
    );
}

#[test]
fn nothing_is_suggested_for_a_name_that_is_like_none() {
    let known = ["force", "dryRun"];
    assert_eq!(nearest("forced", known.into_iter()), Some("force"));
    assert_eq!(nearest("zzz", known.into_iter()), None);
    assert_eq!(nearest("", known.into_iter()), None);
}
