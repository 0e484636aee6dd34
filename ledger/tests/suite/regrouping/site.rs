//! Shard groups on real servers, a configuration file that is written to, and ledgers over them.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ledger::clock::Clock;
use ledger::hopping::groups::{Groups, HoppingSettings};
use ledger::hopping::homecoming::Homecoming;
use ledger::hopping::map::GroupMap;
use ledger::hopping::placement::{Configured, Placement};
use ledger::hopping::regrouping::{Order, Regrouping, Standing};
use ledger::hopping::selector::SelectorSettings;
use ledger::outcome::Outcome;
use ledger::store::postgres::{GroupSettings, PostgresStore};
use ledger_journal::JournalRecord;
use ledger_model::{Decision, Instruction, ShardId, Transfer};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::bank::{LIMITS, Running, SHARDS, WAIT, now};
use crate::postgres::{Group, check_chain};
use crate::server::Server;

/// Busy machines answer late; that is not what these tests are about.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Groups by name, as the file has them, in the order of the ring.
pub(crate) struct Site {
    pub(crate) groups: Vec<Group>,
    file: Arc<Mutex<Vec<GroupSettings>>>,
}

/// One ledger over them.
pub(crate) struct Process {
    pub(crate) running: Arc<Running>,
    pub(crate) placement: Arc<Placement>,
    pub(crate) regrouping: Arc<Regrouping>,
    pub(crate) homecoming: Homecoming,
}

pub(crate) fn shard(number: u8) -> ShardId {
    SHARDS.shard(number).unwrap()
}

pub(crate) fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

pub(crate) fn add(name: &str) -> Order {
    Order::Add {
        name: name.parse().unwrap(),
        shards: Vec::new(),
    }
}

pub(crate) fn remove(name: &str) -> Order {
    Order::Remove {
        name: name.parse().unwrap(),
    }
}

/// How an order ends, and every step that was seen of it.
pub(crate) fn ended(mut standing: watch::Receiver<Standing>) -> Standing {
    let waited = runtime().block_on(async {
        tokio::time::timeout(3 * WAIT, standing.wait_for(Standing::is_over))
            .await
            .map(|over| over.unwrap().clone())
    });
    waited.unwrap()
}

impl Site {
    /// A group of each name, on servers in turn.
    pub(crate) fn over(servers: &[Arc<Server>], names: &[&str]) -> Self {
        let groups = names.iter().zip(servers.iter().cycle()).map(|(name, server)| {
            let mut group = Group::on(Arc::clone(server));
            group.settings.name = (*name).to_owned();
            group.settings.call_limit = CALL_LIMIT;
            group
        });
        let groups: Vec<Group> = groups.collect();
        let file = groups.iter().map(|group| group.settings.clone()).collect();
        Self {
            groups,
            file: Arc::new(Mutex::new(file)),
        }
    }

    pub(crate) fn write(&self, settings: GroupSettings) {
        self.file.lock().unwrap().push(settings);
    }

    /// A ledger that was started when the file had the groups of `layout`, with these shards. Groups go out after `failures`.
    pub(crate) fn process(&self, layout: &[(&str, &[u8])], failures: u32) -> Process {
        let settings = HoppingSettings {
            selector: SelectorSettings {
                failures_max: NonZeroU32::new(failures).unwrap(),
                window: Duration::from_mins(1),
                probes_to_return: NonZeroU32::new(2).unwrap(),
            },
            stand_in_daily_max: None,
        };
        let named: Vec<_> = layout
            .iter()
            .map(|(name, shards)| (name.parse().unwrap(), shards.to_vec()))
            .collect();
        let groups = Groups::new(GroupMap::new(SHARDS, &named).unwrap(), settings, Arc::new(Instant::now));
        let of = |name: &str| self.groups.iter().find(|group| group.settings.name == name).unwrap();
        let servers = layout.iter().map(|(name, _)| of(name).settings.clone());
        let file = Arc::clone(&self.file);
        let configured: Configured = Box::new(move || Ok(file.lock().unwrap().clone()));
        let placement = Placement::new(Arc::clone(&groups), SHARDS, servers.collect(), configured);
        placement.survey().unwrap();
        let running = Arc::new(Running::start_over(groups, placement.open().unwrap(), LIMITS));
        let regrouping = Regrouping::new(Arc::clone(&placement));
        running.ledger.regroup_by(Arc::clone(&regrouping));
        let clock: Clock = Arc::new(now);
        let homecoming = Homecoming::new(
            Arc::clone(&running.ledger),
            Arc::clone(&placement),
            clock,
            Arc::clone(&running.meters),
        );
        Process {
            running,
            placement,
            regrouping,
            homecoming,
        }
    }
}

impl Process {
    /// Which shards each group holds, as this process knows it: `a 0 1, b 2 3`.
    pub(crate) fn shards(&self) -> String {
        let listed = self.running.ledger.shard_groups().groups.into_iter().map(|group| {
            let shards = group.shards.iter().map(|shard| format!(" {shard}"));
            format!("{}{}", group.name, shards.collect::<String>())
        });
        listed.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn waits_for_shards(&self, expected: &str) {
        let deadline = Instant::now() + WAIT;
        while self.shards() != expected {
            assert!(Instant::now() < deadline, "{} and not {expected}", self.shards());
            std::thread::yield_now();
        }
    }

    /// Sent until it is decided.
    pub(crate) async fn decided(&self, instruction: &Instruction) -> (Transfer, bool) {
        decided(&self.running, instruction).await
    }

    /// The whole journal of a shard, chained and equal to how its state stands.
    pub(crate) fn journal(&self, shard: ShardId) -> Vec<JournalRecord> {
        let whereabouts = Arc::<Placement>::clone(&self.placement);
        let mut store = PostgresStore::open(whereabouts, SHARDS, shard).unwrap();
        let records = check_chain(&mut store);
        ledger::store::Store::state(&store).check_balanced().unwrap();
        records
    }

    pub(crate) fn check_no_faults(&self) {
        assert_eq!(*self.running.faults.lock().unwrap(), Vec::<String>::new());
    }
}

/// Sent until it is decided; whether it was decided before.
pub(crate) async fn decided(running: &Running, instruction: &Instruction) -> (Transfer, bool) {
    let deadline = Instant::now() + WAIT;
    loop {
        match running.post(instruction).await {
            Outcome::Decided { transfer, repeat } => {
                assert_eq!(transfer.decision, Decision::Posted, "{instruction:?}");
                return (transfer, repeat);
            }
            Outcome::NothingPosted(_) | Outcome::InProcess => assert!(Instant::now() < deadline),
            other => panic!("{other:?}"),
        }
    }
}
