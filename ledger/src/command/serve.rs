//! `ledger serve`: the process itself, from opening the stores to the last record shipped.
//!
//! Stopping, in order: take no more work, answer what was taken, ship what is committed (for a limited time), end the
//! shards. A fault that leaves it open what is in the books ends the process at once.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ledger_model::{ShardCount, ShardId};
use operations::endpoint::{Endpoint, EndpointFault};
use operations::exit;
use operations::logs;
use operations::port::{OperationsPort, PortFault};
use operations::stop::Stop;
use prometheus_client::registry::Registry;

use super::told;
use crate::access::AccessFault;
use crate::clock::wall_clock;
use crate::config::Config;
use crate::meters::Meters;
use crate::router::{Ledger, LedgerParts};
use crate::service::Service;
use crate::shard::{Fatal, FatalFault};
use crate::shipping::{Shipping, kafka};
use crate::store::embedded::{EmbeddedStore, StoreOptions};
use crate::store::{Store, StoreFault};

/// How long what is committed may take to reach Kafka once the stop is requested. The rest is shipped at the next start.
const SHIP_LIMIT: Duration = Duration::from_secs(5);
/// Threads that convert, compress and read for the executor.
const BLOCKING_THREADS_MAX: usize = 16;

#[derive(Debug, thiserror::Error)]
enum ServeFault {
    #[error("the runtime could not start")]
    Runtime(#[source] std::io::Error),
    #[error("a thread could not start")]
    Thread(#[source] std::io::Error),
    #[error("the directory of the store cannot be made")]
    Directory(#[source] std::io::Error),
    #[error("the store of shard {shard} cannot be opened")]
    Store {
        shard: u8,
        #[source]
        source: StoreFault,
    },
    #[error(transparent)]
    Port(#[from] PortFault),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error(transparent)]
    Access(#[from] AccessFault),
}

impl ServeFault {
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Port(PortFault::Listen { .. }) => exit::ADDRESS_TAKEN,
            Self::Port(PortFault::NotLoopback(_)) | Self::Access(_) => exit::CONFIGURATION,
            Self::Endpoint(fault) if fault.is_about_address() => exit::ADDRESS_TAKEN,
            Self::Port(PortFault::Serve(_))
            | Self::Endpoint(_)
            | Self::Runtime(_)
            | Self::Thread(_)
            | Self::Directory(_)
            | Self::Store { .. } => exit::FAILED,
        }
    }
}

pub fn run(config: Config) -> u8 {
    logs::start("ledger", &config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(ServeFault::Runtime);
    let served = runtime.and_then(|runtime| runtime.block_on(serve(config)));
    match served {
        Ok(()) => exit::DONE,
        Err(fault) => {
            tracing::error!(fault = told(&fault), "the ledger could not run");
            fault.exit_code()
        }
    }
}

async fn serve(config: Config) -> Result<(), ServeFault> {
    let stop = Stop::on_signals();
    let mut registry = Registry::default();
    let meters = Meters::registered(&mut registry);
    let ready = Arc::new(AtomicBool::new(false));
    let (is_ready, listen) = (Arc::clone(&ready), config.listen.clone());
    let port = OperationsPort {
        address: config.operations,
        process: "ledger",
        version: env!("CARGO_PKG_VERSION"),
        registry: Arc::new(registry),
        ready: Arc::new(move || {
            if is_ready.load(Ordering::Acquire) {
                listens(&listen)
            } else {
                Err("its stores are not open".to_owned())
            }
        }),
    };
    let port = port.bind().await?;
    let shown = tokio::spawn(port.serve(stop.clone()));

    let ledger = start(&config, Arc::clone(&meters)).await?;
    let shipping = match &config.kafka {
        None => None,
        Some(settings) => {
            let connect = kafka(settings.clone(), tokio::runtime::Handle::current());
            Some(Shipping::start(&ledger, connect, meters).map_err(ServeFault::Thread)?)
        }
    };
    let access = Arc::new(config.access()?);
    let audience = access.audience();
    ready.store(true, Ordering::Release);
    tracing::info!(shards = config.shards.count(), listen = %config.listen, "the ledger is ready");
    let served = config
        .listen
        .serve_to(
            audience,
            Service::routes_for(access, Arc::clone(&ledger), stop.clone()),
            stop,
        )
        .await;

    ready.store(false, Ordering::Release);
    let ended = tokio::task::spawn_blocking(move || {
        if let Some(shipping) = shipping {
            shipping.finish(SHIP_LIMIT);
        }
        ledger.stop();
    });
    if ended.await.is_err() {
        tracing::error!("ending the shards panicked");
    }
    served?;
    if let Ok(Err(fault)) = shown.await {
        tracing::warn!(fault = told(&fault), "the operations port failed");
    }
    tracing::info!("the ledger has stopped");
    Ok(())
}

/// A socket file may be left over from another process, so being there is not enough.
fn listens(listen: &Endpoint) -> Result<(), String> {
    match listen {
        Endpoint::Unix(path) => UnixStream::connect(path)
            .map(drop)
            .map_err(|_| "it does not listen yet".to_owned()),
        Endpoint::Tcp(_) => Ok(()),
    }
}

async fn start(config: &Config, meters: Arc<Meters>) -> Result<Arc<Ledger>, ServeFault> {
    let (directory, shards, limits) = (config.directory.clone(), config.shards, config.limits);
    let options = StoreOptions {
        snapshot_bytes: config.snapshot_bytes,
        kept_days: limits.kept_days,
        ..StoreOptions::default()
    };
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&directory).map_err(ServeFault::Directory)?;
        let stores = open_stores(&directory, shards, &options)?;
        let parts = LedgerParts {
            stores,
            shards,
            limits,
            clock: wall_clock(),
            meters,
            fatal: abort(),
        };
        Ledger::start(parts).map_err(ServeFault::Thread)
    });
    opened
        .await
        .unwrap_or_else(|panic| Err(ServeFault::Thread(std::io::Error::other(panic))))
}

/// The first shard alone: a directory of another ledger is refused before anything is made in it. Then the others at
/// once, since each has its own log to read after a crash.
fn open_stores(
    directory: &Path,
    shards: ShardCount,
    options: &StoreOptions,
) -> Result<Vec<Box<dyn Store>>, ServeFault> {
    let open = |shard: ShardId| -> Result<Box<dyn Store>, ServeFault> {
        let fault = |source| ServeFault::Store {
            shard: shard.number(),
            source,
        };
        let store = EmbeddedStore::open_with(directory, shards, shard, options.clone()).map_err(fault)?;
        let state = store.state();
        tracing::info!(%shard, sequence = state.sequence, head = %state.head, "opened a shard's store");
        Ok(Box::new(store))
    };
    let (first, others): (Vec<ShardId>, Vec<ShardId>) = shards.all().partition(|shard| shard.number() == 0);
    let mut stores = first.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
    std::thread::scope(|scope| {
        let opening: Vec<_> = others
            .into_iter()
            .map(|shard| scope.spawn(move || open(shard)))
            .collect();
        for thread in opening {
            let panicked = |_| Err(ServeFault::Thread(std::io::Error::other("opening a store panicked")));
            stores.push(thread.join().unwrap_or_else(panicked)?);
        }
        Ok(stores)
    })
}

/// Nobody is answered after this. The next start finds out what is in the books.
fn abort() -> Fatal {
    Arc::new(|fault: &FatalFault| {
        tracing::error!(fault = told(fault), "the ledger ends at once");
        std::process::abort();
    })
}
