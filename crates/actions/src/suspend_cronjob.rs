//! `suspend_cronjob`: has a CronJob make no more Jobs (BR-K8S-001). Those that run go on.

use kexec_api::execution::spec::{Category, RiskLevel};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::action::{Action, Draft, PlanError, Target};
use crate::facts::{Facts, Need};
use crate::metadata::{Metadata, Resources, TargetKind};
use crate::suspension;

pub(crate) struct SuspendCronJob;

/// None but the common ones.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Parameters {}

impl Action for SuspendCronJob {
    type Parameters = Parameters;

    const METADATA: Metadata = Metadata {
        action_type: "suspend_cronjob",
        aliases: &[],
        version: "v1.0",
        description: "Has a CronJob make no more Jobs; those that run go on.",
        category: Category::Core,
        risk: RiskLevel::Low,
        reversible: true,
        idempotent: true,
        targets: &[TargetKind::CRON_JOB],
        rules: &[suspension::rule(
            "sets spec.suspend, and nothing else of the CronJob",
        )],
        service_account: None,
        resources: Resources::DEFAULT,
    };

    fn needs(_: &Target, _: &Parameters, _: &Facts) -> Vec<Need> {
        Vec::new()
    }

    fn plan(target: &Target, _: &Parameters, _: &Facts) -> Result<Draft, PlanError> {
        let mut draft = suspension::draft(target, true)?;
        draft.summary = format!("suspend {}: it makes no more Jobs", target.reference);
        draft.notes.extend(still_running(&target.live));
        Ok(draft)
    }
}

/// What is said of the Jobs that run.
fn still_running(live: &Value) -> Option<String> {
    let active = live.pointer("/status/active").and_then(Value::as_array)?;
    let names: Vec<&str> = active
        .iter()
        .filter_map(|job| job.get("name").and_then(Value::as_str))
        .take(5)
        .collect();
    (!names.is_empty()).then(|| {
        format!(
            "{} of its Jobs run and go on ({})",
            active.len(),
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::every_action::{Case, Cases};
    use crate::fixtures::cron_job;

    impl Cases for SuspendCronJob {
        fn cases() -> Vec<Case> {
            let live = cron_job(&json!({"suspend": false}));
            vec![Case::of::<Self>("", live, json!({}), Facts::default())]
        }
    }

    fn planned(spec: &Value) -> Result<Draft, PlanError> {
        SuspendCronJob::plan(&cron_job(spec), &Parameters {}, &Facts::default())
    }

    #[test]
    fn the_field_is_set_where_it_is_false_or_absent_and_a_suspended_one_is_left_alone() {
        let diff = |spec| planned(&spec).expect("plans").steps[0].diff();
        assert_eq!(
            diff(json!({"suspend": false})),
            ["spec.suspend: false -> true"]
        );
        assert_eq!(diff(json!({})), ["spec.suspend: (unset) -> true"]);
        let again = planned(&json!({"suspend": true})).expect("plans");
        assert_eq!(again.steps, []);
    }

    #[test]
    fn the_jobs_that_run_are_told() {
        let mut target = cron_job(&json!({}));
        target.live["status"] = json!({"active": [{"name": "report-1"}, {"name": "report-2"}]});
        let draft = SuspendCronJob::plan(&target, &Parameters {}, &Facts::default());
        assert_eq!(
            draft.expect("plans").notes,
            ["2 of its Jobs run and go on (report-1, report-2)"]
        );
    }

    #[test]
    fn a_field_that_is_no_boolean_is_not_guessed_at() {
        let odd = planned(&json!({"suspend": "yes"})).expect_err("cannot be read");
        assert_eq!(
            odd.to_string(),
            "failed to read spec.suspend of CronJob/web/report"
        );
    }
}
