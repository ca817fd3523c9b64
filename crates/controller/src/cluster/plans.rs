//! Calls on the objects that keep plans, each a `ConfigMap`.

use k8s_openapi::api::core::v1::ConfigMap;
use kexec_api::condition::Reason;
use kexec_api::names;
use kexec_core::view::CreateProblem;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, PostParams};

use super::attempts::present;
use super::{CallError, Class, Cluster};

impl Cluster {
    fn plans(&self) -> Api<ConfigMap> {
        Api::namespaced(self.calls.clone(), &self.system_namespace)
    }

    /// Keeps a plan; one that is kept already is as good. Returns why it could not be.
    pub async fn keep_plan(&self, plan: &ConfigMap) -> Result<Option<CreateProblem>, CallError> {
        let by_us = PostParams {
            field_manager: Some(names::CONTROLLER_FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let created = self
            .call("keep the plan", self.plans().create(&by_us, plan))
            .await;
        let Err(error) = created else {
            return Ok(None);
        };
        let problem = |reason, transient| CreateProblem {
            reason,
            message: format!(
                "the plan could not be kept in a ConfigMap: {}",
                error.said()
            ),
            transient,
        };
        match error.class() {
            Class::Conflict => {
                let found = self.plan(&plan.name_any()).await?;
                let is_same = found.is_some_and(|found| found.data == plan.data);
                Ok((!is_same).then(|| problem(Reason::NameConflict, false)))
            }
            Class::Denied if error.said().contains("exceeded quota") => {
                Ok(Some(problem(Reason::QuotaExceeded, true)))
            }
            Class::Denied => Ok(Some(problem(Reason::PermissionDenied, false))),
            Class::Invalid | Class::Absent => Ok(Some(problem(Reason::InternalError, false))),
            Class::Transient | Class::Bug => Err(error),
        }
    }

    /// The ConfigMap of that name.
    pub async fn plan(&self, name: &str) -> Result<Option<ConfigMap>, CallError> {
        self.call("read the plan", self.plans().get_opt(name)).await
    }

    /// Names and labels of all plans that are kept; not what is in them.
    pub async fn plan_names(
        &self,
    ) -> Result<Vec<kube::core::PartialObjectMeta<ConfigMap>>, CallError> {
        let selected = ListParams::default().labels(names::LABEL_PLAN);
        let plans = self.plans();
        let listed = self.call("list the plans", plans.list_metadata(&selected));
        Ok(listed.await?.items)
    }

    /// Removes a plan.
    pub async fn remove_plan(&self, name: &str) -> Result<(), CallError> {
        let plans = self.plans();
        let removed = self
            .call(
                "remove a plan",
                plans.delete(name, &DeleteParams::default()),
            )
            .await;
        present(removed).map(drop)
    }
}
