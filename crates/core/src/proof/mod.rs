//! Whether the live cluster proves what a plan expects (BR-EXEC-027), and whether it shows the plan's writes at all.
//! Facts in, verdicts out; a thing that could not be read is unknown, which is neither proof nor refutation.

mod drained;
mod effect;
mod expectation;
mod live;
mod replacement;
pub mod restoration;
mod rollout;

use kexec_actions::facts::{Facts, Need};
use kexec_api::plan::{Expectation, PlanContent, dotted};

pub use effect::{Effect, effect};
use expectation::finding;
pub(crate) use live::is_ready;

/// What the facts say of one expectation, or of all.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Verdict {
    /// It holds.
    Proven,
    /// It does not hold, but still may.
    NotYet,
    /// It could not be read.
    Unknown,
    /// It does not hold and never will.
    Refuted,
}

/// The verdict on one expectation, with what was expected and what is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// What was expected, for people.
    pub expected: String,
    /// What is there, for people.
    pub actual: String,
}

/// The verdict on a whole plan: the worst of its findings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// One finding an expectation, in the plan's order.
    pub findings: Vec<Finding>,
}

/// What must be read to judge a plan: what its expectations speak of, and the objects its steps write.
#[must_use]
pub fn needs(content: &PlanContent) -> Vec<Need> {
    let expected = content.expectations.iter().flat_map(expectation_needs);
    let written = content.steps.iter().filter_map(effect::need);
    let mut needs: Vec<Need> = expected.chain(written).collect();
    needs.sort();
    needs.dedup();
    needs
}

fn expectation_needs(expectation: &Expectation) -> Vec<Need> {
    match expectation {
        Expectation::Fields { object, .. }
        | Expectation::Gone { object }
        | Expectation::Observed { object }
        | Expectation::Condition { object, .. } => vec![Need::object(object)],
        Expectation::WorkloadReady {
            object, selector, ..
        }
        | Expectation::RolledOut {
            object, selector, ..
        } => {
            vec![
                Need::object(object),
                Need::pods(object.namespace.as_deref(), selector),
            ]
        }
        Expectation::Drained { node, owners, .. } => drained::needs(node, owners),
        Expectation::Replaced {
            object,
            selector,
            services,
            ..
        } => {
            let namespace = object.namespace.as_deref();
            let pods = Need::pods(namespace, selector);
            std::iter::once(pods)
                .chain(replacement::slices(namespace, services))
                .collect()
        }
    }
}

/// The verdict on a plan. A plan that expects nothing is proven by nothing: its verdict is unknown.
#[must_use]
pub fn judge(content: &PlanContent, facts: &Facts) -> Judgement {
    let findings: Vec<Finding> = content
        .expectations
        .iter()
        .map(|one| finding(one, facts))
        .collect();
    let verdict = findings
        .iter()
        .map(|finding| finding.verdict)
        .max()
        .unwrap_or(Verdict::Unknown);
    Judgement { verdict, findings }
}

/// The same judgement without a value of a field: for those who may not read the objects it is about.
#[must_use]
pub fn without_values(content: &PlanContent, judgement: Judgement) -> Judgement {
    let told = content.expectations.iter().zip(judgement.findings);
    let findings = told.map(|(expectation, finding)| match expectation {
        Expectation::Fields { object, fields } => {
            let paths: Vec<String> = fields.iter().map(|field| dotted(&field.path)).collect();
            Finding {
                expected: format!("{object} has {} as planned", paths.join(", ")),
                actual: match finding.verdict {
                    Verdict::NotYet => "some of these fields hold other values".to_owned(),
                    Verdict::Proven | Verdict::Unknown | Verdict::Refuted => finding.actual,
                },
                ..finding
            }
        }
        Expectation::WorkloadReady { .. }
        | Expectation::RolledOut { .. }
        | Expectation::Observed { .. }
        | Expectation::Gone { .. }
        | Expectation::Replaced { .. }
        | Expectation::Drained { .. }
        | Expectation::Condition { .. } => finding,
    });
    Judgement {
        findings: findings.collect(),
        ..judgement
    }
}
