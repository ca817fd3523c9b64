//! Schema rules that Rust types cannot express: CEL rules with their messages, free objects, patterns. Each function
//! alters or makes the schema of one kind of field; which field uses which stands at the field.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::execution::spec::{IMMUTABLE_FIELDS, ONE_WAY_SWITCHES};

/// Longest name of an object or subdomain, in bytes.
pub(crate) const NAME_MAX: usize = 253;
/// Longest DNS label, in bytes: namespaces, label values.
pub(crate) const LABEL_MAX: usize = 63;
/// Longest sentence in the status, in bytes.
pub(crate) const MESSAGE_MAX: usize = 2048;
/// Longest short text, such as a duration or a verb, in bytes.
pub(crate) const WORD_MAX: usize = 64;
/// Longest reference to an object in the form `Kind/namespace/name`, in bytes.
pub(crate) const REFERENCE_MAX: usize = 512;

/// Adds CEL rules, each with its message, to a schema.
pub(crate) fn add_rules<'r>(
    schema: &mut Schema,
    rules: impl IntoIterator<Item = (&'r str, &'r str)>,
) {
    extend_rules(
        schema,
        rules
            .into_iter()
            .map(|(rule, message)| json!({ "rule": rule, "message": message })),
    );
}

/// The same as [`add_rules`], for rules that blame a field below the schema.
fn add_rules_at<'r>(
    schema: &mut Schema,
    field: &str,
    rules: impl IntoIterator<Item = (&'r str, &'r str)>,
) {
    let rules = rules.into_iter();
    extend_rules(
        schema,
        rules
            .map(|(rule, message)| json!({ "rule": rule, "message": message, "fieldPath": field })),
    );
}

fn extend_rules(schema: &mut Schema, rules: impl Iterator<Item = Value>) {
    let present = schema
        .ensure_object()
        .entry("x-kubernetes-validations")
        .or_insert_with(|| json!([]));
    if let Value::Array(present) = present {
        present.extend(rules);
    }
}

/// Refuses control characters and those that reverse the direction of text.
pub(crate) fn one_line(schema: &mut Schema) {
    add_rules(
        schema,
        [(
            r"!self.matches(r'[\x00-\x1f\x7f-\x{9f}\x{202a}-\x{202e}\x{2066}-\x{2069}]')",
            "holds a control character (such as a tab, a line break or a change of direction): write it on one line, without them",
        )],
    );
}

/// The same as [`one_line`] for every element of a list.
pub(crate) fn one_line_items(schema: &mut Schema) {
    if let Some(items) = schema
        .get_mut("items")
        .and_then(|items| items.try_into().ok())
    {
        one_line(items);
    }
}

/// A name that is a DNS subdomain (RFC 1123), as nearly all objects have.
pub(crate) fn dns_subdomain(schema: &mut Schema) {
    add_rules(
        schema,
        [(
            format!("self.matches(r'{SUBDOMAIN}')").as_str(),
            SUBDOMAIN_MESSAGE,
        )],
    );
}

const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
const SUBDOMAIN_MESSAGE: &str = "is no object name: write lower-case letters, digits, '-' and '.', with a letter or digit at both ends of each part, such as web-server-1";

/// A namespace.
pub(crate) fn namespace(schema: &mut Schema) {
    add_rules(
        schema,
        [(
            r"self.matches(r'^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            NAMESPACE_MESSAGE,
        )],
    );
}

/// A namespace, or the empty text for kinds without one (SP-43).
pub(crate) fn namespace_or_empty(schema: &mut Schema) {
    add_rules(
        schema,
        [(
            r"self.matches(r'^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$')",
            NAMESPACE_MESSAGE,
        )],
    );
}

const NAMESPACE_MESSAGE: &str = "is no namespace: write lower-case letters, digits and '-', with a letter or digit at both ends, such as production-web";

/// An action type in snake case (SP-09).
pub(crate) fn action_type(schema: &mut Schema) {
    schema.insert("pattern".to_owned(), "^[a-z][a-z0-9_]*[a-z0-9]$".into());
    add_rules(
        schema,
        [(
            "self.matches('^[a-z][a-z0-9_]*[a-z0-9]$')",
            "is no action type: write 3 to 64 lower-case letters, digits and underscores, beginning with a letter, such as scale_deployment",
        )],
    );
}

/// A version of an action (SP-38).
pub(crate) fn action_version(schema: &mut Schema) {
    schema.insert("pattern".to_owned(), r"^v[0-9]+\.[0-9]+$".into());
    add_rules(
        schema,
        [(
            r"self.matches(r'^v[0-9]+\.[0-9]+$')",
            "is no action version: write v, a number, a dot and a number, such as v1.2",
        )],
    );
}

/// An API version, with or without a group.
pub(crate) fn api_version(schema: &mut Schema) {
    add_rules(
        schema,
        [(
            r"self.matches(r'^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[a-z]([-a-z0-9]*[a-z0-9])?$')",
            "is no API version: write the version, after the group and a slash if there is one, such as v1 or apps/v1",
        )],
    );
}

/// A kind.
pub(crate) fn kind(schema: &mut Schema) {
    add_rules(
        schema,
        [(
            "self.matches('^[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?$')",
            "is no kind: write it as the API spells it, such as Pod or Deployment",
        )],
    );
}

/// A field selector: `path=value`, `path==value` or `path!=value`.
pub(crate) fn field_selectors(schema: &mut Schema) {
    if let Some(items) = schema
        .get_mut("items")
        .and_then(|items| items.try_into().ok())
    {
        add_rules(
            items,
            [(
                r"self.matches(r'^[A-Za-z0-9_.-]+(=|==|!=)[^=,!\x00-\x20]*$')",
                "is no field selector: write path=value or path!=value without spaces, such as status.phase=Running",
            )],
        );
    }
}

/// The kinds whose names are not DNS subdomains.
const FREELY_NAMED: &str = "['Role', 'ClusterRole', 'RoleBinding', 'ClusterRoleBinding', 'CertificateSigningRequest', 'IPAddress']";

/// The rules that need more than one field of a target.
pub(crate) fn target(schema: &mut Schema) {
    add_rules(
        schema,
        [(
            "(has(self.name) && self.name != '') || (has(self.labels) && size(self.labels) > 0) \
             || (has(self.fieldSelectors) && size(self.fieldSelectors) > 0)",
            "names no target: write the object's name in name, or select objects by labels or fieldSelectors",
        )],
    );
    let unless_named = "!has(self.name) || self.name == ''";
    add_rules_at(
        schema,
        ".name",
        [
            (
                format!("{unless_named} || self.kind in {FREELY_NAMED} || self.name.matches(r'{SUBDOMAIN}')").as_str(),
                SUBDOMAIN_MESSAGE,
            ),
            (
                format!(r"{unless_named} || !(self.kind in {FREELY_NAMED}) || self.name.matches(r'^[^/%\x00-\x20\x7f]+$')").as_str(),
                "holds a space, a control character, '/' or '%': write the name as kubectl get shows it",
            ),
        ],
    );
}

/// A duration in seconds, minutes or hours, up to a day (SP-70 and others).
pub(crate) fn duration(schema: &mut Schema) {
    bounded_duration(
        schema,
        "^[0-9]+(s|m|h)$",
        "a whole number and one unit (s, m or h), at most 24h, such as 90s, 10m or 2h",
        "0s",
    );
}

/// A duration as [`duration`], but of one second at least.
pub(crate) fn positive_duration(schema: &mut Schema) {
    bounded_duration(
        schema,
        "^[0-9]+(s|m|h)$",
        "a whole number and one unit (s, m or h), from 1s to 24h, such as 90s, 10m or 2h",
        "1s",
    );
}

/// A duration in seconds or minutes, up to a day (SP-75, SP-91).
pub(crate) fn short_duration(schema: &mut Schema) {
    bounded_duration(
        schema,
        "^[0-9]+(s|m)$",
        "a whole number and one unit (s or m), at most 1440m, such as 30s or 5m",
        "0s",
    );
}

/// Seven characters hold every duration up to a day and keep the number in the range that CEL's `duration()` takes.
fn bounded_duration(schema: &mut Schema, pattern: &str, what: &str, least: &str) {
    schema.insert("pattern".to_owned(), pattern.into());
    schema.insert("maxLength".to_owned(), 32.into());
    let least = if least == "0s" {
        String::new()
    } else {
        format!(" && duration(self) >= duration('{least}')")
    };
    let rule = format!(
        "self.matches('{pattern}') && size(self) <= 7 && duration(self) <= duration('24h'){least}"
    );
    add_rules(
        schema,
        [(
            rule.as_str(),
            format!("is no valid duration: write {what}").as_str(),
        )],
    );
}

/// A condition before or after the action is written in one language.
pub(crate) fn one_language(schema: &mut Schema) {
    add_rules(
        schema,
        [(
            "has(self.cel) != has(self.rego)",
            "must be written in one language: write either cel or rego",
        )],
    );
}

/// Makes everything in the spec but `control` immutable, and each switch of `control` go one way.
pub(crate) fn immutable(schema: &mut Schema) {
    for field in IMMUTABLE_FIELDS {
        let rule = format!(
            "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
        );
        let message = "cannot be changed once the execution exists: create a new KubernetesExecution, and set control.cancel to stop this one";
        add_rules_at(schema, &format!(".{field}"), [(rule.as_str(), message)]);
    }
    for switch in ONE_WAY_SWITCHES {
        let on = |object: &str| {
            format!(
                "has({object}.control) && has({object}.control.{switch}) && {object}.control.{switch}"
            )
        };
        let rule = format!("!({}) || ({})", on("oldSelf"), on("self"));
        let message = "cannot be taken back once it is true: leave it true, or create a new KubernetesExecution";
        add_rules_at(
            schema,
            &format!(".control.{switch}"),
            [(rule.as_str(), message)],
        );
    }
}

/// A map of labels.
pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    let mut value = json_schema!({ "type": "string", "maxLength": LABEL_MAX });
    add_rules(
        &mut value,
        [(
            "self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')",
            "is no label value: write letters, digits, '-', '_' and '.', with a letter or digit at both ends",
        )],
    );
    let mut labels =
        json_schema!({ "type": "object", "additionalProperties": value, "maxProperties": 32 });
    add_rules(
        &mut labels,
        [(
            r"self.all(key, key.matches(r'^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",
            "has a key that is no label: write a name of at most 63 letters, digits, '-', '_' and '.', after a prefix and a slash if there is one, such as app or app.kubernetes.io/name",
        )],
    );
    labels
}

/// A map of short facts in the status.
pub(crate) fn facts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "string", "maxLength": 1024 },
        "maxProperties": 32,
    })
}

/// Further properties of a requester, as the API server's authenticator gives them.
pub(crate) fn requester_extra(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": {
            "type": "array",
            "items": { "type": "string", "maxLength": 1024 },
            "maxItems": 16,
        },
        "maxProperties": 32,
    })
}

/// An object whose fields are not declared here.
pub(crate) fn free_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "maxProperties": 256, "x-kubernetes-preserve-unknown-fields": true })
}
