//! Who may work on which target, and how many may work at once (BR-EXEC-015, BR-EXEC-024, BR-EXEC-025). A table in
//! memory, rebuilt from status after a restart: claims and preconditions keep a cluster safe without it, it only
//! keeps executions from getting in each other's way.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kexec_api::execution::KubernetesExecution;
use kexec_api::execution::spec::{Priority, TargetResource};

/// A target as the table names it: `group/kind/namespace/name`.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct TargetKey(String);

impl TargetKey {
    /// The key of a target; its API version does not matter, its group does.
    #[must_use]
    pub fn new(target: &TargetResource) -> Self {
        let group = target
            .api_version
            .split_once('/')
            .map_or("", |(group, _)| group);
        let (namespace, name) = (
            target.namespace().unwrap_or_default(),
            target.name().unwrap_or_default(),
        );
        Self(format!("{group}/{}/{namespace}/{name}", target.kind))
    }
}

/// One execution that asks for its turn.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ticket {
    /// UID of the execution.
    pub uid: String,
    /// `namespace/name` of the execution, for people.
    pub execution: String,
    /// What it wants to work on.
    pub target: TargetKey,
    /// Its priority.
    pub priority: Priority,
    /// When it was created.
    pub created: Timestamp,
}

impl Ticket {
    /// What an execution asks its turn with.
    #[must_use]
    pub fn of(execution: &KubernetesExecution) -> Self {
        let metadata = &execution.metadata;
        let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            execution: format!(
                "{}/{}",
                namespace.unwrap_or_default(),
                name.unwrap_or_default()
            ),
            target: TargetKey::new(&execution.spec.action_definition.target_resource),
            priority: execution.spec.execution_config.priority,
            created: metadata
                .creation_timestamp
                .as_ref()
                .map_or(Timestamp::MAX, |time| time.0),
        }
    }
}

/// Where a ticket stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Turn {
    /// It may work.
    Granted,
    /// Somebody else works on the target.
    TargetBusy {
        /// `namespace/name` of the execution at work.
        holder: String,
        /// Place in the target's queue, from 1.
        position: u32,
    },
    /// As many executions work as may.
    NoSlot {
        /// Place in the queue, from 1.
        position: u32,
    },
}

/// The table.
#[derive(Debug)]
pub struct Queue {
    slots: usize,
    holders: BTreeMap<String, Ticket>,
    waiting: BTreeMap<String, Ticket>,
}

impl Queue {
    /// A table that lets `slots` executions work at once.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self {
            slots,
            holders: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// Enters an execution that was already at work when the table was made.
    pub fn restore(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket.uid);
        self.holders.insert(ticket.uid.clone(), ticket);
    }

    /// Asks for a turn; asking again is free and keeps the place.
    pub fn ask(&mut self, ticket: &Ticket) -> Turn {
        if self.holders.contains_key(&ticket.uid) {
            return Turn::Granted;
        }
        self.waiting.insert(ticket.uid.clone(), ticket.clone());
        let holder = self
            .holders
            .values()
            .find(|holder| holder.target == ticket.target);
        if let Some(holder) = holder {
            return Turn::TargetBusy {
                holder: holder.execution.clone(),
                position: self.position_at_target(ticket),
            };
        }
        let next = self.next();
        let ahead = next.iter().filter(|one| order(one) < order(ticket)).count();
        let is_next = next.iter().any(|one| one.uid == ticket.uid);
        if !is_next || ahead >= self.free() {
            return Turn::NoSlot {
                position: place(ahead),
            };
        }
        self.waiting.remove(&ticket.uid);
        self.holders.insert(ticket.uid.clone(), ticket.clone());
        Turn::Granted
    }

    /// Gives back the turn, or the place in the queue. Returns the UIDs that may have their turn now, next first.
    pub fn release(&mut self, uid: &str) -> Vec<String> {
        let held = self.holders.remove(uid).is_some();
        let waited = self.waiting.remove(uid).is_some();
        if !held && !waited {
            return Vec::new();
        }
        let next = self.next().into_iter().take(self.free());
        next.map(|ticket| ticket.uid.clone()).collect()
    }

    /// Slots that nobody holds.
    fn free(&self) -> usize {
        self.slots.saturating_sub(self.holders.len())
    }

    /// The first of each target that nobody works on, in their order: rivals never take a slot from each other.
    fn next(&self) -> Vec<&Ticket> {
        let waiting = self.waiting.values();
        let mut next: Vec<&Ticket> = waiting.filter(|one| !self.target_busy(one)).collect();
        next.sort_by(|a, b| order(a).cmp(&order(b)));
        let mut targets = BTreeSet::new();
        next.retain(|ticket| targets.insert(&ticket.target));
        next
    }

    /// Executions at work.
    #[must_use]
    pub fn working(&self) -> usize {
        self.holders.len()
    }

    /// Executions that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn target_busy(&self, ticket: &Ticket) -> bool {
        self.holders
            .values()
            .any(|holder| holder.target == ticket.target)
    }

    /// Place of a waiting ticket among those for its target, from 1.
    fn position_at_target(&self, ticket: &Ticket) -> u32 {
        let rivals = self.waiting.values().filter(|other| {
            other.uid != ticket.uid && other.target == ticket.target && order(other) < order(ticket)
        });
        place(rivals.count())
    }
}

/// The place, from 1, behind that many others.
fn place(ahead: usize) -> u32 {
    u32::try_from(ahead).unwrap_or(u32::MAX).saturating_add(1)
}

/// Higher priority first, then the older, then the UID so that the order is total.
fn order(ticket: &Ticket) -> (std::cmp::Reverse<Priority>, Timestamp, &str) {
    (
        std::cmp::Reverse(ticket.priority),
        ticket.created,
        &ticket.uid,
    )
}
