//! `replicate`: keeps the copy in PostgreSQL up with the ledger's journals.
//!
//! A round is one connection of every kind: each shard has a lane from its source to its writer. Whatever is lost ends
//! the round, and the next one reads on from what PostgreSQL says is there; nothing is remembered across rounds, so
//! there is nothing to get wrong. Faults that no retry can mend (a gap, an unreadable record) end the process.

mod lag;
mod lane;
mod metrics;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ledger_journal::ChainFault;
use ledger_model::{ShardCount, ShardId};
use ledger_protocol::LedgerClient;
use operations::endpoint::EndpointFault;
use operations::port::{OperationsPort, PortFault};
use operations::stop::Stop;
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;

use self::lane::Lane;
use self::metrics::Metrics;
use crate::chunk::ChunkFault;
use crate::config::Config;
use crate::database::{self, DatabaseFault, Purpose};
use crate::schema::{self, SchemaFault};
use crate::shard_writer::{CommitFault, ShardWriter};
use crate::source::{self, KafkaReader, LedgerShard, ShardSource, SourceFault};

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A round that lasted this long was a good one: the next loss is answered quickly again.
const GOOD_ROUND: Duration = Duration::from_secs(30);

/// Where the journals are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Origin {
    Kafka,
    Ledger,
}

#[derive(Debug, thiserror::Error)]
pub enum ReplicateFault {
    #[error("replication from Kafka was asked for and no [kafka] is configured")]
    NoKafka,
    #[error(transparent)]
    Port(#[from] PortFault),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error(transparent)]
    Schema(#[from] SchemaFault),
    #[error(transparent)]
    Source(#[from] SourceFault),
    #[error(transparent)]
    Chunk(#[from] ChunkFault),
    #[error(transparent)]
    Commit(#[from] CommitFault),
    #[error("the ledger cannot say how many shards it has")]
    Shards(#[source] ledger_protocol::LedgerFault),
    #[error("the ledger says it has {0} shards; it has 1 to 64")]
    ShardCount(usize),
}

impl From<DatabaseFault> for ReplicateFault {
    fn from(fault: DatabaseFault) -> Self {
        Self::Schema(fault.into())
    }
}

impl ReplicateFault {
    fn is_passing(&self) -> bool {
        match self {
            Self::NoKafka
            | Self::Port(_)
            | Self::Endpoint(_)
            | Self::Schema(SchemaFault::TooNew { .. } | SchemaFault::TooOld { .. })
            | Self::ShardCount(_)
            | Self::Chunk(_) => false,
            Self::Schema(SchemaFault::Database(fault)) => fault.is_passing(),
            Self::Source(fault) => fault.is_passing(),
            Self::Commit(fault) => fault.is_passing(),
            Self::Shards(_) => true,
        }
    }
}

/// Whether a round is under way; else why not.
#[derive(Debug, Clone)]
struct Condition(Arc<Mutex<Result<(), String>>>);

impl Condition {
    fn set(&self, condition: Result<(), String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = condition;
    }

    fn read(&self) -> Result<(), String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a round needs, and what outlives it.
struct Replicator {
    config: Config,
    origin: Origin,
    ledger: LedgerClient,
    metrics: Metrics,
    condition: Condition,
}

/// Runs until the stop is requested or a fault that no retry can mend.
pub async fn run(config: Config, origin: Origin, stop: Stop) -> Result<(), ReplicateFault> {
    if origin == Origin::Kafka && config.kafka.is_none() {
        return Err(ReplicateFault::NoKafka);
    }
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let condition = Condition(Arc::new(Mutex::new(Err("replication has not begun".to_owned()))));
    let shown = condition.clone();
    let port = OperationsPort {
        address: config.operations.address,
        process: "batch-clearing",
        version: env!("CARGO_PKG_VERSION"),
        registry: Arc::new(registry),
        ready: Arc::new(move || shown.read()),
    };
    let port = port.bind().await?;
    let ledger = LedgerClient::connect(&config.ledger)?;
    let mut beside = JoinSet::new();
    let port_stop = stop.clone();
    beside.spawn(async move {
        if let Err(fault) = port.serve(port_stop).await {
            tracing::error!(%fault, "operations port");
        }
    });
    beside.spawn(lag::watch(ledger.clone(), metrics.clone(), stop.clone()));
    let replicator = Replicator {
        config,
        origin,
        ledger,
        metrics,
        condition,
    };
    let ended = replicator.rounds(&stop).await;
    beside.abort_all();
    while beside.join_next().await.is_some() {}
    ended
}

impl Replicator {
    async fn rounds(&self, stop: &Stop) -> Result<(), ReplicateFault> {
        let mut backoff = BACKOFF_FIRST;
        let mut gap = None;
        while !stop.is_requested() {
            let begun = tokio::time::Instant::now();
            let fault = match self.round(stop).await {
                Ok(()) => break,
                Err(fault) => fault,
            };
            // the topic may have been made anew under the reader: the next round looks for its place before it reads, and
            // what it finds again is really missing
            let gap_before = std::mem::replace(&mut gap, self.gap(&fault));
            let is_new = gap.is_some() && gap != gap_before;
            if !fault.is_passing() && !is_new {
                return Err(fault);
            }
            let reason = with_sources(&fault);
            tracing::warn!(
                fault = reason,
                backoff_ms = backoff.as_millis(),
                "replication was interrupted"
            );
            self.condition.set(Err(reason));
            self.metrics.interruptions.inc();
            if begun.elapsed() > GOOD_ROUND {
                backoff = BACKOFF_FIRST;
            }
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = stop.requested() => {}
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
        self.condition.set(Err("stopping".to_owned()));
        Ok(())
    }

    /// The gap in a topic that a fault tells of.
    fn gap(&self, fault: &ReplicateFault) -> Option<ChainFault> {
        match (self.origin, fault) {
            (Origin::Kafka, ReplicateFault::Chunk(ChunkFault::Chain(gap @ ChainFault::OutOfSequence { .. }))) => {
                Some(*gap)
            }
            _ => None,
        }
    }

    async fn round(&self, stop: &Stop) -> Result<(), ReplicateFault> {
        let mut client = database::connect(&self.config.postgres, Purpose::Command).await?;
        schema::migrate(&mut client).await?;
        drop(client);
        let mut writers = Vec::new();
        let mut positions = Vec::new();
        for shard in self.shards().await? {
            let (writer, position) = ShardWriter::open(&self.config.postgres, shard).await?;
            tracing::info!(
                shard = shard.number(),
                sequence = position.chain.sequence,
                "replication goes on"
            );
            self.metrics.stands_at(shard, position.chain.sequence);
            writers.push(writer);
            positions.push(position);
        }
        let lane_of = |(writer, position): (ShardWriter, _)| Lane::new(writer, position, &self.config, &self.metrics);
        let lanes = writers.into_iter().zip(positions.iter().copied()).map(lane_of);
        match (self.origin, &self.config.kafka) {
            (Origin::Kafka, Some(kafka)) => {
                let (reader, sources) = KafkaReader::open(kafka, &positions).await?;
                self.drive(lanes.zip(sources), reader.serve(), stop).await
            }
            (Origin::Kafka, None) => Err(ReplicateFault::NoKafka),
            (Origin::Ledger, _) => {
                let mut sources = Vec::new();
                for position in &positions {
                    sources.push(LedgerShard::open(&self.ledger, position).await?);
                }
                self.drive(lanes.zip(sources), std::future::pending(), stop).await
            }
        }
    }

    /// Runs the lanes until the stop or the first fault, then lets each finish the commit it is in.
    async fn drive<S: ShardSource>(
        &self,
        lanes: impl Iterator<Item = (Lane, S)>,
        reader: impl Future<Output = SourceFault>,
        stop: &Stop,
    ) -> Result<(), ReplicateFault> {
        let (switch, round_stop) = Stop::by_hand();
        let mut running: JoinSet<Result<(), ReplicateFault>> = JoinSet::new();
        for (lane, source) in lanes {
            running.spawn(lane.run(source, round_stop.clone()));
        }
        self.condition.set(Ok(()));
        let mut reader = std::pin::pin!(reader);
        let mut first = None;
        loop {
            let ending = round_stop.is_requested();
            tokio::select! {
                () = stop.requested(), if !ending => {}
                fault = &mut reader, if !ending => first = Some(fault.into()),
                ended = running.join_next() => match ended {
                    None => break,
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(fault))) => first = first.or(Some(fault)),
                    Some(Err(defect)) => std::panic::resume_unwind(defect.into_panic()),
                },
            }
            switch.pull();
        }
        first.map_or(Ok(()), Err)
    }

    async fn shards(&self) -> Result<Vec<ShardId>, ReplicateFault> {
        let count = match (self.origin, &self.config.kafka) {
            (Origin::Kafka, Some(kafka)) => source::shard_count(kafka).await?.into(),
            (Origin::Kafka, None) => return Err(ReplicateFault::NoKafka),
            (Origin::Ledger, _) => self.ledger.positions().await.map_err(ReplicateFault::Shards)?.len(),
        };
        let shards = u8::try_from(count).ok().and_then(ShardCount::new);
        Ok(shards.ok_or(ReplicateFault::ShardCount(count))?.all().collect())
    }
}

/// A fault and its sources on one line.
fn with_sources(fault: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(fault.source(), |source| source.source());
    sources.fold(fault.to_string(), |text, source| format!("{text}: {source}"))
}
