//! The rules by which admission warns of switches that have no effect, made of what the API crate says of them.

use kexec_api::execution::spec::{UNPERFORMED, Unperformed};

use super::quoted;

/// The rules, as items of a policy's `validations`.
pub(super) fn rules() -> String {
    let rules: Vec<String> = UNPERFORMED.iter().map(rule).collect();
    rules.join("\n")
}

fn rule(switch: &Unperformed) -> String {
    let field = format!("object.{}", switch.field());
    let mut place = "object.spec".to_owned();
    let absent = switch.path.iter().map(|name| {
        place.push('.');
        place.push_str(name);
        format!("!has({place})")
    });
    let holds = format!("{field} == {}", switch.default);
    let alternatives: Vec<String> = absent.chain([holds]).collect();
    let expression = alternatives.join(" || ");
    format!(
        "  - expression: {}\n    message: {}",
        quoted(&expression),
        quoted(&switch.sentence())
    )
}
