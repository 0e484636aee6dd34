//! Waiting until the copy holds what was asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use ledger_protocol::ShardPosition;
use tokio::time::Instant;
use tokio_postgres::Client;

use crate::database::{self, DatabaseFault, Doing};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the copy shall hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Journal records over all shards.
    Records(u64),
    /// Each shard's journal up to this record.
    Sequences(BTreeMap<u8, u64>),
}

/// The copy did not get there in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{missing} journal records are not yet in PostgreSQL")]
pub struct Behind {
    pub missing: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum CatchUpFault {
    #[error(transparent)]
    Database(#[from] DatabaseFault),
    #[error(transparent)]
    Behind(#[from] Behind),
}

impl Wanted {
    pub fn of_ledger(positions: &[ShardPosition]) -> Self {
        Self::Sequences(
            positions
                .iter()
                .map(|position| (position.shard, position.sequence))
                .collect(),
        )
    }

    /// How many records are still missing.
    pub fn missing(&self, copied: &BTreeMap<u8, u64>) -> u64 {
        match self {
            Self::Records(records) => records.saturating_sub(copied.values().sum()),
            Self::Sequences(wanted) => {
                let of_shard = |(shard, sequence): (&u8, &u64)| {
                    sequence.saturating_sub(copied.get(shard).copied().unwrap_or_default())
                };
                wanted.iter().map(of_shard).sum()
            }
        }
    }
}

/// The last record copied of each shard.
pub async fn copied(client: &Client) -> Result<BTreeMap<u8, u64>, DatabaseFault> {
    let rows = client.query("SELECT shard, sequence FROM replication_position", &[]);
    let rows = rows.await.doing("reading positions")?;
    let position = |row: &tokio_postgres::Row| {
        let shard: i16 = row.try_get(0).doing("reading positions")?;
        let shard = u8::try_from(shard).map_err(|_| DatabaseFault::Content("a shard"))?;
        Ok((shard, database::unsigned(row, 1, "reading positions")?))
    };
    rows.iter().map(position).collect()
}

pub async fn wait(client: &Client, wanted: &Wanted, deadline: Instant) -> Result<(), CatchUpFault> {
    loop {
        let missing = wanted.missing(&copied(client).await?);
        if missing == 0 {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Behind { missing }.into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &Wanted, copied: &[(u8, u64)], missing: u64) {
        assert_eq!(
            wanted.missing(&copied.iter().copied().collect()),
            missing,
            "{wanted:?} of {copied:?}"
        );
    }

    #[test]
    fn what_is_missing() {
        check(&Wanted::Records(10), &[(0, 4), (1, 6)], 0);
        check(&Wanted::Records(10), &[(0, 4)], 6);
        let shards = Wanted::Sequences([(0, 4), (1, 6)].into());
        check(&shards, &[(0, 9), (1, 6)], 0);
        check(&shards, &[(0, 9), (1, 5)], 1);
        check(&shards, &[], 10);
    }
}
