//! Whether the volume claims of a template can be mounted by the pods that a plan adds.

use kexec_actions::facts::{Fact, FactError, Kind, Need};
use serde_json::Value;

use crate::checks::scene::{Scaling, Scene};

/// The claims that the template mounts.
pub(super) fn needs(scene: &Scene<'_>) -> Vec<Need> {
    let volumes = scene.live.pointer("/spec/template/spec/volumes");
    let volumes = volumes.and_then(Value::as_array).into_iter().flatten();
    let names = volumes.filter_map(|volume| {
        let claim = volume.pointer("/persistentVolumeClaim/claimName");
        claim.and_then(Value::as_str)
    });
    let needs = names.map(|name| Need::Object {
        kind: Kind::new("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
        namespace: scene.request.namespace.map(str::to_owned),
        name: name.to_owned(),
    });
    needs.collect()
}

/// The first claim that is not there, or that is for one pod alone.
pub(super) fn problem(scene: &Scene<'_>, growth: Scaling) -> Result<Option<String>, FactError> {
    for need in needs(scene) {
        if scene.facts.get(&need) == Some(&Fact::Absent) {
            return Ok(Some(format!(
                "{need}, which the pods of {} mount, does not exist: create it first",
                scene.target()
            )));
        }
        let claim = scene.facts.require_object(&need)?;
        if growth.after > 1 && is_for_one_pod(claim) {
            return Ok(Some(format!(
                "{need}, which the pods of {} mount, is ReadWriteOncePod, so only one of them can run: ask for one \
                 replica, or mount another claim",
                scene.target()
            )));
        }
    }
    Ok(None)
}

fn is_for_one_pod(claim: &Value) -> bool {
    let modes = claim.pointer("/spec/accessModes").and_then(Value::as_array);
    let mut modes = modes.into_iter().flatten().peekable();
    modes.peek().is_some() && modes.all(|mode| mode == "ReadWriteOncePod")
}
