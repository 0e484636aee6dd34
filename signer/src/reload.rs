//! Reading keys, certificates, revocations and token keys anew while the signer serves: all or nothing.
//!
//! A thread of its own reads and tries everything, off the live path; reloads follow one another. What cannot be taken
//! leaves everything as it was and says why. Settings that are read at the start only are compared and named when they
//! have changed.

use std::io;
use std::sync::Arc;
use std::thread::Builder;
use std::time::{Duration, Instant};

use operations::config::ConfigFault;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::audit::{Audit, Event, Unwritable};
use crate::clock;
use crate::config::Config;
use crate::health::HealthBoard;
use crate::key_set::{CurrentKeys, KeySet, KeySetFault, Loading};
use crate::metrics::Metrics;
use crate::policy::THE_SIGNER;

/// Reloads that wait for one another.
const WAITING_MAX: usize = 16;
/// How long a change waits for its record.
const RECORD_LIMIT: Duration = Duration::from_secs(5);
/// Of the reason of a refusal, in its record.
const REASON_CHARS_MAX: usize = 500;

/// Why what was loaded before is still in use.
#[derive(Debug, Error)]
pub enum ReloadFault {
    #[error("the configuration is refused")]
    Config(#[from] ConfigFault),
    #[error("the keys are refused")]
    Keys(#[from] KeySetFault),
    #[error("the change of keys cannot be recorded")]
    Audit(#[from] Unwritable),
    #[error("too many reloads wait")]
    Busy,
    #[error("the signer is stopping")]
    Stopping,
}

/// What is in use now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// Counts the sets of keys this process has used; 1 is the one it started with.
    pub generation: u64,
    /// Keys of the bank's.
    pub keys: usize,
    /// Certificates of others.
    pub certificates: usize,
    /// The generation that tokens are made under.
    pub token_generation: u32,
    /// Settings that have changed in the file and take a restart to be taken up.
    pub needs_restart: Vec<&'static str>,
}

impl ReloadFault {
    /// With all causes, for the operator.
    pub fn reason(&self) -> String {
        let fault: &dyn std::error::Error = self;
        let causes = std::iter::successors(Some(fault), |fault| fault.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}

type Outcome = Result<Reloaded, ReloadFault>;

/// Asks for reloads. Cheap to clone; the thread ends with the last of them.
#[derive(Debug, Clone)]
pub struct Reloader(mpsc::Sender<Ask>);

/// Who asks, as the audit log calls it, and where the outcome goes.
type Ask = (Arc<str>, oneshot::Sender<Outcome>);

/// What a reload needs and changes.
#[derive(Debug)]
pub(crate) struct Reloading {
    pub(crate) started_with: Config,
    pub(crate) keys: Arc<CurrentKeys>,
    pub(crate) health: Arc<HealthBoard>,
    pub(crate) metrics: Metrics,
    pub(crate) audit: Audit,
}

impl Reloader {
    /// Starts the thread.
    pub(crate) fn start(reloading: Reloading) -> io::Result<Self> {
        let (asks, mut asked) = mpsc::channel::<Ask>(WAITING_MAX);
        Builder::new().name("reload".to_owned()).spawn(move || {
            while let Some((by, asker)) = asked.blocking_recv() {
                let _asker_has_gone = asker.send(reloading.reload(&by));
            }
        })?;
        Ok(Self(asks))
    }

    /// Returns once the new keys are in use, or with why they are not. In the audit log it is the signer's own doing.
    pub async fn reload(&self) -> Outcome {
        self.reload_for(&THE_SIGNER.into()).await
    }

    /// As [`reload`](Self::reload), for a caller.
    pub(crate) async fn reload_for(&self, by: &Arc<str>) -> Outcome {
        let (asker, answer) = oneshot::channel();
        self.0
            .try_send((Arc::clone(by), asker))
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => ReloadFault::Busy,
                mpsc::error::TrySendError::Closed(_) => ReloadFault::Stopping,
            })?;
        answer.await.map_err(|_| ReloadFault::Stopping)?
    }

    /// Reloads at every SIGHUP, for as long as the process lives.
    pub async fn on_hangup(self) -> io::Result<()> {
        let mut hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
        while hangups.recv().await.is_some() {
            // What came of it is logged where it is decided.
            let _logged = self.reload().await;
        }
        Ok(())
    }
}

impl Reloading {
    fn reload(&self, by: &str) -> Outcome {
        let outcome = self.exchange(by);
        match &outcome {
            Ok(reloaded) => {
                self.metrics.reloaded("done");
                let Reloaded {
                    generation,
                    keys,
                    certificates,
                    token_generation,
                    needs_restart,
                } = reloaded;
                tracing::info!(
                    generation,
                    keys,
                    certificates,
                    token_generation,
                    ?needs_restart,
                    "keys reloaded"
                );
            }
            Err(fault) => {
                self.metrics.reloaded("refused");
                let reason = fault.reason();
                self.record_refusal(by, &reason);
                tracing::error!(reason, "nothing was reloaded; the keys loaded before are in use");
            }
        }
        outcome
    }

    /// Before the change: what is not in the log does not happen.
    fn record_change(&self, by: &str, keys: &KeySet) -> Result<(), Unwritable> {
        let (before, after) = (self.keys.now().key_notes(), keys.key_notes());
        let event = Event::Keys {
            by: by.to_owned(),
            taken: true,
            refusal: None,
            generation: keys.generation,
            added: after.difference(&before).cloned().collect(),
            removed: before.difference(&after).cloned().collect(),
            certificates: keys.certificate_count(),
            callers: keys.caller_names(),
        };
        self.audit.record(event, Instant::now() + RECORD_LIMIT)
    }

    fn record_refusal(&self, by: &str, reason: &str) {
        let keys = self.keys.now();
        let event = Event::Keys {
            by: by.to_owned(),
            taken: false,
            refusal: Some(reason.chars().take(REASON_CHARS_MAX).collect()),
            generation: keys.generation,
            added: Vec::new(),
            removed: Vec::new(),
            certificates: keys.certificate_count(),
            callers: keys.caller_names(),
        };
        if let Err(unwritable) = self.audit.record(event, Instant::now() + RECORD_LIMIT) {
            tracing::error!(%unwritable, "a refused reload is not in the audit log");
        }
    }

    fn exchange(&self, by: &str) -> Outcome {
        let config = Config::load(&self.started_with.file)?;
        let (started, now) = (Instant::now(), clock::unix_seconds());
        let running = self.keys.now();
        let loading = Loading {
            generation: running.generation + 1,
            now,
            running: &running.providers,
            audit: &self.audit,
        };
        let keys = KeySet::load(&config, loading)?;
        keys.log_providers();
        let (own, certificates) = keys.ring.counts();
        let mut needs_restart = self.started_with.restart_settings_changed(&config);
        if keys.policy.audience() != self.keys.now().policy.audience() {
            needs_restart.push("caller: for whom the socket is open");
        }
        self.record_change(by, &keys)?;
        let reloaded = Reloaded {
            generation: keys.generation,
            keys: own,
            certificates,
            token_generation: keys.tokens.issued.generation.0,
            needs_restart,
        };
        let found = keys.found(started);
        let before = self.keys.exchange(keys);
        self.health.found(found);
        self.metrics.keys(&self.keys.now(), Some(&before), now);
        Ok(reloaded)
    }
}
