//! The result: one WorkResult, whole for the log and shortened for the termination message, which the kubelet cuts
//! without mercy. Says nothing that the run did not report.

use std::fs;
use std::io;
use std::path::Path;

use kexec_api::work::{MAX_RESULT_BYTES, RunnerMetrics, WorkResult};

use crate::order::Subject;
use crate::run::Report;
use crate::text::{ascii_json, shorten};

/// Longest error kept in the termination message, in characters, when it does not fit whole.
const MAX_ERROR_CHARS: usize = 300;

/// Most steps the termination message can hold: none is shorter than 32 bytes.
const MAX_STEPS: usize = MAX_RESULT_BYTES / 32;

/// Why a result could not be handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// It could not be written as JSON.
    #[error("failed to write the result as JSON")]
    Serialize(#[source] serde_json::Error),
    /// It could not be written to its file.
    #[error("failed to write the result to \"{path}\"")]
    Write {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The result of the work on `subject`.
#[must_use]
pub fn assemble(
    subject: Subject,
    dry_run: bool,
    report: Report,
    metrics: RunnerMetrics,
) -> WorkResult {
    WorkResult {
        execution_uid: subject.execution_uid,
        attempt: subject.attempt,
        stage: subject.stage,
        dry_run,
        plan_hash: subject.plan_hash,
        outcome: report.outcome,
        error: report.error,
        steps: report.steps,
        omitted_steps: 0,
        metrics,
    }
}

/// `result` whole, as one line of ASCII JSON.
pub fn full_line(result: &WorkResult) -> Result<String, HandOverError> {
    serde_json::to_string(result)
        .map(|json| ascii_json(&json))
        .map_err(HandOverError::Serialize)
}

/// `result` as ASCII JSON of at most [`MAX_RESULT_BYTES`]: errors are shortened first, then steps are left out from
/// the end and counted, then the errors shrink until all fits.
pub fn message(result: &WorkResult) -> Result<String, HandOverError> {
    let mut result = result.clone();
    let too_many = result.steps.len().saturating_sub(MAX_STEPS);
    result.steps.truncate(MAX_STEPS);
    result.omitted_steps = u32::try_from(too_many).unwrap_or(u32::MAX);
    let mut max_chars = MAX_ERROR_CHARS;
    loop {
        shorten_errors(&mut result, max_chars);
        let line = full_line(&result)?;
        if line.len() <= MAX_RESULT_BYTES || (result.steps.is_empty() && max_chars == 0) {
            return Ok(line);
        }
        if result.steps.pop().is_some() {
            result.omitted_steps = result.omitted_steps.saturating_add(1);
        } else {
            max_chars /= 2;
        }
    }
}

fn shorten_errors(result: &mut WorkResult, max_chars: usize) {
    let errors = result.steps.iter_mut().map(|step| &mut step.error);
    for error in errors.chain([&mut result.error]).flatten() {
        *error = shorten(error, max_chars);
    }
}

/// Writes `message` to `path` in one write; the file cannot be replaced, since the kubelet mounted it.
pub fn hand_over(message: &str, path: &Path) -> Result<(), HandOverError> {
    fs::write(path, message).map_err(|source| HandOverError::Write {
        path: path.display().to_string(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use kexec_api::plan::PlanHash;
    use kexec_api::work::{Stage, StepOutcome, StepRecord, WorkOutcome};
    use proptest::prelude::*;

    use super::*;

    fn step(index: u32, error: Option<String>) -> StepRecord {
        StepRecord {
            step: index,
            field: None,
            outcome: StepOutcome::Written,
            at: Some("2026-01-02T03:04:05.678901234Z".parse().unwrap()),
            millis: Some(12),
            status_code: Some(200),
            error,
        }
    }

    fn result(steps: Vec<StepRecord>, error: Option<String>) -> WorkResult {
        WorkResult {
            execution_uid: "01234567-89ab-cdef-0123-456789abcdef".into(),
            attempt: 1,
            stage: Stage::Execute,
            dry_run: false,
            plan_hash: PlanHash::from(format!("sha256:{}", "0".repeat(64))),
            outcome: WorkOutcome::Failed,
            error,
            steps,
            omitted_steps: 0,
            metrics: RunnerMetrics::default(),
        }
    }

    fn reread(line: &str) -> WorkResult {
        assert!(
            line.is_ascii() && line.len() <= MAX_RESULT_BYTES,
            "{} bytes",
            line.len()
        );
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn a_small_result_is_handed_over_whole() {
        let whole = result(vec![step(0, None)], Some("größer\u{1F600}".into()));
        assert_eq!(reread(&message(&whole).unwrap()), whole);
    }

    #[test]
    fn an_error_of_ten_mebibytes_is_shortened() {
        let huge = "x".repeat(10 * 1024 * 1024);
        let reread =
            reread(&message(&result(vec![step(0, Some(huge.clone()))], Some(huge))).unwrap());
        assert_eq!(reread.error.unwrap().len(), MAX_ERROR_CHARS);
        assert_eq!(reread.steps.len(), 1);
    }

    #[test]
    fn steps_that_do_not_fit_are_left_out_from_the_end_and_counted() {
        let steps = (0..1000).map(|index| step(index, None)).collect();
        let reread = reread(&message(&result(steps, Some("why".into()))).unwrap());
        let kept = u32::try_from(reread.steps.len()).unwrap();
        assert!(kept > 5, "{kept}");
        assert_eq!(reread.omitted_steps, 1000 - kept);
        assert_eq!(reread.steps.last().unwrap().step, kept - 1);
        assert_eq!(reread.error.as_deref(), Some("why"));
    }

    #[test]
    fn an_error_outside_ascii_shrinks_until_it_fits() {
        let reread = reread(&message(&result(vec![], Some("\u{1F600}".repeat(5000)))).unwrap());
        assert!(reread.error.unwrap().starts_with('\u{1F600}'));
    }

    #[test]
    fn the_log_line_has_all_steps() {
        let whole = result((0..1000).map(|index| step(index, None)).collect(), None);
        let line = full_line(&whole).unwrap();
        assert!(line.is_ascii() && !line.contains('\n'));
        assert_eq!(serde_json::from_str::<WorkResult>(&line).unwrap(), whole);
    }

    #[test]
    fn a_message_replaces_what_was_in_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("termination-log");
        fs::write(&path, "x".repeat(100)).unwrap();
        hand_over("{}", &path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
        let error = hand_over("{}", directory.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("failed to write the result to \"/"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn every_result_fits_and_is_ascii(errors in prop::collection::vec(".{0,400}", 0..40), error in ".{0,3000}") {
            let steps = (0..).zip(errors).map(|(index, error)| step(index, Some(error))).collect();
            let whole = result(steps, Some(error));
            let reread = reread(&message(&whole).unwrap());
            prop_assert_eq!(reread.steps.len() + reread.omitted_steps as usize, whole.steps.len());
        }
    }
}
