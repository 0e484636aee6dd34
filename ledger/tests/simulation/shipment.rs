//! Shipping in a run: the real carriers, stepped like everything else, over the model of a broker; and what consumers see,
//! compared with the journal.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ledger::shipping::{Carrier, CarrierParts, LagLimits, Next, Route, ShippingParts};
use ledger_model::ShardId;

use crate::broker::Topic;
use crate::oracle::{Check, Rule, Violation, must};
use crate::process::{Process, RunClock, meters};
use crate::world::World;

const TAKE_OVER_AFTER: Duration = Duration::from_secs(3);
/// Passes at a step at rest: enough for a carrier to look again.
const REST_MS: u64 = 2_500;

/// What a run ships with.
pub(crate) struct Shipment {
    pub(crate) topic: Topic,
    /// Of each shard: of this ledger, and of another that believes the shard to be its own.
    pub(crate) carriers: Vec<Carrier>,
    /// Ledgers that ship.
    pub(crate) ledgers: usize,
    /// Of each shard: cuts of its partition, and records found to be right since the last one.
    pub(crate) checked: Vec<(u64, usize)>,
}

impl Shipment {
    /// Carriers of a process that has just begun.
    pub(crate) fn begin(&mut self, process: &Process, clock: &RunClock) {
        self.carriers.clear();
        let ledger = &process.ledger;
        for ledger_number in 0..self.ledgers {
            for shard in ledger.count().all() {
                let shipped = if ledger_number == 0 {
                    ledger.shard(shard).shipped()
                } else {
                    Arc::new(AtomicU64::new(ledger.shard(shard).state().shipped))
                };
                let topic = self.topic.clone();
                self.carriers.push(Carrier::assemble(CarrierParts {
                    shards: ledger.count(),
                    route: Route {
                        feed: ledger.feed(shard),
                        shipped,
                    },
                    parts: ShippingParts {
                        connect: Box::new(move |shard| topic.connect(shard)),
                        meters: meters(),
                        clock: clock.china(),
                        lag_limits: LagLimits {
                            records: u64::MAX,
                            seconds: u64::MAX,
                        },
                        take_over_after: TAKE_OVER_AFTER,
                    },
                }));
            }
        }
    }
}

impl World {
    /// One carrier goes on by a step.
    pub(crate) fn ship(&mut self) {
        let Some(shipment) = &mut self.shipment else {
            return;
        };
        let place = self.chance.below(shipment.carriers.len());
        let now = (self.ticks)();
        let next = shipment.carriers[place].step(now);
        self.tell(|_| match next {
            // how long it has taken is no part of the run
            Next::Rest(_) => format!("carrier {place} goes on, and rests"),
            next => format!("carrier {place} goes on, and waits for {next:?}"),
        });
    }

    /// Every carrier goes on by a few steps, some time apart.
    pub(crate) fn ship_all(&mut self) {
        self.trouble.wait(REST_MS);
        let now = (self.ticks)();
        let Some(shipment) = &mut self.shipment else {
            return;
        };
        for carrier in &mut shipment.carriers {
            for _ in 0..3 {
                carrier.step(now);
            }
        }
    }

    pub(crate) fn broker_goes_or_comes(&mut self, is_away: bool) {
        if let Some(shipment) = &self.shipment {
            shipment.topic.set_away(is_away);
            self.tell(|_| format!("the broker is away: {is_away}"));
        }
    }

    pub(crate) fn cut_topic(&mut self, shard: ShardId) {
        if let Some(shipment) = &self.shipment {
            shipment.topic.cut(shard);
            self.tell(|_| format!("partition {shard} loses its end"));
        }
    }

    pub(crate) fn late_piece_gets_there(&mut self, shard: ShardId) {
        if let Some(shipment) = &self.shipment
            && shipment.topic.late_gets_there(shard)
        {
            self.tell(|_| format!("a late piece gets to partition {shard}"));
        }
    }

    /// Consumers see a beginning of the journal, in order, each record once, and nothing that is not durable.
    pub(crate) fn follow_partitions(&mut self) -> Check {
        let Some(shipment) = &mut self.shipment else {
            return Ok(());
        };
        for shard in self.plan.shards.all() {
            let checked = &mut shipment.checked[shard.index()];
            let (cuts, records) = shipment.topic.records(shard);
            if *checked == (cuts, records) {
                continue;
            }
            let from = if checked.0 == cuts { checked.1.min(records) } else { 0 };
            let (_, seen) = shipment.topic.seen(shard, from);
            let reader = self.process.ledger.feed(shard).reader;
            let first = u64::try_from(from).unwrap() + 1;
            let journal = self.trouble.quietly(|| reader.journal(first, usize::MAX));
            let journal = journal.map_err(|fault| Violation {
                rule: Rule::L5,
                what: format!("the journal of shard {shard} does not read: {fault}"),
            })?;
            must(journal.starts_with(&seen), Rule::L6, || {
                format!(
                    "partition {shard} from record {first} on is not the journal: {} records",
                    seen.len()
                )
            })?;
            let durable = self.backing.durable(shard).unwrap_or(u64::MAX);
            must(u64::try_from(records).unwrap() <= durable, Rule::L6, || {
                format!("partition {shard} has {records} records; durable are {durable}")
            })?;
            *checked = (cuts, records);
        }
        Ok(())
    }

    /// Everything has arrived.
    pub(crate) fn all_is_shipped(&self) -> Check {
        let Some(shipment) = &self.shipment else {
            return Ok(());
        };
        for shard in self.plan.shards.all() {
            let (_, records) = shipment.topic.records(shard);
            let due = self.oracle.sequence(shard);
            must(u64::try_from(records).unwrap() == due, Rule::L6, || {
                format!("partition {shard} has {records} records in the end, of {due}")
            })?;
        }
        Ok(())
    }
}
