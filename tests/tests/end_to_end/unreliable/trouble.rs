//! Which trouble comes to which class of calls and events, in which scene. What must come of it is not decided here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use kexec_api::names;
use kexec_tests::fault_proxy::{Fault, FaultProxy, RequestInfo, WatchEvent, WatchFault};
use kube::core::response::StatusDetails;
use serde_json::Value;

use super::{is_event_trouble, is_trouble};

/// Longer than the operator waits for any answer.
const TOO_LONG: Duration = Duration::from_secs(6);
/// Long enough to come in another order, and no longer than the operator waits.
const A_WHILE: Duration = Duration::from_millis(400);

/// What befalls one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// The proxy answers with this code; 429 says when to come again.
    Answer(u16),
    /// Lost on its way.
    Lost,
    /// Never answered.
    Hangs,
    /// Answered after this long.
    Late(Duration),
}

/// What befalls a call, in this order, until one is answered: lateness is no failure, so it comes last.
const ON_CALLS: [Trouble; 7] = [
    Trouble::Answer(429),
    Trouble::Answer(500),
    Trouble::Answer(503),
    Trouble::Answer(504),
    Trouble::Lost,
    Trouble::Hangs,
    Trouble::Late(A_WHILE),
];
/// What befalls the beginning of a watch.
const ON_WATCHES: [Trouble; 7] = [
    Trouble::Answer(410),
    Trouble::Answer(429),
    Trouble::Answer(500),
    Trouble::Answer(503),
    Trouble::Answer(504),
    Trouble::Lost,
    Trouble::Late(TOO_LONG),
];
/// What the operator asks for only a few times before it gives up.
const ASKED_A_FEW_TIMES: [&str; 2] = ["get /readyz", "create subjectaccessreviews"];
/// What is not written any more once the outcome is proven, which may be so after a hang.
const PASSES_BY_ITSELF: &str = "update kubernetesexecutions/status monitoring";
/// What it does not try again: events are for people, and the sweep comes again.
const TRIED_ONCE: [&str; 3] = [CREATE_EVENTS, "list configmaps", "list leases"];
/// What the sweep does about executions that others left behind: it comes or it does not.
const OF_OTHERS: [&str; 3] = [
    "delete configmaps",
    "delete leases",
    "get kubernetesexecutions",
];
/// Telling people.
pub(super) const CREATE_EVENTS: &str = "create events";
/// Most troubles in a row that a question of [`ASKED_A_FEW_TIMES`] gets.
const FEW: usize = 3;

/// Events that others make up for when they get lost without an end of the watch.
const MADE_UP_FOR: [&str; 4] = [
    "MODIFIED kubernetesexecutions",
    "ADDED jobs",
    "MODIFIED jobs",
    "ADDED pods",
];

/// The classes that the undisturbed run uses.
#[derive(Clone, Debug)]
pub(super) struct Classes {
    /// Verb and resource, and the phase that a status write writes.
    pub(super) calls: BTreeSet<String>,
    /// Type and resource.
    pub(super) events: BTreeSet<String>,
}

/// What befalls the events of a watch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum EventTrouble {
    /// Every one is.
    Every(WatchFault),
    /// The first of each class is.
    First(WatchFault),
    /// Those that tell the end of the runner are lost.
    EndLost,
}

/// The trouble in one scene.
#[derive(Clone, Default)]
pub(super) struct Plan {
    calls: BTreeMap<String, Vec<Trouble>>,
    events: Option<(EventTrouble, BTreeSet<String>)>,
    /// The execution's own time-out, where it takes the deadline to notice.
    pub(super) timeout: Option<&'static str>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.calls, self.events)
    }
}

/// The class of a request.
pub(super) fn class_of(request: &RequestInfo) -> String {
    let attributes = &request.attributes;
    if attributes.resource.is_empty() {
        let path = request.uri.split('?').next().unwrap_or_default();
        return format!("{} {path}", attributes.verb);
    }
    let class = format!("{} {}", attributes.verb, attributes.resource_path());
    let phase = request.object();
    let phase = phase
        .as_ref()
        .and_then(|body| body.pointer("/status/phase")?.as_str());
    match phase {
        Some(phase) => format!("{class} {phase}"),
        None if attributes.resource == "pods"
            && attributes.namespace == names::DEFAULT_SYSTEM_NAMESPACE =>
        {
            format!("{class} of Jobs")
        }
        None => class,
    }
}

/// Whether an event is about the execution in a namespace: its Job and pod stand in the system namespace.
pub(super) fn is_event_of(event: &WatchEvent, namespace: &str) -> bool {
    let labels = event.object.pointer("/metadata/labels");
    let of = labels.and_then(|labels| labels.get(names::LABEL_EXECUTION_NAMESPACE)?.as_str());
    event.namespace == namespace || of == Some(namespace)
}

fn class_of_event(event: &WatchEvent) -> String {
    format!("{} {}", event.event_type, event.resource)
}

/// Every trouble at every class of calls that are no watches.
pub(super) fn on_calls(classes: &Classes) -> Vec<Plan> {
    let mut plans = Vec::new();
    let (once, often): (Vec<_>, Vec<_>) = classes
        .calls
        .iter()
        .filter(|class| !is_of_watch(class, classes) && !OF_OTHERS.contains(&class.as_str()))
        .cloned()
        .partition(|class| TRIED_ONCE.contains(&class.as_str()));
    for class in often {
        if class.starts_with("update kubernetesexecutions/status") {
            // Alone: what a conflict leaves behind must do no harm to the very next try.
            plans.push(at_the_first_of([&class].into_iter(), Trouble::Answer(409)));
        }
        let in_a_row = if ASKED_A_FEW_TIMES.contains(&class.as_str()) {
            FEW
        } else if class == PASSES_BY_ITSELF {
            1
        } else {
            ON_CALLS.len()
        };
        plans.extend(ON_CALLS.chunks(in_a_row).map(|troubles| Plan {
            calls: [(class.clone(), troubles.to_vec())].into(),
            ..Plan::default()
        }));
    }
    plans.extend(ON_CALLS.map(|trouble| at_the_first_of(once.iter(), trouble)));
    plans
}

/// Every trouble at every watch, and at every class of events.
pub(super) fn on_watches(classes: &Classes) -> Vec<Plan> {
    let watches: Vec<&String> = classes
        .calls
        .iter()
        .filter(|class| is_of_watch(class, classes))
        .collect();
    let mut plans: Vec<Plan> = ON_WATCHES
        .map(|trouble| at_the_first_of(watches.iter().copied(), trouble))
        .into();
    let made_up_for = classes
        .events
        .iter()
        .filter(|class| MADE_UP_FOR.contains(&class.as_str()));
    let made_up_for: BTreeSet<String> = made_up_for.cloned().collect();
    let all = || classes.events.clone();
    // Of one watch only the first of both could be cut.
    let (added, others) = all()
        .into_iter()
        .partition(|class| class.starts_with("ADDED"));
    plans.extend(
        [
            (EventTrouble::Every(WatchFault::Duplicate), all()),
            (EventTrouble::Every(WatchFault::Delay(A_WHILE)), all()),
            (EventTrouble::First(WatchFault::Cut), added),
            (EventTrouble::First(WatchFault::Cut), others),
            (EventTrouble::First(WatchFault::Drop), made_up_for),
        ]
        .map(|events| Plan {
            events: Some(events),
            ..Plan::default()
        }),
    );
    plans.push(Plan {
        events: Some((EventTrouble::EndLost, ["MODIFIED pods".to_owned()].into())),
        timeout: Some("12s"),
        ..Plan::default()
    });
    plans
}

fn at_the_first_of<'a>(classes: impl Iterator<Item = &'a String>, trouble: Trouble) -> Plan {
    Plan {
        calls: classes
            .map(|class| (class.clone(), vec![trouble]))
            .collect(),
        ..Plan::default()
    }
}

/// Whether the calls of the class are the beginning of a watch, or the list it begins with.
fn is_of_watch(class: &str, classes: &Classes) -> bool {
    let watched = class.strip_prefix("list ");
    class.starts_with("watch ")
        || watched.is_some_and(|what| classes.calls.contains(&format!("watch {what}")))
}

impl Trouble {
    fn fault(self) -> Fault {
        let answer = |code: u16| Fault::answer(StatusCode::from_u16(code).expect("a code"));
        match self {
            Self::Answer(429) => match answer(429) {
                Fault::Answer(mut status) => {
                    status.details = Some(StatusDetails {
                        retry_after_seconds: 1,
                        ..empty_details()
                    });
                    Fault::Answer(status)
                }
                other => other,
            },
            Self::Answer(code) => answer(code),
            Self::Lost => Fault::LoseRequest,
            Self::Hangs => Fault::Hang,
            Self::Late(time) => Fault::Delay(time),
        }
    }
}

fn empty_details() -> StatusDetails {
    serde_json::from_value(Value::Object(serde_json::Map::new())).expect("no details")
}

impl EventTrouble {
    /// What is done with an event of a class; `first` when it is the first of that class.
    fn fault(self, event: &WatchEvent, first: bool) -> WatchFault {
        match self {
            Self::Every(fault) => fault,
            Self::First(fault) if first => fault,
            Self::EndLost if tells_the_end(event) => WatchFault::Drop,
            Self::First(_) | Self::EndLost => WatchFault::Pass,
        }
    }
}

/// Whether a pod's container has ended that writes.
fn tells_the_end(event: &WatchEvent) -> bool {
    let containers = event.object.pointer("/status/containerStatuses");
    let mut containers = containers.and_then(Value::as_array).into_iter().flatten();
    containers.any(|container| container.pointer("/state/terminated").is_some())
}

impl Plan {
    /// Has the proxy do it.
    pub(super) fn set(&self, proxy: &FaultProxy, namespace: &str) {
        let left: BTreeMap<String, VecDeque<Trouble>> = self
            .calls
            .iter()
            .map(|(class, troubles)| (class.clone(), troubles.iter().copied().collect()))
            .collect();
        let left = Mutex::new(left);
        proxy.set_script(move |request| {
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            let next = left
                .get_mut(&class_of(request))
                .and_then(VecDeque::pop_front);
            next.map_or(Fault::Pass, Trouble::fault)
        });
        let Some((trouble, classes)) = self.events.clone() else {
            return;
        };
        let (namespace, seen) = (namespace.to_owned(), Mutex::new(BTreeSet::new()));
        proxy.set_watch_script(move |event| {
            let class = class_of_event(event);
            if !is_event_of(event, &namespace) || !classes.contains(&class) {
                return WatchFault::Pass;
            }
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            trouble.fault(event, seen.insert(class))
        });
    }

    /// How many troubles there are in it.
    pub(super) fn points(&self) -> usize {
        let events = self.events.as_ref().map_or(0, |(_, classes)| classes.len());
        self.calls.values().map(Vec::len).sum::<usize>() + events
    }

    /// The classes it troubles.
    pub(super) fn classes(&self) -> Vec<String> {
        let events = self.events.iter().flat_map(|(_, classes)| classes);
        self.calls.keys().chain(events).cloned().collect()
    }

    /// Whether it is to be seen that people are told in spite of it: an event that was lost is not sent again, and holds
    /// up none behind it; an intent that was recorded after a conflict is told as any other.
    pub(super) fn is_about_what_people_are_told(&self) -> bool {
        let classes = [
            CREATE_EVENTS,
            "update kubernetesexecutions/status executing",
        ];
        classes.iter().any(|class| self.calls.contains_key(*class))
    }

    /// What was planned and has not come.
    pub(super) fn missed(&self, proxy: &FaultProxy, namespace: &str) -> Vec<String> {
        let log = proxy.log();
        let came = |class: &str| {
            let of_it = log.iter().filter(|seen| class_of(&seen.request) == class);
            of_it.filter(|seen| is_trouble(&seen.fault)).count()
        };
        let calls = self.calls.iter();
        let calls = calls.filter(|(class, troubles)| came(class) != troubles.len());
        let mut missed: Vec<String> = calls
            .map(|(class, troubles)| format!("{} of {troubles:?} at {class}", came(class)))
            .collect();
        let watched = proxy.watch_log();
        let events = self.events.iter().flat_map(|(_, classes)| classes);
        let untroubled = events.filter(|class| {
            !watched.iter().any(|seen| {
                class_of_event(&seen.event) == **class
                    && is_event_of(&seen.event, namespace)
                    && is_event_trouble(seen.fault)
            })
        });
        missed.extend(untroubled.cloned());
        missed
    }
}
