//! The safety checks one by one (SP-78, ST-15…ST-19): which ran, what they found, and why the others did not. The three
//! default checks always run, whatever a spec lists (I15); every check that was asked for is reported (EX-13).

mod autoscaler;
mod compatibility;
mod dependencies;
mod ownership;
mod scene;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kexec_actions::facts::{Fact, Facts, Need};
use kexec_api::condition::Reason;
use kexec_api::execution::KubernetesExecutionSpec;
use kexec_api::execution::duration;
use kexec_api::execution::spec::SafetyCheckType;
use kexec_api::execution::status::SafetyCheckResult;

use crate::access::{Answer, Question, denial};
use crate::outcome::quote;
use crate::planning::Planned;
use crate::queue::Turn;
use crate::request::{Refusal, Request};
use crate::view::View;

use scene::{Scene, Verdict};

/// The checks that always run.
const DEFAULTS: [SafetyCheckType; 3] = [
    SafetyCheckType::ClusterConnectivity,
    SafetyCheckType::ResourceExistence,
    SafetyCheckType::PermissionCheck,
];

/// Most prerequisites and conditions that are listed as not performed.
const MAX_UNBUILT: usize = 48;
/// Longest name of a check, in characters.
const MAX_NAME: usize = 64;

/// Every check to be reported: the defaults, then what the spec asks for beyond them by `safetyChecks` and by the
/// prerequisites that are names of checks, each once.
#[must_use]
pub fn requested(spec: &KubernetesExecutionSpec) -> Vec<SafetyCheckType> {
    let mut all = DEFAULTS.to_vec();
    let listed = spec.execution_config.safety_config.safety_checks.iter();
    let required = prerequisites(spec).filter_map(SafetyCheckType::from_text);
    for check in listed.copied().chain(required) {
        if !all.contains(&check) {
            all.push(check);
        }
    }
    all
}

fn prerequisites(spec: &KubernetesExecutionSpec) -> impl Iterator<Item = &str> {
    let metadata = spec.action_definition.action_metadata.iter();
    let names = metadata.flat_map(|metadata| &metadata.prerequisites);
    names.map(String::as_str)
}

/// The report on every requested check, as far as the gathered facts go.
#[must_use]
pub fn report(
    view: &View<'_>,
    request: Option<&Request<'_>>,
    planned: Option<&Planned>,
    questions: &[Question],
) -> Vec<SafetyCheckResult> {
    let scene = request.zip(planned);
    let scene =
        scene.and_then(|(request, planned)| Scene::of(request, planned, &view.gathered.facts));
    requested(&view.execution.spec)
        .into_iter()
        .map(|check| match check {
            SafetyCheckType::ClusterConnectivity => connectivity(view),
            SafetyCheckType::ResourceExistence => existence(view, request),
            SafetyCheckType::PermissionCheck => permissions(view, questions),
            SafetyCheckType::ResourceLock => lock(view),
            SafetyCheckType::DependencyValidation
            | SafetyCheckType::VersionCompatibility
            | SafetyCheckType::ResourceOwnership => surroundings(view, check, scene.as_ref()),
            SafetyCheckType::BusinessRules | SafetyCheckType::ComplianceRules => not_performed(
                check,
                Reason::CheckUnavailable,
                "this version cannot run it",
            ),
        })
        .chain(scene.as_ref().and_then(|scene| noticed(view, scene)))
        .chain(unbuilt(&view.execution.spec))
        .collect()
}

/// What the checks that were asked for must read beyond what the plan was made of; nothing when none of them was.
#[must_use]
pub fn missing(request: &Request<'_>, planned: &Planned, facts: &Facts) -> Vec<Need> {
    let Some(scene) = Scene::of(request, planned, facts) else {
        return Vec::new();
    };
    let checks = requested(request.spec).into_iter();
    let performed = checks.filter(|check| !is_forced(request, *check));
    facts.missing(performed.flat_map(|check| needs(check, &scene)))
}

/// Why a check on the target's surroundings does not pass, if one does not.
#[must_use]
pub fn failed(request: &Request<'_>, planned: &Planned, facts: &Facts) -> Option<Refusal> {
    let scene = Scene::of(request, planned, facts)?;
    let checks = requested(request.spec).into_iter();
    let mut performed = checks.filter(|check| !is_forced(request, *check));
    performed.find_map(|check| {
        let verdict = verdict(check, &scene).filter(|verdict| !verdict.passed)?;
        let message = format!("{} does not pass: {}", check.as_str(), verdict.message);
        Some(Refusal::new(Reason::CheckFailed, message))
    })
}

/// `force` skips what a person may answer for, and nothing else (safety.md).
fn is_forced(request: &Request<'_>, check: SafetyCheckType) -> bool {
    let skipped = [
        SafetyCheckType::DependencyValidation,
        SafetyCheckType::ResourceOwnership,
    ];
    request.common.force && skipped.contains(&check)
}

fn needs(check: SafetyCheckType, scene: &Scene<'_>) -> Vec<Need> {
    match check {
        SafetyCheckType::DependencyValidation => dependencies::needs(scene),
        SafetyCheckType::ResourceOwnership => ownership::needs(scene),
        SafetyCheckType::ClusterConnectivity
        | SafetyCheckType::ResourceExistence
        | SafetyCheckType::PermissionCheck
        | SafetyCheckType::ResourceLock
        | SafetyCheckType::BusinessRules
        | SafetyCheckType::ComplianceRules
        | SafetyCheckType::VersionCompatibility => Vec::new(),
    }
}

/// What a check on the target's surroundings found; `None` for the other checks.
fn verdict(check: SafetyCheckType, scene: &Scene<'_>) -> Option<Verdict> {
    match check {
        SafetyCheckType::DependencyValidation => Some(dependencies::verdict(scene)),
        SafetyCheckType::ResourceOwnership => Some(ownership::verdict(scene)),
        SafetyCheckType::VersionCompatibility => Some(compatibility::verdict(scene)),
        SafetyCheckType::ClusterConnectivity
        | SafetyCheckType::ResourceExistence
        | SafetyCheckType::PermissionCheck
        | SafetyCheckType::ResourceLock
        | SafetyCheckType::BusinessRules
        | SafetyCheckType::ComplianceRules => None,
    }
}

fn surroundings(
    view: &View<'_>,
    check: SafetyCheckType,
    scene: Option<&Scene<'_>>,
) -> SafetyCheckResult {
    let Some(scene) = scene else {
        return not_performed(check, Reason::NotPerformed, NOT_REACHED);
    };
    if is_forced(scene.request, check) {
        return not_performed(check, Reason::NotPerformed, FORCED);
    }
    let unread = !scene.facts.missing(needs(check, scene)).is_empty();
    match verdict(check, scene).filter(|_| !unread) {
        None => not_performed(check, Reason::NotPerformed, NOT_REACHED),
        Some(found) => {
            let took = view.gathered.timings.reads;
            performed(check, view.now, took, found.passed, found.message)
        }
    }
}

/// Who would undo the change, as far as the target itself says, when nobody asked: told, and no obstacle.
fn noticed(view: &View<'_>, scene: &Scene<'_>) -> Option<SafetyCheckResult> {
    let check = SafetyCheckType::ResourceOwnership;
    let asked = requested(scene.request.spec).contains(&check);
    let owned = ownership::managed(scene).filter(|_| !asked)?;
    let message = format!("not asked for, so it does not block: {owned}");
    let took = view.gathered.timings.reads;
    let mut noticed = performed(check, view.now, took, false, message);
    noticed.passed = None;
    Some(noticed)
}

/// What else a spec asks to be seen to before the start: said not to have been, one by one.
fn unbuilt(spec: &KubernetesExecutionSpec) -> Vec<SafetyCheckResult> {
    let prerequisites = prerequisites(spec)
        .filter(|name| SafetyCheckType::from_text(name).is_none())
        .map(|name| format!("prerequisite/{name}"));
    let conditions = spec
        .execution_config
        .validation_config
        .pre_conditions
        .iter();
    let conditions = conditions.map(|check| format!("preCondition/{}", check.name));
    prerequisites
        .chain(conditions)
        .take(MAX_UNBUILT)
        .map(|name| SafetyCheckResult {
            check_type: Some(name.chars().take(MAX_NAME).collect()),
            performed: Some(false),
            reason: Some(Reason::NotPerformed.as_str().to_owned()),
            message: Some(
                "not performed: this version does not evaluate it, and it does not block"
                    .to_owned(),
            ),
            ..SafetyCheckResult::default()
        })
        .collect()
}

fn connectivity(view: &View<'_>) -> SafetyCheckResult {
    let check = SafetyCheckType::ClusterConnectivity;
    match &view.gathered.connectivity {
        None => not_performed(check, Reason::NotPerformed, NOT_REACHED),
        Some(seen) => {
            let message = seen
                .problem
                .clone()
                .unwrap_or_else(|| "the API server answers and is ready".to_owned());
            let result = performed(check, view.now, seen.took, seen.problem.is_none(), message);
            with_fact(result, "answeredIn", duration::format(unsigned(seen.took)))
        }
    }
}

fn existence(view: &View<'_>, request: Option<&Request<'_>>) -> SafetyCheckResult {
    let check = SafetyCheckType::ResourceExistence;
    let fact = request.and_then(|request| view.gathered.facts.get(&request.target_need()));
    let took = view.gathered.timings.reads;
    match fact {
        None => not_performed(check, Reason::NotPerformed, NOT_REACHED),
        Some(Fact::Object(live)) => {
            let text = |path: &str| {
                live.pointer(path)
                    .and_then(serde_json::Value::as_str)
                    .map(str::to_owned)
            };
            let going = live.pointer("/metadata/deletionTimestamp").is_some();
            let message = if going {
                "the target is being deleted"
            } else {
                "the target exists"
            };
            let mut result = performed(check, view.now, took, !going, message.to_owned());
            for (name, path) in [
                ("uid", "/metadata/uid"),
                ("resourceVersion", "/metadata/resourceVersion"),
            ] {
                result = with_fact(result, name, text(path).unwrap_or_default());
            }
            result
        }
        Some(Fact::Absent | Fact::List(_)) => performed(
            check,
            view.now,
            took,
            false,
            "the target does not exist".to_owned(),
        ),
        Some(Fact::NotServed) => performed(
            check,
            view.now,
            took,
            false,
            "the cluster does not serve the target's kind".to_owned(),
        ),
        Some(Fact::NotReadable(rule)) => performed(
            check,
            view.now,
            took,
            false,
            format!("the target may not be read: {rule}"),
        ),
    }
}

fn permissions(view: &View<'_>, questions: &[Question]) -> SafetyCheckResult {
    let check = SafetyCheckType::PermissionCheck;
    let answers: Option<Vec<(&Question, &Answer)>> = questions
        .iter()
        .map(|question| {
            view.gathered
                .answers
                .get(question)
                .map(|answer| (question, answer))
        })
        .collect();
    let Some(answers) = answers.filter(|answers| !answers.is_empty()) else {
        return not_performed(check, Reason::NotPerformed, NOT_REACHED);
    };
    let problem = answers
        .iter()
        .find_map(|(question, answer)| problem(question, answer));
    let message = problem.clone().unwrap_or_else(|| {
        "the requester and the action's ServiceAccount may do all of it".to_owned()
    });
    let result = performed(
        check,
        view.now,
        view.gathered.timings.access,
        problem.is_none(),
        message,
    );
    with_fact(result, "rightsAsked", answers.len().to_string())
}

/// What is wrong with one answer, if anything is.
fn problem(question: &Question, answer: &Answer) -> Option<String> {
    match answer {
        Answer::Allowed => None,
        Answer::Denied => Some(denial(question)),
        Answer::Failed(why) => Some(format!(
            "it could not be asked whether {}: {why}",
            question.permission
        )),
    }
}

fn lock(view: &View<'_>) -> SafetyCheckResult {
    let check = SafetyCheckType::ResourceLock;
    match &view.gathered.turn {
        None => not_performed(check, Reason::NotPerformed, NOT_REACHED),
        Some(Turn::Granted) => performed(
            check,
            view.now,
            SignedDuration::ZERO,
            true,
            "no other execution works on the target".to_owned(),
        ),
        Some(Turn::TargetBusy { holder, .. }) => performed(
            check,
            view.now,
            SignedDuration::ZERO,
            false,
            format!("{holder} works on the target"),
        ),
        Some(Turn::NoSlot { .. }) => not_performed(check, Reason::Queued, "all slots are taken"),
    }
}

const NOT_REACHED: &str = "an earlier check had failed already";
const FORCED: &str = "skipped, because spec.actionDefinition.parameters.force is true";

fn performed(
    check: SafetyCheckType,
    at: Timestamp,
    took: SignedDuration,
    passed: bool,
    message: impl Into<String>,
) -> SafetyCheckResult {
    SafetyCheckResult {
        check_type: Some(check.as_str().to_owned()),
        passed: Some(passed),
        performed: Some(true),
        reason: None,
        message: Some(quote(&message.into())),
        facts: BTreeMap::new(),
        timestamp: Some(Time(at)),
        duration: Some(duration::format(unsigned(took))),
    }
}

fn not_performed(check: SafetyCheckType, reason: Reason, message: &str) -> SafetyCheckResult {
    SafetyCheckResult {
        check_type: Some(check.as_str().to_owned()),
        passed: Some(false),
        performed: Some(false),
        reason: Some(reason.as_str().to_owned()),
        message: Some(format!("not performed: {message}")),
        ..SafetyCheckResult::default()
    }
}

fn with_fact(mut result: SafetyCheckResult, name: &str, value: String) -> SafetyCheckResult {
    result.facts.insert(name.to_owned(), value);
    result
}

fn unsigned(duration: SignedDuration) -> std::time::Duration {
    duration.unsigned_abs()
}

/// Why the permission check does not pass, if it does not.
#[must_use]
pub fn denied(view: &View<'_>, questions: &[Question]) -> Option<Refusal> {
    questions.iter().find_map(|question| {
        let answer = view.gathered.answers.get(question)?;
        let message = problem(question, answer)?;
        let reason = match (answer, &question.subject) {
            (Answer::Failed(_), _) => Reason::ConnectivityFailed,
            (Answer::Allowed | Answer::Denied, crate::access::Subject::Requester { .. }) => {
                Reason::RequesterDenied
            }
            (Answer::Allowed | Answer::Denied, crate::access::Subject::ServiceAccount(_)) => {
                Reason::PermissionDenied
            }
        };
        Some(Refusal::new(reason, message))
    })
}
