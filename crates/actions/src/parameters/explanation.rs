//! One sentence per parameter that does not fit: where it is, what is wrong, what to write instead. Text from the
//! user is quoted, shortened and escaped. What counts as an error is the schema's business.

use jsonschema::error::{TypeKind, ValidationError, ValidationErrorKind};
use serde_json::Value;

use super::ParameterError;
use super::schema::{child, part_at, property_names, required_names};

/// Similarity below which no name is suggested, from 0 (nothing alike) to 1 (the same).
const SUGGEST_FROM: f64 = 0.75;

/// Most characters of a value that a message quotes.
const SHOWN_MAX: usize = 80;

/// The one of `known` most like `name`, if any is like it at all.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= SUGGEST_FROM)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// One sentence on one error of the validator.
pub(super) fn explain(
    schema: &Value,
    action_type: &str,
    error: &ValidationError<'_>,
) -> ParameterError {
    let pointer = error.instance_path().as_str();
    let path = readable(pointer);
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let name = unexpected.first().map_or("", String::as_str);
            ParameterError {
                message: unknown(schema, action_type, pointer, name),
                path: path + &key_form(name),
            }
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let wanted = part_at(schema, pointer).and_then(|part| child(part, name));
            ParameterError {
                path: path + &key_form(name),
                message: format!(
                    "is missing: write {}",
                    wanted.map_or_else(String::new, wanted_type)
                ),
            }
        }
        ValidationErrorKind::PropertyNames { error } => ParameterError {
            path: path + &key_form(error.instance().as_str().unwrap_or_default()),
            message: format!(
                "has a name that does not fit: write {}",
                instead(schema, error)
            ),
        },
        _ => ParameterError {
            path,
            message: format!(
                "is {}: write {}",
                shown(error.instance()),
                instead(schema, error)
            ),
        },
    }
}

/// Whole numbers written with a decimal point or an exponent. JSON schema takes `5.0` for a whole number; Kubernetes
/// does not, and `2` changed to `2.0` counts as a change.
pub(super) fn decimal_points(schema: &Value, document: &Value) -> Vec<ParameterError> {
    let mut found = Vec::new();
    visit(schema, document, &mut String::new(), &mut found);
    found
}

fn visit(schema: &Value, value: &Value, pointer: &mut String, found: &mut Vec<ParameterError>) {
    let wants_integer = schema.get("type").is_some_and(|kind| kind == "integer");
    if wants_integer && value.as_f64().is_some_and(|number| number.fract() == 0.0) && value.is_f64()
    {
        found.push(ParameterError {
            path: readable(pointer),
            message: format!(
                "is {}: write a whole number without a decimal point",
                shown(value)
            ),
        });
    }
    let members = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, member)| (key.clone(), member));
    let items = value.as_array().into_iter().flatten().enumerate();
    for (key, member) in members.chain(items.map(|(index, item)| (index.to_string(), item))) {
        if let Some(part) = child(schema, &key) {
            let length = pointer.len();
            pointer.push('/');
            pointer.push_str(&kexec_api::plan::pointer_segment(&key));
            visit(part, member, pointer, found);
            pointer.truncate(length);
        }
    }
}

/// What to write instead, as the rest of "write ...".
fn instead(schema: &Value, error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::Type { kind } => {
            let hint = if error.instance().is_null()
                && may_be_left_out(schema, error.instance_path().as_str())
            {
                ", or leave it out"
            } else if error.instance().is_string() {
                ", not text"
            } else {
                ""
            };
            format!("{}{hint}", type_names(kind))
        }
        ValidationErrorKind::Minimum { limit } => format!("a number that is at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("a number that is at most {limit}"),
        ValidationErrorKind::MinLength { limit } => {
            format!("at least {}", counted(*limit, "character"))
        }
        ValidationErrorKind::MaxLength { limit } => {
            format!("at most {}", counted(*limit, "character"))
        }
        ValidationErrorKind::MaxItems { limit } => format!("at most {}", counted(*limit, "item")),
        ValidationErrorKind::MaxProperties { limit } => {
            format!("at most {}", counted(*limit, "key"))
        }
        ValidationErrorKind::Enum { options } => format!("one of {}", listed(options)),
        ValidationErrorKind::Pattern { pattern } => {
            pattern_name(schema, error.schema_path().as_str())
                .unwrap_or_else(|| format!("text of the form {pattern}"))
        }
        _ => format!("a value that fits ({error})"),
    }
}

/// Sentence part on a name that the object at `pointer` does not have.
fn unknown(schema: &Value, action_type: &str, pointer: &str, name: &str) -> String {
    let known: Vec<&str> = part_at(schema, pointer)
        .into_iter()
        .flat_map(property_names)
        .collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("is not a parameter of {action_type}: did you mean \"{near}\"?"),
        None => format!(
            "is not a parameter of {action_type}: it takes {}",
            known.join(", ")
        ),
    }
}

/// The name that a schema's author gave to a pattern: the title beside it.
fn pattern_name(schema: &Value, keyword: &str) -> Option<String> {
    let (parent, _) = keyword.rsplit_once('/')?;
    let title = schema.pointer(parent)?.get("title")?;
    title.as_str().map(str::to_owned)
}

fn may_be_left_out(schema: &Value, pointer: &str) -> bool {
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        return false;
    };
    let parent = part_at(schema, parent);
    parent.is_none_or(|parent| required_names(parent).all(|required| required != key))
}

/// A JSON pointer as people write it: `parameters.expectedConditions[0].type`.
fn readable(pointer: &str) -> String {
    pointer
        .split('/')
        .skip(1)
        .fold("parameters".to_owned(), |shown, key| {
            shown + &key_form(&key.replace("~1", "/").replace("~0", "~"))
        })
}

/// `.key`, `[0]`, or `["a.key"]` for one that is no plain word.
fn key_form(key: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || character == '_';
    if key.parse::<usize>().is_ok() {
        format!("[{key}]")
    } else if !key.is_empty() && key.chars().all(plain) {
        format!(".{}", shortened(key))
    } else {
        format!("[{}]", shown(&Value::from(key)))
    }
}

/// A value as it is quoted in a message: shortened, and with control and direction characters escaped.
pub(crate) fn shown(value: &Value) -> String {
    shortened(&value.to_string())
        .chars()
        .fold(String::new(), |mut text, character| {
            if misleads(character) {
                text.extend(character.escape_unicode());
            } else {
                text.push(character);
            }
            text
        })
}

fn shortened(text: &str) -> String {
    let mut kept: String = text.chars().take(SHOWN_MAX).collect();
    if kept.len() < text.len() {
        kept.push_str("...");
    }
    kept
}

/// Characters that would make a terminal show something else than what is there.
fn misleads(character: char) -> bool {
    let direction = matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || direction
}

fn counted(limit: u64, thing: &str) -> String {
    let plural = if limit == 1 { "" } else { "s" };
    format!("{limit} {thing}{plural}")
}

/// The members of a JSON list, separated by commas.
fn listed(options: &Value) -> String {
    let options: Vec<String> = options
        .as_array()
        .into_iter()
        .flatten()
        .map(shown)
        .collect();
    options.join(", ")
}

/// The type or types a schema asks for.
fn wanted_type(schema: &Value) -> String {
    schema
        .get("type")
        .and_then(Value::as_str)
        .map_or_else(|| "a value".to_owned(), type_name)
}

fn type_names(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => type_name(&one.to_string()),
        TypeKind::Multiple(several) => {
            let names: Vec<String> = several
                .iter()
                .map(|one| type_name(&one.to_string()))
                .collect();
            names.join(" or ")
        }
    }
}

fn type_name(json_type: &str) -> String {
    let name = match json_type {
        "integer" => "a whole number",
        "number" => "a number",
        "array" => "a list",
        "object" => "an object",
        "string" => "text",
        "boolean" => "true or false",
        other => other,
    };
    name.to_owned()
}
