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

/// A policy object as it is on the cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum LivePolicy {
    /// The API server knows no such kind.
    NotServed,
    /// There is no such object.
    Absent,
    /// Its spec.
    Spec(Value),
}

impl Cluster {
    /// A policy object as it is on the cluster.
    pub async fn policy_spec(&self, object: &PolicyObject) -> Result<LivePolicy, CallError> {
        let objects = api(self.calls.clone(), &object.kind, None);
        match self
            .call("read an admission policy", objects.get(&object.name))
            .await
        {
            Ok(found) => Ok(LivePolicy::Spec(
                plain(&found).get("spec").cloned().unwrap_or_default(),
            )),
            Err(error) if error.is_not_served() => Ok(LivePolicy::NotServed),
            Err(error) if error.class() == Class::Absent => Ok(LivePolicy::Absent),
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
