//! The process from start to stop: self-test, keys, ports, workers; then serving; then the drain in the other order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use operations::endpoint::{Endpoint, EndpointFault};
use operations::port::{BoundPort, OperationsPort, PortFault};
use operations::stop::Stop;
use prometheus_client::registry::Registry;
use signer_crypto::{SelfTestFault, self_test};
use signer_protocol::{limits, wire};
use thiserror::Error;
use tonic::service::Routes;

use crate::clock;
use crate::config::Config;
use crate::duties::Duties;
use crate::key_files::{self, KeyFileFault, Loaded};
use crate::metrics::Metrics;
use crate::provider::{self, Providers};
use crate::queue::Queue;
use crate::service::Service;
use crate::workers::{TAKE_MAX, Workers};

/// Why the signer does not start.
#[derive(Debug, Error)]
pub enum StartFault {
    #[error("this machine computes wrongly and must not sign")]
    SelfTest(#[from] SelfTestFault),
    #[error(transparent)]
    Keys(#[from] KeyFileFault),
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
    listen: Endpoint,
    operations: SocketAddr,
    workers: usize,
    queue_max: usize,
    duties: Arc<Duties>,
    providers: Arc<Providers>,
    away: Vec<String>,
}

/// A signer whose operations port listens.
#[derive(Debug)]
pub struct BoundProcess {
    process: Process,
    port: BoundPort,
    metrics: Metrics,
}

impl Process {
    /// Self-test first, then every key the configuration names.
    pub fn new(config: &Config) -> Result<Self, StartFault> {
        self_test()?;
        let Loaded {
            ring,
            token_key,
            providers,
            away,
        } = key_files::load(config, &Providers::default())?;
        Ok(Self {
            listen: config.listen.clone(),
            operations: config.operations.address,
            workers: config.workers,
            queue_max: config.queue_max,
            duties: Arc::new(Duties::new(ring, token_key)),
            providers: Arc::new(providers),
            away,
        })
    }

    /// Keys of the bank's and certificates of others that are loaded.
    pub fn key_counts(&self) -> (usize, usize) {
        self.duties.ring().counts()
    }

    /// Keys that cannot be used because their device is away: each with why. The signer serves without them.
    pub fn away(&self) -> &[String] {
        &self.away
    }

    pub async fn bind(self) -> Result<BoundProcess, ServeFault> {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let providers = Arc::clone(&self.providers);
        provider::metrics::register(&mut registry, move || Arc::clone(&providers));
        let duties = Arc::clone(&self.duties);
        let port = OperationsPort {
            address: self.operations,
            process: "signer",
            version: env!("CARGO_PKG_VERSION"),
            registry: Arc::new(registry),
            ready: Arc::new(move || duties.ring().readiness(clock::unix_seconds())),
        };
        Ok(BoundProcess {
            port: port.bind().await?,
            process: self,
            metrics,
        })
    }
}

impl BoundProcess {
    pub fn operations_address(&self) -> io::Result<SocketAddr> {
        self.port.address()
    }

    /// Serves until the stop is requested and everything read by then is answered.
    pub async fn serve(self, stop: Stop) -> Result<(), ServeFault> {
        let Self { process, port, metrics } = self;
        let queue = Arc::new(Queue::new(process.queue_max, process.workers, TAKE_MAX));
        let workers =
            Workers::start(process.workers, &queue, &process.duties, &metrics).map_err(ServeFault::Threads)?;
        let service = Service {
            queue: Arc::clone(&queue),
            metrics,
            stop: stop.clone(),
        };
        let routes = wire::signer_server::SignerServer::new(service)
            .max_decoding_message_size(limits::BATCH_BYTES_MAX)
            .max_encoding_message_size(limits::BATCH_BYTES_MAX);
        let operations_port = tokio::spawn(serve_port(port, stop.clone()));
        log_start(&process);
        let served = process.listen.serve(Routes::new(routes), stop).await;
        queue.close();
        let _joined = tokio::task::spawn_blocking(move || workers.join()).await;
        operations_port.abort();
        Ok(served?)
    }
}

/// A signer without its operations port still signs.
async fn serve_port(port: BoundPort, stop: Stop) {
    if let Err(fault) = port.serve(stop).await {
        tracing::error!(%fault, "the operations port ended");
    }
}

fn log_start(process: &Process) {
    let (keys, peers) = process.key_counts();
    let listen = process.listen.to_string();
    tracing::info!(listen, workers = process.workers, keys, peers, "signer serves");
    process.providers.log();
    for reason in &process.away {
        tracing::error!(reason, "a key's device is away");
    }
    if let Err(reason) = process.duties.ring().readiness(clock::unix_seconds()) {
        tracing::warn!(reason, "not ready");
    }
}
