use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::ResourceExt;
use kube::core::ObjectMeta;

use super::candidacy::{Candidacy, Decision};
use super::fence::{Fence, NotLeading};
use super::timing::{Timing, TimingError};
use super::*;

const US: &str = "us_1";
const THEM: &str = "them_2";
const WALL: Timestamp = Timestamp::UNIX_EPOCH;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn timing() -> Timing {
    Timing::new(seconds(15), seconds(10), seconds(2)).unwrap()
}

fn candidacy() -> Candidacy {
    Candidacy::new(US.to_owned(), timing())
}

/// A Lease of that holder, in its state number `version`.
fn lease(holder: &str, version: u32) -> Box<Lease> {
    Box::new(Lease {
        metadata: ObjectMeta {
            uid: Some("one".to_owned()),
            resource_version: Some(version.to_string()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        }),
    })
}

/// What happens to a candidacy, with the second it happens at.
#[derive(Debug)]
enum Happens {
    Reads(u64, Option<Box<Lease>>),
    /// The write was sent at that second.
    Writes(u64, u32),
    IsRefused(u64),
    Fails(u64),
}

fn replayed(history: Vec<Happens>, start: Instant) -> Candidacy {
    let mut candidacy = candidacy();
    for happens in history {
        match happens {
            Happens::Reads(at, lease) => {
                candidacy.read(lease.map(|lease| *lease), start + seconds(at));
            }
            Happens::Writes(at, version) => {
                candidacy.wrote(*lease(US, version), start + seconds(at));
            }
            Happens::IsRefused(at) => candidacy.refused(start + seconds(at)),
            Happens::Fails(at) => candidacy.failed(start + seconds(at)),
        }
    }
    candidacy
}

/// What is told, a history, a second after it, and what is decided then.
type Row = (&'static str, Vec<Happens>, u64, Expected);

/// Checks what is decided.
fn assert_decides(rows: Vec<Row>) {
    for (what, history, at, expected) in rows {
        let start = Instant::now();
        let decision = replayed(history, start).decide(start + seconds(at));
        let expected = match expected {
            Expected::Read => Decision::Read,
            Expected::Create => Decision::Create,
            Expected::Replace(lease) => Decision::Replace(lease),
            Expected::Wait(until) => Decision::Wait {
                until: start + seconds(until),
            },
            Expected::Lost(loss) => Decision::Lost(loss),
        };
        assert_eq!(decision, expected, "{what}");
    }
}

enum Expected {
    Read,
    Create,
    Replace(Box<Lease>),
    Wait(u64),
    Lost(Loss),
}

use Expected::{Create, Lost, Read, Replace, Wait};
use Happens::{Fails, IsRefused, Reads, Writes};

#[test]
fn who_does_not_lead_takes_the_lease_only_when_it_is_free_or_over() {
    let theirs = |version| Some(lease(THEM, version));
    assert_decides(vec![
        ("at first it reads", vec![], 0, Read),
        ("none is there", vec![Reads(0, None)], 0, Create),
        (
            "it was released",
            vec![Reads(0, Some(lease("", 4)))],
            0,
            Replace(lease("", 4)),
        ),
        (
            "the answer to our own acquisition was lost",
            vec![Reads(0, None), Fails(0), Reads(2, Some(lease(US, 1)))],
            2,
            Replace(lease(US, 1)),
        ),
        ("another one's", vec![Reads(0, theirs(1))], 0, Wait(2)),
        ("it is looked at again", vec![Reads(0, theirs(1))], 2, Read),
        (
            "its time counts from when its state was first seen",
            vec![Reads(0, theirs(1)), Reads(14, theirs(1))],
            14,
            Wait(15),
        ),
        (
            "it is over",
            vec![Reads(0, theirs(1)), Reads(14, theirs(1))],
            15,
            Replace(lease(THEM, 1)),
        ),
        (
            "it was renewed",
            vec![Reads(0, theirs(1)), Reads(14, theirs(2))],
            15,
            Wait(16),
        ),
        (
            "it is over after the renewal, and taken without another look",
            vec![Reads(0, theirs(1)), Reads(14, theirs(2))],
            29,
            Replace(lease(THEM, 2)),
        ),
    ]);
}

#[test]
fn a_lease_that_was_deleted_is_free_when_its_holder_must_have_noticed() {
    let history = || vec![Reads(0, Some(lease(THEM, 1))), Reads(6, None)];
    assert_decides(vec![
        ("its holder may act", history(), 6, Wait(8)),
        ("it is looked at again", history(), 8, Read),
        ("its holder has stopped", history(), 15, Create),
    ]);
}

/// It leads since the second 0, and then that happens.
fn led(more: Vec<Happens>) -> Vec<Happens> {
    [Reads(0, None), Writes(0, 1)]
        .into_iter()
        .chain(more)
        .collect()
}

#[test]
fn who_leads_renews_in_time_or_stops() {
    let late = || Lost(Loss::Renew(seconds(10)));
    assert_decides(vec![
        ("it has just renewed", led(vec![]), 0, Wait(2)),
        (
            "it renews without a look",
            led(vec![]),
            2,
            Replace(lease(US, 1)),
        ),
        (
            "a renewal got no answer: it waits, looks, and renews what it finds",
            led(vec![Fails(2)]),
            3,
            Wait(4),
        ),
        ("and looks", led(vec![Fails(2)]), 4, Read),
        (
            "and renews",
            led(vec![Fails(2), Reads(4, Some(lease(US, 2)))]),
            4,
            Replace(lease(US, 2)),
        ),
        (
            "its own Lease that it reads is no renewal",
            led(vec![Fails(2), Reads(9, Some(lease(US, 2)))]),
            10,
            late(),
        ),
        (
            "it waits no longer than it may lead",
            led(vec![Fails(9)]),
            9,
            Wait(10),
        ),
        ("it was paused", led(vec![]), 10, late()),
        (
            "its time counts from when the renewal was sent",
            led(vec![Writes(2, 2), Fails(11)]),
            11,
            Wait(12),
        ),
        (
            "and is over",
            led(vec![Writes(2, 2), Fails(11)]),
            12,
            late(),
        ),
    ]);
}

#[test]
fn who_leads_looks_when_its_renewal_is_refused() {
    assert_decides(vec![
        (
            "a conflict makes it look at once",
            led(vec![IsRefused(2)]),
            2,
            Read,
        ),
        (
            "somebody else took it",
            led(vec![IsRefused(2), Reads(2, Some(lease(THEM, 2)))]),
            2,
            Lost(Loss::Keep(THEM.to_owned())),
        ),
        (
            "somebody changed its labels",
            led(vec![IsRefused(2), Reads(2, Some(lease(US, 2)))]),
            2,
            Replace(lease(US, 2)),
        ),
        (
            "somebody deleted it",
            led(vec![IsRefused(2), Reads(2, None)]),
            2,
            Create,
        ),
        (
            "one conflict after the other does not make it hurry",
            led(vec![
                IsRefused(2),
                Reads(2, Some(lease(US, 2))),
                IsRefused(2),
            ]),
            2,
            Wait(4),
        ),
    ]);
}

#[test]
fn the_holder_says_itself_how_long_its_lease_lasts() {
    let mut longer = lease(THEM, 1);
    longer.spec.as_mut().unwrap().lease_duration_seconds = Some(60);
    let mut unsaid = lease(THEM, 1);
    unsaid.spec.as_mut().unwrap().lease_duration_seconds = None;
    let read = |lease: &Lease| {
        let lease = Box::new(lease.clone());
        vec![Reads(0, Some(lease.clone())), Reads(14, Some(lease))]
    };
    assert_decides(vec![
        ("60 s", read(&longer), 15, Wait(16)),
        ("60 s are over", read(&longer), 60, Replace(longer.clone())),
        (
            "ours, if it does not",
            read(&unsaid),
            15,
            Replace(unsaid.clone()),
        ),
    ]);
}

#[test]
fn the_wall_clock_that_a_lease_was_written_by_does_not_matter() {
    for renewed in [Timestamp::MIN, WALL, Timestamp::MAX] {
        let mut theirs = Box::new(candidacy().held(*lease(THEM, 1), renewed));
        theirs.spec.as_mut().unwrap().holder_identity = Some(THEM.to_owned());
        let read = || {
            vec![
                Reads(0, Some(theirs.clone())),
                Reads(14, Some(theirs.clone())),
            ]
        };
        assert_decides(vec![
            ("it lasts", read(), 14, Wait(15)),
            ("it is over", read(), 15, Replace(theirs.clone())),
        ]);
    }
}

#[test]
fn a_lease_says_who_holds_it_since_when_and_how_often_it_changed_hands() {
    let (first, later) = (WALL, WALL + jiff::SignedDuration::from_secs(60));
    let us = candidacy();
    let taken = us.held(*lease(THEM, 7), first);
    let renewed = us.held(taken.clone(), later);
    let told = |lease: &Lease| {
        let spec = lease.spec.clone().unwrap();
        let (since, at) = (spec.acquire_time.unwrap().0, spec.renew_time.unwrap().0);
        (
            spec.holder_identity.unwrap(),
            since,
            at,
            spec.lease_transitions,
        )
    };
    assert_eq!(told(&taken), (US.to_owned(), first, first, Some(1)));
    assert_eq!(told(&renewed), (US.to_owned(), first, later, Some(1)));
    // It is the resource version that keeps another one's write from being undone.
    assert_eq!(taken.resource_version().as_deref(), Some("7"));

    let created = us.held(Lease::default(), first);
    assert_eq!(told(&created), (US.to_owned(), first, first, Some(0)));
}

#[test]
fn only_its_holder_releases_a_lease() {
    let us = candidacy();
    let released = Box::new(us.released(*lease(US, 7), WALL).unwrap());
    assert_eq!(
        replayed(vec![Reads(0, Some(released.clone()))], Instant::now()).decide(Instant::now()),
        Decision::Replace(released.clone())
    );
    assert_eq!(released.resource_version().as_deref(), Some("7"));
    assert_eq!(us.released(*lease(THEM, 7), WALL), None);
    assert_eq!(us.released(*lease("", 7), WALL), None);
}

#[test]
fn no_two_lives_of_a_replica_have_the_same_identity() {
    let (one, other) = (elector::identity(), elector::identity());
    assert_ne!(one, other);
    assert!(one.contains('_'), "{one}");
}

#[test]
fn a_fence_lets_pass_what_is_in_time() {
    let fence = Fence::closed();
    assert_eq!(fence.pass(), Err(NotLeading));
    fence.extend(Instant::now() + seconds(60));
    assert_eq!(fence.pass(), Ok(()));
    // Nobody has to run for it to close.
    fence.extend(Instant::now());
    assert_eq!(fence.pass(), Err(NotLeading));
    fence.extend(Instant::now() + seconds(60));
    fence.close();
    assert_eq!(fence.pass(), Err(NotLeading));
    assert_eq!(Fence::open().pass(), Ok(()));
}

#[test]
fn times_by_which_two_could_act_are_refused() {
    let refused = |lease, renew_deadline, retry| {
        Timing::new(seconds(lease), seconds(renew_deadline), seconds(retry)).unwrap_err()
    };
    let (lease, shortest) = (seconds(14), seconds(15));
    assert_eq!(
        refused(14, 10, 2),
        TimingError::OutliveCalls { lease, shortest }
    );
    for retry in [0, 6] {
        let (retry, renew_deadline) = (seconds(retry), seconds(10));
        let error = TimingError::RenewInTime {
            retry,
            renew_deadline,
        };
        assert_eq!(refused(15, 10, retry.as_secs()), error);
    }
    assert_eq!(
        timing(),
        Timing::new(seconds(15), seconds(10), seconds(2)).unwrap()
    );
}

#[test]
fn by_default_a_standby_takes_over_within_twenty_seconds() {
    use clap::Parser;
    let options = crate::Options::parse_from(["kubernaut-executor", "--runner-image", "runner"]);
    let timing = options.timing().unwrap();
    assert_eq!(timing, self::timing());
    // From the last renewal: when it was seen, its time, and the calls.
    assert!(timing.retry + timing.lease < seconds(20));
    assert!(!options.leader_election);
    let place = options.leader_lease();
    assert_eq!(
        (place.namespace.as_str(), place.name.as_str()),
        ("kubernaut-system", "kubernaut-executor")
    );
}
