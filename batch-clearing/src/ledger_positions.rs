//! Asks the ledger how far its shards have come, with a deadline.

use std::time::Duration;

use ledger_protocol::{LedgerClient, LedgerFault, ShardPosition};

const ANSWER_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum PositionsFault {
    #[error("the ledger's positions cannot be had")]
    Ledger(#[source] LedgerFault),
    #[error("the ledger did not say its positions in time")]
    TimedOut,
}

pub async fn ask(ledger: &LedgerClient) -> Result<Vec<ShardPosition>, PositionsFault> {
    let answer = tokio::time::timeout(ANSWER_LIMIT, ledger.positions()).await;
    answer
        .map_err(|_| PositionsFault::TimedOut)?
        .map_err(PositionsFault::Ledger)
}
