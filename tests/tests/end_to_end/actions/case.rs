//! What is asked of every action, whatever it does.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::ClusterRole;
use kexec_api::condition::{ConditionType, Reason};
use kexec_api::execution::KubernetesExecutionStatus;
use kexec_api::phase::Phase;
use kexec_tests::audit::{Rule, service_account};
use kexec_tests::harness::Scene;
use kube::api::Api;
use serde_json::{Value, json};

/// One action on one object of a scene.
pub(super) struct Case<'a> {
    pub(super) scene: &'a Scene,
    pub(super) action: &'static str,
    pub(super) account: &'static str,
    /// Plural resource of the target.
    pub(super) resource: &'static str,
    pub(super) target: (&'static str, &'static str, &'a str),
    pub(super) parameters: Value,
}

impl Case<'_> {
    pub(super) async fn run(&self, name: &str, parameters: &Value) -> KubernetesExecutionStatus {
        self.scene
            .create(
                &self
                    .scene
                    .execution(name, self.action, self.target, parameters),
            )
            .await;
        self.scene.ended(name).await.status.expect("a status")
    }

    /// The runners' writes on the target.
    pub(super) fn writes(&self) -> (usize, usize) {
        let namespace = if self.resource == "nodes" {
            ""
        } else {
            &self.scene.namespace
        };
        let calls = self.scene.calls();
        let on_target = calls.iter().filter(|call| {
            call.is_write()
                && call.is_by_runner()
                && call.resource == self.resource
                && call.namespace == namespace
                && call.name == self.target.2
        });
        let (tried, done): (Vec<_>, Vec<_>) = on_target.partition(|call| call.dry_run);
        (tried.len(), done.len())
    }

    pub(super) async fn tries(&self) {
        let mut parameters = self.parameters.clone();
        parameters["dryRun"] = json!(true);
        let status = self.run("try", &parameters).await;
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
        let status = self.run("do", &self.parameters).await;
        assert_ended(&status, Phase::Completed, Reason::ExecutionCompleted);
        assert_eq!(
            status.step_result.as_ref().and_then(|step| step.verified),
            Some(true)
        );
        assert_eq!(self.writes(), (2, 1), "one effect, tried before");
        status
    }

    pub(super) async fn changes_nothing_more(&self) {
        let status = self.run("again", &self.parameters).await;
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
        let account = service_account(&self.scene.system_namespace, self.account);
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
pub(super) fn assert_ended(status: &KubernetesExecutionStatus, phase: Phase, reason: Reason) {
    let completed = status
        .condition(ConditionType::Completed)
        .expect("a condition");
    assert_eq!(
        (status.phase, completed.known_reason()),
        (Some(phase), Some(reason)),
        "{status:#?}"
    );
}
