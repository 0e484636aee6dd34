//! From a configuration to a running front end.

use std::sync::Arc;
use std::time::Duration;

use frontend_messages::Profile;
use ledger_protocol::LedgerClient;
use operations::endpoint::EndpointFault;
use operations::port::{OperationsPort, PortFault, Readiness};
use operations::stop::Stop;
use prometheus_client::registry::Registry;
use signer_protocol::{ConnectFault, SignerClient};
use tokio::net::TcpListener;

use crate::admission::Admission;
use crate::clock::Clock;
use crate::codes::{CodeFault, CodeTable};
use crate::config::{Config, SettingFault};
use crate::desk::{Desk, Rules, SigningSerials};
use crate::http::Intake;
use crate::metrics::{self, Metrics};
use crate::server::{Acceptor, Server};
use crate::tls::{self, AllowList, TlsFault};

#[derive(Debug, thiserror::Error)]
pub enum ServiceFault {
    #[error(transparent)]
    Setting(#[from] SettingFault),
    #[error(transparent)]
    Codes(#[from] CodeFault),
    #[error(transparent)]
    Tls(#[from] TlsFault),
    #[error(transparent)]
    Signer(#[from] ConnectFault),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error("address {address} cannot be listened on")]
    Listen {
        address: std::net::SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Port(#[from] PortFault),
    #[error("the runtime cannot be started")]
    Runtime(#[source] std::io::Error),
}

/// For a scrape that is under way at the end.
const PORT_END: Duration = Duration::from_secs(1);

/// Everything that can be checked and read without opening a socket.
#[derive(Debug)]
pub struct Prepared {
    config: Config,
    codes: CodeTable,
    acceptor: Acceptor,
}

impl Prepared {
    pub fn new(config: Config) -> Result<Self, ServiceFault> {
        let codes = match &config.codes {
            Some(path) => CodeTable::load(path)?,
            None => CodeTable::built_in(),
        };
        let allowed = AllowList::new(config.tls.allowed.clone());
        let handshake = Duration::from_millis(config.tls.handshake_ms);
        let acceptor = Acceptor::new(tls::server_config(&config.tls)?, allowed, handshake);
        Ok(Self {
            config,
            codes,
            acceptor,
        })
    }

    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Listens, serves, and returns once the stop was requested and what was read is answered.
    pub async fn run(self, stop: Stop) -> Result<(), ServiceFault> {
        let Self {
            config,
            codes,
            acceptor,
        } = self;
        warn_of_fixture_time(&config);
        let (metrics, mut registry) = Metrics::new();
        let metrics = Arc::new(metrics);
        let signer = SignerClient::connect_all(config.signers())?;
        metrics::show_signers(&mut registry, signer.clone());
        let ledger = LedgerClient::connect(&config.ledger)?;
        let listen = |source| ServiceFault::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let ready = readiness(&signer, &ledger, &stop);
        // the operations port outlives the drain, so that the drain can be watched
        let (drained, port_stop) = Stop::by_hand();
        let port = operations_port(&config, registry, ready).bind().await?;
        let port = tokio::spawn(port.serve(port_stop));

        let desk = Desk {
            signer,
            books: ledger,
            rules: rules(&config),
            codes,
            metrics: Arc::clone(&metrics),
            serials: SigningSerials::default(),
        };
        let intake = Intake {
            desk: Arc::new(desk),
            admission: Admission::new(&config.admission, metrics),
            path: config.path.clone(),
            body_bytes_max: config.message.body_bytes_max,
            body_read: Duration::from_millis(config.message.body_read_ms),
        };
        let server = Server::new(acceptor, intake, &config.connections, config.deadlines.drain());
        tracing::info!(address = %config.listen, path = config.path, "listening");
        server.serve(listener, stop).await;
        drained.pull();
        match tokio::time::timeout(PORT_END, port).await {
            Ok(Ok(Err(fault))) => tracing::warn!(%fault, "operations port"),
            Ok(Err(fault)) => tracing::warn!(%fault, "the task of the operations port ended early"),
            Ok(Ok(Ok(()))) | Err(_) => {}
        }
        Ok(())
    }
}

/// What messages are held against under this configuration.
pub fn rules(config: &Config) -> Rules {
    let profile = Profile {
        path: config.path.clone(),
        body_bytes_max: config.message.body_bytes_max,
        clock_skew_seconds_max: config.message.clock_skew_seconds_max,
        currencies: config.message.currencies.clone(),
        ..Profile::default()
    };
    Rules {
        bank: config.bank,
        network: config.network,
        profile,
        clock: Clock::system(config.clock.also_accept_fixture_time_not_for_production),
        default_suite: config.default_suite.into(),
        answer_within: config.deadlines.answer(),
        signing_reserve: config.deadlines.signing_reserve(),
    }
}

fn warn_of_fixture_time(config: &Config) {
    if let Some(time) = config.clock.also_accept_fixture_time_not_for_production {
        tracing::warn!(%time, "NOT FOR PRODUCTION: messages stamped around the fixture time are accepted besides fresh ones");
    }
}

fn operations_port(config: &Config, registry: Registry, ready: Readiness) -> OperationsPort {
    OperationsPort {
        address: config.operations.address,
        process: "frontend",
        version: env!("CARGO_PKG_VERSION"),
        registry: Arc::new(registry),
        ready,
    }
}

fn readiness(signer: &SignerClient, ledger: &LedgerClient, stop: &Stop) -> Readiness {
    let (signer, ledger, stop) = (signer.clone(), ledger.clone(), stop.clone());
    Arc::new(
        move || match (stop.is_requested(), signer.is_connected(), ledger.is_connected()) {
            (true, ..) => Err("draining".to_owned()),
            (false, false, _) => Err("no signer is connected".to_owned()),
            (false, true, false) => Err("the ledger is not connected".to_owned()),
            (false, true, true) => Ok(()),
        },
    )
}
