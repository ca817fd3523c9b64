//! `dependency-validation`: whether what depends on the target, and what the target depends on, is fit for the plan. Only
//! what the plan touches is looked at. Who manages the target belongs to `resource-ownership`.

mod claims;
mod disruption;
mod quota;

use kexec_actions::facts::{FactError, Need};

use super::autoscaler;
use super::scene::{Scaling, Scene, Verdict};

pub(super) fn needs(scene: &Scene<'_>) -> Vec<Need> {
    let mut needs: Vec<Need> = autoscaler::needs(scene).into_iter().collect();
    needs.extend(disruption::needs(scene));
    if growth(scene).is_some() {
        needs.push(quota::needs(scene));
        needs.extend(claims::needs(scene));
    }
    needs
}

pub(super) fn verdict(scene: &Scene<'_>) -> Verdict {
    match problem(scene) {
        Err(error) => Verdict::failed(error.to_string()),
        Ok(Some(problem)) => Verdict::failed(problem),
        Ok(None) => Verdict::passed(looked_at(scene)),
    }
}

fn problem(scene: &Scene<'_>) -> Result<Option<String>, FactError> {
    let mut problem = autoscaler::problem(scene)?;
    if problem.is_none() {
        problem = disruption::problem(scene)?;
    }
    let Some(growth) = growth(scene) else {
        return Ok(problem);
    };
    if problem.is_none() {
        problem = quota::problem(scene, growth)?;
    }
    if problem.is_none() {
        problem = claims::problem(scene, growth)?;
    }
    Ok(problem)
}

/// The scaling, when it asks for more pods.
fn growth(scene: &Scene<'_>) -> Option<Scaling> {
    scene
        .scaling()
        .filter(|scaling| scaling.after > scaling.before)
}

fn looked_at(scene: &Scene<'_>) -> &'static str {
    if growth(scene).is_some() {
        "no autoscaler would undo the change, and quotas and volume claims leave room for the new pods"
    } else if scene.scaling().is_some() {
        "no autoscaler would undo the change"
    } else if disruption::needs(scene).is_some() {
        "no disruption budget stands against the loss of the pod"
    } else {
        "the plan takes no pod away and changes no replicas, so nothing had to be looked at"
    }
}
