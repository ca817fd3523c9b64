//! Text with places to fill in, written `<<name>>`. What is filled in may itself hold places.

use std::collections::BTreeMap;

/// What to fill in, by the name of the place.
pub(super) type Values = BTreeMap<&'static str, String>;

/// How deep what is filled in may hold places.
const DEPTH: usize = 3;

/// Why a template cannot be filled in.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum TemplateError {
    /// Nothing is there to fill in.
    #[error("failed to find a value for {0:?}")]
    FindValue(String),
    /// A place is begun and not ended.
    #[error("failed to find the end of the place at {0:?}")]
    FindEnd(String),
    /// Places hold each other.
    #[error("failed to fill in {0:?}: it holds itself")]
    EndRecursion(String),
}

/// The template with all its places filled in.
pub(super) fn fill(template: &str, values: &Values) -> Result<String, TemplateError> {
    fill_to(template, values, DEPTH)
}

fn fill_to(template: &str, values: &Values, depth: usize) -> Result<String, TemplateError> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("<<") {
        let (name, after) = after
            .split_once(">>")
            .ok_or_else(|| TemplateError::FindEnd(after.chars().take(40).collect()))?;
        let value = values
            .get(name)
            .ok_or_else(|| TemplateError::FindValue(name.to_owned()))?;
        let depth = depth
            .checked_sub(1)
            .ok_or_else(|| TemplateError::EndRecursion(name.to_owned()))?;
        filled.push_str(before);
        filled.push_str(&fill_to(value, values, depth)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        [
            ("name", "web".to_owned()),
            ("greeting", "hello <<name>>".to_owned()),
            ("endless", "<<endless>>".to_owned()),
        ]
        .into()
    }

    #[test]
    fn places_are_filled_in_also_within_what_is_filled_in() {
        assert_eq!(
            fill("a <<name>> b <<greeting>>!", &values()).unwrap(),
            "a web b hello web!"
        );
    }

    #[test]
    fn a_place_without_a_value_is_an_error() {
        assert_eq!(
            fill("<<nmae>>", &values()),
            Err(TemplateError::FindValue("nmae".to_owned()))
        );
    }

    #[test]
    fn a_place_without_an_end_is_an_error() {
        assert_eq!(
            fill("x <<name", &values()),
            Err(TemplateError::FindEnd("name".to_owned()))
        );
    }

    #[test]
    fn a_place_that_holds_itself_is_an_error() {
        assert_eq!(
            fill("<<endless>>", &values()),
            Err(TemplateError::EndRecursion("endless".to_owned()))
        );
    }
}
