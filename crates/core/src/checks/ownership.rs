//! `resource-ownership`: who manages the target and would undo a change of its fields. What belongs to the target's
//! dependants or to room in the cluster must not go in here.

use kexec_actions::facts::Need;
use serde_json::Value;

use super::autoscaler;
use super::scene::{Scene, Verdict};

/// Who manages an object, and where to change it instead; both for people.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Owner {
    who: String,
    instead: &'static str,
}

pub(super) fn needs(scene: &Scene<'_>) -> Vec<Need> {
    autoscaler::needs(scene).into_iter().collect()
}

pub(super) fn verdict(scene: &Scene<'_>) -> Verdict {
    if let Some(problem) = managed(scene) {
        return Verdict::failed(problem);
    }
    match autoscaler::problem(scene) {
        Err(error) => Verdict::failed(error.to_string()),
        Ok(Some(problem)) => Verdict::failed(problem),
        Ok(None) if scene.patches() => {
            Verdict::passed(format!("nobody who manages {} is known", scene.target()))
        }
        Ok(None) => Verdict::passed("no field is changed that somebody could put back"),
    }
}

/// What the target itself says of who would undo the change.
pub(super) fn managed(scene: &Scene<'_>) -> Option<String> {
    if !scene.patches() {
        return None;
    }
    let owner = owner(scene.live)?;
    Some(format!(
        "{} is managed by {}, which would undo the change: {}",
        scene.target(),
        owner.who,
        owner.instead
    ))
}

fn owner(live: &Value) -> Option<Owner> {
    controller(live)
        .or_else(|| argo_cd(live))
        .or_else(|| flux(live))
        .or_else(|| helm(live))
}

/// The controller that made the object, such as an operator.
fn controller(live: &Value) -> Option<Owner> {
    let owners = live.pointer("/metadata/ownerReferences")?.as_array()?;
    let controls = |owner: &&Value| owner.get("controller").and_then(Value::as_bool) == Some(true);
    let owner = owners.iter().find(controls)?;
    let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
    Some(Owner {
        who: format!(
            "the controller of {} \"{}\" ({})",
            text("kind"),
            text("name"),
            text("apiVersion")
        ),
        instead: "change that object instead",
    })
}

fn argo_cd(live: &Value) -> Option<Owner> {
    const PREFIX: &str = "argocd.argoproj.io/";
    if !has_key(live, PREFIX) {
        return None;
    }
    let tracked = annotation(live, "argocd.argoproj.io/tracking-id")
        .and_then(|id| id.split_once(':'))
        .map(|(application, _)| application);
    let application = tracked.or_else(|| label(live, "argocd.argoproj.io/instance"));
    Some(Owner {
        who: named("Argo CD", "application", application),
        instead: "change it in the application's source instead",
    })
}

/// One that Flux was told not to reconcile is nobody's.
fn flux(live: &Value) -> Option<Owner> {
    let kinds = [
        ("kustomize.toolkit.fluxcd.io/", "Kustomization"),
        ("helm.toolkit.fluxcd.io/", "HelmRelease"),
    ];
    let (prefix, kind) = kinds
        .into_iter()
        .find(|(prefix, _)| has_key(live, prefix))?;
    if annotation(live, &format!("{prefix}reconcile")) == Some("disabled") {
        return None;
    }
    let name = label(live, &format!("{prefix}name"));
    Some(Owner {
        who: named("Flux", kind, name),
        instead: "change it in its source instead",
    })
}

fn helm(live: &Value) -> Option<Owner> {
    let release = annotation(live, "meta.helm.sh/release-name")?;
    let managed = label(live, "app.kubernetes.io/managed-by") == Some("Helm");
    managed.then(|| Owner {
        who: named("Helm", "release", Some(release)),
        instead: "change the values of the release and upgrade it instead",
    })
}

fn named(tool: &str, kind: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{tool} ({kind} \"{name}\")"),
        None => tool.to_owned(),
    }
}

fn label<'a>(live: &'a Value, key: &str) -> Option<&'a str> {
    live.pointer("/metadata/labels")?.get(key)?.as_str()
}

fn annotation<'a>(live: &'a Value, key: &str) -> Option<&'a str> {
    live.pointer("/metadata/annotations")?.get(key)?.as_str()
}

fn has_key(live: &Value, prefix: &str) -> bool {
    let maps = ["/metadata/labels", "/metadata/annotations"];
    let mut keys = maps
        .iter()
        .filter_map(|path| live.pointer(path)?.as_object())
        .flat_map(serde_json::Map::keys);
    keys.any(|key| key.starts_with(prefix))
}
