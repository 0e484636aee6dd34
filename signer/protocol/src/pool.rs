//! Several signers behind one client: each call goes to one of them, and to another when that one is lost, busy,
//! without its key, or slow.
//!
//! ```text
//!  call ──assign──▶ signer A ──answer─────────────────────────▶ caller
//!                      │ lost, busy, no key: retry ─▶ signer B ─▶
//!                      │ slow: hedge (both work, first answer wins)
//!                      └ ejected meanwhile: moved ──▶ signer B ─▶
//! ```
//!
//! Asking twice is harmless: the signer posts nothing, and a second verification, token or sealed field is as good as
//! the first; a second signature over the same bytes is another valid one of which only one is sent. What a person may
//! see, a reveal, is not hedged, so that the audit log has no reveal that nobody asked for; nor is bulk tokenising.
//!
//! A verdict on a message (opened, rejected) is final, whichever signer gave it: it is not put to another one.
//!
//! What decides is in `balance` and `member`, without I/O; `call` and `prober` hold the timers, this file the connections.

mod balance;
mod call;
mod latency;
mod member;
mod prober;
mod status;

use operations::endpoint::{Endpoint, EndpointFault};
use operations::exchange::{CallLimits, Calls};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::answer::{Answer, KeyHealth};
use crate::client::{LivePath, SignerFault, health};
use crate::limits;
use crate::wire::signer_client::SignerClient as Rpc;
use crate::work::Work;

use balance::{Balance, Place, Tried, Why};
use call::Call;
use member::Ending;

pub use balance::MEMBERS_MAX;
pub use member::Standing;
pub use status::{MemberStatus, PoolStatus};

/// Why there is no client.
#[derive(Debug, Error)]
pub enum ConnectFault {
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error("{0} signers are named; there must be 1 to {MEMBERS_MAX}")]
    Count(usize),
}

/// The connections of one client. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Arc<Signers>);

#[derive(Debug)]
struct Signers {
    connections: Vec<Connection>,
    balance: Mutex<Balance>,
    /// Woken when a signer was ejected, and at the end.
    prober: Arc<Notify>,
}

#[derive(Debug)]
struct Connection {
    endpoint: String,
    rpc: Rpc<Channel>,
    calls: Calls<LivePath>,
}

impl Drop for Signers {
    fn drop(&mut self) {
        self.prober.notify_one();
    }
}

impl Pool {
    /// Call inside a tokio runtime.
    pub(crate) fn connect(endpoints: &[Endpoint]) -> Result<Self, ConnectFault> {
        if endpoints.is_empty() || endpoints.len() > MEMBERS_MAX {
            return Err(ConnectFault::Count(endpoints.len()));
        }
        let connections = endpoints.iter().map(Connection::start).collect::<Result<Vec<_>, _>>()?;
        let several = connections.len() > 1;
        let signers = Arc::new(Signers {
            balance: Mutex::new(Balance::new(connections.len(), Instant::now())),
            connections,
            prober: Arc::default(),
        });
        if several {
            tokio::spawn(prober::run(Arc::downgrade(&signers), Arc::clone(&signers.prober)));
        }
        Ok(Self(signers))
    }

    pub(crate) fn status(&self) -> PoolStatus {
        let balance = self.0.balance();
        let both = self.0.connections.iter().zip(balance.members());
        let members = both.map(|(connection, member)| {
            MemberStatus::of(connection.endpoint.clone(), member, connection.calls.is_connected())
        });
        PoolStatus {
            members: members.collect(),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.0
            .connections
            .iter()
            .any(|connection| connection.calls.is_connected())
    }

    /// Of one signer: the next one whose turn it is.
    pub(crate) async fn health(&self, deadline: Instant) -> Result<Vec<KeyHealth>, SignerFault> {
        let mut tried = Tried::default();
        let place = self.0.decide(|balance| {
            let place = balance.assign(&mut tried, Why::First, Instant::now())?;
            // it is not on the live path, and tells nothing of it
            balance.end(place, Ending::Dropped, Instant::now());
            Some(place)
        });
        match place.and_then(|place| self.0.connections.get(place.0)) {
            Some(connection) => health(&connection.rpc, deadline).await,
            None => Err(SignerFault::Lost),
        }
    }

    pub(crate) async fn call(&self, work: Work, deadline: Instant) -> Result<Answer, SignerFault> {
        Call::new(&self.0, work, deadline).run().await
    }
}

impl Connection {
    fn start(endpoint: &Endpoint) -> Result<Self, EndpointFault> {
        let rpc = Rpc::new(endpoint.channel()?)
            .max_decoding_message_size(limits::BATCH_BYTES_MAX)
            .max_encoding_message_size(limits::BATCH_BYTES_MAX);
        let call_limits = CallLimits {
            batch_max: limits::BATCH_ITEMS_MAX,
            ..CallLimits::default()
        };
        Ok(Self {
            endpoint: endpoint.to_string(),
            calls: Calls::start(LivePath(rpc.clone()), call_limits),
            rpc,
        })
    }
}

impl Signers {
    /// The state is whole between any two statements under the lock, so a poisoned one is as good.
    fn balance(&self) -> MutexGuard<'_, Balance> {
        self.balance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides something, and wakes the prober when it ejected a signer.
    fn decide<T>(&self, decide: impl FnOnce(&mut Balance) -> T) -> T {
        let mut balance = self.balance();
        for (place, connection) in (0..).map(Place).zip(&self.connections) {
            balance.note_connected(place, connection.calls.is_connected());
        }
        let decided = decide(&mut balance);
        let newly_ejected = balance.take_newly_ejected();
        drop(balance);
        if newly_ejected {
            tracing::warn!("a signer is taken out of use until it answers a probe");
            self.prober.notify_one();
        }
        decided
    }

    fn hedge_after(&self) -> Duration {
        self.balance().hedge_after()
    }
}
