//! What the threads that use keys and the thread that writes share: uses, records that somebody waits for, and whether the
//! log can be written at all. Everything in it has a bound.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::oneshot;

use super::record::{Event, Moment};
use super::uses::Uses;

/// Uses that are noted and not on the disk yet.
pub(crate) const USES_MAX: usize = 65_536;
/// Uses that are written before their time.
const USES_WRITTEN_AT: usize = 4096;
/// Records that somebody waits for.
const WAITING_MAX: usize = 1024;
/// A log that has not taken a use for so long counts as one that cannot be written.
const STALL: Duration = Duration::from_secs(10);
/// Refusals that are recorded one by one in each second; more are counted.
const REFUSALS_PER_SECOND_MAX: u32 = 20;
const SECOND: Duration = Duration::from_secs(1);

/// The record is not known to be on the disk: what it was to be about must not happen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unwritable {
    #[error("the audit log cannot be written: {0}")]
    Failing(String),
    #[error("too much waits for the audit log")]
    Full,
    #[error("the audit log did not take the record in time")]
    Late,
    #[error("the audit log is closed")]
    Closed,
}

pub(crate) type Told = Result<(), Unwritable>;

/// How to tell somebody what became of a record. Who has gone is not told.
pub(crate) enum Teller {
    Thread(mpsc::SyncSender<Told>),
    Task(oneshot::Sender<Told>),
}

pub(crate) struct Waiting {
    pub(crate) event: Event,
    pub(crate) teller: Teller,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    /// There is something to write.
    work: Condvar,
    /// There is room again.
    room: Condvar,
    sync_every: Duration,
}

#[derive(Default)]
struct State {
    uses: Uses,
    noted: usize,
    /// Noted or being written.
    in_hand: usize,
    /// Since when the oldest use waits that is noted, and the oldest that is being written.
    noted_since: Option<Instant>,
    writing_since: Option<Instant>,
    waiting: Vec<Waiting>,
    refusals: Refusals,
    failing: Option<String>,
    ending: bool,
    closed: bool,
}

#[derive(Default)]
struct Refusals {
    window: Option<(Instant, u32)>,
    uncounted: Option<Uncounted>,
}

/// Refusals that were not recorded one by one.
struct Uncounted {
    since: Instant,
    from: Moment,
    to: Moment,
    callers: BTreeMap<String, u64>,
}

/// What the writer is given at once.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) uses: Uses,
    /// How many these are.
    pub(crate) noted: usize,
    pub(crate) more: Option<Event>,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) ending: bool,
}

impl Teller {
    pub(crate) fn tell(self, told: Told) {
        match self {
            Self::Thread(sender) => drop(sender.try_send(told)),
            Self::Task(sender) => drop(sender.send(told)),
        }
    }
}

impl Shared {
    pub(crate) fn new(sync_every: Duration) -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            sync_every,
        }
    }

    /// Notes `count` uses, which add themselves. Waits for room until the deadline.
    pub(crate) fn note(&self, count: usize, deadline: Instant, add: impl FnOnce(&mut Uses)) -> Told {
        let mut state = self.lock();
        loop {
            state.check(Instant::now())?;
            if state.in_hand.saturating_add(count) <= USES_MAX {
                state.note(count, add);
                if state.noted == count || state.noted >= USES_WRITTEN_AT {
                    self.work.notify_one();
                }
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Unwritable::Full);
            }
            (state, _) = self
                .room
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Leaves a record to be written at once. The teller hears of it in any case.
    pub(crate) fn leave(&self, event: Event, teller: Teller) {
        let mut state = self.lock();
        if state.closed || state.waiting.len() >= WAITING_MAX {
            let refusal = if state.closed {
                Unwritable::Closed
            } else {
                Unwritable::Full
            };
            drop(state);
            return teller.tell(Err(refusal));
        }
        state.waiting.push(Waiting { event, teller });
        self.work.notify_one();
    }

    /// Whether a refusal is to be recorded by itself; else it has been counted, and the count will be written.
    pub(crate) fn is_recorded_singly(&self, caller: &str, at: Moment) -> bool {
        let mut state = self.lock();
        let now = Instant::now();
        let window = state.refusals.window.get_or_insert((now, 0));
        if now.duration_since(window.0) >= SECOND {
            *window = (now, 0);
        }
        if window.1 < REFUSALS_PER_SECOND_MAX {
            window.1 += 1;
            return true;
        }
        let uncounted = state.refusals.uncounted.get_or_insert_with(|| Uncounted {
            since: now,
            from: at,
            to: at,
            callers: BTreeMap::new(),
        });
        uncounted.to = at;
        *uncounted.callers.entry(caller.to_owned()).or_default() += 1;
        self.work.notify_one();
        false
    }

    pub(crate) fn ready(&self) -> Told {
        self.lock().check(Instant::now())
    }

    pub(crate) fn end(&self) {
        self.lock().ending = true;
        self.work.notify_one();
    }

    /// The writer's: waits until there is something to write whose time has come, and not before `earliest`.
    pub(crate) fn take(&self, earliest: Option<Instant>) -> Taken {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let due = match earliest {
                // While the log fails, an attempt is made when its time has come, whatever there is.
                Some(earliest) => Some(earliest),
                None => state.due(now, self.sync_every),
            };
            if state.ending || due.is_some_and(|due| due <= now) {
                return state.take();
            }
            state = match due {
                Some(due) => {
                    let waited = self.work.wait_timeout(state, due.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// The writer's: so many uses are on the disk, and the log can be written.
    pub(crate) fn written(&self, uses: usize) {
        let mut state = self.lock();
        state.in_hand -= uses;
        state.writing_since = None;
        state.failing = None;
        drop(state);
        self.room.notify_all();
    }

    /// The writer's: true when this is news.
    pub(crate) fn failed(&self, reason: &str) -> bool {
        let news = self.lock().failing.replace(reason.to_owned()).is_none();
        self.room.notify_all();
        news
    }

    /// The writer's last word: nothing is taken any more, and who waits is told.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.room.notify_all();
        for waiting in waiting {
            waiting.teller.tell(Err(Unwritable::Closed));
        }
    }

    /// The state is whole between any two statements under the lock, so a poisoned one is as good.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self, now: Instant) -> Told {
        if self.closed {
            return Err(Unwritable::Closed);
        }
        if let Some(reason) = &self.failing {
            return Err(Unwritable::Failing(reason.clone()));
        }
        let since = [self.writing_since, self.noted_since].into_iter().flatten().min();
        if since.is_some_and(|since| now.duration_since(since) > STALL) {
            return Err(Unwritable::Failing("it stalls".to_owned()));
        }
        Ok(())
    }

    fn note(&mut self, count: usize, add: impl FnOnce(&mut Uses)) {
        if count == 0 {
            return;
        }
        add(&mut self.uses);
        self.in_hand += count;
        self.noted += count;
        self.noted_since.get_or_insert_with(Instant::now);
    }

    fn due(&self, now: Instant, sync_every: Duration) -> Option<Instant> {
        if !self.waiting.is_empty() || self.noted >= USES_WRITTEN_AT {
            return Some(now);
        }
        let uncounted = self.refusals.uncounted.as_ref().map(|uncounted| uncounted.since);
        let since = [self.noted_since, uncounted].into_iter().flatten().min();
        since.map(|since| since + sync_every)
    }

    fn take(&mut self) -> Taken {
        if let Some(since) = self.noted_since.take() {
            self.writing_since.get_or_insert(since);
        }
        Taken {
            uses: std::mem::take(&mut self.uses),
            noted: std::mem::take(&mut self.noted),
            more: self.refusals.uncounted.take().map(Uncounted::into_event),
            waiting: std::mem::take(&mut self.waiting),
            ending: self.ending,
        }
    }
}

impl Uncounted {
    fn into_event(self) -> Event {
        Event::RefusedMore {
            from: self.from,
            to: self.to,
            count: self.callers.values().sum(),
            callers: self.callers,
        }
    }
}
