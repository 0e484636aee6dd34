//! One call of a worker's: operations that are done by whichever sessions are free, and the wait for their outcomes.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use super::{DeviceFault, Output, Patience};

type Outcome = Result<Output, DeviceFault>;

#[derive(Debug)]
pub(super) struct Call {
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug)]
struct Progress {
    outcomes: Vec<Option<Outcome>>,
    missing: usize,
    /// Nobody waits any more.
    abandoned: bool,
}

pub(super) struct Waited {
    pub(super) outcomes: Vec<Outcome>,
    /// The device gave no outcome for as long as the caller would bear, and the deadline was not the reason.
    pub(super) fell_silent: bool,
}

impl Call {
    pub(super) fn new(count: usize) -> Self {
        let progress = Progress {
            outcomes: (0..count).map(|_| None).collect(),
            missing: count,
            abandoned: false,
        };
        Self {
            progress: Mutex::new(progress),
            changed: Condvar::new(),
        }
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// The outcome of the operation at `place`; a second one for the same place is ignored, and one that comes late.
    pub(super) fn finish(&self, place: usize, outcome: Outcome) {
        let mut progress = self.lock();
        if progress.abandoned {
            return;
        }
        if let Some(empty @ None) = progress.outcomes.get_mut(place) {
            *empty = Some(outcome);
            progress.missing -= 1;
            self.changed.notify_all();
        }
    }

    /// Every outcome there is at the end of the caller's patience; the others are [`DeviceFault::NoAnswer`].
    pub(super) fn wait(&self, patience: Patience) -> Waited {
        let mut progress = self.lock();
        let mut heard = Instant::now();
        let mut fell_silent = false;
        while progress.missing > 0 {
            let now = Instant::now();
            let silent_at = heard + patience.silence;
            if now >= patience.deadline || now >= silent_at {
                fell_silent = now >= silent_at;
                break;
            }
            let missing = progress.missing;
            let limit = patience.deadline.min(silent_at) - now;
            let waited = self.changed.wait_timeout(progress, limit);
            progress = waited.expect("no thread panics while it holds a call").0;
            if progress.missing < missing {
                heard = Instant::now();
            }
        }
        progress.abandoned = true;
        let outcomes = progress.outcomes.iter_mut().map(Option::take);
        let outcomes = outcomes.map(|outcome| outcome.unwrap_or(Err(DeviceFault::NoAnswer)));
        Waited {
            outcomes: outcomes.collect(),
            fell_silent,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().expect("no thread panics while it holds a call")
    }
}
