//! From a request and facts to a pinned plan, or to why there is none. Says what else must be read first; reads
//! nothing itself.

use kexec_actions::facts::{Fact, Facts, Need};
use kexec_actions::{Draft, PlanError, RiskFactor, Target};
use kexec_api::condition::Reason;
use kexec_api::execution::spec::unperformed;
use kexec_api::plan::{ObjectRef, PlanContent, PlanHash};
use serde_json::Value;

use crate::request::{Refusal, Request};
use crate::settings::MAX_STORED_PLAN_BYTES;

/// A plan, pinned by its hash.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Everything the hash covers.
    pub content: PlanContent,
    /// The hash.
    pub hash: PlanHash,
    /// One sentence on what the plan does.
    pub summary: String,
    /// What raises its risk.
    pub risk_factors: Vec<RiskFactor>,
    /// What was asked for and is not done.
    pub notes: Vec<String>,
}

/// How far planning got.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// These must be read first.
    Missing(Vec<Need>),
    /// The plan.
    Ready(Box<Planned>),
}

/// Plans a request on the facts read so far.
pub fn plan(request: &Request<'_>, facts: &Facts) -> Result<Progress, Refusal> {
    let need = request.target_need();
    let Some(fact) = facts.get(&need) else {
        return Ok(Progress::Missing(vec![need]));
    };
    let target = read_target(request, fact)?;
    check_guards(request, &target)?;
    let parameters = &request.spec.action_definition.parameters;
    let invalid = |error: kexec_actions::parameters::ParameterError| {
        Refusal::new(Reason::InvalidParameter, error.to_string())
    };
    let needs = request
        .planner
        .needs(&target, parameters, facts)
        .map_err(invalid)?;
    let missing = facts.missing(needs.iter().cloned());
    if !missing.is_empty() {
        return Ok(Progress::Missing(missing));
    }
    refuse_unreadable(&needs, facts)?;
    let draft = request
        .planner
        .draft(&target, parameters, facts)
        .map_err(invalid)?
        .map_err(|error| refusal(&error))?;
    pin(request, &target, draft).map(|planned| Progress::Ready(Box::new(planned)))
}

fn refusal(error: &PlanError) -> Refusal {
    Refusal::new(error.reason(), error.to_string())
}

/// The target as it is; it must exist, be readable, and not be on its way out.
fn read_target(request: &Request<'_>, fact: &Fact) -> Result<Target, Refusal> {
    let shown = shown(request);
    let live = match fact {
        Fact::Object(live) => live,
        Fact::Absent | Fact::List(_) => {
            return Err(Refusal::new(
                Reason::TargetNotFound,
                format!("{shown} does not exist: check spec.actionDefinition.targetResource"),
            ));
        }
        Fact::NotServed => {
            return Err(Refusal::new(
                Reason::ApiNotServed,
                format!(
                    "this cluster does not serve {} {}",
                    request.kind.api_version, request.kind.kind
                ),
            ));
        }
        Fact::NotReadable(rule) => return Err(not_readable(&shown, rule)),
    };
    if live.pointer("/metadata/deletionTimestamp").is_some() {
        return Err(Refusal::new(
            Reason::TargetBeingDeleted,
            format!("{shown} is being deleted: wait for its replacement and name that one"),
        ));
    }
    let uid = live
        .pointer("/metadata/uid")
        .and_then(Value::as_str)
        .unwrap_or_default();
    Ok(Target {
        reference: ObjectRef {
            api_version: request.kind.api_version.to_owned(),
            kind: request.kind.kind.to_owned(),
            resource: request.kind.resource.to_owned(),
            namespace: request.namespace.map(str::to_owned),
            name: request.name.to_owned(),
            uid: uid.to_owned(),
        },
        live: live.clone(),
        asked_at: request.asked_at.to_string(),
    })
}

fn shown(request: &Request<'_>) -> String {
    match request.namespace {
        Some(namespace) => format!("{} \"{namespace}/{}\"", request.kind.kind, request.name),
        None => format!("{} \"{}\"", request.kind.kind, request.name),
    }
}

fn not_readable(what: &str, rule: &str) -> Refusal {
    Refusal::new(
        Reason::NotReadable,
        format!(
            "{what} may not be read by the controller: aggregate to kexec-reader the rule {rule}"
        ),
    )
}

fn refuse_unreadable(needs: &[Need], facts: &Facts) -> Result<(), Refusal> {
    let unreadable = needs.iter().find_map(|need| match facts.get(need) {
        Some(Fact::NotReadable(rule)) => Some((need, rule)),
        Some(Fact::Object(_) | Fact::List(_) | Fact::Absent | Fact::NotServed) | None => None,
    });
    unreadable.map_or(Ok(()), |(need, rule)| {
        Err(not_readable(&need.kind().kind, rule))
    })
}

/// With a name, `labels` and `fieldSelectors` are guards that the target must meet.
fn check_guards(request: &Request<'_>, target: &Target) -> Result<(), Refusal> {
    let guards = &request.spec.action_definition.target_resource;
    for (key, wanted) in &guards.labels {
        let found = target
            .live
            .pointer("/metadata/labels")
            .and_then(|labels| labels.get(key))
            .and_then(Value::as_str);
        if found != Some(wanted) {
            return Err(mismatch(request, &format!("label {key}={wanted}")));
        }
    }
    for selector in &guards.field_selectors {
        check_field(request, target, selector)?;
    }
    Ok(())
}

fn check_field(request: &Request<'_>, target: &Target, selector: &str) -> Result<(), Refusal> {
    let (path, wanted, equal) = match (selector.split_once("!="), selector.split_once("==")) {
        (Some((path, wanted)), _) => (path, wanted, false),
        (None, Some((path, wanted))) => (path, wanted, true),
        (None, None) => {
            let (path, wanted) = selector.split_once('=').unwrap_or((selector, ""));
            (path, wanted, true)
        }
    };
    let pointer = format!("/{}", path.trim().replace('.', "/"));
    let found = match target.live.pointer(&pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    if (found == wanted.trim()) == equal {
        Ok(())
    } else {
        Err(mismatch(request, &format!("field {selector}")))
    }
}

/// Without what was found instead: who may execute need not be allowed to read the target.
fn mismatch(request: &Request<'_>, wanted: &str) -> Refusal {
    Refusal::new(
        Reason::TargetGuardMismatch,
        format!(
            "{} does not have the {wanted} that spec.actionDefinition.targetResource demands: \
             correct the guard or the target",
            shown(request)
        ),
    )
}

fn pin(request: &Request<'_>, target: &Target, draft: Draft) -> Result<Planned, Refusal> {
    let content = request.planner.content(target, &request.common, &draft);
    let failed =
        |error: &dyn std::error::Error| Refusal::new(Reason::InternalError, error.to_string());
    let hash = content.hash().map_err(|error| failed(&error))?;
    let bytes = serde_json::to_vec(&content)
        .map_err(|error| failed(&error))?
        .len();
    if bytes > MAX_STORED_PLAN_BYTES {
        return Err(Refusal::new(
            Reason::PlanTooLarge,
            format!(
                "spec.actionDefinition.parameters asks for a plan of {bytes} bytes, and at most {MAX_STORED_PLAN_BYTES} can \
                 be stored (old and new values stand in it about five times): change fewer or smaller values"
            ),
        ));
    }
    Ok(Planned {
        content,
        hash,
        summary: draft.summary,
        risk_factors: draft.risk_factors,
        notes: draft
            .notes
            .into_iter()
            .chain(unperformed(request.spec))
            .collect(),
    })
}
