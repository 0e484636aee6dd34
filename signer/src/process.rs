//! The process from start to stop: self-test, keys, ports, workers; then serving; then the drain in the other order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use operations::endpoint::EndpointFault;
use operations::port::{BoundPort, OperationsPort, PortFault};
use operations::stop::Stop;
use prometheus_client::registry::Registry;
use signer_crypto::{SelfTestFault, self_test};
use signer_protocol::{limits, wire};
use thiserror::Error;
use tonic::service::Routes;

use crate::clock;
use crate::config::Config;
use crate::health::HealthBoard;
use crate::key_set::{CurrentKeys, KeySet, KeySetFault};
use crate::metrics::Metrics;
use crate::queue::{Queue, QueueLimits};
use crate::reload::{Reloader, Reloading};
use crate::service::Service;
use crate::trials::Trials;
use crate::workers::{Worker, Workers};

/// Why the signer does not start.
#[derive(Debug, Error)]
pub enum StartFault {
    #[error("this machine computes wrongly and must not sign")]
    SelfTest(#[from] SelfTestFault),
    #[error(transparent)]
    Keys(#[from] KeySetFault),
}

#[derive(Debug, Error)]
pub enum ServeFault {
    #[error(transparent)]
    Port(#[from] PortFault),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error("worker threads cannot be started")]
    Threads(#[source] io::Error),
}

impl ServeFault {
    /// Whether an address is taken or cannot be had.
    pub const fn is_about_address(&self) -> bool {
        match self {
            Self::Port(fault) => matches!(fault, PortFault::NotLoopback(_) | PortFault::Listen { .. }),
            Self::Endpoint(fault) => fault.is_about_address(),
            Self::Threads(_) => false,
        }
    }
}

/// A signer with its keys, which serves nothing yet.
#[derive(Debug)]
pub struct Process {
    config: Config,
    keys: Arc<CurrentKeys>,
    health: Arc<HealthBoard>,
}

/// A signer whose operations port listens.
#[derive(Debug)]
pub struct BoundProcess {
    process: Process,
    port: BoundPort,
    metrics: Metrics,
    reloader: Reloader,
}

impl Process {
    /// Self-test first, then every key the configuration names.
    pub fn new(config: &Config) -> Result<Self, StartFault> {
        self_test()?;
        let keys = KeySet::load(config, 1, clock::unix_seconds())?;
        let health = HealthBoard::default();
        health.found(keys.found(Instant::now()));
        Ok(Self {
            config: config.clone(),
            keys: Arc::new(CurrentKeys::new(keys)),
            health: Arc::new(health),
        })
    }

    /// Keys of the bank's and certificates of others that are loaded.
    pub fn key_counts(&self) -> (usize, usize) {
        self.keys.now().ring.counts()
    }

    pub async fn bind(self) -> Result<BoundProcess, ServeFault> {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics.keys(&self.keys.now(), None, clock::unix_seconds());
        let (keys, health) = (Arc::clone(&self.keys), Arc::clone(&self.health));
        let port = OperationsPort {
            address: self.config.operations.address,
            process: "signer",
            version: env!("CARGO_PKG_VERSION"),
            registry: Arc::new(registry),
            ready: Arc::new(move || readiness(&keys.now(), &health)),
        };
        let reloading = Reloading {
            started_with: self.config.clone(),
            keys: Arc::clone(&self.keys),
            health: Arc::clone(&self.health),
            metrics: metrics.clone(),
        };
        Ok(BoundProcess {
            port: port.bind().await?,
            reloader: Reloader::start(reloading).map_err(ServeFault::Threads)?,
            process: self,
            metrics,
        })
    }
}

/// Keys that are current, and were seen to work lately.
fn readiness(keys: &KeySet, health: &HealthBoard) -> Result<(), String> {
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
            process, port, metrics, ..
        } = self;
        let Process { config, keys, health } = process;
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
        let workers = Workers::start(config.workers, &worker).map_err(ServeFault::Threads)?;
        let trials = Trials {
            queue: Arc::clone(&queue),
            keys: Arc::clone(&keys),
            board: health,
        };
        let service = Service {
            queue: Arc::clone(&queue),
            trials: trials.clone(),
            metrics,
            stop: stop.clone(),
        };
        let routes = wire::signer_server::SignerServer::new(service)
            .max_decoding_message_size(limits::BATCH_BYTES_MAX)
            .max_encoding_message_size(limits::BATCH_BYTES_MAX);
        let repeated = tokio::spawn(trials.repeat(stop.clone()));
        let operations_port = tokio::spawn(serve_port(port, stop.clone()));
        log_start(&config, &keys.now());
        let served = config.listen.serve(Routes::new(routes), stop).await;
        queue.close();
        let _joined = tokio::task::spawn_blocking(move || workers.join()).await;
        operations_port.abort();
        repeated.abort();
        Ok(served?)
    }
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
    tracing::info!(
        listen,
        workers,
        keys = own,
        peers,
        token_generation,
        "signer serves with software keys"
    );
    if let Err(reason) = keys.ring.readiness(clock::unix_seconds()) {
        tracing::warn!(reason, "not ready");
    }
}
