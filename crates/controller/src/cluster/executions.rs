//! Calls on `KubernetesExecutions`: read one, write its status, delete it when its time has come.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kexec_api::condition::{ConditionStatus, ConditionType, Reason};
use kexec_api::execution::status::Condition;
use kexec_api::execution::{KubernetesExecution, KubernetesExecutionStatus};
use kexec_api::phase::{Outcome, Phase};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions,
};
use kube::core::Request;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use super::{CallError, Class, Cluster};
use crate::watches::{Guarded, prune};

/// What came of a status write.
#[derive(Debug)]
pub enum Written {
    /// Written; the execution as it is now.
    Yes(Box<KubernetesExecution>),
    /// The execution had changed: decide again on what it is now.
    Stale,
    /// The execution is gone, or another one has its name.
    Gone,
}

impl Cluster {
    /// One execution, from the API server.
    pub async fn execution(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<KubernetesExecution>, CallError> {
        let api: Api<KubernetesExecution> = Api::namespaced(self.calls.clone(), namespace);
        self.call("read the execution", api.get_opt(name)).await
    }

    /// All executions of a scope, a namespace or the empty text for all of them, that have not ended; from the API
    /// server. Those that cannot be decoded are left out.
    pub async fn unfinished_executions(
        &self,
        scope: &str,
    ) -> Result<Vec<KubernetesExecution>, CallError> {
        let api: Api<Guarded> = match scope {
            "" => Api::all(self.calls.clone()),
            namespace => Api::namespaced(self.calls.clone(), namespace),
        };
        let ended = Phase::ALL.iter().filter(|phase| phase.is_terminal());
        let not_ended: Vec<String> = ended
            .map(|phase| format!("status.phase!={}", phase.as_str()))
            .collect();
        let selected = ListParams::default().fields(&not_ended.join(","));
        let found = self
            .call("list the unfinished executions", api.list(&selected))
            .await?;
        let decoded = found.items.into_iter().map(prune);
        Ok(decoded.filter_map(|execution| execution.0.ok()).collect())
    }

    /// Replaces the status, if the execution is still the one the decision was made on.
    pub async fn write_status(
        &self,
        execution: &KubernetesExecution,
        status: &KubernetesExecutionStatus,
    ) -> Result<Written, CallError> {
        const WHAT: &str = "write the status";
        let namespace = execution.namespace().unwrap_or_default();
        let body = json!({
            "apiVersion": KubernetesExecution::api_version(&()),
            "kind": KubernetesExecution::kind(&()),
            "metadata": {
                "name": execution.name_any(),
                "namespace": namespace,
                "uid": execution.uid(),
                "resourceVersion": execution.resource_version(),
            },
            "status": status,
        });
        let body = serde_json::to_vec(&body)
            .map_err(|cause| CallError::ReadAnswer { what: WHAT, cause })?;
        let url = KubernetesExecution::url_path(&(), Some(&namespace));
        let request = Request::new(url)
            .replace_subresource(
                "status",
                &execution.name_any(),
                &kube::api::PostParams::default(),
                body,
            )
            .map_err(|cause| CallError::Call {
                what: WHAT,
                cause: Box::new(kube::Error::BuildRequest(cause)),
            })?;
        match self.call(WHAT, self.calls.request(request)).await {
            Ok(written) => Ok(Written::Yes(Box::new(written))),
            Err(error) => match error.class() {
                Class::Conflict => Ok(Written::Stale),
                Class::Absent => Ok(Written::Gone),
                Class::Transient | Class::Denied | Class::Invalid | Class::Bug => Err(error),
            },
        }
    }

    /// Deletes a finished execution; that very one.
    pub async fn delete_execution(&self, execution: &KubernetesExecution) -> Result<(), CallError> {
        let api: Api<KubernetesExecution> = Api::namespaced(
            self.calls.clone(),
            &execution.namespace().unwrap_or_default(),
        );
        let only_this = DeleteParams::default().preconditions(Preconditions {
            uid: execution.uid(),
            resource_version: None,
        });
        match self
            .call(
                "delete the finished execution",
                api.delete(&execution.name_any(), &only_this),
            )
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => match error.class() {
                Class::Absent | Class::Conflict => Ok(()),
                Class::Transient | Class::Denied | Class::Invalid | Class::Bug => Err(error),
            },
        }
    }

    /// Writes into an execution that cannot be decoded that it cannot. A status that the schema refuses for the rest
    /// of the object is not insisted on.
    pub async fn refuse_undecodable(
        &self,
        namespace: &str,
        name: &str,
        message: &str,
    ) -> Result<(), CallError> {
        let (phase, reason) = (Phase::Failed.as_str(), Reason::UndecodableObject.as_str());
        let now = Time(Timestamp::now());
        let condition = |kind: ConditionType, status: ConditionStatus| {
            let condition = Condition::new(kind, status, Reason::UndecodableObject, now.clone());
            condition.with_message(message)
        };
        let patch = json!({
            "status": {
                "phase": phase,
                "error": message,
                "stepResult": {"outcome": Outcome::Failed, "verified": false, "message": message},
                "conditions": [
                    condition(ConditionType::Ready, ConditionStatus::False),
                    condition(ConditionType::Completed, ConditionStatus::True),
                ],
            },
        });
        let resource = ApiResource::erase::<KubernetesExecution>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.calls.clone(), namespace, &resource);
        let found = self
            .call(
                "read an execution that cannot be decoded",
                api.get_opt(name),
            )
            .await?;
        let told = found
            .as_ref()
            .and_then(|found| found.data.pointer("/status/phase"));
        if told
            .and_then(Value::as_str)
            .and_then(Phase::from_text)
            .is_some_and(Phase::is_terminal)
        {
            // It is over already; how it ended is not rewritten (I3).
            return Ok(());
        }
        let (how, patch) = (PatchParams::default(), Patch::Merge(patch));
        match self
            .call(
                "refuse an execution that cannot be decoded",
                api.patch_status(name, &how, &patch),
            )
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => match error.class() {
                Class::Invalid | Class::Absent | Class::Conflict => {
                    tracing::warn!(namespace, name, reason, %error, "the refusal could not be written");
                    Ok(())
                }
                Class::Transient | Class::Denied | Class::Bug => Err(error),
            },
        }
    }
}
