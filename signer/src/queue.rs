//! The queue between the streams and the workers: lanes under one bound of items and one of bytes.
//!
//! ```text
//!   health  ─▶ ┐  one trial of the keys, outside the bounds: a full queue must not make the keys look dead
//!   signing ─▶ │  a taker gets the first lane that holds anything, of that lane at most its fair share;
//!   sealing ─▶ │  it never waits for company and never gets two lanes at once
//!   opening ─▶ ┘
//! ```
//!
//! An answer that waits to be signed already holds a posting, new messages do not: that is the order of the lanes. What
//! is pushed while every taker works is the next batch. A full queue refuses at once and gives the item back.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// From the most urgent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Health,
    Signing,
    Sealing,
    Opening,
}

impl Lane {
    const ALL: [Self; 4] = [Self::Health, Self::Signing, Self::Sealing, Self::Opening];

    /// The most that a taker gets at once: as much as keeps the lanes of the processor busy.
    const fn take_max(self) -> usize {
        match self {
            Self::Health => 1,
            Self::Signing | Self::Sealing | Self::Opening => 64,
        }
    }
}

/// What is cheaper done by one taker than divided among several: one round of the processor's lanes.
const UNDIVIDED: usize = 8;
/// Trials of the keys that wait. They are shared by those who ask, so more than one is rare.
const HEALTH_MAX: usize = 2;

#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueLimits {
    pub(crate) items_max: usize,
    pub(crate) bytes_max: usize,
    /// Threads that take.
    pub(crate) takers: usize,
}

/// Something to wait in line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Queued<T> {
    pub(crate) lane: Lane,
    /// What it holds in memory.
    pub(crate) bytes: usize,
    pub(crate) item: T,
}

#[derive(Debug)]
pub(crate) struct Queue<T> {
    lanes: Mutex<Lanes<T>>,
    filled: Condvar,
    limits: QueueLimits,
}

#[derive(Debug)]
struct Lanes<T> {
    health: VecDeque<Queued<T>>,
    signing: VecDeque<Queued<T>>,
    sealing: VecDeque<Queued<T>>,
    opening: VecDeque<Queued<T>>,
    /// Of all lanes but health.
    items: usize,
    bytes: usize,
    /// Takers that wait; nobody is woken who does not.
    idle: usize,
    closed: bool,
}

impl<T> Lanes<T> {
    const fn of(&self, lane: Lane) -> &VecDeque<Queued<T>> {
        match lane {
            Lane::Health => &self.health,
            Lane::Signing => &self.signing,
            Lane::Sealing => &self.sealing,
            Lane::Opening => &self.opening,
        }
    }

    const fn of_mut(&mut self, lane: Lane) -> &mut VecDeque<Queued<T>> {
        match lane {
            Lane::Health => &mut self.health,
            Lane::Signing => &mut self.signing,
            Lane::Sealing => &mut self.sealing,
            Lane::Opening => &mut self.opening,
        }
    }

    fn first_filled(&self) -> Option<Lane> {
        Lane::ALL.into_iter().find(|lane| !self.of(*lane).is_empty())
    }

    fn has_room(&self, queued: &Queued<T>, limits: &QueueLimits) -> bool {
        if self.closed {
            return false;
        }
        match queued.lane {
            Lane::Health => self.health.len() < HEALTH_MAX,
            Lane::Signing | Lane::Sealing | Lane::Opening => {
                self.items < limits.items_max && self.bytes.saturating_add(queued.bytes) <= limits.bytes_max
            }
        }
    }

    fn add(&mut self, queued: Queued<T>) {
        if queued.lane != Lane::Health {
            self.items += 1;
            self.bytes += queued.bytes;
        }
        self.of_mut(queued.lane).push_back(queued);
    }

    fn drain(&mut self, lane: Lane, count: usize) -> Vec<T> {
        let taken: Vec<Queued<T>> = self.of_mut(lane).drain(..count).collect();
        if lane != Lane::Health {
            self.items -= taken.len();
            self.bytes -= taken.iter().map(|queued| queued.bytes).sum::<usize>();
        }
        taken.into_iter().map(|queued| queued.item).collect()
    }
}

impl<T> Queue<T> {
    pub(crate) const fn new(limits: QueueLimits) -> Self {
        let lanes = Lanes {
            health: VecDeque::new(),
            signing: VecDeque::new(),
            sealing: VecDeque::new(),
            opening: VecDeque::new(),
            items: 0,
            bytes: 0,
            idle: 0,
            closed: false,
        };
        Self {
            lanes: Mutex::new(lanes),
            filled: Condvar::new(),
            limits,
        }
    }

    /// Adds what there is room for, under one lock; what there is none for comes back.
    pub(crate) fn push_all(&self, items: impl IntoIterator<Item = Queued<T>>) -> Vec<Queued<T>> {
        let mut refused = Vec::new();
        let mut lanes = self.lock();
        let mut added: usize = 0;
        for queued in items {
            if lanes.has_room(&queued, &self.limits) {
                lanes.add(queued);
                added += 1;
            } else {
                refused.push(queued);
            }
        }
        let woken = lanes.idle.min(added.div_ceil(UNDIVIDED));
        drop(lanes);
        for _ in 0..woken {
            self.filled.notify_one();
        }
        refused
    }

    /// Waits for at least one item. None: the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<(Lane, Vec<T>)> {
        let mut lanes = self.lock();
        loop {
            if let Some(lane) = lanes.first_filled() {
                let waiting = lanes.of(lane).len();
                let share = waiting.div_ceil(self.limits.takers).max(UNDIVIDED);
                return Some((lane, lanes.drain(lane, share.min(lane.take_max()).min(waiting))));
            }
            if lanes.closed {
                return None;
            }
            lanes.idle += 1;
            lanes = self.filled.wait(lanes).unwrap_or_else(PoisonError::into_inner);
            lanes.idle -= 1;
        }
    }

    /// What waits in a lane now, as much as one take gives; nothing is as good.
    pub(crate) fn take_waiting(&self, lane: Lane) -> Vec<T> {
        let mut lanes = self.lock();
        let waiting = lanes.of(lane).len();
        lanes.drain(lane, waiting.min(lane.take_max()))
    }

    /// Items and bytes that wait.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let lanes = self.lock();
        (lanes.items, lanes.bytes)
    }

    /// Nothing more is taken in; what is there is still handed out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// The lanes are whole between any two statements under the lock, so a poisoned one is as good.
    fn lock(&self) -> MutexGuard<'_, Lanes<T>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
