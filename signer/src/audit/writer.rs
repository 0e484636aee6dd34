//! The thread that writes the log: everything that waits goes into the file by one sync.
//!
//! When the disk refuses, who waits is told so, uses stay here, and after a short while all is tried again. The record
//! `resumed` then stands before what was kept.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::journal::Journal;
use super::metrics::AuditMetrics;
use super::record::{Event, Moment};
use super::seal::{self, Sealer};
use super::state::{Shared, Taken, Unwritable};

const RETRY_AFTER: Duration = Duration::from_millis(200);
/// How long a stop tries to write what is left.
const END_LIMIT: Duration = Duration::from_secs(3);

pub(crate) type Clock = fn() -> Moment;

/// Set once the keys are loaded.
pub(crate) type SealerPlace = Arc<Mutex<Option<Sealer>>>;

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) journal: Journal,
    pub(crate) clock: Clock,
    pub(crate) sealer: SealerPlace,
    pub(crate) metrics: AuditMetrics,
    /// Records that are for the log whatever happens, from attempts that failed.
    pub(crate) kept: Vec<Event>,
    /// Uses among them.
    pub(crate) kept_uses: usize,
    pub(crate) failing: Option<Failing>,
}

pub(crate) struct Failing {
    since: Moment,
    reason: String,
    retry_at: Instant,
}

impl Writer {
    /// Until the log is to end. The number of records that could not be written.
    pub(crate) fn run(mut self) -> usize {
        loop {
            let earliest = self.failing.as_ref().map(|failing| failing.retry_at);
            let taken = self.shared.take(earliest);
            let ending = taken.ending;
            self.write(taken);
            if ending {
                return self.finish();
            }
        }
    }

    fn write(&mut self, taken: Taken) {
        self.kept.extend(taken.uses.into_events());
        self.kept.extend(taken.more);
        self.kept_uses += taken.noted;
        let mut events = Vec::with_capacity(self.kept.len() + taken.waiting.len() + 1);
        events.extend(self.failing.as_ref().map(|failing| Event::Resumed {
            since: failing.since,
            reason: failing.reason.clone(),
        }));
        events.extend(self.kept.iter().cloned());
        events.extend(taken.waiting.iter().map(|waiting| waiting.event.clone()));
        if events.is_empty() {
            return;
        }
        let outcome = self.attempt(&events);
        let told = match &outcome {
            Ok(()) => Ok(()),
            Err(fault) => Err(Unwritable::Failing(fault.to_string())),
        };
        match &outcome {
            Ok(()) => self.succeeded(),
            Err(fault) => self.failed(fault),
        }
        for waiting in taken.waiting {
            waiting.teller.tell(told.clone());
        }
        // After everybody has been told: a key in a device may take its time.
        let matters = |event: &Event| {
            matches!(
                event,
                Event::Start { .. } | Event::Keys { .. } | Event::Torn { .. } | Event::Stop {}
            )
        };
        let unsealed = self.journal.place().unsealed;
        if outcome.is_ok()
            && (unsealed >= seal::RECORDS_MAX || events.iter().any(matters))
            && let Err(fault) = self.seal()
        {
            self.failed(&fault);
        }
    }

    fn attempt(&mut self, events: &[Event]) -> io::Result<()> {
        let now = (self.clock)();
        if self.journal.file_is_over(now) {
            if self.journal.place().file.is_some() {
                self.seal()?;
            }
            self.journal.turn(now)?;
        }
        self.journal.write(now, events)?;
        self.metrics.written(events);
        Ok(())
    }

    /// Signs the head, where it is not signed yet. Only a disk that refuses is a failure.
    fn seal(&mut self) -> io::Result<()> {
        let place = self.journal.place();
        if place.unsealed == 0 {
            return Ok(());
        }
        let statement = seal::statement(&place.log, place.head);
        let head = place.head.hash;
        let sealed = match &*self.sealer.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(sealer) => sealer(&statement),
            None => Err("no keys are loaded".to_owned()),
        };
        let event = match sealed {
            Ok(seal) => Event::Seal {
                key: seal.key,
                suite: seal.suite,
                head,
                signature: hex::encode(seal.signature),
            },
            Err(reason) => {
                tracing::warn!(reason, "the audit log could not be sealed");
                Event::Unsealed { reason }
            }
        };
        let events = [event];
        self.journal.write((self.clock)(), &events)?;
        self.metrics.written(&events);
        Ok(())
    }

    fn succeeded(&mut self) {
        if self.failing.take().is_some() {
            tracing::warn!("the audit log can be written again; keys are used again");
        }
        self.kept.clear();
        self.shared.written(std::mem::take(&mut self.kept_uses));
    }

    fn failed(&mut self, fault: &io::Error) {
        let reason = fault.to_string();
        self.metrics.failed();
        if self.shared.failed(&reason) {
            tracing::error!(reason, "the audit log cannot be written; no key is used until it can");
        }
        let since = self
            .failing
            .take()
            .map_or_else(|| (self.clock)(), |failing| failing.since);
        self.failing = Some(Failing {
            since,
            reason,
            retry_at: Instant::now() + RETRY_AFTER,
        });
    }

    /// The last record, with whatever is left.
    fn finish(&mut self) -> usize {
        self.kept.push(Event::Stop {});
        let limit = Instant::now() + END_LIMIT;
        loop {
            self.write(Taken::default());
            if self.kept.is_empty() || Instant::now() >= limit {
                return self.kept.len();
            }
            std::thread::sleep(RETRY_AFTER);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.close();
    }
}
