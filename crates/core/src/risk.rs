//! Risk of a plan (BR-SAFE-006, BR-SAFE-007): a documented sum. The action's level gives the base; named factors add to
//! it; the sum, kept within 0 and 1, gives the level. What a spec says can only raise it (I15).

use kexec_actions::RiskFactor;
use kexec_actions::metadata::Metadata;
use kexec_api::execution::KubernetesExecution;
use kexec_api::execution::spec::RiskLevel;
use kexec_api::execution::status::RiskAssessment;

/// Label of an execution that names its environment (EX-02).
const ENVIRONMENT_LABEL: &str = "kubernaut.io/environment";
/// Added when the execution is labelled as one for production.
const PRODUCTION: f64 = 0.1;
/// Added when nothing can undo the action.
const IRREVERSIBLE: f64 = 0.05;

/// The risk of a plan, with what raised it and what was done about it.
#[must_use]
pub fn assess(
    execution: &KubernetesExecution,
    metadata: &Metadata,
    factors: &[RiskFactor],
) -> RiskAssessment {
    let mut factors = factors.to_vec();
    let labels = execution.metadata.labels.as_ref();
    if labels
        .and_then(|labels| labels.get(ENVIRONMENT_LABEL))
        .is_some_and(|value| value == "production")
    {
        factors.push(RiskFactor {
            text: "production environment".to_owned(),
            score: PRODUCTION,
        });
    }
    if !metadata.reversible {
        factors.push(RiskFactor {
            text: "cannot be undone".to_owned(),
            score: IRREVERSIBLE,
        });
    }
    let sum: f64 = base(metadata.risk) + factors.iter().map(|factor| factor.score).sum::<f64>();
    let score = (sum.clamp(0.0, 1.0) * 100.0).round() / 100.0;
    let spec = &execution.spec;
    let of_action = spec
        .action_definition
        .action_metadata
        .as_ref()
        .and_then(|metadata| metadata.risk_level);
    let asked = of_action.max(spec.execution_config.safety_config.risk_level);
    let level = asked.map_or(level(score), |asked| asked.max(level(score)));
    RiskAssessment {
        risk_level: Some(level),
        risk_factors: factors
            .iter()
            .map(|factor| format!("{} ({:+.2})", factor.text, factor.score))
            .collect(),
        mitigation_strategies: mitigations(metadata),
        risk_score: Some(score),
    }
}

/// Score of an action's own level.
fn base(level: RiskLevel) -> f64 {
    match level {
        RiskLevel::Low => 0.15,
        RiskLevel::Medium => 0.4,
        RiskLevel::High => 0.65,
        RiskLevel::Critical => 0.9,
    }
}

/// Level of a score: low below 0.3, medium below 0.6, high below 0.85.
fn level(score: f64) -> RiskLevel {
    if score < 0.3 {
        RiskLevel::Low
    } else if score < 0.6 {
        RiskLevel::Medium
    } else if score < 0.85 {
        RiskLevel::High
    } else {
        RiskLevel::Critical
    }
}

/// What every plan has done about its risk.
fn mitigations(metadata: &Metadata) -> Vec<String> {
    let mut all = vec![
        "every write is tried with dryRun=All before the first is made".to_owned(),
        "every write tests the target's UID, and the old value of each field it changes".to_owned(),
        format!(
            "runs as {} with the rights of this action alone",
            metadata.service_account_name()
        ),
    ];
    if metadata.reversible {
        all.push("the inverse steps are recorded before the first write".to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_of_each_level_alone_gives_that_level() {
        for one in RiskLevel::ALL {
            assert_eq!(level(base(*one)), *one);
        }
    }
}
