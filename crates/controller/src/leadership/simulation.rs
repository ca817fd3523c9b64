//! Several replicas, one Lease and a network that delays and loses requests and answers, in simulated time: however they
//! come, no two replicas may act at once, and when they stop coming somebody leads.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use proptest::collection::vec;
use proptest::prelude::*;

use super::candidacy::{Candidacy, Decision};
use super::timing::Timing;

/// Simulated milliseconds until which there are faults, and after.
const FAULTY: u64 = 120_000;
const END: u64 = FAULTY + 45_000;
/// Longest time of a call, as in `cluster`.
const CALL: u64 = 5_000;

/// What the network makes of one call.
#[derive(Clone, Copy, Debug)]
enum Weather {
    /// Milliseconds there and back.
    Fine(u64, u64),
    RequestLost,
    /// It arrives after that many milliseconds, also when nobody waits for it any more.
    AnswerLost(u64),
    /// The replica is paused for so long before it sends.
    Paused(u64),
}

fn weather() -> impl Strategy<Value = Weather> {
    prop_oneof![
        6 => (0..400_u64, 0..400_u64).prop_map(|(there, back)| Weather::Fine(there, back)),
        1 => Just(Weather::RequestLost),
        2 => (0..12_000_u64).prop_map(Weather::AnswerLost),
        1 => (0..40_000_u64).prop_map(Weather::Paused),
    ]
}

/// The API server's side.
#[derive(Default)]
struct Server {
    lease: Option<Lease>,
    version: u32,
}

enum Request {
    Read,
    Create(Lease),
    Replace(Lease),
}

enum Answer {
    Read(Option<Lease>),
    Wrote(Lease),
    Refused,
}

impl Server {
    fn answer(&mut self, request: Request) -> Answer {
        match request {
            Request::Read => Answer::Read(self.lease.clone()),
            Request::Create(lease) if self.lease.is_none() => self.keep(lease),
            Request::Replace(lease) => {
                let of = |lease: &Lease| lease.metadata.resource_version.clone();
                if self.lease.as_ref().map(of) == Some(of(&lease)) {
                    self.keep(lease)
                } else {
                    Answer::Refused
                }
            }
            Request::Create(_) => Answer::Refused,
        }
    }

    fn keep(&mut self, mut lease: Lease) -> Answer {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease.clone());
        Answer::Wrote(lease)
    }
}

enum Event {
    /// The replica decides.
    Decide(usize),
    /// A request arrives; the answer starts back with that weather.
    Arrive(usize, Request, u64, Option<u64>),
    /// An answer arrives to a request that was sent then.
    Answered(usize, Answer, u64),
    /// Nothing came.
    TimedOut(usize, u64),
}

struct Replica {
    candidacy: Candidacy,
    /// What its monotonic clock shows at the beginning, and its wall clock.
    origin: Instant,
    wall: i64,
    weather: Vec<Weather>,
    calls: usize,
    /// From when until when it may have written.
    acted: Vec<(u64, u64)>,
    /// Calls under way are told apart by when they were sent; later answers are not waited for.
    waits_for: Option<u64>,
}

impl Replica {
    fn at(&self, now: u64) -> Instant {
        self.origin + Duration::from_millis(now)
    }

    fn weather(&mut self, now: u64) -> Weather {
        self.calls += 1;
        if now >= FAULTY {
            return Weather::Fine(1, 1);
        }
        self.weather[self.calls % self.weather.len()]
    }
}

struct World {
    now: u64,
    number: u64,
    due: BTreeMap<(u64, u64), Event>,
    server: Server,
    replicas: Vec<Replica>,
}

impl World {
    fn schedule(&mut self, at: u64, event: Event) {
        self.number += 1;
        self.due.insert((at.max(self.now), self.number), event);
    }

    fn run(&mut self) {
        while let Some(((at, _), event)) = self.due.pop_first() {
            if at > END {
                return;
            }
            self.now = at;
            match event {
                Event::Decide(one) => self.decide(one),
                Event::Arrive(one, request, sent, back) => {
                    let answer = self.server.answer(request);
                    if let Some(back) = back {
                        self.schedule(at + back, Event::Answered(one, answer, sent));
                    }
                }
                Event::Answered(one, answer, sent) => self.answered(one, answer, sent),
                Event::TimedOut(one, sent) => {
                    let replica = &mut self.replicas[one];
                    if replica.waits_for == Some(sent) {
                        replica.waits_for = None;
                        let sent = replica.at(sent);
                        replica.candidacy.failed(sent);
                        self.schedule(at, Event::Decide(one));
                    }
                }
            }
        }
    }

    fn decide(&mut self, one: usize) {
        let now = self.now;
        let replica = &mut self.replicas[one];
        let wall = Timestamp::UNIX_EPOCH
            + SignedDuration::from_millis(replica.wall + i64::try_from(now).unwrap());
        let request = match replica.candidacy.decide(replica.at(now)) {
            Decision::Lost(_) => {
                // It ends, and comes back as another one.
                let identity = format!("{one}_{now}");
                replica.candidacy = Candidacy::new(identity, timing());
                self.schedule(now + 1_000, Event::Decide(one));
                return;
            }
            Decision::Wait { until } => {
                let until = (until - replica.origin).as_millis();
                self.schedule(
                    u64::try_from(until).unwrap().max(now + 1),
                    Event::Decide(one),
                );
                return;
            }
            Decision::Read => Request::Read,
            Decision::Create => Request::Create(replica.candidacy.held(Lease::default(), wall)),
            Decision::Replace(seen) => Request::Replace(replica.candidacy.held(*seen, wall)),
        };
        self.send(one, request);
    }

    /// A replica that is paused between its decision and the call sends late, and knows no better than that it sent
    /// before the pause.
    fn send(&mut self, one: usize, request: Request) {
        let sent = self.now;
        let replica = &mut self.replicas[one];
        let weather = replica.weather(sent);
        replica.waits_for = Some(sent);
        match weather {
            Weather::Fine(there, back) => {
                self.schedule(sent + there, Event::Arrive(one, request, sent, Some(back)));
            }
            Weather::RequestLost => {}
            Weather::AnswerLost(there) => {
                self.schedule(sent + there, Event::Arrive(one, request, sent, None));
            }
            Weather::Paused(pause) => {
                self.schedule(sent + pause, Event::Arrive(one, request, sent, Some(1)));
                self.schedule(sent + pause + CALL, Event::TimedOut(one, sent));
                return;
            }
        }
        self.schedule(sent + CALL, Event::TimedOut(one, sent));
    }

    fn answered(&mut self, one: usize, answer: Answer, sent: u64) {
        let now = self.now;
        let replica = &mut self.replicas[one];
        if replica.waits_for != Some(sent) {
            return;
        }
        replica.waits_for = None;
        let (at, sent_at) = (replica.at(now), replica.at(sent));
        match answer {
            Answer::Read(lease) => replica.candidacy.read(lease, at),
            Answer::Wrote(lease) => {
                replica.candidacy.wrote(lease, sent_at);
                let until = replica.candidacy.deadline().unwrap() - replica.origin;
                let until = u64::try_from(until.as_millis()).unwrap();
                if now < until {
                    replica.acted.push((now, until));
                }
            }
            Answer::Refused => replica.candidacy.refused(sent_at),
        }
        self.schedule(now, Event::Decide(one));
    }
}

fn timing() -> Timing {
    let seconds = Duration::from_secs;
    Timing::new(seconds(15), seconds(10), seconds(2)).unwrap()
}

/// Replicas with clocks that have nothing to do with each other.
fn world(replicas: Vec<(u64, i64, Vec<Weather>)>) -> World {
    let mut world = World {
        now: 0,
        number: 0,
        due: BTreeMap::new(),
        server: Server::default(),
        replicas: Vec::new(),
    };
    for (one, (origin, wall, weather)) in replicas.into_iter().enumerate() {
        world.replicas.push(Replica {
            candidacy: Candidacy::new(format!("{one}_0"), timing()),
            origin: Instant::now() + Duration::from_millis(origin),
            wall,
            weather,
            calls: 0,
            acted: Vec::new(),
            waits_for: None,
        });
        world.schedule(0, Event::Decide(one));
    }
    world
}

proptest! {
    #[test]
    fn no_two_replicas_may_write_at_once_and_in_the_end_one_leads(
        replicas in vec((0..1_000_000_u64, -1_000_000_000..1_000_000_000_i64, vec(weather(), 1..40)), 2..4)
    ) {
        let mut world = world(replicas);
        world.run();
        for (one, replica) in world.replicas.iter().enumerate() {
            for (other, rival) in world.replicas.iter().enumerate().skip(one + 1) {
                for (from, until) in &replica.acted {
                    for (rival_from, rival_until) in &rival.acted {
                        prop_assert!(
                            until <= rival_from || rival_until <= from,
                            "{one} from {from} to {until}, {other} from {rival_from} to {rival_until}"
                        );
                    }
                }
            }
        }
        let leads = world.replicas.iter().filter(|replica| {
            replica.acted.iter().any(|(_, until)| *until > END)
        });
        prop_assert_eq!(leads.count(), 1);
    }
}
