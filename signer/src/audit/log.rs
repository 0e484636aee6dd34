//! The log as the rest of the signer sees it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use tokio::sync::oneshot;

use super::digest::Digest;
use super::directory::{self, AuditFault};
use super::disk::Disk;
use super::journal::{Journal, Place};
use super::metrics::AuditMetrics;
use super::record::Event;
use super::seal::Sealer;
use super::settings::AuditEntry;
pub use super::state::Unwritable;
use super::state::{Shared, Teller};
use super::uses::Use;
use super::writer::{Clock, SealerPlace, Writer};

/// A log that is open, or none where the configuration says so. Cheap to clone.
#[derive(Clone)]
pub struct Audit(Option<Arc<Open>>);

struct Open {
    shared: Arc<Shared>,
    clock: Clock,
    sealer: SealerPlace,
    metrics: AuditMetrics,
    /// Gives the number of records that could not be written.
    thread: Mutex<Option<JoinHandle<usize>>>,
}

/// How to open a log.
pub(crate) struct Opening {
    pub(crate) place: Place,
    pub(crate) file_bytes_max: u64,
    pub(crate) sync_every: Duration,
    pub(crate) clock: Clock,
}

impl Audit {
    /// Makes or takes over the log of the configured directory, and records what was found torn.
    pub fn open(settings: &AuditEntry, clock: Clock) -> Result<Self, AuditFault> {
        let Some(path) = &settings.directory else {
            tracing::warn!("NO AUDIT LOG is written: keys are used without a record; not for production");
            return Ok(Self::none());
        };
        let directory::Opened { disk, place, torn } = directory::open(path)?;
        let opening = Opening {
            place,
            file_bytes_max: settings.file_bytes_max,
            sync_every: Duration::from_millis(settings.sync_ms),
            clock,
        };
        let audit = Self::start(Box::new(disk), opening).map_err(AuditFault::Thread)?;
        for event in torn {
            tracing::warn!(?event, "the audit log had a torn end");
            let recorded = audit.record(event, Instant::now() + Duration::from_secs(10));
            recorded.map_err(|fault| AuditFault::Unwritable(std::io::Error::other(fault)))?;
        }
        Ok(audit)
    }

    /// Uses of keys go unrecorded.
    pub const fn none() -> Self {
        Self(None)
    }

    pub const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn start(disk: Box<dyn Disk>, opening: Opening) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(opening.sync_every));
        let sealer = SealerPlace::default();
        let metrics = AuditMetrics::default();
        let writer = Writer {
            shared: Arc::clone(&shared),
            journal: Journal::new(disk, opening.place, opening.file_bytes_max),
            clock: opening.clock,
            sealer: Arc::clone(&sealer),
            metrics: metrics.clone(),
            kept: Vec::new(),
            kept_uses: 0,
            failing: None,
        };
        let thread = Builder::new().name("audit".to_owned()).spawn(move || writer.run())?;
        Ok(Self(Some(Arc::new(Open {
            shared,
            clock: opening.clock,
            sealer,
            metrics,
            thread: Mutex::new(Some(thread)),
        }))))
    }

    /// From now on the head is sealed by this.
    pub fn seal_with(&self, sealer: Sealer) {
        if let Some(open) = &self.0 {
            *open.sealer.lock().unwrap_or_else(PoisonError::into_inner) = Some(sealer);
        }
    }

    /// Notes that a private key is about to be used, for whom and with a digest for each use. On an error it must not be.
    /// Waits for room until the deadline.
    pub fn note_uses(
        &self,
        operation: Use,
        key: &Arc<str>,
        uses: &[(Arc<str>, Digest)],
        deadline: Instant,
    ) -> Result<(), Unwritable> {
        let Some(open) = &self.0 else {
            return Ok(());
        };
        let now = (open.clock)();
        open.shared.note(uses.len(), deadline, |noted| {
            for (caller, digest) in uses {
                noted.add(operation, key, caller, now, *digest);
            }
        })
    }

    /// Returns when the record is on the disk. Blocks: for threads of our own.
    pub fn record(&self, event: Event, deadline: Instant) -> Result<(), Unwritable> {
        let Some(open) = &self.0 else {
            return Ok(());
        };
        let (sender, told) = mpsc::sync_channel(1);
        open.shared.leave(event, Teller::Thread(sender));
        let left = deadline.saturating_duration_since(Instant::now());
        told.recv_timeout(left).unwrap_or(Err(Unwritable::Late))
    }

    /// As [`record`](Self::record), for a task.
    pub async fn recorded(&self, event: Event, deadline: Instant) -> Result<(), Unwritable> {
        let Some(open) = &self.0 else {
            return Ok(());
        };
        let (sender, told) = oneshot::channel();
        open.shared.leave(event, Teller::Task(sender));
        match tokio::time::timeout_at(deadline.into(), told).await {
            Ok(told) => told.unwrap_or(Err(Unwritable::Closed)),
            Err(_) => Err(Unwritable::Late),
        }
    }

    /// The record of a refusal, to be recorded before the refusal is answered. None: there were so many in this second that
    /// it was counted instead; the count is written soon.
    pub fn refusal(&self, event: Event) -> Option<Event> {
        let open = self.0.as_ref()?;
        let singly = {
            let caller = event.caller().unwrap_or_default();
            open.shared.is_recorded_singly(caller, (open.clock)())
        };
        singly.then_some(event)
    }

    /// Whether keys may be used as far as the log goes.
    pub fn ready(&self) -> Result<(), Unwritable> {
        self.0.as_ref().map_or(Ok(()), |open| open.shared.ready())
    }

    pub fn register(&self, registry: &mut Registry) {
        if let Some(open) = &self.0 {
            open.metrics.register(registry);
        }
    }

    /// Writes what is left and the record of the stop, and seals it. Blocks, for some seconds at most.
    pub fn end(&self) -> Result<(), Unwritable> {
        let Some(open) = &self.0 else {
            return Ok(());
        };
        let thread = open.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else {
            return Ok(());
        };
        open.shared.end();
        let ended = match thread.join() {
            Ok(0) => Ok(()),
            Ok(records) => Err(Unwritable::Failing(format!("{records} records are lost"))),
            Err(_) => Err(Unwritable::Closed),
        };
        // It holds the keys, and they hold this.
        open.sealer.lock().unwrap_or_else(PoisonError::into_inner).take();
        ended
    }
}

impl Drop for Open {
    /// A log that nobody ended: its thread still writes what is left.
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Audit" } else { "Audit(none)" })
    }
}
