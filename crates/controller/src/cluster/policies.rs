//! Reads of the admission policies and of our CRD.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kexec_api::execution::KubernetesExecution;
use kexec_core::facts::Kind;
use kube::CustomResourceExt;
use kube::api::Api;
use serde_json::Value;

use super::reads::{api, plain};
use super::{CallError, Class, Cluster};

/// One object of an admission policy, by the names a read takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyObject {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl Cluster {
    /// The live spec of a policy object; `None` when there is no such object.
    pub async fn policy_spec(&self, object: &PolicyObject) -> Result<Option<Value>, CallError> {
        let objects = api(self.calls.clone(), &object.kind, None);
        match self
            .call("read an admission policy", objects.get(&object.name))
            .await
        {
            Ok(found) => Ok(plain(&found).get("spec").cloned()),
            Err(error) if error.class() == Class::Absent => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the CRD is established.
    pub async fn has_crd(&self) -> Result<bool, CallError> {
        let api: Api<CustomResourceDefinition> = Api::all(self.calls.clone());
        let crd = self
            .call("read the CRD", api.get_opt(KubernetesExecution::crd_name()))
            .await?;
        let conditions = crd
            .and_then(|crd| crd.status)
            .and_then(|status| status.conditions)
            .unwrap_or_default();
        Ok(conditions
            .iter()
            .any(|condition| condition.type_ == "Established" && condition.status == "True"))
    }
}
