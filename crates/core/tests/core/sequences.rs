//! Random histories of one execution: a runner that goes on or dies, Jobs and pods that vanish, a controller that
//! forgets everything. Whatever happens, the invariants hold and the execution ends in time.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kexec_actions::facts::Facts;
use kexec_api::phase::Phase;
use kexec_core::access::Answer;
use kexec_core::attempt::{Claim, Presence};
use kexec_core::decide::{Decision, decide};
use kexec_core::queue::Turn;
use kexec_core::view::Gathered;
use proptest::prelude::*;

use crate::support::{Facing, Runner, World, assert_consistent, at, pod, result, step};

/// Timeout, health-check time-out, and the 30 s of I4.
const LATEST: i64 = 600 + 180 + 30;

/// One thing that happens between two reconciles.
#[derive(Clone, Debug)]
enum Event {
    /// Seconds go by.
    Pass(i64),
    /// The runner goes on: waits, claims, writes, ends.
    Progress,
    /// The runner dies without a word.
    Die,
    /// Somebody deletes the Job, and its pod with it.
    DeleteJob,
    /// Somebody deletes the pod.
    DeletePod,
    /// The controller starts anew.
    Restart,
    /// Somebody sets `control.cancel`.
    Cancel,
    /// Somebody else scales the target.
    Interfere,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..200_i64).prop_map(Event::Pass),
        6 => Just(Event::Progress),
        1 => Just(Event::Die),
        1 => Just(Event::DeleteJob),
        1 => Just(Event::DeletePod),
        2 => Just(Event::Restart),
        1 => Just(Event::Cancel),
        1 => Just(Event::Interfere),
    ]
}

/// The cluster as it is, and what the controller knows of it.
struct Cluster {
    world: World,
    runner: Option<Runner>,
    job: Option<Job>,
    claim: Claim,
    target: Facing,
    created: usize,
    intended_at: Option<Timestamp>,
}

impl Cluster {
    fn new(slow: bool) -> Self {
        let mut world = World::new();
        world.settings.execution_ttl = jiff::SignedDuration::ZERO;
        let target = if slow {
            Facing::Otherwise
        } else {
            Facing::Unchanged
        };
        Self {
            world,
            runner: None,
            job: None,
            claim: Claim::Unread,
            target,
            created: 0,
            intended_at: None,
        }
    }

    fn phase(&self) -> Option<Phase> {
        self.world
            .execution
            .status
            .as_ref()
            .and_then(|status| status.phase)
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Pass(seconds) => self.world.now += jiff::SignedDuration::from_secs(*seconds),
            Event::Progress => self.progress(),
            Event::Die => {
                if let Some(Runner::Running | Runner::Waiting(_)) = self.runner {
                    self.runner = Some(Runner::EndUnknown);
                }
            }
            Event::DeleteJob => {
                self.job = None;
                self.runner = None;
            }
            Event::DeletePod => self.runner = None,
            Event::Restart => *self.world.gathered = Gathered::default(),
            Event::Cancel => self.world = self.world.clone().cancelled(),
            Event::Interfere => self.target = Facing::Otherwise,
        }
    }

    /// The runner writes only under its claim, and no later than its deadline.
    fn progress(&mut self) {
        if self.job.is_none() {
            return;
        }
        self.runner = Some(match self.runner.take() {
            None | Some(Runner::Waiting("")) => Runner::Waiting("PodInitializing"),
            Some(Runner::Waiting(_)) => Runner::Running,
            Some(Runner::Running) if self.claim == Claim::Tombstone => Runner::Ended {
                exit: 4,
                message: Some(result(&self.world, "claim-lost", &[])),
            },
            Some(Runner::Running) if self.claim == Claim::Unread => {
                self.claim = Claim::Runner;
                self.target = Facing::Pending;
                Runner::Running
            }
            Some(Runner::Running) => {
                let message = result(&self.world, "done", &[step(0, "written")]);
                Runner::Ended {
                    exit: 0,
                    message: Some(message),
                }
            }
            Some(other) => other,
        });
    }

    /// What the watches show: what was there before and is no more has gone just now.
    fn look(&mut self) {
        let now = self.world.now;
        let runner = self.runner.as_ref().map(|runner| pod(&self.world, runner));
        let sighting = &mut self.world.gathered.sighting;
        sighting.job = seen(std::mem::take(&mut sighting.job), self.job.clone(), now);
        sighting.pod = seen(std::mem::take(&mut sighting.pod), runner, now);
        let is_begun = matches!(self.phase(), Some(Phase::Executing | Phase::Monitoring));
        let planned = self.world.gathered.intended.is_some();
        if is_begun && !planned && self.world.gathered.stored_plan.is_none() {
            let status = self.world.execution.status.as_ref();
            let kept =
                status.and_then(|status| status.execution_details.as_ref()?.rollback_info.as_ref());
            let plan = kept.and_then(|kept| kept.rollback_state.as_ref()?.get("plan").cloned());
            self.world.gathered.stored_plan =
                plan.and_then(|plan| serde_json::from_value(plan).ok());
        }
    }

    /// One reconcile, as the controller does it. Returns when to look again.
    fn reconcile(&mut self) -> Option<Timestamp> {
        let gathered = &mut self.world.gathered;
        (gathered.facts, gathered.is_fresh, gathered.proof) = (Facts::default(), false, None);
        gathered.start_events = None;
        for _ in 0..32 {
            self.look();
            let decision = decide(&self.world.view(&self.world.gathered));
            self.check(&decision);
            if let Decision::Wait { until } = decision {
                return until;
            }
            self.perform(decision);
        }
        panic!("no end of deciding in {:?}", self.phase());
    }

    fn check(&self, decision: &Decision) {
        let phase = self.phase();
        let recorded = matches!(decision, Decision::Record(_) | Decision::RecordIntent(..));
        assert!(
            !recorded || !phase.is_some_and(Phase::is_terminal),
            "a terminal phase was left (I3)"
        );
        if let Decision::Record(status) | Decision::RecordIntent(status, _) = decision {
            assert_consistent(status);
        }
        if let Decision::CreateJob(_) = decision {
            assert_eq!(
                phase,
                Some(Phase::Executing),
                "a Job without an intent (I2)"
            );
            assert!(
                self.intended_at.is_some_and(|at| self.world.now >= at),
                "a Job before its intent (I2)"
            );
            assert_ne!(self.claim, Claim::Tombstone, "a Job after its burial (I1)");
            assert_eq!(
                self.world.gathered.sighting.job,
                Presence::Never,
                "a Job though one was seen (I1)"
            );
            assert!(
                !self.world.execution.spec.is_cancel_requested(),
                "a Job after the cancel"
            );
        }
        if let (Decision::Wait { until }, Some(Phase::Executing | Phase::Monitoring)) =
            (decision, phase)
        {
            let until = until.expect("waits for nothing");
            assert!(until > self.world.now, "waits for the past");
            assert!(
                until <= at(LATEST).max(self.world.now),
                "waits until {until} (I4)"
            );
        }
    }

    fn perform(&mut self, decision: Decision) {
        let gathered = &mut self.world.gathered;
        match decision {
            Decision::TakeTurn(_) => gathered.turn = Some(Turn::Granted),
            Decision::Probe => self.world = self.world.clone().with_turn(),
            Decision::Read(_) => gathered.facts = self.target.facts(),
            Decision::Watch(_) => gathered.proof = Some(self.target.facts()),
            Decision::Ask(questions) => {
                gathered.answers.extend(
                    questions
                        .into_iter()
                        .map(|question| (question, Answer::Allowed)),
                );
            }
            Decision::Record(status) => self.world.execution.status = Some(*status),
            Decision::RecordIntent(status, planned) => {
                self.world.execution.status = Some(*status);
                self.intended_at = Some(self.world.now);
                gathered.intended = Some(planned);
            }
            Decision::Refresh => gathered.is_fresh = true,
            Decision::CreateJob(mut job) => {
                job.metadata.creation_timestamp = Some(
                    k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.world.now),
                );
                self.job = Some(*job);
                self.created += 1;
                gathered.stored_plan = gathered
                    .intended
                    .take()
                    .map(|planned| Box::new(planned.content));
            }
            Decision::ReadStartEvents => gathered.start_events = Some(None),
            Decision::Tombstone(_) => {
                if self.claim == Claim::Unread {
                    self.claim = Claim::Tombstone;
                }
                gathered.sighting.claim = self.claim;
            }
            Decision::StopPod => {
                if let Some(Runner::Running) = self.runner {
                    let steps = if self.claim == Claim::Runner {
                        vec![step(0, "written")]
                    } else {
                        Vec::new()
                    };
                    let message = result(&self.world, "interrupted", &steps);
                    self.runner = Some(Runner::Failed("DeadlineExceeded", Some(message)));
                }
            }
            Decision::DeleteJob(_) | Decision::ExpireJob { .. } => {
                self.job = None;
                self.runner = None;
            }
            Decision::KeepPlan(_) => gathered.plan_is_kept = true,
            Decision::ReadPlan => gathered.plan_was_read = true,
            Decision::DeleteExecution | Decision::Wait { .. } => {}
        }
    }
}

fn seen<T>(before: Presence<T>, now_there: Option<T>, now: Timestamp) -> Presence<T> {
    match (before, now_there) {
        (_, Some(object)) => Presence::Here(object),
        (Presence::Here(last), None) => Presence::Gone { last, since: now },
        (before @ (Presence::Never | Presence::Gone { .. }), None) => before,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn every_history_ends_in_time_and_keeps_the_invariants(events in prop::collection::vec(event(), 0..14), otherwise in any::<bool>()) {
        let mut cluster = Cluster::new(otherwise);
        let restarts = events.iter().filter(|event| matches!(event, Event::Restart)).count();
        cluster.reconcile();
        for event in &events {
            cluster.happen(event);
            cluster.reconcile();
        }
        // The faults have stopped: from here on the controller only wakes when it asked to.
        for _ in 0..64 {
            let Some(until) = cluster.reconcile() else { break };
            cluster.world.now = until.max(cluster.world.now);
        }
        let phase = cluster.phase();
        prop_assert!(phase.is_some_and(Phase::is_terminal), "still {:?}", phase);
        let latest = events.iter().map(|event| if let Event::Pass(seconds) = event { *seconds } else { 0 }).sum::<i64>();
        let status = cluster.world.execution.status.clone().expect("has a status");
        let ended = status.execution_summary.and_then(|summary| summary.completion_time).expect("has an end");
        prop_assert!(ended.0 <= at(LATEST.max(latest + 180 + 30)), "ended at {}", ended.0);
        prop_assert!(cluster.created <= 1 + restarts, "{} Jobs after {restarts} restarts", cluster.created);
        prop_assert_eq!(cluster.world.gathered.sighting.claim == Claim::Tombstone && cluster.claim == Claim::Runner, false);
    }

    #[test]
    fn without_a_restart_there_is_one_job_at_most(events in prop::collection::vec(event(), 0..14)) {
        let mut cluster = Cluster::new(false);
        cluster.reconcile();
        for event in events.iter().filter(|event| !matches!(event, Event::Restart)) {
            cluster.happen(event);
            cluster.reconcile();
        }
        prop_assert!(cluster.created <= 1, "{} Jobs", cluster.created);
    }

    #[test]
    fn an_attempt_that_wrote_is_never_said_to_have_written_nothing(events in prop::collection::vec(event(), 0..14)) {
        let mut cluster = Cluster::new(false);
        cluster.reconcile();
        for event in &events {
            cluster.happen(event);
            cluster.reconcile();
        }
        let said = cluster.world.execution.status.as_ref().and_then(|status| status.error.clone()).unwrap_or_default();
        prop_assert!(cluster.claim != Claim::Runner || !said.contains("nothing was written"), "{}", said);
    }
}
