//! How many messages each stage of the path has seen. After a run they must all be equal: what was verified was
//! posted, what was posted is in the journal, in Kafka and in PostgreSQL.

use std::io;

use ledger_protocol::LedgerClient;
use operations::endpoint::{Endpoint, EndpointFault};
use thiserror::Error;

use crate::blocking::block_on;
use crate::installation::Installation;
use crate::kafka::{self, KafkaFault};
use crate::operations_port::{self, counter};
use crate::part::Part;
use crate::ports::Port;
use crate::postgres::PostgresFault;

#[derive(Debug, Error)]
pub enum CountFault {
    #[error("the frontend's metrics cannot be read")]
    Metrics(#[source] io::Error),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error("the ledger does not say its positions")]
    Positions(#[source] ledger_protocol::LedgerFault),
    #[error(transparent)]
    Kafka(#[from] KafkaFault),
    #[error(transparent)]
    Postgres(#[from] PostgresFault),
    #[error("the counts differ: {0}")]
    Differ(String),
}

/// Since the installation was made, or over a run when two of them are subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Messages whose signature held.
    pub verified: u64,
    /// Transfers that moved money.
    pub posted: u64,
    /// Records in the shards' journals.
    pub journalled: u64,
    /// Records Kafka has acknowledged to the ledger; without Kafka those the replicator can read.
    pub shipped: u64,
    /// Records that Kafka holds.
    pub in_kafka: u64,
    /// Rows in PostgreSQL.
    pub replicated: u64,
}

impl Counts {
    pub fn take(installation: &Installation) -> Result<Self, CountFault> {
        let plan = installation.plan();
        let metrics = operations_port::ask(plan.ports.address(Port::FrontendOperations), "/metrics");
        let metrics = metrics.map_err(CountFault::Metrics)?.body;
        let shards = positions(installation)?;
        let journalled = shards.iter().map(|shard| shard.sequence).sum();
        let (shipped, in_kafka) = if plan.kafka.is_some() {
            (
                shards.iter().map(|shard| shard.shipped).sum(),
                kafka::records(&plan.ports)?,
            )
        } else {
            (journalled, journalled)
        };
        let replicated = installation.database().number("SELECT count(*) FROM journal_record")?;
        Ok(Self {
            verified: counter(&metrics, "frontend_messages_verified_total", ""),
            posted: shards.iter().map(|shard| shard.transfers_posted).sum(),
            journalled,
            shipped,
            in_kafka,
            replicated: u64::try_from(replicated).unwrap_or(0),
        })
    }

    pub const fn copies_agree(&self) -> bool {
        self.journalled == self.shipped && self.journalled == self.in_kafka && self.journalled == self.replicated
    }

    /// What came since an earlier count.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            verified: self.verified.saturating_sub(earlier.verified),
            posted: self.posted.saturating_sub(earlier.posted),
            journalled: self.journalled.saturating_sub(earlier.journalled),
            shipped: self.shipped.saturating_sub(earlier.shipped),
            in_kafka: self.in_kafka.saturating_sub(earlier.in_kafka),
            replicated: self.replicated.saturating_sub(earlier.replicated),
        }
    }

    /// For a run in which every message was to post.
    pub fn check_all_equal(&self) -> Result<(), CountFault> {
        if self.copies_agree() && self.verified == self.posted && self.posted == self.journalled {
            return Ok(());
        }
        Err(CountFault::Differ(self.to_string()))
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "verified {}, posted {}, journalled {}, shipped {}, in Kafka {}, replicated {}",
            self.verified, self.posted, self.journalled, self.shipped, self.in_kafka, self.replicated
        )
    }
}

/// What the ledger says of each shard.
pub fn positions(installation: &Installation) -> Result<Vec<ledger_protocol::ShardPosition>, CountFault> {
    let endpoint = Endpoint::unix(installation.plan().layout.socket(Part::Ledger));
    block_on(async {
        let client = LedgerClient::connect(&endpoint)?;
        client.positions().await.map_err(CountFault::Positions)
    })
}
