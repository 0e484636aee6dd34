//! What is shown of shipping: the state of every shard in words for whoever is woken by it, kept up to date by the
//! carriers and the watch, read by `positions` and the metrics. Nothing is decided by it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ledger_model::{ChinaTime, ShardId};
use ledger_protocol::{ShipReport, ShipState};

use super::ShipFault;
use super::alarm::Lag;
use crate::causes::with_causes;
use crate::clock::Clock;
use crate::meters::Meters;

pub struct Board {
    shards: Mutex<BTreeMap<ShardId, Shown>>,
    meters: Arc<Meters>,
    clock: Clock,
}

#[derive(Debug)]
struct Shown {
    state: ShipState,
    since: ChinaTime,
    why: String,
    lag: Lag,
    alarm: bool,
}

impl Board {
    pub(super) fn new(shards: impl Iterator<Item = ShardId>, meters: Arc<Meters>, clock: Clock) -> Self {
        let now = clock();
        let shown = |shard| {
            meters.ship_state(shard, None, ShipState::Starting);
            let shown = Shown {
                state: ShipState::Starting,
                since: now,
                why: String::new(),
                lag: Lag::default(),
                alarm: false,
            };
            (shard, shown)
        };
        let shards = Mutex::new(shards.map(shown).collect());
        Self { shards, meters, clock }
    }

    /// Of one shard, now. `None` for a shard that is not shipped.
    pub fn report(&self, shard: ShardId) -> Option<ShipReport> {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = shards.get(&shard)?;
        Some(ShipReport {
            state: shown.state,
            since: shown.since,
            why: shown.why.clone(),
            lag_seconds: shown.lag.seconds,
            alarm: shown.alarm,
        })
    }

    /// Records reach the partition, or would if there were any.
    pub(super) fn ships(&self, shard: ShardId) {
        if self.enter(shard, ShipState::Shipping, String::new()) {
            tracing::info!(%shard, "shipping to the broker");
        }
    }

    /// Nothing is shipped for now. Told once for each cause, however often it is tried again.
    pub(super) fn stands_still(&self, shard: ShardId, fault: &ShipFault) {
        let state = match fault {
            ShipFault::Broker { .. } | ShipFault::Moved => ShipState::Unreachable,
            ShipFault::Partitions { .. } | ShipFault::Replicas { .. } | ShipFault::TooLarge { .. } => {
                ShipState::Refused
            }
            ShipFault::Foreign(_) => ShipState::Foreign,
            ShipFault::Fenced => ShipState::StandingBy,
            ShipFault::Journal(_) => ShipState::Unreadable,
        };
        let why = with_causes(fault);
        if self.enter(shard, state, why.clone()) {
            match state {
                ShipState::Foreign | ShipState::Refused | ShipState::Unreadable => {
                    tracing::error!(%shard, why, "shipping stands still until somebody sees to it; the journal waits");
                }
                ShipState::Starting | ShipState::Shipping | ShipState::StandingBy | ShipState::Unreachable => {
                    tracing::warn!(%shard, why, "shipping stands still; the journal waits");
                }
            }
        }
    }

    /// How far behind it is, looked at now and then.
    pub(super) fn lags(&self, shard: ShardId, lag: Lag, alarms: impl Fn(bool) -> bool) {
        self.meters.ship_lag(shard, lag.records, lag.seconds);
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(shown) = shards.get_mut(&shard) else {
            return;
        };
        let before = shown.alarm;
        shown.lag = lag;
        shown.alarm = alarms(before);
        self.meters.ship_alarm(shard, shown.alarm);
        let Lag { records, seconds } = lag;
        match (before, shown.alarm) {
            (false, true) => {
                let state = shown.state.name();
                let why = &shown.why;
                tracing::error!(%shard, records, seconds, state, why, "ALARM: Kafka falls behind the journal; money goes on");
            }
            (true, false) => tracing::error!(%shard, records, seconds, "END OF ALARM: Kafka has caught up"),
            (false, false) | (true, true) => {}
        }
    }

    /// Whether that is something new.
    fn enter(&self, shard: ShardId, state: ShipState, why: String) -> bool {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(shown) = shards.get_mut(&shard) else {
            return false;
        };
        if shown.state == state && shown.why == why {
            return false;
        }
        self.meters.ship_state(shard, Some(shown.state), state);
        if shown.state != state {
            shown.since = (self.clock)();
        }
        shown.state = state;
        shown.why = why;
        true
    }
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Board")
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}
