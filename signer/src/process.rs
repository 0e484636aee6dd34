//! The process from start to stop: self-test, keys, ports, workers; then serving; then the drain in the other order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use operations::endpoint::EndpointFault;
use operations::port::{BoundPort, OperationsPort, PortFault};
use operations::stop::Stop;
use prometheus_client::registry::Registry;
use signer_crypto::{SelfTestFault, self_test};
use signer_protocol::{limits, wire};
use thiserror::Error;
use tonic::service::Routes;

use crate::administration::AdministrationService;
use crate::audit::{Audit, AuditFault, Event, Unwritable};
use crate::callers::Callers;
use crate::clock;
use crate::config::Config;
use crate::health::HealthBoard;
use crate::key_set::{CurrentKeys, KeySet, KeySetFault, Loading};
use crate::metrics::Metrics;
use crate::provider::{self, Providers};
use crate::queue::{Queue, QueueLimits};
use crate::reload::{Reloader, Reloading};
use crate::service::Service;
use crate::trials::Trials;
use crate::workers::{Worker, Workers};

/// How long a start waits for its record.
const RECORD_LIMIT: Duration = Duration::from_secs(10);

/// One stream may hold this part of the bytes that the queue may: one peer that floods leaves room for others.
const STREAM_SHARE: usize = 4;

/// Why the signer does not start.
#[derive(Debug, Error)]
pub enum StartFault {
    #[error("this machine computes wrongly and must not sign")]
    SelfTest(#[from] SelfTestFault),
    #[error(transparent)]
    Keys(#[from] KeySetFault),
    #[error(transparent)]
    Audit(#[from] AuditFault),
}

#[derive(Debug, Error)]
pub enum ServeFault {
    #[error(transparent)]
    Port(#[from] PortFault),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error("worker threads cannot be started")]
    Threads(#[source] io::Error),
    #[error("the audit log is not complete")]
    Audit(#[from] Unwritable),
}

impl ServeFault {
    /// Whether an address is taken or cannot be had.
    pub const fn is_about_address(&self) -> bool {
        match self {
            Self::Port(fault) => matches!(fault, PortFault::NotLoopback(_) | PortFault::Listen { .. }),
            Self::Endpoint(fault) => fault.is_about_address(),
            Self::Threads(_) | Self::Audit(_) => false,
        }
    }
}

/// A signer with its keys, which serves nothing yet.
#[derive(Debug)]
pub struct Process {
    config: Config,
    keys: Arc<CurrentKeys>,
    health: Arc<HealthBoard>,
    audit: Audit,
}

/// A signer whose operations port listens.
#[derive(Debug)]
pub struct BoundProcess {
    process: Process,
    port: BoundPort,
    metrics: Metrics,
    reloader: Reloader,
    callers: Callers,
}

impl Process {
    /// Self-test first, then the audit log, then every key the configuration names.
    pub fn new(config: &Config) -> Result<Self, StartFault> {
        self_test()?;
        Self::with(config, Audit::open(&config.audit, clock::moment)?)
    }

    /// As [`new`](Self::new), to see whether it would start: it writes nothing and must not serve.
    pub fn check(config: &Config) -> Result<Self, StartFault> {
        self_test()?;
        Self::with(config, Audit::none())
    }

    fn with(config: &Config, audit: Audit) -> Result<Self, StartFault> {
        let loading = Loading {
            generation: 1,
            now: clock::unix_seconds(),
            running: &Providers::default(),
            audit: &audit,
        };
        let keys = match KeySet::load(config, loading) {
            Ok(keys) => Arc::new(CurrentKeys::new(keys)),
            Err(fault) => {
                let _the_fault_is_told = audit.end();
                return Err(fault.into());
            }
        };
        let health = HealthBoard::default();
        health.found(keys.now().found(Instant::now()));
        let sealing = Arc::clone(&keys);
        audit.seal_with(Box::new(move |statement| {
            sealing.now().seal_log(statement, clock::unix_seconds())
        }));
        Ok(Self {
            config: config.clone(),
            keys,
            health: Arc::new(health),
            audit,
        })
    }

    /// Keys of the bank's and certificates of others that are loaded.
    pub fn key_counts(&self) -> (usize, usize) {
        self.keys.now().ring.counts()
    }

    /// Says in the log what holds the keys; loudly, if it is nothing but this process.
    pub fn log_providers(&self) {
        self.keys.now().log_providers();
    }

    /// Keys that cannot be used because their device is away: each with why. The signer serves without them.
    pub fn away(&self) -> Vec<String> {
        self.keys.now().away.clone()
    }

    pub async fn bind(self) -> Result<BoundProcess, ServeFault> {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics.keys(&self.keys.now(), None, clock::unix_seconds());
        self.audit.register(&mut registry);
        let keys = Arc::clone(&self.keys);
        provider::metrics::register(&mut registry, move || keys.now());
        let callers = Callers::new(Arc::clone(&self.keys), self.audit.clone(), &mut registry);
        let (keys, health, audit) = (Arc::clone(&self.keys), Arc::clone(&self.health), self.audit.clone());
        let port = OperationsPort {
            address: self.config.operations.address,
            process: "signer",
            version: env!("CARGO_PKG_VERSION"),
            registry: Arc::new(registry),
            ready: Arc::new(move || readiness(&keys.now(), &health, &audit)),
        };
        let reloading = Reloading {
            started_with: self.config.clone(),
            keys: Arc::clone(&self.keys),
            health: Arc::clone(&self.health),
            metrics: metrics.clone(),
            audit: self.audit.clone(),
        };
        Ok(BoundProcess {
            port: port.bind().await?,
            reloader: Reloader::start(reloading).map_err(ServeFault::Threads)?,
            process: self,
            metrics,
            callers,
        })
    }
}

/// A log that can be written, and keys that are current and were seen to work lately.
fn readiness(keys: &KeySet, health: &HealthBoard, audit: &Audit) -> Result<(), String> {
    audit.ready().map_err(|unwritable| unwritable.to_string())?;
    keys.ring.readiness(clock::unix_seconds())?;
    health.readiness(&keys.ring, Instant::now())
}

impl BoundProcess {
    pub fn operations_address(&self) -> io::Result<SocketAddr> {
        self.port.address()
    }

    /// Reads keys, certificates, revocations and token keys anew.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Serves until the stop is requested and everything read by then is answered.
    pub async fn serve(self, stop: Stop) -> Result<(), ServeFault> {
        let Self {
            process,
            port,
            metrics,
            reloader,
            callers,
        } = self;
        let Process {
            config,
            keys,
            health,
            audit,
        } = process;
        record_start(&audit, &keys.now()).await?;
        let queue = Arc::new(Queue::new(QueueLimits {
            items_max: config.queue_max,
            bytes_max: config.queue_bytes_max,
            takers: config.workers,
        }));
        let worker = Worker {
            queue: Arc::clone(&queue),
            keys: Arc::clone(&keys),
            health: Arc::clone(&health),
            metrics: metrics.clone(),
        };
        let last = Arc::clone(&keys);
        let workers = Workers::start(config.workers, &worker).map_err(ServeFault::Threads)?;
        let trials = Trials {
            queue: Arc::clone(&queue),
            keys: Arc::clone(&keys),
            board: health,
        };
        let service = Service {
            queue: Arc::clone(&queue),
            trials: trials.clone(),
            callers: callers.clone(),
            keys: Arc::clone(&keys),
            metrics,
            stream_bytes_max: config.queue_bytes_max / STREAM_SHARE,
            stop: stop.clone(),
        };
        let routes = wire::signer_server::SignerServer::new(service)
            .max_decoding_message_size(limits::BATCH_BYTES_MAX)
            .max_encoding_message_size(limits::BATCH_BYTES_MAX);
        let administration = AdministrationService { callers, reloader };
        let routes =
            Routes::new(routes).add_service(wire::administration_server::AdministrationServer::new(administration));
        let repeated = tokio::spawn(trials.repeat(stop.clone()));
        let operations_port = tokio::spawn(serve_port(port, stop.clone()));
        log_start(&config, &keys.now());
        let audience = keys.now().policy.audience();
        let served = config.listen.serve_to(audience, routes, stop).await;
        queue.close();
        let _joined = tokio::task::spawn_blocking(move || {
            workers.join();
            last.now().providers.close();
        })
        .await;
        operations_port.abort();
        repeated.abort();
        let ended = tokio::task::spawn_blocking(move || audit.end()).await;
        served?;
        ended.map_err(|_| Unwritable::Closed)??;
        Ok(())
    }
}

async fn record_start(audit: &Audit, keys: &KeySet) -> Result<(), Unwritable> {
    let event = Event::Start {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        keys: keys.key_notes().into_iter().collect(),
        certificates: keys.certificate_count(),
        callers: keys.caller_names(),
    };
    audit.recorded(event, Instant::now() + RECORD_LIMIT).await
}

/// A signer without its operations port still signs.
async fn serve_port(port: BoundPort, stop: Stop) {
    if let Err(fault) = port.serve(stop).await {
        tracing::error!(%fault, "the operations port ended");
    }
}

fn log_start(config: &Config, keys: &KeySet) {
    let (own, peers) = keys.ring.counts();
    let (listen, workers) = (config.listen.to_string(), config.workers);
    let token_generation = keys.tokens.issued.generation.0;
    tracing::info!(listen, workers, keys = own, peers, token_generation, "signer serves");
    keys.log_providers();
    if let Err(reason) = keys.ring.readiness(clock::unix_seconds()) {
        tracing::warn!(reason, "not ready");
    }
}
