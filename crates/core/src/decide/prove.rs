//! After the attempt: prove the outcome on the live target, for as long as the health-check time-out lets it take.
//! Only a proof completes an execution; what the runner said merely decides how long to look.

use jiff::{SignedDuration, Timestamp};
use kexec_actions::Lookup;
use kexec_actions::facts::Facts;
use kexec_api::condition::{ConditionType, Reason};
use kexec_api::plan::PlanContent;
use kexec_api::work::WorkResult;

use super::{Decision, look_for_plan, wait_until};
use crate::attempt::End;
use crate::proof::{self, Effect, Judgement, Verdict};
use crate::request;
use crate::status::{self, Finish};
use crate::view::View;

/// How long after the health-check time-out what proves the outcome may still be read: a controller that comes back late
/// looks once before it judges.
const READ_GRACE: SignedDuration = SignedDuration::from_secs(20);

/// How the attempt came to its end.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// What to say when the target does not show the outcome; `None` when the runner reported all writes done.
    unclear: Option<(Reason, String)>,
    end: Option<End>,
    result: Option<WorkResult>,
}

impl Ended {
    /// The runner reported all writes done.
    pub(super) fn written(end: &End, result: Option<WorkResult>) -> Self {
        Self {
            unclear: None,
            end: Some(end.clone()),
            result,
        }
    }

    /// The runner ended, and what it wrote cannot be told.
    pub(super) fn unclear(reason: Reason, message: String, end: &End) -> Self {
        Self {
            unclear: Some((reason, message)),
            end: Some(end.clone()),
            result: None,
        }
    }

    /// With what the runner reported of the steps that it could tell.
    pub(super) fn reporting(self, result: Option<WorkResult>) -> Self {
        Self { result, ..self }
    }

    /// Nobody saw the runner's end.
    pub(super) fn unseen(reason: Reason, message: String) -> Self {
        Self {
            unclear: Some((reason, message)),
            end: None,
            result: None,
        }
    }

    fn finish(&self, reason: Reason, message: &str) -> Finish {
        let mut finish = Finish::new(reason, message).with_result(self.result.as_ref());
        if self.unclear.is_some() || reason == Reason::OutcomeUnknown {
            finish = finish.with_unknown_effect();
        }
        match &self.end {
            Some(end) => finish.with_end(end),
            None => finish,
        }
    }
}

/// The first look after the end.
pub(super) fn decide(view: &View<'_>, ended: &Ended) -> Decision {
    let look = match judge(view) {
        Looked::Decide(decision) => return *decision,
        Looked::NoPlan => return without_plan(view, ended),
        Looked::Judged(look) => look,
    };
    if let Some(decision) = conclude(view, ended, &look) {
        return decision;
    }
    Decision::Record(Box::new(status::monitoring(
        view,
        &ended.finish(Reason::VerifyingOutcome, ""),
        ended.unclear.as_ref(),
        &look.judgement,
    )))
}

/// While the outcome is awaited.
pub(super) fn decide_monitoring(view: &View<'_>) -> Decision {
    let status = view.execution.status.as_ref();
    let executing = status.and_then(|status| status.condition(ConditionType::Executing));
    let unclear = executing.and_then(|condition| {
        let reason = condition
            .known_reason()
            .filter(|reason| reason.failure_class().is_some())?;
        Some((reason, condition.message.clone().unwrap_or_default()))
    });
    let since = executing.map_or(view.now, |condition| condition.last_transition_time.0);
    let until = since
        .saturating_add(patience(view))
        .unwrap_or(Timestamp::MAX);
    let last_read = until.saturating_add(READ_GRACE).unwrap_or(Timestamp::MAX);
    let ended = Ended {
        unclear,
        end: None,
        result: None,
    };
    let look = match judge(view) {
        Looked::Decide(_) if view.now >= last_read => return unread(view, &ended),
        Looked::Decide(decision) => return *decision,
        Looked::NoPlan => return without_plan(view, &ended),
        Looked::Judged(look) => look,
    };
    if let Some(decision) = conclude(view, &ended, &look) {
        return decision;
    }
    if view.is_cancelled() {
        let message =
            "cancelled while its outcome was awaited: what was written stays, and was not proven";
        let finish = ended.finish(Reason::Cancelled, message);
        let finish = finish.with_unknown_effect().with_judgement(&look.judgement);
        return super::finish(view, &finish);
    }
    if view.now < until {
        return wait_until(until);
    }
    let seconds = until.duration_since(since).as_secs();
    let (reason, message) = ended
        .unclear
        .clone()
        .unwrap_or_else(|| not_shown(&look.judgement, seconds));
    record(view, &ended, reason, &message, &look)
}

/// How long the outcome may take to show: an action that only looks has the whole of the execution's time for it.
fn patience(view: &View<'_>) -> SignedDuration {
    if only_looks(view) {
        request::timeout(&view.execution.spec)
    } else {
        request::health_check_timeout(&view.execution.spec)
    }
}

/// Whether the plan is one of an action that never writes.
fn only_looks(view: &View<'_>) -> bool {
    let action = view.plan().map(|plan| plan.action.as_str());
    match action.map(|action| view.registry.lookup(action)) {
        Some(Lookup::Found(planner)) => planner.metadata().only_looks(),
        Some(Lookup::NotSupported | Lookup::Unknown(_)) | None => false,
    }
}

/// What the proof needs could not be read in all the time there was.
fn unread(view: &View<'_>, ended: &Ended) -> Decision {
    let message = "what proves the outcome could not be read in time: look at the target";
    let finish = ended
        .finish(Reason::OutcomeUnknown, message)
        .with_unknown_effect();
    super::finish(view, &finish)
}

/// What to say of writes whose outcome did not show in time: what could not be read may have come true.
fn not_shown(judgement: &Judgement, seconds: i64) -> (Reason, String) {
    let unread = judgement
        .findings
        .iter()
        .find(|finding| finding.verdict == Verdict::Unknown);
    match unread {
        Some(finding) => (
            Reason::OutcomeUnknown,
            format!(
                "the outcome could not be proven within {seconds} s: {}",
                finding.actual
            ),
        ),
        None => (
            Reason::HealthCheckTimeout,
            format!("the outcome did not show within {seconds} s"),
        ),
    }
}

enum Looked {
    Decide(Box<Decision>),
    NoPlan,
    Judged(Look),
}

/// What the live target shows.
struct Look {
    judgement: Judgement,
    effect: Effect,
}

impl Look {
    /// Whether writes can be seen on the target, and what they led to is known.
    fn leaves_writes(&self) -> bool {
        match self.effect {
            Effect::Whole | Effect::Mixed => self.judgement.verdict != Verdict::Unknown,
            Effect::None | Effect::Unknown => false,
        }
    }
}

fn judge(view: &View<'_>) -> Looked {
    let Some(plan) = view.plan() else {
        let look = look_for_plan(view).map(Box::new);
        return look.map_or(Looked::NoPlan, Looked::Decide);
    };
    match &view.gathered.proof {
        None => Looked::Decide(Box::new(Decision::Watch(proof::needs(plan)))),
        Some(facts) => Looked::Judged(Look {
            judgement: shown(view, plan, facts),
            effect: proof::effect(plan, facts),
        }),
    }
}

/// The judgement as it may be told in the execution's namespace.
fn shown(view: &View<'_>, plan: &PlanContent, facts: &Facts) -> Judgement {
    let judgement = proof::judge(plan, facts);
    let namespace = view.execution.metadata.namespace.as_deref();
    if status::is_foreign(plan, namespace.unwrap_or_default()) {
        proof::without_values(plan, judgement)
    } else {
        judgement
    }
}

/// What can be said at once: proven, refuted, or surely without any effect.
fn conclude(view: &View<'_>, ended: &Ended, look: &Look) -> Option<Decision> {
    let (judgement, effect) = (&look.judgement, look.effect);
    let writes = view.plan().is_some_and(|plan| !plan.steps.is_empty());
    match (judgement.verdict, &ended.unclear) {
        (Verdict::Proven, None) if only_looks(view) => {
            let message =
                "what was asked for was seen on the live target; nothing was to be written";
            let reason = Reason::ExecutionCompleted;
            Some(record(view, ended, reason, message, look))
        }
        (Verdict::Proven, None) if !writes => {
            let message = "the target was as asked for already; nothing was written";
            Some(record(view, ended, Reason::NoChange, message, look))
        }
        (Verdict::Proven, None) => {
            let message = "the action was executed and its outcome proven on the live target";
            Some(record(
                view,
                ended,
                Reason::ExecutionCompleted,
                message,
                look,
            ))
        }
        (Verdict::Proven, Some((_, why))) if effect != Effect::None => {
            let message = format!("the outcome was proven on the live target, though {why}");
            Some(record(
                view,
                ended,
                Reason::ExecutionCompleted,
                &message,
                look,
            ))
        }
        (Verdict::Refuted, None) => Some(record(
            view,
            ended,
            Reason::OutcomeRefuted,
            &refuted(judgement),
            look,
        )),
        (Verdict::Refuted, Some((reason, why))) => {
            let message = format!("{why}; {}", refuted(judgement));
            Some(record(view, ended, *reason, &message, look))
        }
        (Verdict::NotYet | Verdict::Unknown, _) if effect != Effect::None || !writes => None,
        (Verdict::NotYet | Verdict::Unknown, None) => {
            let message = "the runner reported its writes done, but the target is unchanged";
            Some(record(view, ended, Reason::OutcomeRefuted, message, look))
        }
        (Verdict::NotYet | Verdict::Unknown | Verdict::Proven, Some((reason, why))) => {
            let message = format!("{why}; the target is unchanged");
            let finish = ended
                .finish(*reason, &message)
                .with_known_effect()
                .with_judgement(judgement);
            Some(super::finish(view, &finish))
        }
    }
}

fn refuted(judgement: &Judgement) -> String {
    let finding = judgement
        .findings
        .iter()
        .find(|finding| finding.verdict == Verdict::Refuted);
    finding.map_or_else(
        || "the outcome cannot be reached any more".to_owned(),
        |finding| format!("expected: {}; found: {}", finding.expected, finding.actual),
    )
}

/// The plan itself is out of reach (its Job is gone, and status may not hold its values): the outcome stays unknown.
fn without_plan(view: &View<'_>, ended: &Ended) -> Decision {
    let (reason, why) = ended.unclear.clone().unwrap_or_else(|| {
        (
            Reason::OutcomeUnknown,
            "the runner reported its writes done".to_owned(),
        )
    });
    let message = format!(
        "{why}; the plan is out of reach, so the outcome could not be proven: look at the target"
    );
    let nothing = Look {
        judgement: Judgement {
            verdict: Verdict::Unknown,
            findings: Vec::new(),
        },
        effect: Effect::Unknown,
    };
    record(view, ended, reason, &message, &nothing)
}

fn record(view: &View<'_>, ended: &Ended, reason: Reason, message: &str, look: &Look) -> Decision {
    let finish = ended
        .finish(reason, message)
        .with_judgement(&look.judgement);
    let finish = if look.leaves_writes() {
        finish.with_writes_left()
    } else {
        finish
    };
    super::finish(view, &finish)
}
