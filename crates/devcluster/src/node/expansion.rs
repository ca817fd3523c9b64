//! `$(NAME)` in env values, commands and arguments, as Kubernetes defines it: a name that is known is replaced, one
//! that is not stays as written, and `$$` is a plain `$`.

use std::collections::BTreeMap;

/// `text` with every known `$(NAME)` replaced.
pub(super) fn expand(text: &str, known: &BTreeMap<String, String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            after
        } else if let Some((name, after)) = reference(after) {
            match known.get(name) {
                Some(value) => result.push_str(value),
                None => result.extend(["$(", name, ")"]),
            }
            after
        } else {
            result.push('$');
            after
        };
    }
    result.push_str(rest);
    result
}

/// `(NAME)rest` as name and rest.
fn reference(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('(')?.split_once(')')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        let known = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        expand(text, &known)
    }

    #[test]
    fn a_known_name_is_replaced_and_an_unknown_one_stays() {
        assert_eq!(expanded("x-$(A)-$(B)"), "x-1-$(B)");
    }

    #[test]
    fn two_dollars_are_one_and_hide_a_reference() {
        assert_eq!(expanded("$$(A) $$$(A)"), "$(A) $1");
    }

    #[test]
    fn what_is_no_reference_stays_as_written() {
        assert_eq!(expanded("$A $(A $ ${A}"), "$A $(A $ ${A}");
    }
}
