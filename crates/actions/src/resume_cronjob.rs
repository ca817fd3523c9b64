//! `resume_cronjob`: has a suspended CronJob make Jobs again (BR-K8S-001).

use kexec_api::execution::spec::{Category, RiskLevel};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, TargetKind};
use crate::suspension;

pub(crate) struct ResumeCronJob;

/// None but the common ones.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Parameters {}

impl Action for ResumeCronJob {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "resume_cronjob",
        aliases: &[],
        version: "v1.0",
        description: "Has a suspended CronJob make Jobs by its schedule again.",
        category: Category::Core,
        risk: RiskLevel::Low,
        reversible: true,
        idempotent: true,
        targets: &[TargetKind::CRON_JOB],
        rules: &[suspension::rule(
            "unsets spec.suspend, and changes nothing else of the CronJob",
        )],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(_: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        Vec::new()
    }

    fn plan(target: &Target, _: &Parameters, _: &Facts) -> Result<Draft, PlanError> {
        let mut draft = suspension::draft(target, false)?;
        draft.summary = format!("resume {}: it makes Jobs again", target.reference);
        if !draft.steps.is_empty() {
            let note = match target.live.pointer("/spec/startingDeadlineSeconds") {
                Some(seconds) => format!(
                    "a run that was missed in the last {seconds} s starts at once (spec.startingDeadlineSeconds)"
                ),
                None => "a run that was missed meanwhile starts at once, for spec.startingDeadlineSeconds is not set"
                    .to_owned(),
            };
            draft.notes.push(note);
        }
        Ok(draft)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::every_action::{Case, Cases};
    use crate::fixtures::cron_job;

    impl Cases for ResumeCronJob {
        fn cases() -> Vec<Case> {
            let live = cron_job(&json!({"suspend": true}));
            vec![Case::of::<Self>("", live, json!({}), Facts::default())]
        }
    }

    fn planned(spec: &Value) -> Draft {
        ResumeCronJob::plan(&cron_job(spec), &Parameters {}, &Facts::default()).expect("plans")
    }

    #[test]
    fn the_field_becomes_false_as_the_api_shows_it_and_one_that_runs_is_left_alone() {
        let draft = planned(&json!({"suspend": true}));
        assert_eq!(draft.steps[0].diff(), ["spec.suspend: true -> false"]);
        for running in [json!({}), json!({"suspend": false})] {
            let draft = planned(&running);
            assert_eq!((draft.steps, draft.notes), (vec![], vec![]));
        }
    }

    #[test]
    fn a_run_that_starts_at_once_is_told_beforehand() {
        let within = planned(&json!({"suspend": true, "startingDeadlineSeconds": 60}));
        assert_eq!(
            within.notes,
            [
                "a run that was missed in the last 60 s starts at once (spec.startingDeadlineSeconds)"
            ]
        );
        let ever = planned(&json!({"suspend": true}));
        assert!(ever.notes[0].contains("is not set"), "{:?}", ever.notes);
    }
}
