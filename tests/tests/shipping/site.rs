//! The broker that the trials share, and the ledgers that ship to it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ledger::clock::wall_clock;
use ledger::meters::Meters;
use ledger::shipping::{KafkaSettings, LagLimits, Shipping, ShippingParts, kafka};
use ledger_protocol::{ShipReport, ShipState};
use prometheus_client::registry::Registry;
use system_tests::sources::Sources;
use tokio::runtime::Runtime;

use crate::broker::Broker;
use crate::journal::{Journal, SHARDS, Store};

pub(crate) const WAIT: Duration = Duration::from_mins(1);
pub(crate) const TAKE_OVER_AFTER: Duration = Duration::from_secs(3);

pub(crate) struct Site {
    pub(crate) broker: Broker,
    runtime: Runtime,
}

pub(crate) struct Stage(Mutex<Option<Site>>);

/// Shipping that is under way, as of one ledger.
pub(crate) struct Ships {
    shipping: Shipping,
    journal: Arc<Journal>,
}

pub(crate) fn sources() -> Option<Sources> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let programs = Path::new(env!("CARGO_BIN_EXE_installation")).parent()?.to_owned();
    Sources::find(&repository, &programs).ok()
}

pub(crate) fn has_kafka() -> bool {
    sources().is_some_and(|sources| sources.kafka().is_some())
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    pub(crate) fn with(&self, run: fn(&mut Site)) {
        // a trial that panicked has said so; the next one has a topic of its own
        let mut site = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let site = site.get_or_insert_with(|| Site {
            broker: Broker::start(),
            runtime: Runtime::new().unwrap(),
        });
        site.broker.bring_back();
        run(site);
    }

    pub(crate) fn close(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Site {
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Where the runtime is.
    pub(crate) fn inside<T>(&self, run: impl FnOnce() -> T) -> T {
        let _inside = self.runtime.enter();
        run()
    }

    pub(crate) fn settings(&self, topic: &str) -> KafkaSettings {
        KafkaSettings {
            brokers: self.broker.address(),
            topic: topic.to_owned(),
            replication: 1,
        }
    }

    /// A ledger that ships its journal to this topic.
    pub(crate) fn ship(&self, journal: &Arc<Journal>, topic: &str, store: Store) -> Ships {
        self.ship_as(journal, self.settings(topic), store)
    }

    pub(crate) fn ship_as(&self, journal: &Arc<Journal>, settings: KafkaSettings, store: Store) -> Ships {
        let _inside = self.runtime.enter();
        let parts = ShippingParts {
            connect: kafka(settings, self.runtime.handle().clone()),
            meters: Meters::registered(&mut Registry::default()),
            clock: wall_clock(),
            lag_limits: LagLimits {
                records: 20_000,
                seconds: 3_600,
            },
            take_over_after: TAKE_OVER_AFTER,
        };
        Ships {
            shipping: Shipping::over(SHARDS, journal.routes(store), parts).unwrap(),
            journal: Arc::clone(journal),
        }
    }

    /// Every partition holds the journal, wholly, in order, once.
    pub(crate) fn check_holds(&self, topic: &str, journal: &Journal) {
        for shard in SHARDS.all() {
            let held = self.broker.contents(topic, shard.number().into());
            let wanted = journal.all(shard);
            assert_eq!(held.len(), wanted.len(), "records of shard {shard}");
            assert!(held == wanted, "shard {shard} holds other records");
        }
    }

    pub(crate) fn wait_holds(&self, topic: &str, journal: &Journal) {
        wait_for("the topic holds the journal", || {
            SHARDS.all().all(|shard| {
                let held = self.broker.contents(topic, shard.number().into());
                held.len() >= journal.all(shard).len()
            })
        });
        self.check_holds(topic, journal);
    }
}

impl Ships {
    pub(crate) fn reports(&self) -> Vec<ShipReport> {
        let board = self.shipping.board();
        SHARDS.all().filter_map(|shard| board.report(shard)).collect()
    }

    pub(crate) fn wait_all(&self, what: &str, holds: impl Fn(&ShipReport) -> bool) {
        let deadline = Instant::now() + WAIT;
        while !self.reports().iter().all(&holds) {
            assert!(Instant::now() < deadline, "{what}: {:#?}", self.reports());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn wait_state(&self, state: ShipState) {
        self.wait_all(state.name(), |report| report.state == state);
    }

    /// Until everything committed by now is acknowledged.
    pub(crate) fn wait_shipped(&self) {
        let journal = &self.journal;
        let deadline = Instant::now() + WAIT;
        while !SHARDS
            .all()
            .all(|shard| journal.shipped(shard) >= journal.length(shard))
        {
            assert!(Instant::now() < deadline, "not shipped: {:#?}", self.reports());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn finish(self) {
        self.shipping.finish(WAIT);
    }
}

pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
