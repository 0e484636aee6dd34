//! `ledger serve`: the process itself, from opening the stores to the last record shipped.
//!
//! Stopping, in order: take no more work, answer what was taken, ship what is committed (for a limited time), end the
//! shards. A fault that leaves it open what is in the books ends the process at once.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use operations::endpoint::{Endpoint, EndpointFault};
use operations::exit;
use operations::logs;
use operations::port::{OperationsPort, PortFault};
use operations::stop::Stop;
use prometheus_client::registry::Registry;

use super::stores::{self, Stores, StoresFault};
use super::told;
use crate::access::AccessFault;
use crate::administration::service::Days;
use crate::clock::wall_clock;
use crate::config::Config;
use crate::hopping::homecoming::{Homecoming, Probes};
use crate::hopping::regrouping::Regrouping;
use crate::meters::Meters;
use crate::router::{Ledger, LedgerParts};
use crate::service::Service;
use crate::shard::{Fatal, FatalFault};
use crate::shipping::{Shipping, ShippingParts, TAKE_OVER_AFTER, kafka};

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
    #[error(transparent)]
    Stores(#[from] StoresFault),
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
            | Self::Stores(_) => exit::FAILED,
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

    let (ledger, homecoming) = start(&config, Arc::clone(&meters)).await?;
    // what hopped before this process began is known before anything is decided
    let _told_by_the_meters = homecoming.round().await;
    let coming_home = tokio::spawn(homecoming.run(config.hopping.probe_every, stop.clone()));
    let shipping = ship(&config, &ledger, meters)?;
    let access = Arc::new(config.access()?);
    let audience = access.audience();
    let days = Days {
        calendar: Arc::new(config.calendar.clone().unwrap_or_default()),
        clock: wall_clock(),
    };
    ready.store(true, Ordering::Release);
    tracing::info!(shards = config.shards.count(), listen = %config.listen, "the ledger is ready");
    let served = config
        .listen
        .serve_to(
            audience,
            Service::routes_for(access, days, Arc::clone(&ledger), stop.clone()),
            stop,
        )
        .await;

    ready.store(false, Ordering::Release);
    if coming_home.await.is_err() {
        tracing::error!("the homecoming panicked");
    }
    let ended = tokio::task::spawn_blocking(move || {
        if let Some(regrouping) = ledger.regrouping() {
            regrouping.stop();
        }
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

/// `None` where nothing is shipped.
fn ship(config: &Config, ledger: &Arc<Ledger>, meters: Arc<Meters>) -> Result<Option<Shipping>, ServeFault> {
    let Some(to) = &config.kafka else {
        return Ok(None);
    };
    let parts = ShippingParts {
        connect: kafka(to.settings.clone(), tokio::runtime::Handle::current()),
        meters,
        clock: wall_clock(),
        lag_limits: to.lag_limits,
        take_over_after: TAKE_OVER_AFTER,
    };
    Shipping::start(ledger, parts).map(Some).map_err(ServeFault::Thread)
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

/// The ledger, and what brings home what hops.
async fn start(config: &Config, meters: Arc<Meters>) -> Result<(Arc<Ledger>, Homecoming), ServeFault> {
    let config = config.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let Stores {
            by_shard,
            groups,
            placement,
        } = stores::open(&config)?;
        let clock = wall_clock();
        let parts = LedgerParts {
            stores: by_shard,
            shards: config.shards,
            limits: config.limits,
            clock: Arc::clone(&clock),
            meters: Arc::clone(&meters),
            fatal: abort(),
        };
        let ledger = Ledger::start_over(groups, parts).map_err(ServeFault::Thread)?;
        let homecoming = match placement {
            Some(placement) => {
                ledger.regroup_by(Regrouping::new(Arc::clone(&placement)));
                Homecoming::new(Arc::clone(&ledger), placement, clock, meters)
            }
            None => Homecoming::new(Arc::clone(&ledger), Probes::new(), clock, meters),
        };
        Ok((ledger, homecoming))
    });
    opened
        .await
        .unwrap_or_else(|panic| Err(ServeFault::Thread(std::io::Error::other(panic))))
}

/// Nobody is answered after this. The next start finds out what is in the books.
fn abort() -> Fatal {
    Arc::new(|fault: &FatalFault| {
        tracing::error!(fault = told(fault), "the ledger ends at once");
        std::process::abort();
    })
}
