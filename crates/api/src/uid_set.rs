//! A set of UIDs that stays small in a plan: of each UID it holds a digest only. What is asked of it is whether a UID is
//! new, so it must never take a known one for new; that it takes one new UID in a million for known does no harm.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Hexadecimal digits a UID takes.
const DIGITS: usize = 8;

/// UIDs, as the first 8 hexadecimal digits of the SHA-256 of each, sorted and written one after the other.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UidSet(String);

impl UidSet {
    /// Whether it was made of no UID.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a UID is surely none of those the set was made of.
    #[must_use]
    pub fn lacks(&self, uid: &str) -> bool {
        let digest = digest(uid);
        !self
            .0
            .as_bytes()
            .chunks(DIGITS)
            .any(|held| held == digest.as_bytes())
    }
}

impl<T: AsRef<str>> FromIterator<T> for UidSet {
    fn from_iter<I: IntoIterator<Item = T>>(uids: I) -> Self {
        let digests: BTreeSet<String> = uids.into_iter().map(|uid| digest(uid.as_ref())).collect();
        Self(digests.into_iter().collect())
    }
}

fn digest(uid: &str) -> String {
    let mut hex = format!("{:x}", Sha256::digest(uid));
    hex.truncate(DIGITS);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lacks_what_it_was_not_made_of_and_nothing_else() {
        let uid = |number: u32| format!("6f1c8a52-0000-4000-8000-{number:012}");
        let known: UidSet = (0..3000).map(uid).collect();
        assert!((0..3000).all(|number| !known.lacks(&uid(number))));
        let taken_for_known = (3000..6000).filter(|number| !known.lacks(&uid(*number)));
        assert_eq!(taken_for_known.count(), 0);
        assert!(UidSet::default().lacks(""));
        assert!(UidSet::default().is_empty() && !known.is_empty());
    }

    #[test]
    fn its_text_is_eight_digits_a_uid_in_any_order_of_the_uids() {
        let set: UidSet = ["b", "a", "b"].into_iter().collect();
        assert_eq!(set, ["a", "b"].into_iter().collect());
        assert_eq!(
            serde_json::to_value(&set).ok(),
            Some("3e23e816ca978112".into())
        );
    }
}
