//! The rules by which admission refuses parameters of the wrong form: one for each that several actions share, made of
//! what the API crate says of it.

use kexec_api::execution::spec::{SHARED_PARAMETERS, SharedParameter};

use super::quoted;

/// Longest text that a refusal repeats, in characters; others, and those with odd characters, it only measures.
const REPEATED_MAX: u32 = 64;

/// The rules, as items of a policy's `validations`.
pub(super) fn rules() -> String {
    let rules: Vec<String> = SHARED_PARAMETERS.iter().map(rule).collect();
    rules.join("\n")
}

fn rule(parameter: &SharedParameter) -> String {
    let path = parameter.path();
    let there = there(parameter);
    let value = format!("variables.{path}");
    let field = format!("spec.actionDefinition.{path}");
    let write = format!("write {}", parameter.form.instead());
    let expression = format!("!({there}) || ({})", parameter.form.rule(&value));
    let told = format!("'{field} is ' + {} + ': {write}'", shown(&value));
    format!(
        "  - expression: {}\n    message: {}\n    messageExpression: {}",
        quoted(&expression),
        quoted(&format!("{field} does not fit: {write}")),
        quoted(&told)
    )
}

/// CEL for "it is given".
fn there(parameter: &SharedParameter) -> String {
    let has = format!("has(variables.{})", parameter.path());
    match parameter.within {
        None => has,
        Some(within) => format!("has(variables.parameters.{within}) && {has}"),
    }
}

/// CEL for the value as a message repeats it.
fn shown(value: &str) -> String {
    format!(
        "(type({value}) == string \
         ? ({value}.matches('^[ -~]{{0,{REPEATED_MAX}}}$') ? '\"' + {value} + '\"' : 'text of ' + string(size({value})) + ' characters') \
         : type({value}) == int || type({value}) == double || type({value}) == bool ? string({value}) \
         : {value} == null ? 'null' : 'a list or an object')"
    )
}
