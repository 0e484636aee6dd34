//! Reading keys, certificates, revocations and token keys anew while the signer serves: all or nothing.
//!
//! A thread of its own reads and tries everything, off the live path; reloads follow one another. What cannot be taken
//! leaves everything as it was and says why. Settings that are read at the start only are compared and named when they
//! have changed.

use std::io;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Instant;

use operations::config::ConfigFault;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::config::Config;
use crate::health::HealthBoard;
use crate::key_set::{CurrentKeys, KeySet, KeySetFault};
use crate::metrics::Metrics;

/// Reloads that wait for one another.
const WAITING_MAX: usize = 16;

/// Why what was loaded before is still in use.
#[derive(Debug, Error)]
pub enum ReloadFault {
    #[error("the configuration is refused")]
    Config(#[from] ConfigFault),
    #[error("the keys are refused")]
    Keys(#[from] KeySetFault),
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
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |fault| fault.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}

type Outcome = Result<Reloaded, ReloadFault>;

/// Asks for reloads. Cheap to clone; the thread ends with the last of them.
#[derive(Debug, Clone)]
pub struct Reloader(mpsc::Sender<oneshot::Sender<Outcome>>);

/// What a reload needs and changes.
#[derive(Debug)]
pub(crate) struct Reloading {
    pub(crate) started_with: Config,
    pub(crate) keys: Arc<CurrentKeys>,
    pub(crate) health: Arc<HealthBoard>,
    pub(crate) metrics: Metrics,
}

impl Reloader {
    /// Starts the thread.
    pub(crate) fn start(reloading: Reloading) -> io::Result<Self> {
        let (asks, mut asked) = mpsc::channel::<oneshot::Sender<Outcome>>(WAITING_MAX);
        Builder::new().name("reload".to_owned()).spawn(move || {
            while let Some(asker) = asked.blocking_recv() {
                let _asker_has_gone = asker.send(reloading.reload());
            }
        })?;
        Ok(Self(asks))
    }

    /// Returns once the new keys are in use, or with why they are not.
    pub async fn reload(&self) -> Outcome {
        let (asker, answer) = oneshot::channel();
        self.0.try_send(asker).map_err(|refused| match refused {
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
    fn reload(&self) -> Outcome {
        let outcome = self.exchange();
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
                tracing::error!(reason, "nothing was reloaded; the keys loaded before are in use");
            }
        }
        outcome
    }

    fn exchange(&self) -> Outcome {
        let config = Config::load(&self.started_with.file)?;
        let (started, now) = (Instant::now(), clock::unix_seconds());
        let keys = KeySet::load(&config, self.keys.now().generation + 1, now)?;
        let (own, certificates) = keys.ring.counts();
        let reloaded = Reloaded {
            generation: keys.generation,
            keys: own,
            certificates,
            token_generation: keys.tokens.issued.generation.0,
            needs_restart: self.started_with.restart_settings_changed(&config),
        };
        let found = keys.found(started);
        let before = self.keys.exchange(keys);
        self.health.found(found);
        self.metrics.keys(&self.keys.now(), Some(&before), now);
        Ok(reloaded)
    }
}
