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
    /// None where there is no Kafka.
    pub kafka: Option<KafkaCounts>,
    /// Rows in PostgreSQL.
    pub replicated: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KafkaCounts {
    /// Records that it has acknowledged to the ledger.
    pub shipped: u64,
    /// Records that it holds.
    pub held: u64,
}

impl Counts {
    pub fn take(installation: &Installation) -> Result<Self, CountFault> {
        let plan = installation.plan();
        let metrics = operations_port::ask(plan.ports.address(Port::FrontendOperations), "/metrics");
        let metrics = metrics.map_err(CountFault::Metrics)?.body;
        let shards = positions(installation)?;
        let kafka = match plan.kafka {
            None => None,
            Some(_) => Some(KafkaCounts {
                shipped: shards.iter().map(|shard| shard.shipped).sum(),
                held: kafka::records(&plan.ports)?,
            }),
        };
        let replicated = installation.database().number("SELECT count(*) FROM journal_record")?;
        Ok(Self {
            verified: counter(&metrics, "frontend_messages_verified_total", ""),
            posted: shards.iter().map(|shard| shard.transfers_posted).sum(),
            journalled: shards.iter().map(|shard| shard.sequence).sum(),
            kafka,
            replicated: u64::try_from(replicated).unwrap_or(0),
        })
    }

    pub fn copies_agree(&self) -> bool {
        let in_kafka = self
            .kafka
            .is_none_or(|kafka| [kafka.shipped, kafka.held] == [self.journalled; 2]);
        in_kafka && self.replicated == self.journalled
    }

    /// What came since an earlier count.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        let kafka = self.kafka.zip(earlier.kafka).map(|(kafka, earlier)| KafkaCounts {
            shipped: kafka.shipped.saturating_sub(earlier.shipped),
            held: kafka.held.saturating_sub(earlier.held),
        });
        Self {
            verified: self.verified.saturating_sub(earlier.verified),
            posted: self.posted.saturating_sub(earlier.posted),
            journalled: self.journalled.saturating_sub(earlier.journalled),
            kafka,
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
        let Self {
            verified,
            posted,
            journalled,
            replicated,
            ..
        } = self;
        write!(f, "verified {verified}, posted {posted}, journalled {journalled}, ")?;
        if let Some(KafkaCounts { shipped, held }) = self.kafka {
            write!(f, "shipped {shipped}, in Kafka {held}, ")?;
        }
        write!(f, "replicated {replicated}")
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

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Counts = Counts {
        verified: 7,
        posted: 7,
        journalled: 7,
        kafka: Some(KafkaCounts { shipped: 7, held: 7 }),
        replicated: 7,
    };

    #[test]
    fn one_count_that_differs_is_enough() {
        let check = |counts: Counts, expected: bool| assert_eq!(counts.check_all_equal().is_ok(), expected, "{counts}");
        check(ALL, true);
        check(Counts { kafka: None, ..ALL }, true);
        check(Counts { verified: 8, ..ALL }, false);
        check(Counts { posted: 6, ..ALL }, false);
        check(Counts { journalled: 8, ..ALL }, false);
        check(Counts { replicated: 6, ..ALL }, false);
        let kafka = |shipped, held| Some(KafkaCounts { shipped, held });
        check(
            Counts {
                kafka: kafka(6, 7),
                ..ALL
            },
            false,
        );
        check(
            Counts {
                kafka: kafka(7, 8),
                ..ALL
            },
            false,
        );
    }

    #[test]
    fn a_run_is_what_came_since() {
        let twice = Counts {
            verified: 14,
            posted: 14,
            journalled: 14,
            kafka: Some(KafkaCounts { shipped: 14, held: 14 }),
            replicated: 14,
        };
        assert_eq!(twice.since(ALL), ALL);
    }
}
