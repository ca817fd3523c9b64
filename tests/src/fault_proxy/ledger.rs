//! The proxy's memory: scripts, numbers, the log, and whether the controller behind the proxy counts as alive. Each
//! request is numbered, judged and logged in one step under one lock, so "killed before write 3" means that no write
//! behind the third got through. No I/O here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::request::Parts;
use hyper::body::Bytes;
use tokio::sync::watch;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

use super::{
    fault::{Fault, Numbered, Script, WatchFault, WatchScript, pass},
    request::RequestInfo,
    watch::WatchEvent,
};

/// A request and what became of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The request.
    pub request: RequestInfo,
    /// What the script made of it.
    pub fault: Fault,
    /// The code the server answered; `None` when it was not asked, or has not answered yet.
    pub code: Option<u16>,
    /// The code the client was sent; `None` when it was sent none.
    pub answered: Option<u16>,
    /// Why the server could not be asked.
    pub error: Option<String>,
    /// Whether the client went away before it was answered.
    pub abandoned: bool,
}

/// An event on a watch and what became of it.
#[derive(Clone, Debug)]
pub struct SeenEvent {
    /// The event.
    pub event: WatchEvent,
    /// What the script made of it.
    pub fault: WatchFault,
}

/// Whether the controller behind the proxy counts as alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Alive,
    /// It gets one last answer and may do nothing more.
    Dying,
    Dead,
}

struct State {
    requests: u64,
    writes: u64,
    generation: u64,
    life: Life,
    death: CancellationToken,
    script: Script,
    watch_script: WatchScript,
    numbered: Numbered,
    seen: Vec<Seen>,
    events: Vec<SeenEvent>,
}

/// A life of the controller, from the start of the proxy or a revival to a kill.
#[derive(Clone)]
pub(super) struct Generation {
    pub(super) number: u64,
    /// Cancelled when this life ends.
    pub(super) death: CancellationToken,
}

/// A request that was let in, with what the script made of it.
pub(super) struct Admission {
    pub(super) request: RequestInfo,
    pub(super) fault: Fault,
    /// Held while the server may still act on the request.
    pub(super) ticket: TaskTrackerToken,
    pub(super) release: Release,
}

/// Waits for the release that follows its making.
pub(super) struct Release(watch::Receiver<u64>);

impl Release {
    pub(super) async fn wait(&mut self) {
        // The sender lives as long as the proxy; without it there is nothing left to wait for.
        let _ = self.0.changed().await;
    }
}

pub(super) struct Ledger {
    state: Mutex<State>,
    life: watch::Sender<Life>,
    releases: watch::Sender<u64>,
    entries: watch::Sender<u64>,
    in_flight: TaskTracker,
    stop: CancellationToken,
}

impl Ledger {
    /// `stop` ends every life.
    pub(super) fn new(stop: CancellationToken) -> Self {
        Self {
            state: Mutex::new(State {
                requests: 0,
                writes: 0,
                generation: 0,
                life: Life::Alive,
                death: stop.child_token(),
                script: Box::new(pass()),
                watch_script: Box::new(|_| WatchFault::Pass),
                numbered: Box::new(|_| true),
                seen: Vec::new(),
                events: Vec::new(),
            }),
            life: watch::Sender::new(Life::Alive),
            releases: watch::Sender::new(0),
            entries: watch::Sender::new(0),
            in_flight: TaskTracker::new(),
            stop,
        }
    }

    // A script that panicked has judged nothing; what the ledger holds is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_script(&self, script: Script) {
        self.lock().script = script;
    }

    pub(super) fn set_watch_script(&self, script: WatchScript) {
        self.lock().watch_script = script;
    }

    pub(super) fn set_numbered(&self, numbered: Numbered) {
        self.lock().numbered = numbered;
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    pub(super) fn events(&self) -> Vec<SeenEvent> {
        self.lock().events.clone()
    }

    /// The present life, if there is one.
    pub(super) fn generation(&self) -> Option<Generation> {
        let state = self.lock();
        (state.life == Life::Alive).then(|| Generation {
            number: state.generation,
            death: state.death.clone(),
        })
    }

    /// Numbers, judges and logs a request of the life `generation`; `None` when that life is over.
    pub(super) fn admit(&self, head: &Parts, body: Bytes, generation: u64) -> Option<Admission> {
        let mut state = self.lock();
        if !state.lives(generation) {
            return None;
        }
        state.requests += 1;
        let mut request = RequestInfo::new(head, body, state.requests, generation);
        if request.is_write() && (state.numbered)(&request) {
            state.writes += 1;
            request.write = Some(state.writes);
        }
        let fault = (state.script)(&request);
        state.seen.push(Seen {
            request: request.for_log(),
            fault: fault.clone(),
            code: None,
            answered: None,
            error: None,
            abandoned: false,
        });
        let admission = Admission {
            ticket: self.in_flight.token(),
            release: Release(self.releases.subscribe()),
            request,
            fault,
        };
        if admission.fault == Fault::KillBefore {
            self.end(&mut state, Life::Dead);
        }
        drop(state);
        self.entries.send_modify(|count| *count += 1);
        Some(admission)
    }

    /// Lets a request of the life `generation` go on that was held back; `None` when that life is over.
    pub(super) fn readmit(&self, generation: u64) -> Option<TaskTrackerToken> {
        let state = self.lock();
        state.lives(generation).then(|| self.in_flight.token())
    }

    /// Judges and logs an event on a watch.
    pub(super) fn judge_event(&self, event: WatchEvent) -> (WatchFault, Release) {
        let mut state = self.lock();
        let fault = (state.watch_script)(&event);
        state.events.push(SeenEvent { event, fault });
        let release = Release(self.releases.subscribe());
        drop(state);
        self.entries.send_modify(|count| *count += 1);
        (fault, release)
    }

    pub(super) fn note(&self, ordinal: u64, note: impl FnOnce(&mut Seen)) {
        let mut state = self.lock();
        let entry = state
            .seen
            .iter_mut()
            .rfind(|seen| seen.request.ordinal == ordinal);
        if let Some(seen) = entry {
            note(seen);
        }
        drop(state);
        self.entries.send_modify(|count| *count += 1);
    }

    /// Ends the life `generation`, if it is not over.
    pub(super) fn kill(&self, generation: u64) {
        let mut state = self.lock();
        if state.generation == generation {
            self.end(&mut state, Life::Dead);
        }
    }

    /// Lets nothing more of the life `generation` reach the server; answers still do reach the client.
    pub(super) fn last_answer(&self, generation: u64) {
        let mut state = self.lock();
        if state.lives(generation) {
            self.end(&mut state, Life::Dying);
        }
    }

    fn end(&self, state: &mut State, life: Life) {
        state.life = life;
        if life == Life::Dead {
            state.death.cancel();
        }
        self.life.send_replace(life);
    }

    /// Ends the present life.
    pub(super) fn kill_now(&self) {
        self.end(&mut self.lock(), Life::Dead);
    }

    /// Ready when the present life has ended, or if it has.
    pub(super) fn killed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut life = self.life.subscribe();
        async move {
            // A proxy that is gone lets nothing through either.
            let _ = life.wait_for(|life| *life == Life::Dead).await;
        }
    }

    /// Begins a new life, after the server has answered all it got from the one before.
    pub(super) async fn revive(&self) {
        if self.lock().life == Life::Alive {
            return;
        }
        self.killed().await;
        self.in_flight.close();
        self.in_flight.wait().await;
        self.in_flight.reopen();
        let mut state = self.lock();
        state.generation += 1;
        state.death = self.stop.child_token();
        state.life = Life::Alive;
        self.life.send_replace(Life::Alive);
    }

    pub(super) fn release(&self) {
        self.releases.send_modify(|count| *count += 1);
    }

    /// The first thing `find` finds in the log, now or later.
    pub(super) async fn wait_for<T>(
        &self,
        mut find: impl FnMut(&[Seen], &[SeenEvent]) -> Option<T>,
    ) -> T {
        let mut entries = self.entries.subscribe();
        loop {
            entries.mark_unchanged();
            let found = {
                let state = self.lock();
                find(&state.seen, &state.events)
            };
            if let Some(found) = found {
                return found;
            }
            // The sender is part of `self`, so this cannot fail while we are here.
            let _ = entries.changed().await;
        }
    }
}

impl State {
    fn lives(&self, generation: u64) -> bool {
        self.life == Life::Alive && self.generation == generation
    }
}
