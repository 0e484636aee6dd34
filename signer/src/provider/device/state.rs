//! What the threads of a pool share: the queue, what each thread is at, the breaker and the counters. Changed under one
//! lock and in no time; nothing here waits or asks the device.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::breaker::Breaker;
use super::call::Call;
use super::{DeviceFault, Operation, Output};
use crate::provider::metrics::Counters;

/// One operation that waits for a session.
#[derive(Debug)]
pub(super) struct Item<K> {
    pub(super) call: Arc<Call>,
    /// In the call.
    pub(super) place: usize,
    pub(super) key: Arc<K>,
    pub(super) operation: Operation,
}

impl<K> Item<K> {
    pub(super) fn finish(self, outcome: Result<Output, DeviceFault>) {
        self.call.finish(self.place, outcome);
    }
}

/// However an item ends, its caller hears of it.
impl<K> Drop for Item<K> {
    fn drop(&mut self) {
        let defect = DeviceFault::Failed("a session ended by a defect".to_owned());
        self.call.finish(self.place, Err(defect));
    }
}

/// What a session thread is at, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Opening,
    /// Between two attempts to open.
    Pausing,
    Idle,
    Asking,
}

#[derive(Debug)]
pub(super) struct Thread {
    pub(super) phase: Phase,
    pub(super) since: Instant,
    /// In a call that lasts too long; another thread may have taken its place.
    pub(super) stuck: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Census {
    pub(super) all: usize,
    pub(super) stuck: usize,
    /// With an open session, and not stuck.
    pub(super) open: usize,
    /// About to have one, perhaps.
    pub(super) opening: usize,
}

/// What a session thread does next.
#[derive(Debug)]
pub(super) enum Next<K> {
    Leave,
    Probe,
    Perform(Item<K>),
    /// Nothing, until there is work or the instant has come.
    Wait(Option<Instant>),
}

#[derive(Debug)]
pub(super) struct State<K> {
    queue: VecDeque<Item<K>>,
    pub(super) threads: BTreeMap<u64, Thread>,
    threads_ever: u64,
    pub(super) breaker: Breaker,
    /// Why the device must not be asked again: a secret was refused.
    pub(super) refused: Option<String>,
    pub(super) closing: bool,
    /// When the device last answered anybody.
    heard: Instant,
    pub(super) counters: Counters,
}

impl<K> State<K> {
    pub(super) fn new(breaker: Breaker) -> Self {
        Self {
            queue: VecDeque::new(),
            threads: BTreeMap::new(),
            threads_ever: 0,
            breaker,
            refused: None,
            closing: false,
            heard: Instant::now(),
            counters: Counters::default(),
        }
    }

    /// Why nothing is queued now.
    pub(super) fn refusal(&self) -> Option<DeviceFault> {
        if let Some(reason) = &self.refused {
            return Some(DeviceFault::Unusable(reason.clone()));
        }
        if self.closing {
            return Some(DeviceFault::Away("the provider is closed".to_owned()));
        }
        let reason = self.breaker.reason()?;
        Some(DeviceFault::LeftAlone(reason.to_owned()))
    }

    pub(super) fn queue(&mut self, item: Item<K>, queue_max: usize) {
        if self.queue.len() >= queue_max {
            self.queue.retain(|item| !item.call.is_abandoned());
        }
        if self.queue.len() >= queue_max {
            self.counters.refused += 1;
            item.finish(Err(DeviceFault::Busy));
        } else {
            self.queue.push_back(item);
        }
    }

    pub(super) fn census(&self) -> Census {
        let count = |fits: fn(&Thread) -> bool| self.threads.values().filter(|thread| fits(thread)).count();
        Census {
            all: self.threads.len(),
            stuck: count(|thread| thread.stuck),
            open: count(|thread| !thread.stuck && matches!(thread.phase, Phase::Idle | Phase::Asking)),
            opening: count(|thread| !thread.stuck && thread.phase == Phase::Opening),
        }
    }

    pub(super) fn add_thread(&mut self, now: Instant) -> u64 {
        self.threads_ever += 1;
        let opening = Thread {
            phase: Phase::Opening,
            since: now,
            stuck: false,
        };
        self.threads.insert(self.threads_ever, opening);
        self.threads_ever
    }

    /// Notes what a thread is at. False: it shall leave.
    pub(super) fn enter(&mut self, number: u64, phase: Phase, sessions: usize) -> bool {
        let census = self.census();
        let Some(thread) = self.threads.get_mut(&number) else {
            return false;
        };
        let replaced = thread.stuck && census.all - census.stuck >= sessions;
        if replaced || self.closing || self.refused.is_some() {
            return false;
        }
        *thread = Thread {
            phase,
            since: Instant::now(),
            stuck: false,
        };
        true
    }

    pub(super) fn next(&mut self, number: u64, sessions: usize) -> Next<K> {
        if !self.enter(number, Phase::Idle, sessions) {
            return Next::Leave;
        }
        let now = Instant::now();
        let next = if let Some(probe_at) = self.breaker.probe_at() {
            if self.breaker.take_probe(now) {
                Next::Probe
            } else {
                Next::Wait(Some(probe_at))
            }
        } else {
            self.take_item().map_or(Next::Wait(None), Next::Perform)
        };
        if !matches!(next, Next::Wait(_)) {
            self.enter(number, Phase::Asking, sessions);
        }
        next
    }

    /// The first item that somebody still waits for.
    fn take_item(&mut self) -> Option<Item<K>> {
        loop {
            let item = self.queue.pop_front()?;
            if !item.call.is_abandoned() {
                return Some(item);
            }
            self.counters.dropped += 1;
        }
    }

    /// What the outcome of an operation says about the device. An input that it does not take says nothing.
    pub(super) fn note(&mut self, outcome: &Result<Output, DeviceFault>) {
        self.counters.operations += 1;
        if !matches!(outcome, Err(DeviceFault::Away(_))) {
            self.heard = Instant::now();
        }
        match outcome {
            Ok(_) => self.breaker.succeeded(),
            Err(DeviceFault::InputRefused) => (),
            Err(DeviceFault::Unusable(_)) => self.counters.failed += 1,
            Err(fault) => {
                self.counters.failed += 1;
                self.failed(&fault.to_string());
            }
        }
    }

    /// A caller's patience is at its end. Where others were answered meanwhile, there is more work than sessions, and
    /// the device does what it can.
    pub(super) fn fell_silent(&mut self, silence: Duration) {
        if self.heard.elapsed() >= silence {
            self.failed("no answer in time");
        }
    }

    pub(super) fn failed(&mut self, reason: &str) {
        if self.breaker.failed(reason, Instant::now()) {
            self.refuse_queue();
        }
    }

    /// Nothing is left that could answer.
    pub(super) fn leave_alone(&mut self, reason: &str) {
        if self.breaker.open(reason, Instant::now()) {
            self.refuse_queue();
        }
    }

    pub(super) fn refuse_for_good(&mut self, reason: String) {
        self.refused.get_or_insert(reason);
        self.refuse_queue();
    }

    pub(super) fn close(&mut self) {
        self.closing = true;
        self.refuse_queue();
    }

    fn refuse_queue(&mut self) {
        let Some(fault) = self.refusal() else { return };
        for item in self.queue.drain(..) {
            self.counters.refused += 1;
            item.finish(Err(fault.clone()));
        }
    }
}
