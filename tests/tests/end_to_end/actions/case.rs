//! What is asked of every action, whatever it does.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::ClusterRole;
use kexec_api::condition::{ConditionType, Reason};
use kexec_api::execution::KubernetesExecutionStatus;
use kexec_api::phase::Phase;
use kexec_core::{Registry, TargetKind};
use kexec_tests::audit::{Rule, service_account};
use kexec_tests::harness::Scene;
use kube::api::Api;
use serde_json::{Value, json};

/// One action on one object of a scene.
pub(super) struct Case<'a> {
    scene: &'a Scene,
    action: &'a str,
    /// ServiceAccount that the action's runners have.
    account: String,
    kind: TargetKind,
    /// Name of the target.
    name: &'a str,
    parameters: Value,
}

impl<'a> Case<'a> {
    /// The action, aimed at an object of the first kind it takes.
    pub(super) fn new(scene: &'a Scene, action: &'a str, name: &'a str, parameters: Value) -> Self {
        let registry = Registry::built_in();
        let mut planners = registry.planners().iter();
        let metadata = planners
            .find(|planner| planner.metadata().action_type == action)
            .expect("an action of the registry")
            .metadata();
        Self {
            scene,
            action,
            account: metadata.service_account_name(),
            kind: *metadata.targets.first().expect("a kind"),
            name,
            parameters,
        }
    }

    pub(super) async fn run(&self, name: &str) -> KubernetesExecutionStatus {
        self.run_with(name, &self.parameters).await
    }

    async fn run_with(&self, name: &str, parameters: &Value) -> KubernetesExecutionStatus {
        let target = (self.kind.api_version, self.kind.kind, self.name);
        self.scene
            .create(&self.scene.execution(name, self.action, target, parameters))
            .await;
        self.scene.ended(name).await.status.expect("a status")
    }

    /// The runners' writes on the target.
    pub(super) fn writes(&self) -> (usize, usize) {
        let namespace = if self.kind.namespaced {
            &self.scene.namespace
        } else {
            ""
        };
        let calls = self.scene.calls();
        let on_target = calls.iter().filter(|call| {
            call.is_write()
                && call.is_by_runner()
                && call.resource == self.kind.resource
                && call.namespace == namespace
                && call.name == self.name
        });
        let (tried, done): (Vec<_>, Vec<_>) = on_target.partition(|call| call.dry_run);
        (tried.len(), done.len())
    }

    pub(super) async fn tries(&self) {
        let mut parameters = self.parameters.clone();
        parameters["dryRun"] = json!(true);
        let status = self.run_with("try", &parameters).await;
        assert_ended(&status, Phase::Completed, Reason::DryRunSucceeded);
        assert_eq!(
            self.writes(),
            (1, 0),
            "a dry run, and nothing but a dry run"
        );
        let claim = status.job.and_then(|job| job.name).expect("a Job");
        let calls = self.scene.calls();
        assert!(
            !calls
                .iter()
                .any(|call| call.is_on_lease() && call.name == claim),
            "a dry run makes no claim"
        );
    }

    pub(super) async fn reaches_its_goal(&self) -> KubernetesExecutionStatus {
        let status = self.run("do").await;
        assert_ended(&status, Phase::Completed, Reason::ExecutionCompleted);
        assert_eq!(
            status.step_result.as_ref().and_then(|step| step.verified),
            Some(true)
        );
        assert_eq!(self.writes(), (2, 1), "one effect, tried before");
        status
    }

    pub(super) async fn changes_nothing_more(&self) {
        let status = self.run("again").await;
        assert_ended(&status, Phase::Completed, Reason::NoChange);
        assert_eq!(status.job, None, "nothing is to be done by a Job");
        assert_eq!(self.writes(), (2, 1));
    }

    pub(super) async fn makes_just_the_calls_it_was_granted(&self) {
        let roles: Api<ClusterRole> = Api::all(self.scene.client.clone());
        let name = format!("{}-{}", self.account, self.scene.suffix);
        let held = roles
            .get(&name)
            .await
            .expect("a ClusterRole")
            .rules
            .unwrap_or_default();
        let granted: BTreeSet<Rule> = held
            .iter()
            .flat_map(|one| {
                let groups = one.api_groups.iter().flatten();
                groups
                    .flat_map(|group| {
                        one.resources
                            .iter()
                            .flatten()
                            .map(move |resource| (group, resource))
                    })
                    .flat_map(|(group, resource)| {
                        one.verbs
                            .iter()
                            .map(move |verb| Rule::new(group, resource, verb))
                    })
            })
            .collect();
        let account = service_account(&self.scene.system_namespace, &self.account);
        let calls = self.scene.calls();
        let needed = calls.calls_of(&account);
        assert_eq!(needed.rules, granted, "calls seen and rules granted");
        assert_eq!(
            needed.claim,
            BTreeSet::from([Rule::new("coordination.k8s.io", "leases", "create")])
        );
        assert_eq!(needed.paths, BTreeSet::new(), "a runner discovers nothing");
        assert!(
            calls.rbac_denials_of(&account).is_empty(),
            "{:?}",
            calls.rbac_denials_of(&account)
        );
    }
}

#[track_caller]
pub fn assert_ended(status: &KubernetesExecutionStatus, phase: Phase, reason: Reason) {
    let completed = status
        .condition(ConditionType::Completed)
        .expect("a condition");
    assert_eq!(
        (status.phase, completed.known_reason()),
        (Some(phase), Some(reason)),
        "{status:#?}"
    );
}
