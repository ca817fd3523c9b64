//! The horizontal pod autoscalers of a target whose replicas are changed: one that scales it would undo the change.

use kexec_actions::facts::{FactError, Kind, Need};
use serde_json::Value;

use super::scene::Scene;

/// The autoscalers of the namespace, when the plan changes replicas.
pub(super) fn needs(scene: &Scene<'_>) -> Option<Need> {
    scene.scaling().map(|_| Need::List {
        kind: Kind::new(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
        ),
        namespace: scene.request.namespace.map(str::to_owned),
        selector: String::new(),
    })
}

/// What an autoscaler would do about the change, and what to do instead. One does nothing about a target that is scaled
/// to zero: it takes that for being switched off.
pub(super) fn problem(scene: &Scene<'_>) -> Result<Option<String>, FactError> {
    let (Some(need), Some(scaling)) = (needs(scene), scene.scaling()) else {
        return Ok(None);
    };
    let all = scene.facts.require_list(&need)?;
    let scales = all.iter().find(|one| aims_at(one, scene));
    Ok(scales.filter(|_| scaling.after > 0).map(|one| {
        let text = |path: &str| one.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let count = |path: &str| one.pointer(path).and_then(Value::as_u64).unwrap_or(1);
        format!(
            "HorizontalPodAutoscaler \"{}\" sets the replicas of {} between {} and {} and would undo the change: change its \
             minReplicas or maxReplicas instead",
            text("/metadata/name"),
            scene.target(),
            count("/spec/minReplicas"),
            count("/spec/maxReplicas"),
        )
    }))
}

fn aims_at(autoscaler: &Value, scene: &Scene<'_>) -> bool {
    let text = |key: &str| {
        let aim = autoscaler.pointer("/spec/scaleTargetRef");
        aim.and_then(|aim| aim.get(key)?.as_str())
            .unwrap_or_default()
    };
    let group = |version: &str| {
        version
            .split_once('/')
            .map_or("", |(group, _)| group)
            .to_owned()
    };
    text("kind") == scene.request.kind.kind
        && text("name") == scene.request.name
        && group(text("apiVersion")) == group(scene.request.kind.api_version)
}
