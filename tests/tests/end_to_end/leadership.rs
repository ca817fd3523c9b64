//! Two replicas of the operator: one acts, the other is as ready and takes over, whatever becomes of the first, and every
//! execution has its one effect. The audit log says who wrote what, and when.

mod replica;

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures::stream::{self, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kexec_api::execution::KubernetesExecution;
use kexec_api::names;
use kexec_api::phase::Phase;
use kexec_tests::audit::Call;
use kexec_tests::fault_proxy::{Fault, Seen, at_write, pass};
use kexec_tests::harness::{Ending, HELD_BEFORE_THE_WRITE, Scene, StandIn, eventually, phase};
use kube::api::Api;
use rustix::process::Signal;
use serde_json::json;

use replica::{Replica, SHORT, holder};

/// A Lease that outlasts every test: who takes it over was given it.
const ENDLESS: [&str; 2] = ["--leader-lease-seconds", "3600"];

/// A leader and a standby, both ready.
async fn two<'a>(scene: &'a Scene, more: &[&str]) -> (Replica<'a>, Replica<'a>) {
    let leader = Replica::start(scene, "first", more).await;
    leader.leads().await;
    let standby = Replica::start(scene, "second", more).await;
    standby.is_ready().await;
    let stands_by = || async { standby.log().contains("stands by").then_some(()) };
    eventually("the standby to know who leads", stands_by).await;
    (leader, standby)
}

/// How often an execution of the scene was said to be completed.
fn times_completed(scene: &Scene, name: &str) -> usize {
    let completed = |call: &Call| {
        let body = call.request_object.as_ref()?;
        Some(body.pointer("/status/phase")?.as_str()? == Phase::Completed.as_str())
    };
    let calls = scene.calls();
    let written = calls.iter().filter(|call| {
        let is_of_it = call.namespace == scene.namespace && call.name == name;
        is_of_it && call.subresource == "status" && call.succeeded()
    });
    written.filter(|call| completed(call) == Some(true)).count()
}

/// How many Jobs were made in the scene's system namespace.
fn jobs_made(scene: &Scene) -> usize {
    let calls = scene.calls();
    let jobs = calls
        .iter()
        .filter(|call| call.resource == "jobs" && call.namespace == scene.system_namespace);
    jobs.filter(|call| call.verb == "create" && call.succeeded())
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_one_writes_and_the_other_is_as_ready() {
    let scene = Scene::isolated("two").await;
    scene.deployment("web", 1).await;
    let (leader, standby) = two(&scene, &[]).await;
    leader.is_ready().await;

    scene.create(&scene.scaling("up", "web", 2)).await;
    let execution = scene.ends("up", Ending::COMPLETED).await;
    scene.job_expires(&execution).await;

    assert_ne!(leader.work(), []);
    assert_eq!(standby.writes(), []);
    assert!(leader.says_that_it_leads().await);
    assert!(!standby.says_that_it_leads().await);
    assert_eq!(scene.effects_on("deployments", "web"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_is_killed_the_standby_goes_on_with_what_it_left() {
    let scene = Scene::isolated("killed").await;
    scene.deployment("web", 1).await;
    let runner = StandIn::new(&scene, HELD_BEFORE_THE_WRITE);
    let (leader, standby) = two(&scene, &[]).await;
    scene.create(&scene.scaling("up", "web", 2)).await;
    runner.says("holding").await;
    scene.create(&scene.scaling("queued", "web", 3)).await;

    let killed = Instant::now();
    leader.signal(Signal::KILL);
    standby.leads().await;
    let took = killed.elapsed();
    // Past the test's captured output: how long it takes is to be seen also when all is well.
    writeln!(std::io::stdout(), "taken over {took:?} after the kill").expect("an output");

    // What is at work keeps its turn under the new leader.
    let waits = |execution: &KubernetesExecution| phase(execution) == Some(Phase::Pending);
    scene.reaches("queued", "pending", waits).await;
    runner.say("go");
    scene.ends("up", Ending::COMPLETED).await;
    let queued = scene.ends("queued", Ending::COMPLETED).await;
    scene.job_expires(&queued).await;
    assert_eq!(scene.effects_on("deployments", "web"), 2);
    assert_eq!(scene.replicas("web").await, 3);
    assert_eq!(jobs_made(&scene), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_told_to_stop_hands_over_at_once() {
    let scene = Scene::isolated("stopped").await;
    scene.deployment("web", 1).await;
    let runner = StandIn::new(&scene, HELD_BEFORE_THE_WRITE);
    let (leader, standby) = two(&scene, &ENDLESS).await;
    scene.create(&scene.scaling("up", "web", 2)).await;
    runner.says("holding").await;

    leader.stop().await;
    standby.leads().await;

    runner.say("go");
    scene.ends("up", Ending::COMPLETED).await;
    scene.create(&scene.scaling("again", "web", 3)).await;
    scene.ends("again", Ending::COMPLETED).await;
    assert_eq!(scene.effects_on("deployments", "web"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_is_told_to_stop_leaves_the_lease_alone() {
    let scene = Scene::isolated("left").await;
    let (leader, standby) = two(&scene, &ENDLESS).await;
    let before = holder(&scene).await;
    standby.stop().await;
    assert_eq!(holder(&scene).await, before);
    assert!(leader.says_that_it_leads().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_paused_writes_nothing_when_it_wakes() {
    let scene = Scene::isolated("paused").await;
    scene.deployment("web", 1).await;
    let runner = StandIn::new(&scene, HELD_BEFORE_THE_WRITE);
    let (leader, standby) = two(&scene, &SHORT).await;
    scene.create(&scene.scaling("up", "web", 2)).await;
    runner.says("holding").await;

    let pid = leader.pid();
    leader.signal(Signal::STOP);
    standby.leads().await;
    // Half of the work is done by the new leader when the old one wakes, which then sees the end of the runner first.
    scene.create(&scene.scaling("queued", "web", 3)).await;
    runner.say("go");
    scene.ends("up", Ending::COMPLETED).await;
    let written = leader.writes().len();
    leader.signal(Signal::CONT);
    leader.is_started_again_after(pid).await;
    leader.is_ready().await;
    let queued = scene.ends("queued", Ending::COMPLETED).await;
    scene.job_expires(&queued).await;

    assert_eq!(leader.writes().split_off(written), []);
    assert!(standby.holds_the_lease().await);
    let log = leader.log();
    // It has ended with an error, so that whoever runs it starts it again.
    assert!(log.contains("Error: Lead(Renew(3s))"), "{log}");
    for name in ["up", "queued"] {
        assert_eq!(times_completed(&scene, name), 1, "{name}");
    }
    assert_eq!(jobs_made(&scene), 2);
    assert_eq!(scene.effects_on("deployments", "web"), 2);
    assert_eq!(scene.replicas("web").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_under_way_when_its_leader_was_paused_does_no_harm_when_it_arrives() {
    // Of an undisturbed scaling: executing, the Job, monitoring or not, completed, the Job's time to live.
    let late = stream::iter(1..=5_u64).map(arrives_late);
    let arrived: Vec<bool> = late.buffer_unordered(3).collect().await;
    // One of them may not have been made: a proof can hold at the first look.
    let count = arrived.into_iter().filter(|arrived| *arrived).count();
    assert!(count >= 4, "{count} writes were late");
}

/// Pauses the leader at its write of that number until another one has done all its work, and lets the write arrive
/// then. Whether it came to such a write.
async fn arrives_late(write: u64) -> bool {
    let scene = Scene::isolated("late").await;
    scene.deployment("web", 1).await;
    let (leader, standby) = two(&scene, &SHORT).await;
    leader.proxy.set_script(at_write(write, Fault::Hang));
    scene.create(&scene.scaling("up", "web", 2)).await;
    let is_late = tokio::select! {
        _ = leader.proxy.wait_for_request(|seen| seen.fault == Fault::Hang) => true,
        execution = scene.ended("up") => { scene.job_expires(&execution).await; false }
    };
    if !is_late {
        return false;
    }
    let pid = leader.pid();
    leader.signal(Signal::STOP);
    standby.leads().await;
    let execution = scene.ends("up", Ending::COMPLETED).await;
    scene.job_expires(&execution).await;
    let before = scene.ended("up").await;

    leader.proxy.release();
    let answered =
        |seen: &Seen| seen.fault == Fault::Hang && (seen.code.is_some() || seen.abandoned);
    let seen = leader.proxy.wait_for_request(answered).await;
    assert!(!seen.abandoned, "write {write} did not arrive");
    leader.signal(Signal::CONT);
    leader.is_started_again_after(pid).await;
    leader.is_ready().await;

    assert_eq!(times_completed(&scene, "up"), 1, "{write}");
    assert_eq!(jobs_made(&scene), 1, "{write}");
    assert_eq!(scene.effects_on("deployments", "web"), 1, "{write}");
    let after = scene.ended("up").await;
    assert_eq!(after.status, before.status, "{write}");
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_cannot_renew_acts_no_more_before_another_one_does() {
    let scene = Scene::isolated("cut-off").await;
    let (leader, standby) = two(&scene, &SHORT).await;
    let pid = leader.pid();
    // Everything else works: it could act, and must not.
    leader.proxy.set_script(|request| {
        if request.attributes.resource == "leases" {
            Fault::Hang
        } else {
            Fault::Pass
        }
    });
    let mut painted = 0;
    while !standby.holds_the_lease().await {
        paint(&scene, &format!("at-{painted}")).await;
        painted += 1;
    }
    leader.is_started_again_after(pid).await;
    leader.proxy.set_script(pass());
    leader.proxy.release();
    leader.is_ready().await;
    paint(&scene, "after").await;

    let writes = standby.writes();
    let (taken, _) = writes
        .iter()
        .find(|(_, call)| call.is_on_lease() && call.succeeded())
        .expect("it took the Lease");
    let work = leader.work();
    assert_ne!(work, []);
    let late: Vec<_> = work.iter().filter(|(at, _)| at > taken).collect();
    assert_eq!(late, Vec::<&(usize, Call)>::new());
    let early: Vec<_> = standby.work();
    assert!(early.iter().all(|(at, _)| at > taken), "{early:#?}");
    for name in (0..painted).map(|at| format!("at-{at}")) {
        assert_eq!(scene.effects_on("configmaps", &name), 1, "{name}");
    }
}

/// Runs an execution of that name on a ConfigMap of that name.
async fn paint(scene: &Scene, name: &str) {
    let metadata = json!({"name": name, "namespace": scene.namespace});
    scene
        .apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}))
        .await;
    let target = ("v1", "ConfigMap", name);
    let parameters = json!({"data": {"color": "blue"}});
    scene
        .create(&scene.execution(name, "modify_configmap", target, &parameters))
        .await;
    scene.ends(name, Ending::COMPLETED).await;
    let maps: Api<ConfigMap> = scene.api();
    let painted = maps.get(name).await.expect("a ConfigMap").data;
    assert_eq!(
        painted,
        Some([("color".to_owned(), "blue".to_owned())].into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_renewals_are_done_and_whose_answers_are_lost_goes_on_leading() {
    let scene = Scene::isolated("unanswered").await;
    let (leader, standby) = two(&scene, &SHORT).await;
    let pid = leader.pid();
    // Every other one: there is an answer well within the deadline.
    let renewals = AtomicU64::new(0);
    leader.proxy.set_script(move |request| {
        let is_renewal = request.attributes.resource == "leases" && request.is_write();
        if is_renewal && renewals.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            Fault::LoseAnswer
        } else {
            Fault::Pass
        }
    });
    let lost = || async {
        let log = leader.proxy.log();
        let lost = log.iter().filter(|seen| seen.fault == Fault::LoseAnswer);
        (lost.count() >= 4).then_some(())
    };
    eventually("answers to renewals to be lost", lost).await;

    paint(&scene, "meanwhile").await;

    assert_eq!((leader.pid(), leader.holds_the_lease().await), (pid, true));
    assert_eq!(standby.writes(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_lease_is_gone_takes_it_again() {
    let scene = Scene::isolated("gone").await;
    let (leader, standby) = two(&scene, &SHORT).await;
    let leases: Api<k8s_openapi::api::coordination::v1::Lease> = scene.system_api();
    leases
        .delete(names::LEADER_LEASE, &kube::api::DeleteParams::default())
        .await
        .expect("deleted");
    eventually("a new Lease", || async { holder(&scene).await }).await;

    paint(&scene, "after").await;

    assert!(leader.holds_the_lease().await);
    assert_eq!(standby.writes(), []);
}
