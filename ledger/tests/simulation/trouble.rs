//! What goes wrong in a run, how often, and the moments in a commit at which others get a turn.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::chance::Chance;

/// Times in a thousand.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rates {
    pub(crate) begin_fails: u64,
    pub(crate) read_fails: u64,
    pub(crate) not_written: u64,
    pub(crate) in_doubt: u64,
    pub(crate) crash: u64,
    pub(crate) others_get_a_turn: u64,
}

/// What becomes of one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitFate {
    Durable,
    NotWritten,
    Unreachable,
    /// It is there and nobody was told.
    InDoubtThere,
    InDoubtLost,
    /// It may still get there, until the next `begin` settles it.
    InDoubtLate,
    Crash,
}

#[derive(Debug)]
pub(crate) struct Troubles {
    chance: Chance,
    rates: Rates,
    /// Nothing goes wrong while somebody only looks.
    quiet: bool,
    /// Faults so far.
    count: u64,
    crashed: bool,
    /// Shard groups that cannot be reached, by place in the ring.
    down: BTreeSet<usize>,
    /// Commits that were refused because a key was there.
    keys_taken: u64,
    /// Time that calls have waited for them, on the clock by which groups are judged.
    waited_ms: Arc<AtomicU64>,
}

/// Longest that a call waits for a group.
const CALL_MS_MAX: usize = 1_000;

/// Of all stores of a run.
#[derive(Debug, Clone)]
pub(crate) struct Trouble(Arc<Mutex<Troubles>>);

impl Trouble {
    pub(crate) fn new(chance: Chance, rates: Rates) -> Self {
        Self(Arc::new(Mutex::new(Troubles {
            chance,
            rates,
            quiet: false,
            count: 0,
            crashed: false,
            down: BTreeSet::new(),
            keys_taken: 0,
            waited_ms: Arc::default(),
        })))
    }

    /// Nothing goes wrong, as the conformance suite wants it.
    #[allow(dead_code, reason = "the conformance suite uses it")]
    pub(crate) fn none() -> Self {
        Self::new(Chance::new(0), Rates::default())
    }

    fn held(&self) -> MutexGuard<'_, Troubles> {
        self.0.lock().unwrap()
    }

    pub(crate) fn set_rates(&self, rates: Rates) {
        self.held().rates = rates;
    }

    pub(crate) fn count(&self) -> u64 {
        self.held().count
    }

    /// Something is amiss that no call needs to fail over.
    pub(crate) fn goes_on(&self) {
        self.held().count += 1;
    }

    pub(crate) fn key_was_taken(&self) {
        self.held().keys_taken += 1;
    }

    pub(crate) fn keys_taken(&self) -> u64 {
        self.held().keys_taken
    }

    pub(crate) fn set_down(&self, group: usize, is_down: bool) {
        let mut held = self.held();
        if is_down {
            held.down.insert(group);
        } else {
            held.down.remove(&group);
        }
    }

    pub(crate) fn any_down(&self) -> bool {
        !self.held().down.is_empty()
    }

    /// Whether a call to a group fails because it is down; then some time has gone by.
    pub(crate) fn unreachable(&self, group: usize) -> bool {
        let mut held = self.held();
        if held.quiet || !held.down.contains(&group) {
            return false;
        }
        held.count += 1;
        let waited = u64::try_from(held.chance.below(CALL_MS_MAX + 1)).unwrap();
        held.waited_ms.fetch_add(waited, Ordering::SeqCst);
        true
    }

    pub(crate) fn wait(&self, ms: u64) {
        self.held().waited_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn waited_ms(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.held().waited_ms)
    }

    /// Only looks: `look` sees no faults.
    pub(crate) fn quietly<T>(&self, look: impl FnOnce() -> T) -> T {
        self.held().quiet = true;
        let seen = look();
        self.held().quiet = false;
        seen
    }

    /// The process is gone; what it still does has no effect.
    pub(crate) fn set_crashed(&self, crashed: bool) {
        self.held().crashed = crashed;
    }

    pub(crate) fn is_crashed(&self) -> bool {
        self.held().crashed
    }

    fn fails(&self, rate: impl Fn(&Rates) -> u64) -> bool {
        let mut held = self.held();
        if held.quiet {
            return false;
        }
        let rate = rate(&held.rates);
        let fails = held.chance.per_mille(rate);
        held.count += u64::from(fails);
        fails
    }

    pub(crate) fn begin_fails(&self) -> bool {
        self.fails(|rates| rates.begin_fails)
    }

    pub(crate) fn read_fails(&self) -> bool {
        self.fails(|rates| rates.read_fails)
    }

    pub(crate) fn not_written(&self) -> bool {
        self.fails(|rates| rates.not_written)
    }

    pub(crate) fn crashes(&self) -> bool {
        self.fails(|rates| rates.crash)
    }

    /// Of a commit to a shard of `group`.
    pub(crate) fn commit_fate(&self, group: usize) -> CommitFate {
        if self.crashes() {
            CommitFate::Crash
        } else if self.unreachable(group) {
            self.one_of([
                CommitFate::Unreachable,
                CommitFate::InDoubtThere,
                CommitFate::InDoubtLost,
                CommitFate::InDoubtLate,
            ])
        } else if self.not_written() {
            self.one_of([CommitFate::NotWritten, CommitFate::Unreachable])
        } else if self.fails(|rates| rates.in_doubt) {
            self.one_of([
                CommitFate::InDoubtThere,
                CommitFate::InDoubtLost,
                CommitFate::InDoubtLate,
            ])
        } else {
            CommitFate::Durable
        }
    }

    /// Draws where chance decides what a fault leaves.
    pub(crate) fn one_of<T: Copy, const N: usize>(&self, all: [T; N]) -> T {
        let place = self.held().chance.below(N);
        all[place]
    }

    /// In the middle of a commit: others may get a turn.
    pub(crate) fn moment(&self) {
        let turn = {
            let mut held = self.held();
            let rate = held.rates.others_get_a_turn;
            !held.quiet && !held.crashed && held.chance.per_mille(rate)
        };
        if turn && let Some(others) = OTHERS.with_borrow(Clone::clone) {
            others();
        }
    }
}

thread_local! {
    static OTHERS: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Who gets a turn in the middle of commits of this thread.
pub(crate) fn set_others(others: Option<Rc<dyn Fn()>>) {
    OTHERS.set(others);
}
