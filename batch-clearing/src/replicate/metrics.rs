//! What replication counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ledger_journal::ChainPosition;
use ledger_model::ShardId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, Default)]
pub(super) struct Metrics {
    records: Counter,
    commits: Counter,
    commit_milliseconds: Counter,
    late: Counter,
    pub(super) duplicates: Counter,
    pub(super) interruptions: Counter,
    last_commit: Gauge,
    sequence: Family<ShardLabel, Gauge>,
    lag: Family<ShardLabel, Gauge>,
    positions: Arc<Mutex<BTreeMap<u8, u64>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShardLabel {
    shard: u8,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let ours = registry.sub_registry_with_prefix("batch_clearing");
        ours.register(
            "replicated_records",
            "Journal records committed to PostgreSQL",
            metrics.records.clone(),
        );
        ours.register("commits", "Transactions that brought records", metrics.commits.clone());
        let milliseconds = metrics.commit_milliseconds.clone();
        ours.register("commit_milliseconds", "Time spent in those transactions", milliseconds);
        ours.register(
            "late_transfers",
            "Transfers of a business date already closed",
            metrics.late.clone(),
        );
        ours.register(
            "duplicates_dropped",
            "Records delivered again and dropped",
            metrics.duplicates.clone(),
        );
        ours.register(
            "interruptions",
            "Rounds of replication that ended with a fault",
            metrics.interruptions.clone(),
        );
        ours.register(
            "last_commit_time_seconds",
            "Unix time of the last commit",
            metrics.last_commit.clone(),
        );
        ours.register("sequence", "Last journal record copied", metrics.sequence.clone());
        let lag = "Records the ledger has committed that are not copied; absent while the ledger does not answer";
        ours.register("lag_records", lag, metrics.lag.clone());
        metrics
    }

    pub(super) fn stands_at(&self, shard: ShardId, sequence: u64) {
        let number = shard.number();
        self.positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(number, sequence);
        self.sequence
            .get_or_create(&ShardLabel { shard: number })
            .set(gauge(sequence));
    }

    pub(super) fn committed(&self, after: ChainPosition, records: u64, late: u64, took: Duration, now: i64) {
        self.stands_at(after.shard, after.sequence);
        self.records.inc_by(records);
        self.commits.inc();
        self.commit_milliseconds
            .inc_by(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        self.late.inc_by(late);
        self.last_commit.set(now);
    }

    pub(super) fn ledger_stands_at(&self, shard: u8, sequence: u64) {
        let copied = self
            .positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&shard)
            .copied();
        let lag = sequence.saturating_sub(copied.unwrap_or_default());
        self.lag.get_or_create(&ShardLabel { shard }).set(gauge(lag));
    }

    pub(super) fn lag_unknown(&self) {
        self.lag.clear();
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_scraped() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let shard = ledger_model::ShardCount::new(4).unwrap().shard(2).unwrap();
        let after = ChainPosition {
            sequence: 7,
            ..ChainPosition::start(shard)
        };
        metrics.committed(after, 7, 1, Duration::from_millis(3), 1_700_000_000);
        metrics.ledger_stands_at(2, 10);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "batch_clearing_replicated_records_total 7",
            "batch_clearing_commits_total 1",
            "batch_clearing_late_transfers_total 1",
            "batch_clearing_last_commit_time_seconds 1700000000",
            "batch_clearing_sequence{shard=\"2\"} 7",
            "batch_clearing_lag_records{shard=\"2\"} 3",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
