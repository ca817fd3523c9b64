//! An execution that cannot be decoded: it is said so, once, and nothing else is done about it.

use kexec_api::condition::Reason;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;

use super::Context;
use crate::cluster::CallError;

/// Writes the refusal into the status of an object of which only the metadata could be read.
pub(super) async fn refuse(
    invalid: &InvalidObject,
    context: &Context,
) -> Result<Action, CallError> {
    let metadata = &invalid.metadata;
    let (namespace, name) = (
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
    );
    let uid = metadata.uid.clone().unwrap_or_default();
    if context.memory.knows(&uid) {
        return Ok(Action::await_change());
    }
    context.metrics.undecodable();
    let message = format!(
        "this execution cannot be read: {}: delete it and create it anew",
        kexec_core::outcome::quote(&invalid.error)
    );
    tracing::warn!(
        namespace,
        name,
        reason = Reason::UndecodableObject.as_str(),
        message,
        "execution refused"
    );
    context
        .cluster
        .refuse_undecodable(namespace, name, &message)
        .await?;
    context.memory.update(&uid, |_| {});
    Ok(Action::await_change())
}
