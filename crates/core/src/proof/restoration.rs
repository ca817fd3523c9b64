//! Whether the live objects are as they were before a plan, field by field: what tells a rollback that is done from one
//! that still has something to restore, and that from one that would overwrite a newer change (I7).

use kexec_actions::facts::{Fact, Facts, Need};
use kexec_api::plan::{FieldChange, ObjectRef, PlanContent, Step, dotted};
use serde_json::Value;

use super::effect::same;
use super::live::uid;

/// Whose a field is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Holds {
    /// It is as it was before the plan.
    AsBefore,
    /// It holds the plan's value.
    Ours,
    /// It holds another value: somebody changed it since; or the object is gone or replaced.
    Foreign,
    /// It could not be read.
    Unknown,
}

/// One field that a rollback would restore, or one object that it would remove.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Restorable {
    /// `Kind/namespace/name` and the field, for people.
    pub what: String,
    /// Whose it is.
    pub holds: Holds,
}

/// What must be read to tell.
#[must_use]
pub fn needs(content: &PlanContent) -> Vec<Need> {
    let undone = content.rollback.iter().map(Step::target);
    let mut needs: Vec<Need> = undone.map(Need::object).collect();
    needs.sort();
    needs.dedup();
    needs
}

/// Every field of the inverse steps, as it is now.
#[must_use]
pub fn restorables(content: &PlanContent, facts: &Facts) -> Vec<Restorable> {
    content
        .rollback
        .iter()
        .flat_map(|step| of_step(step, facts))
        .collect()
}

fn of_step(step: &Step, facts: &Facts) -> Vec<Restorable> {
    let target = step.target();
    let live = read(target, facts);
    match step {
        Step::Patch {
            subresource,
            changes,
            ..
        } => changes
            .iter()
            .filter(|change| !change.is_guard())
            .map(|change| Restorable {
                what: format!("{target} {}", dotted(&change.path)),
                holds: match &live {
                    Live::Unknown => Holds::Unknown,
                    Live::Gone => Holds::Foreign,
                    Live::Here(live) => of_field(live, change, subresource.as_deref()),
                },
            })
            .collect(),
        Step::Delete { .. } | Step::Evict { .. } => vec![Restorable {
            what: target.to_string(),
            holds: match live {
                Live::Unknown => Holds::Unknown,
                Live::Gone => Holds::AsBefore,
                Live::Here(_) => Holds::Ours,
            },
        }],
    }
}

/// The inverse change goes from our value to the one before.
fn of_field(live: &Value, inverse: &FieldChange, subresource: Option<&str>) -> Holds {
    let now = live.pointer(&inverse.path);
    if same(now, inverse.after.as_ref(), subresource) {
        Holds::AsBefore
    } else if same(now, inverse.before.as_ref(), subresource) {
        Holds::Ours
    } else {
        Holds::Foreign
    }
}

enum Live<'a> {
    Here(&'a Value),
    Gone,
    Unknown,
}

fn read<'a>(target: &ObjectRef, facts: &'a Facts) -> Live<'a> {
    match facts.get(&Need::object(target)) {
        Some(Fact::Object(live)) if uid(live) == target.uid => Live::Here(live),
        Some(Fact::Object(_) | Fact::Absent) => Live::Gone,
        Some(Fact::List(_) | Fact::NotServed | Fact::NotReadable(_)) | None => Live::Unknown,
    }
}
