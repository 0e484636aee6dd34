//! The figures the ledger shows. Counters count since the process began.

use std::sync::Arc;
use std::time::Duration;

use ledger_model::{Decision, Invariant, ShardId};
use ledger_protocol::ShipState;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::hopping::map::GroupName;
use crate::hopping::selector::GroupState;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DecisionLabel {
    decision: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabel {
    refusal: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ShardLabel {
    shard: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ShipLabel {
    shard: u8,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct InvariantLabel {
    invariant: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GroupLabel {
    group: String,
}

#[derive(Debug)]
pub struct Meters {
    decided: Family<DecisionLabel, Counter>,
    refused: Family<RefusalLabel, Counter>,
    other: Family<OutcomeLabel, Counter>,
    loaded: Counter,
    records: Counter,
    shipped: Counter,
    queue_depth: Family<ShardLabel, Gauge>,
    ship_lag: Family<ShardLabel, Gauge>,
    ship_lag_seconds: Family<ShardLabel, Gauge>,
    ship_alarm: Family<ShardLabel, Gauge>,
    ship_state: Family<ShipLabel, Gauge>,
    shipped_again: Family<ShardLabel, Counter>,
    commit_seconds: Histogram,
    group_size: Histogram,
    defects: Family<InvariantLabel, Counter>,
    group_state: Family<GroupLabel, Gauge>,
    hops: Family<OutcomeLabel, Counter>,
    open_hops: Gauge,
    oldest_hop_seconds: Gauge,
}

impl Meters {
    pub fn registered(registry: &mut Registry) -> Arc<Self> {
        let meters = Self {
            decided: Family::default(),
            refused: Family::default(),
            other: Family::default(),
            loaded: Counter::default(),
            records: Counter::default(),
            shipped: Counter::default(),
            queue_depth: Family::default(),
            ship_lag: Family::default(),
            ship_lag_seconds: Family::default(),
            ship_alarm: Family::default(),
            ship_state: Family::default(),
            shipped_again: Family::default(),
            commit_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
            group_size: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            defects: Family::default(),
            group_state: Family::default(),
            hops: Family::default(),
            open_hops: Gauge::default(),
            oldest_hop_seconds: Gauge::default(),
        };
        // shown from the start, so that a figure that is missing and one that is zero are two things
        for decision in ["posted", "refused"] {
            let _shown = meters.decided.get_or_create(&DecisionLabel { decision });
        }
        let ledger = registry.sub_registry_with_prefix("ledger");
        ledger.register(
            "transfers_decided",
            "Transfers decided, by decision",
            meters.decided.clone(),
        );
        ledger.register(
            "transfers_refused",
            "Transfers refused, by refusal",
            meters.refused.clone(),
        );
        ledger.register(
            "other_answers",
            "Answers that decided nothing, by outcome",
            meters.other.clone(),
        );
        ledger.register(
            "loaded_items",
            "Accounts and agreements brought in",
            meters.loaded.clone(),
        );
        ledger.register("journal_records", "Journal records committed", meters.records.clone());
        ledger.register(
            "shipped_records",
            "Journal records Kafka acknowledged",
            meters.shipped.clone(),
        );
        ledger.register(
            "queue_depth",
            "Work that waits for its shard",
            meters.queue_depth.clone(),
        );
        meters.register_shipping(ledger);
        ledger.register(
            "commit_seconds",
            "Time of one durable commit",
            meters.commit_seconds.clone(),
        );
        ledger.register("group_size", "Pieces of work in one commit", meters.group_size.clone());
        ledger.register("defects", "Broken invariants, by id", meters.defects.clone());
        meters.show_hopping(ledger);
        Arc::new(meters)
    }

    fn show_hopping(&self, ledger: &mut Registry) {
        for outcome in ["taken_in", "settled", "compensated", "unapplied"] {
            let _shown = self.hops.get_or_create(&OutcomeLabel { outcome });
        }
        ledger.register(
            "group_state",
            "Shard groups: 0 up, 1 suspect, 2 down, 3 recovering",
            self.group_state.clone(),
        );
        ledger.register(
            "hops",
            "Transfers that hopped, by what became of them",
            self.hops.clone(),
        );
        ledger.register("open_hops", "Hops not settled at home yet", self.open_hops.clone());
        ledger.register(
            "oldest_open_hop_seconds",
            "Age of the oldest of them",
            self.oldest_hop_seconds.clone(),
        );
    }

    pub(crate) fn group_state(&self, group: &GroupName, state: GroupState) {
        let label = GroupLabel {
            group: group.to_string(),
        };
        self.group_state.get_or_create(&label).set(state.number());
    }

    pub(crate) fn group_gone(&self, group: &GroupName) {
        let _was_shown = self.group_state.remove(&GroupLabel {
            group: group.to_string(),
        });
    }

    pub(crate) fn hop(&self, outcome: &'static str) {
        self.hops.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub(crate) fn open_hops(&self, count: u64, oldest_seconds: i64) {
        self.open_hops.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.oldest_hop_seconds.set(oldest_seconds);
    }

    fn register_shipping(&self, ledger: &mut Registry) {
        ledger.register(
            "ship_lag",
            "Records committed and not acknowledged",
            self.ship_lag.clone(),
        );
        ledger.register(
            "ship_lag_seconds",
            "Age of the oldest record that is not acknowledged",
            self.ship_lag_seconds.clone(),
        );
        ledger.register(
            "ship_alarm",
            "1 while Kafka is too far behind the journal",
            self.ship_alarm.clone(),
        );
        ledger.register(
            "shipping",
            "1 for the state that a shard's shipping is in",
            self.ship_state.clone(),
        );
        ledger.register(
            "shipped_again",
            "Times a partition ended before what it had acknowledged",
            self.shipped_again.clone(),
        );
    }

    pub(crate) fn decided(&self, decision: Decision) {
        let name = match decision {
            Decision::Posted => "posted",
            Decision::Refused(refusal) => {
                self.refused
                    .get_or_create(&RefusalLabel {
                        refusal: refusal.name(),
                    })
                    .inc();
                "refused"
            }
        };
        self.decided.get_or_create(&DecisionLabel { decision: name }).inc();
    }

    pub(crate) fn other(&self, outcome: &'static str) {
        self.other.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub(crate) fn loaded(&self, count: u64) {
        self.loaded.inc_by(count);
    }

    pub(crate) fn committed(&self, records: u64, took: Duration) {
        self.records.inc_by(records);
        self.commit_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn group(&self, size: u32) {
        self.group_size.observe(size.into());
    }

    pub(crate) fn shipped(&self, count: u64) {
        self.shipped.inc_by(count);
    }

    pub(crate) fn shipped_again(&self, shard: ShardId) {
        self.shipped_again
            .get_or_create(&ShardLabel { shard: shard.number() })
            .inc();
    }

    pub(crate) fn ship_lag(&self, shard: ShardId, records: u64, seconds: u64) {
        let label = ShardLabel { shard: shard.number() };
        for (family, value) in [(&self.ship_lag, records), (&self.ship_lag_seconds, seconds)] {
            family
                .get_or_create(&label)
                .set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    pub(crate) fn ship_alarm(&self, shard: ShardId, is_on: bool) {
        self.ship_alarm
            .get_or_create(&ShardLabel { shard: shard.number() })
            .set(is_on.into());
    }

    pub(crate) fn ship_state(&self, shard: ShardId, before: Option<ShipState>, state: ShipState) {
        let label = |state: ShipState| ShipLabel {
            shard: shard.number(),
            state: state.name(),
        };
        if let Some(before) = before {
            self.ship_state.get_or_create(&label(before)).set(0);
        }
        self.ship_state.get_or_create(&label(state)).set(1);
    }

    pub(crate) fn defect(&self, invariant: Invariant) {
        self.defects
            .get_or_create(&InvariantLabel {
                invariant: format!("{invariant:?}"),
            })
            .inc();
    }

    pub(crate) fn queue_depth(&self, shard: ShardId) -> Gauge {
        self.queue_depth
            .get_or_create(&ShardLabel { shard: shard.number() })
            .clone()
    }
}
