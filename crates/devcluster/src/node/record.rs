//! What the node knows of one pod, and the `PodStatus` that says it, in a kubelet's words. Pure: the clock is an
//! argument, nothing is sent from here.

use std::{collections::BTreeMap, net::Ipv4Addr};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
        ContainerStateWaiting, ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};

use super::HOST_ADDRESS;

/// What a container does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting { reason: String, message: String },
    Running { since: Timestamp },
    Terminated(Terminated),
}

impl State {
    pub(super) fn waiting(reason: &str, message: impl Into<String>) -> Self {
        Self::Waiting {
            reason: reason.to_owned(),
            message: message.into(),
        }
    }
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terminated {
    pub(super) exit_code: i32,
    pub(super) reason: &'static str,
    pub(super) message: Option<String>,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
}

/// One container of the pod.
#[derive(Clone, Debug)]
pub(super) struct ContainerRecord {
    pub(super) name: String,
    initial: bool,
    image: String,
    id: Option<String>,
    pub(super) state: State,
    pub(super) last: Option<Terminated>,
    pub(super) restarts: i32,
    pub(super) ready: bool,
}

/// Why a pod as a whole failed, whatever its containers did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) reason: &'static str,
    pub(super) message: &'static str,
}

/// One pod.
#[derive(Clone, Debug)]
pub(super) struct PodRecord {
    pub(super) started: Timestamp,
    address: Ipv4Addr,
    pub(super) init: Vec<ContainerRecord>,
    pub(super) main: Vec<ContainerRecord>,
    finished: bool,
    verdict: Option<Verdict>,
    conditions: BTreeMap<&'static str, (bool, Timestamp)>,
}

impl PodRecord {
    /// A pod that the node has just taken: nothing runs yet.
    pub(super) fn new(pod: &Pod, address: Ipv4Addr, now: Timestamp) -> Self {
        let spec = pod.spec.as_ref();
        let init: &[Container] =
            spec.map_or(&[], |spec| spec.init_containers.as_deref().unwrap_or(&[]));
        let main: &[Container] = spec.map_or(&[], |spec| &spec.containers);
        let reason = if init.is_empty() {
            "ContainerCreating"
        } else {
            "PodInitializing"
        };
        let record = |initial: bool| {
            move |container: &Container| ContainerRecord::new(container, initial, reason)
        };
        Self {
            started: now,
            address,
            init: init.iter().map(record(true)).collect(),
            main: main.iter().map(record(false)).collect(),
            finished: false,
            verdict: None,
            conditions: BTreeMap::new(),
        }
    }

    pub(super) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The container of that name, initial or main.
    pub(super) fn container(&mut self, name: &str) -> Option<&mut ContainerRecord> {
        self.init
            .iter_mut()
            .chain(self.main.iter_mut())
            .find(|container| container.name == name)
    }

    /// No container runs any more and none will start. A verdict makes the pod fail whatever they did.
    pub(super) fn finish(&mut self, verdict: Option<Verdict>) {
        self.finished = true;
        self.verdict = verdict;
        for container in &mut self.main {
            container.ready = false;
        }
    }

    /// Whether the pod is ready to be used.
    pub(super) fn is_ready(&self) -> bool {
        !self.finished && self.main.iter().all(|container| container.ready)
    }

    /// The status at `now`; remembers when each condition last changed.
    pub(super) fn render(&mut self, now: Timestamp) -> PodStatus {
        let phase = self.phase();
        PodStatus {
            phase: Some(phase.to_owned()),
            reason: self
                .verdict
                .as_ref()
                .map(|verdict| verdict.reason.to_owned()),
            message: self
                .verdict
                .as_ref()
                .map(|verdict| verdict.message.to_owned()),
            start_time: Some(Time(self.started)),
            host_ip: Some(HOST_ADDRESS.to_string()),
            host_ips: Some(vec![HostIP {
                ip: HOST_ADDRESS.to_string(),
            }]),
            pod_ip: Some(self.address.to_string()),
            pod_ips: Some(vec![PodIP {
                ip: self.address.to_string(),
            }]),
            conditions: Some(self.render_conditions(phase, now)),
            init_container_statuses: Some(self.init.iter().map(ContainerRecord::render).collect()),
            container_statuses: Some(self.main.iter().map(ContainerRecord::render).collect()),
            ..PodStatus::default()
        }
    }

    fn phase(&self) -> &'static str {
        match (self.finished, self.verdict.is_some()) {
            (true, false) if self.all_succeeded() => "Succeeded",
            (true, _) => "Failed",
            (false, _) if self.main.iter().any(ContainerRecord::has_started) => "Running",
            (false, _) => "Pending",
        }
    }

    fn all_succeeded(&self) -> bool {
        self.init
            .iter()
            .chain(&self.main)
            .all(ContainerRecord::succeeded)
    }

    fn render_conditions(&mut self, phase: &str, now: Timestamp) -> Vec<PodCondition> {
        let initialized = self.init.iter().all(ContainerRecord::succeeded);
        let ready = self.is_ready();
        let reason = match (phase, ready) {
            ("Succeeded", _) => Some("PodCompleted"),
            ("Failed", _) => Some("PodFailed"),
            (_, false) => Some("ContainersNotReady"),
            (_, true) => None,
        };
        [
            ("PodReadyToStartContainers", !self.finished, None),
            (
                "Initialized",
                initialized,
                (!initialized).then_some("ContainersNotInitialized"),
            ),
            ("ContainersReady", ready, reason),
            ("Ready", ready, reason),
        ]
        .into_iter()
        .map(|(name, holds, reason)| self.condition(name, holds, reason, now))
        .collect()
    }

    fn condition(
        &mut self,
        name: &'static str,
        holds: bool,
        reason: Option<&str>,
        now: Timestamp,
    ) -> PodCondition {
        let (known, since) = self.conditions.entry(name).or_insert((holds, now));
        if *known != holds {
            (*known, *since) = (holds, now);
        }
        PodCondition {
            type_: name.to_owned(),
            status: if holds { "True" } else { "False" }.to_owned(),
            reason: reason.map(str::to_owned),
            last_transition_time: Some(Time(*since)),
            ..PodCondition::default()
        }
    }
}

impl ContainerRecord {
    fn new(container: &Container, initial: bool, reason: &str) -> Self {
        Self {
            name: container.name.clone(),
            initial,
            image: container.image.clone().unwrap_or_default(),
            id: None,
            state: State::waiting(reason, ""),
            last: None,
            restarts: 0,
            ready: false,
        }
    }

    pub(super) fn run(&mut self, id: String, now: Timestamp) {
        self.id = Some(id);
        self.state = State::Running { since: now };
    }

    pub(super) fn end(&mut self, terminated: Terminated) {
        self.ready = false;
        self.state = State::Terminated(terminated);
    }

    /// Waits for another start after an end.
    pub(super) fn await_restart(&mut self, message: String) {
        if let State::Terminated(terminated) = &self.state {
            self.last = Some(terminated.clone());
        }
        self.restarts = self.restarts.saturating_add(1);
        self.state = State::waiting("CrashLoopBackOff", message);
    }

    fn succeeded(&self) -> bool {
        matches!(&self.state, State::Terminated(terminated) if terminated.exit_code == 0)
    }

    fn has_started(&self) -> bool {
        match &self.state {
            State::Waiting { .. } => self.last.is_some(),
            State::Running { .. } | State::Terminated(_) => true,
        }
    }

    fn render(&self) -> ContainerStatus {
        ContainerStatus {
            name: self.name.clone(),
            image: self.image.clone(),
            image_id: if self.id.is_some() {
                self.image.clone()
            } else {
                String::new()
            },
            container_id: self.id.clone(),
            state: Some(self.render_state()),
            last_state: self.last.as_ref().map(|terminated| ContainerState {
                terminated: Some(terminated.render(self.id.as_deref())),
                ..ContainerState::default()
            }),
            ready: self.ready || (self.initial && self.succeeded()),
            started: Some(matches!(self.state, State::Running { .. })),
            restart_count: self.restarts,
            ..ContainerStatus::default()
        }
    }

    fn render_state(&self) -> ContainerState {
        match &self.state {
            State::Waiting { reason, message } => ContainerState {
                waiting: Some(ContainerStateWaiting {
                    reason: Some(reason.clone()),
                    message: Some(message.clone()).filter(|message| !message.is_empty()),
                }),
                ..ContainerState::default()
            },
            State::Running { since } => ContainerState {
                running: Some(ContainerStateRunning {
                    started_at: Some(Time(*since)),
                }),
                ..ContainerState::default()
            },
            State::Terminated(terminated) => ContainerState {
                terminated: Some(terminated.render(self.id.as_deref())),
                ..ContainerState::default()
            },
        }
    }
}

impl Terminated {
    fn render(&self, id: Option<&str>) -> ContainerStateTerminated {
        ContainerStateTerminated {
            container_id: id.map(str::to_owned),
            exit_code: self.exit_code,
            reason: Some(self.reason.to_owned()),
            message: self.message.clone(),
            started_at: Some(Time(self.started)),
            finished_at: Some(Time(self.finished)),
            ..ContainerStateTerminated::default()
        }
    }
}
