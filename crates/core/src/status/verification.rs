//! What was expected and what is there (ST-24…ST-28), and what the spec asks to be looked at afterwards that this version
//! does not look at.

use kexec_api::execution::KubernetesExecutionSpec;
use kexec_api::execution::KubernetesExecutionStatus;
use kexec_api::execution::status::{OutcomeVerification, PostExecutionValidation};
use serde_json::{Map, Value};

use crate::outcome::quote;
use crate::proof::{Finding, Judgement, Verdict};
use crate::view::View;

/// Writes the judgement on the outcome into status.
pub(super) fn tell(status: &mut KubernetesExecutionStatus, view: &View<'_>, judgement: &Judgement) {
    let join = |part: fn(&Finding) -> &str| {
        let parts: Vec<&str> = judgement.findings.iter().map(part).collect();
        Some(quote(&parts.join("; ")))
    };
    let passed = judgement.verdict == Verdict::Proven;
    let verdict = match judgement.verdict {
        Verdict::Proven => "verified",
        Verdict::NotYet => "not yet",
        Verdict::Unknown => "unknown",
        Verdict::Refuted => "refuted",
    };
    let results = status.validation_results.get_or_insert_default();
    results.post_execution_validation = Some(PostExecutionValidation {
        passed: Some(passed),
        outcome_verification: Some(OutcomeVerification {
            expected_outcome: join(|finding| &finding.expected),
            actual_outcome: join(|finding| &finding.actual),
            outcome_match: Some(passed),
            verification_details: Some(details(verdict, &view.execution.spec)),
        }),
        side_effects: None,
        health_checks: Vec::new(),
    });
}

/// The verdict, and why what else was asked for is missing; nothing that was asked for is passed over in silence.
fn details(verdict: &str, spec: &KubernetesExecutionSpec) -> Map<String, Value> {
    let config = &spec.execution_config.validation_config;
    let mut details = Map::new();
    details.insert("verdict".to_owned(), verdict.into());
    let asked = [
        (
            config.side_effect_detection,
            "sideEffectDetection",
            "side effects are not looked for",
        ),
        (
            config.effectiveness_scoring,
            "effectivenessScoring",
            "no score is made",
        ),
        (
            !config.post_conditions.is_empty(),
            "postConditions",
            "no condition is evaluated",
        ),
    ];
    for (_, name, what) in asked.into_iter().filter(|(is_asked, _, _)| *is_asked) {
        details.insert(
            name.to_owned(),
            format!("not performed: {what} by this version").into(),
        );
    }
    details
}
