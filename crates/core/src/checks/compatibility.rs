//! `version-compatibility`: the action's version and the target's API fit. A version that does not fit was refused
//! before anything was read (BR-EXEC-019).

use super::scene::{Scene, Verdict};

pub(super) fn verdict(scene: &Scene<'_>) -> Verdict {
    let request = scene.request;
    let metadata = request.metadata();
    let definition = request.spec.action_definition.action_metadata.as_ref();
    let asked = definition.and_then(|asked| asked.version.as_deref());
    let asked = asked.map_or_else(
        || "no version was asked for".to_owned(),
        |version| format!("{version} was asked for"),
    );
    Verdict::passed(format!(
        "{} is here in {}, {asked}; the cluster serves {} {}",
        metadata.action_type, metadata.version, request.kind.api_version, request.kind.kind
    ))
}
