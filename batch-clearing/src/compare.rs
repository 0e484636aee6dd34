//! `compare`: the three copies of the journals (the ledger's shards, Kafka, PostgreSQL) must agree.
//!
//! The ledger is asked first; the other copies are read up to exactly there and given some time to get there. Each is
//! counted from its own content: Kafka's from the first record of the topic, PostgreSQL's from the rows.

mod kafka_copy;
mod postgres_copy;

use std::collections::BTreeMap;
use std::time::Duration;

use ledger_model::{ShardCount, ShardId};
use ledger_protocol::{LedgerClient, ShardPosition};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_postgres::Client;

use crate::catch_up::{self, CatchUpFault, Wanted};
use crate::config::KafkaTopic;
use crate::database::DatabaseFault;
use crate::figures::{self, FigureLine, Figures, ShardFigures};
use crate::ledger_positions::{self, PositionsFault};
use crate::source::SourceFault;

/// What the comparison found. Also its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareReport {
    pub agrees: bool,
    /// 3, or 2 where no Kafka is configured.
    pub copies: u8,
    pub shards: u64,
    /// Over all shards, as the ledger says.
    pub records: u64,
    pub transfers_posted: u64,
    pub transfers_refused: u64,
    pub figures: Vec<FigureLine>,
}

impl CompareReport {
    /// The figures in which the copies do not agree.
    pub fn differing(&self) -> impl Iterator<Item = &FigureLine> {
        self.figures.iter().filter(|line| !line.agrees)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CompareFault {
    #[error(transparent)]
    Database(#[from] DatabaseFault),
    #[error(transparent)]
    Positions(#[from] PositionsFault),
    #[error(transparent)]
    Kafka(#[from] SourceFault),
    #[error("the ledger says it has a shard {0}; shards are 0 to 63")]
    Shard(u8),
}

/// `patience`: how long the copies may take to get where the ledger was.
pub async fn run(
    client: &mut Client,
    ledger: &LedgerClient,
    kafka: Option<&KafkaTopic>,
    patience: Duration,
) -> Result<CompareReport, CompareFault> {
    let positions = by_shard(ledger_positions::ask(ledger).await?)?;
    let targets: BTreeMap<ShardId, u64> = positions
        .iter()
        .map(|(shard, position)| (*shard, position.sequence))
        .collect();
    let of_ledger: Figures = positions
        .iter()
        .map(|(shard, position)| (*shard, ShardFigures::of_ledger(*shard, position)))
        .collect();
    let of_kafka = match kafka {
        Some(kafka) => Some(kafka_copy::read(kafka, &targets, patience).await?),
        None => None,
    };
    let wanted = Wanted::Sequences(
        targets
            .iter()
            .map(|(shard, sequence)| (shard.number(), *sequence))
            .collect(),
    );
    match catch_up::wait(client, &wanted, Instant::now() + patience).await {
        // what is still missing then shows in the figures
        Ok(()) | Err(CatchUpFault::Behind(_)) => {}
        Err(CatchUpFault::Database(fault)) => return Err(fault.into()),
    }
    let of_postgres = postgres_copy::read(client, &targets).await?;
    let mut lines = figures::compare(&of_ledger, of_kafka.as_ref(), &of_postgres);
    let copied = catch_up::copied(client).await?;
    lines.extend(ahead(&copied, &by_shard(ledger_positions::ask(ledger).await?)?));
    let sum = |part: fn(&ShardPosition) -> u64| positions.values().map(part).sum();
    Ok(CompareReport {
        agrees: lines.iter().all(|line| line.agrees),
        copies: if kafka.is_some() { 3 } else { 2 },
        shards: sum(|_| 1),
        records: sum(|position| position.sequence),
        transfers_posted: sum(|position| position.transfers_posted),
        transfers_refused: sum(|position| position.transfers_refused),
        figures: lines,
    })
}

/// Shards of which PostgreSQL holds more than the ledger, which was asked later: the ledger lost records.
fn ahead(copied: &BTreeMap<u8, u64>, positions: &BTreeMap<ShardId, ShardPosition>) -> Vec<FigureLine> {
    let of_ledger = |shard: u8| {
        let found = positions.values().find(|position| position.shard == shard);
        found.map_or(0, |position| position.sequence)
    };
    let beyond = copied
        .iter()
        .filter(|(shard, sequence)| **sequence > of_ledger(**shard));
    let line = |(shard, sequence): (&u8, &u64)| FigureLine {
        shard: *shard,
        figure: "last record".to_owned(),
        ledger: of_ledger(*shard).to_string(),
        kafka: None,
        postgres: sequence.to_string(),
        agrees: false,
    };
    beyond.map(line).collect()
}

fn by_shard(positions: Vec<ShardPosition>) -> Result<BTreeMap<ShardId, ShardPosition>, CompareFault> {
    let every = ShardCount::new(ShardCount::MAX).expect("the most shards there can be is a count of shards");
    let numbered = positions.into_iter().map(|position| {
        let shard = every.shard(position.shard).ok_or(CompareFault::Shard(position.shard))?;
        Ok((shard, position))
    });
    numbered.collect()
}
