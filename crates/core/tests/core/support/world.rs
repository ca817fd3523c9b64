//! An execution and everything gathered for it, from its creation to its intent.

use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kexec_actions::Registry;
use kexec_actions::facts::{Fact, Kind, Need};

use kexec_api::execution::{KubernetesExecution, KubernetesExecutionStatus};
use kexec_api::phase::Phase;
use kexec_api::plan::PlanContent;
use kexec_core::access::Answer;
use kexec_core::attempt::{Claim, Presence};
use kexec_core::decide::{Decision, decide};
use kexec_core::planning::Planned;
use kexec_core::queue::Turn;
use kexec_core::settings::Settings;
use kexec_core::view::{Connectivity, Gathered, View};
use serde_json::{Value, json};

use super::target::{Facing, node, patch};

/// That many seconds after the execution was created and its intent recorded.
pub fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("is a time");
    start + SignedDuration::from_secs(seconds)
}

/// The built-in actions.
pub fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(Registry::built_in)
}

/// Keys of a ConfigMap and their values before and after.
pub struct ConfigChange {
    /// Namespace of the execution.
    pub from: &'static str,
    /// How many keys.
    pub keys: usize,
    /// What each holds.
    pub before: String,
    /// What each is to hold.
    pub after: String,
}

/// One execution and what is known of it.
#[derive(Clone)]
pub struct World {
    /// Now.
    pub now: Timestamp,
    /// The execution.
    pub execution: Box<KubernetesExecution>,
    /// What was gathered.
    pub gathered: Box<Gathered>,
    /// The installation.
    pub settings: Settings,
    /// Whether every question is answered with yes before `decide` asks it.
    pub all_allowed: bool,
}

impl World {
    /// An execution that was just created; nothing is known.
    pub fn new() -> Self {
        Self::of(json!({}))
    }

    /// The same with its spec changed.
    pub fn of(spec: Value) -> Self {
        let mut whole = json!({
            "actionDefinition": {
                "actionType": "scale_deployment",
                "targetResource": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "web", "name": "shop"},
                "parameters": {"replicas": 5},
            },
            "requestedBy": {"username": "ada", "groups": ["sre"]},
            "executionConfig": {"safetyConfig": {"rollbackConfig": {"enableAutoRollback": false}}},
        });
        patch(&mut whole, spec);
        let execution = json!({
            "apiVersion": "kubernetesexecution.kubernaut.io/v1alpha1",
            "kind": "KubernetesExecution",
            "metadata": {
                "namespace": "web", "name": "scale-shop", "uid": "e-1", "generation": 1,
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": whole,
        });
        Self {
            now: at(0),
            execution: serde_json::from_value(execution).expect("is an execution"),
            gathered: Box::default(),
            settings: Settings::default(),
            all_allowed: true,
        }
    }

    /// An execution that changes a ConfigMap in namespace `web`, with all facts read.
    pub fn config_map(change: &ConfigChange) -> Self {
        let keys = |value: &str| -> Value {
            (0..change.keys)
                .map(|key| (format!("k{key}"), json!(value)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let mut world = Self::of(json!({"actionDefinition": {
            "actionType": "modify_configmap",
            "targetResource": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "web", "name": "settings"},
            "parameters": {"replicas": null, "data": keys(&change.after)},
        }}));
        world.execution.metadata.namespace = Some(change.from.into());
        let live = json!({
            "metadata": {"namespace": "web", "name": "settings", "uid": "c-1"},
            "data": keys(&change.before),
        });
        let need = Need::Object {
            kind: Kind::new("v1", "ConfigMap", "configmaps"),
            namespace: Some("web".into()),
            name: "settings".into(),
        };
        world.gathered.facts.insert(need, Fact::Object(live));
        world.with_turn()
    }

    /// An execution that cordons `worker-1`, with all facts read.
    pub fn cordon() -> Self {
        let mut world = Self::of(json!({"actionDefinition": {
            "actionType": "cordon_node",
            "targetResource": {"apiVersion": "v1", "kind": "Node", "namespace": null, "name": "worker-1"},
            "parameters": {"replicas": null},
        }}));
        let kind = Kind::new("v1", "Node", "nodes");
        let one = Need::Object {
            kind: kind.clone(),
            namespace: None,
            name: "worker-1".into(),
        };
        let all = Need::List {
            kind,
            namespace: None,
            selector: String::new(),
        };
        let worker = node(&json!({}));
        world
            .gathered
            .facts
            .insert(one, Fact::Object(worker.clone()));
        world.gathered.facts.insert(all, Fact::List(vec![worker]));
        world.with_turn()
    }

    /// With its turn granted and the API server reachable.
    pub fn with_turn(mut self) -> Self {
        self.gathered.turn = Some(Turn::Granted);
        self.gathered.connectivity = Some(Connectivity {
            problem: None,
            took: SignedDuration::from_millis(4),
        });
        self
    }

    /// With everything read that a plan needs: a Deployment of two replicas.
    pub fn with_facts(mut self) -> Self {
        self.gathered.facts = Facing::Unchanged.facts();
        self.with_turn()
    }

    /// With everything gathered, so that the intent is next.
    pub fn ready() -> Self {
        Self::new().with_facts()
    }

    /// A dry run with everything gathered.
    pub fn dry_run() -> Self {
        Self::of(json!({"actionDefinition": {"parameters": {"dryRun": true}}})).with_facts()
    }

    /// With its intent recorded just now by this very process.
    pub fn intended(mut self) -> Self {
        let (status, planned) = self.intent();
        self.execution.status = Some(status);
        *self.gathered = Gathered {
            turn: Some(Turn::Granted),
            intended: Some(planned),
            ..Gathered::default()
        };
        self
    }

    /// As after a restart: the intent stands in status, and nothing else is known.
    pub fn restarted(mut self) -> Self {
        let (status, _) = self.intent();
        self.execution.status = Some(status);
        *self.gathered = Gathered {
            turn: Some(Turn::Granted),
            ..Gathered::default()
        };
        self
    }

    /// With the Job created and its plan at hand.
    pub fn at_work(mut self) -> Self {
        let (status, planned) = self.intent();
        self.execution.status = Some(status);
        *self.gathered = Gathered {
            turn: Some(Turn::Granted),
            stored_plan: Some(Box::new(planned.content)),
            ..Gathered::default()
        };
        self.gathered.sighting.job = Presence::Here(super::job(&self));
        self
    }

    /// In phase monitoring since second 30, after the writes were reported done or after an unclear end.
    pub fn monitoring(unclear: bool) -> Self {
        let runner = super::Runner::Ended {
            exit: if unclear { 137 } else { 0 },
            message: None,
        };
        let mut world = Self::ready()
            .at_work()
            .seen(&runner)
            .facing(Facing::Pending)
            .after(30);
        if !unclear {
            let message = super::result(&world, "done", &[super::step(0, "written")]);
            world = world.seen(&super::Runner::Ended {
                exit: 0,
                message: Some(message),
            });
        }
        let status = world.recorded();
        assert_eq!(status.phase, Some(Phase::Monitoring));
        world.execution.status = Some(status);
        world.gathered.sighting = kexec_core::attempt::Sighting::default();
        world.gathered.proof = None;
        world
    }

    /// The intent that is decided on.
    pub fn intent(&self) -> (KubernetesExecutionStatus, Box<Planned>) {
        match self.decide() {
            Decision::RecordIntent(status, planned) => (*status, planned),
            other => panic!("no intent but {}: {other:?}", other.name()),
        }
    }

    /// The status that is decided on.
    pub fn recorded(&self) -> KubernetesExecutionStatus {
        match self.decide() {
            Decision::Record(status) => *status,
            other => panic!("no status but {}", other.name()),
        }
    }

    /// That many seconds after the start.
    pub fn after(mut self, seconds: i64) -> Self {
        self.now = at(seconds);
        self
    }

    /// With its attempt's pod seen so.
    pub fn seen(mut self, runner: &super::Runner) -> Self {
        self.gathered.sighting.pod = Presence::Here(super::pod(&self, runner));
        self
    }

    /// With the claim read.
    pub fn claimed(mut self, claim: Claim) -> Self {
        self.gathered.sighting.claim = claim;
        self
    }

    /// With the live target looked at after the end.
    pub fn facing(mut self, facing: Facing) -> Self {
        self.gathered.proof = Some(facing.facts());
        self
    }

    /// With `control.cancel` set.
    pub fn cancelled(mut self) -> Self {
        let control = json!({"cancel": true});
        self.execution.spec.control = serde_json::from_value(control).expect("is a control");
        self
    }

    /// With another phase in status, as if nothing else had changed.
    pub fn in_phase(mut self, phase: Phase) -> Self {
        let status = self.execution.status.get_or_insert_default();
        status.phase = Some(phase);
        let summary = status.execution_summary.get_or_insert_default();
        summary.completion_time = phase.is_terminal().then(|| Time(at(100)));
        self
    }

    /// The plan of the intent.
    pub fn plan(&self) -> PlanContent {
        let planned = self
            .gathered
            .intended
            .as_ref()
            .map(|planned| planned.content.clone());
        planned
            .or_else(|| self.gathered.stored_plan.as_deref().cloned())
            .expect("has a plan")
    }

    /// Hash of the recorded plan.
    pub fn hash(&self) -> String {
        let status = self.execution.status.as_ref().expect("has a status");
        let plan = status.plan.as_ref().expect("has a plan");
        plan.hash.clone().expect("has a hash")
    }

    /// What is decided, with every open question answered first if all is allowed.
    pub fn decide(&self) -> Decision {
        let mut gathered = self.gathered.clone();
        match self.decide_on(&gathered) {
            Decision::Ask(questions) if self.all_allowed => {
                gathered.answers.extend(
                    questions
                        .into_iter()
                        .map(|question| (question, Answer::Allowed)),
                );
                self.decide_on(&gathered)
            }
            other => other,
        }
    }

    fn decide_on(&self, gathered: &Gathered) -> Decision {
        decide(&self.view(gathered))
    }

    /// The view of other facts.
    pub fn view<'a>(&'a self, gathered: &'a Gathered) -> View<'a> {
        View {
            now: self.now,
            execution: &self.execution,
            registry: registry(),
            settings: &self.settings,
            gathered,
        }
    }
}
