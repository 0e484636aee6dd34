//! Shard groups on doubles of servers, ledgers over them, and what must be true of their books afterwards.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ledger::books::{InternalAccount, Sides};
use ledger::clock::Clock;
use ledger::hopping::groups::{Groups, HoppingSettings};
use ledger::hopping::homecoming::{Homecoming, Probe, Probes, Round};
use ledger::hopping::map::{GroupId, GroupMap};
use ledger::hopping::selector::{GroupState, Seen, SelectorSettings};
use ledger::outcome::Outcome;
use ledger::store::Store;
use ledger::view::Wanted;
use ledger_journal::JournalRecord;
use ledger_model::{Amount, Instruction, ShardId};

use super::server::{Condition, Server};
use crate::bank::{LIMITS, Running, SHARDS, amount, first_of, now, token};
use crate::journals::{Moved, check_posted_once, moved};

/// Groups a, b and c of four shards.
pub(crate) const GROUPS: [(&str, &[u8]); 3] = [("a", &[0, 1]), ("b", &[2]), ("c", &[3])];

/// Rounds within which everything that can come home has done so.
const ROUNDS_MAX: usize = 20;

pub(crate) struct Site {
    pub(crate) servers: Vec<Arc<Server>>,
    directory: tempfile::TempDir,
}

/// One ledger over the servers.
pub(crate) struct Process {
    pub(crate) running: Running,
    pub(crate) homecoming: Homecoming,
}

pub(crate) fn shard(number: u8) -> ShardId {
    SHARDS.shard(number).unwrap()
}

/// An account whose home is in group a, and others of b and c.
pub(crate) fn of_a() -> u64 {
    first_of(shard(0))
}

pub(crate) fn of_b() -> u64 {
    first_of(shard(2))
}

pub(crate) fn of_c() -> u64 {
    first_of(shard(3))
}

pub(crate) fn group(place: usize) -> GroupId {
    map().groups().nth(place).unwrap()
}

fn map() -> GroupMap {
    let groups = GROUPS.map(|(name, shards)| (name.parse().unwrap(), shards.to_vec()));
    GroupMap::new(SHARDS, &groups).unwrap()
}

/// As a ledger that begins sees them: all up.
pub(crate) fn groups(stand_in_daily_max: Option<Amount>) -> Arc<Groups> {
    let settings = HoppingSettings {
        selector: SelectorSettings {
            failures_max: NonZeroU32::new(2).unwrap(),
            window: Duration::from_mins(1),
            probes_to_return: NonZeroU32::new(2).unwrap(),
        },
        stand_in_daily_max,
    };
    Groups::new(map(), settings, Arc::new(Instant::now))
}

/// As if the calls of a group had failed.
pub(crate) fn lose(groups: &Groups, place: usize) {
    while groups.see(group(place), Seen::Failed, groups.now()) != GroupState::Down {}
}

/// A group is used again, and nothing has been brought home.
pub(crate) fn recover(groups: &Groups, place: usize) {
    while !groups.state(group(place)).is_used() {
        for seen in [Seen::ProbeWrote, Seen::Fenced] {
            groups.see(group(place), seen, groups.now());
        }
    }
}

impl Site {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let servers = GROUPS.map(|(_, shards)| Server::start(directory.path(), shards));
        Self {
            servers: servers.to_vec(),
            directory,
        }
    }

    pub(crate) fn process(&self) -> Process {
        self.process_standing_in(None)
    }

    pub(crate) fn process_standing_in(&self, stand_in_daily_max: Option<Amount>) -> Process {
        let groups = groups(stand_in_daily_max);
        let stores = self.stores();
        let running = Running::start_over(Arc::clone(&groups), stores, LIMITS);
        let probes = groups.map().groups().zip(&self.servers);
        let probes: Probes = probes
            .map(|(group, server)| -> (GroupId, Arc<dyn Probe>) {
                let probe: Arc<dyn Probe> = Arc::<Server>::clone(server);
                (group, probe)
            })
            .collect();
        let clock: Clock = Arc::new(now);
        let homecoming = Homecoming::new(Arc::clone(&running.ledger), probes, clock, Arc::clone(&running.meters));
        Process { running, homecoming }
    }

    pub(crate) fn stores(&self) -> Vec<Box<dyn Store>> {
        SHARDS.all().map(|shard| self.connect(shard)).collect()
    }

    /// What is on disk is what its records come to.
    pub(crate) fn check_files(&self) {
        let copied = tempfile::tempdir().unwrap();
        crate::embedded::copy(self.directory.path(), copied.path());
        ledger::store::embedded::check(copied.path()).unwrap();
    }

    fn connect(&self, shard: ShardId) -> Box<dyn Store> {
        self.servers[map().group_of(shard).place()].connect(shard)
    }

    fn look<T>(&self, shard: ShardId, look: impl FnOnce(&dyn Store) -> T) -> T {
        self.servers[map().group_of(shard).place()].look(shard, |store| look(store))
    }

    pub(crate) fn becomes(&self, place: usize, condition: Condition) {
        self.servers[place].becomes(condition);
    }

    /// Minor units.
    pub(crate) fn balance(&self, number: u64) -> i64 {
        let wanted = Wanted {
            accounts: vec![token(number)],
            ..Wanted::default()
        };
        let rows = self.look(SHARDS.of_account(token(number)), |store| store.fetch(&wanted).unwrap());
        rows.accounts[0].account.balance.minor()
    }

    /// What an account of the ledger's own comes to over all shards: credits less debits.
    pub(crate) fn internal(&self, account: InternalAccount) -> i64 {
        let key = account.in_currency(amount("CNY1.00").currency());
        let wanted = Wanted {
            internal: vec![key],
            ..Wanted::default()
        };
        let of_shard = |shard| -> i64 {
            let rows = self.look(shard, |store| store.fetch(&wanted).unwrap());
            let sums = rows
                .internal
                .iter()
                .map(|(_, sums): &(_, Sides)| sums.credit_minor - sums.debit_minor);
            sums.sum()
        };
        SHARDS.all().map(of_shard).sum()
    }

    fn journal(&self) -> Vec<JournalRecord> {
        let of_shard = |shard| self.look(shard, |store| store.reader()).journal(1, usize::MAX).unwrap();
        let records = SHARDS.all().flat_map(of_shard);
        records.map(|record| JournalRecord::decode(&record).unwrap()).collect()
    }

    /// What each key has moved, over all shards: by account, credits less debits.
    pub(crate) fn moved(&self) -> Moved {
        moved(self.journal().iter())
    }

    /// Each of these posted exactly once, its money where it belongs, and nothing left on the way.
    pub(crate) fn check_posted_once(&self, asked: &[(Instruction, u64)]) {
        check_posted_once(&self.moved(), asked);
        self.check_even();
    }

    pub(crate) fn check_even(&self) {
        let between = [InternalAccount::Suspense, InternalAccount::StandInAdvance];
        assert_eq!(between.map(|account| self.internal(account)), [0, 0]);
        for shard in SHARDS.all() {
            self.look(shard, |store| store.state().check_balanced().unwrap());
        }
    }
}

impl Process {
    pub(crate) fn state(&self, place: usize) -> GroupState {
        self.running.ledger.groups().state(group(place))
    }

    /// As if its calls had failed.
    pub(crate) fn lose(&self, place: usize) {
        lose(self.running.ledger.groups(), place);
    }

    pub(crate) fn recover(&self, place: usize) {
        recover(self.running.ledger.groups(), place);
    }

    /// Rounds until all groups are up and nothing is open.
    pub(crate) async fn come_home(&self) {
        for _ in 0..ROUNDS_MAX {
            let Round { open, .. } = self.homecoming.round().await;
            let are_used = (0..GROUPS.len()).all(|place| self.state(place).is_used());
            if are_used && open == 0 {
                return;
            }
        }
        panic!("not everything came home");
    }

    pub(crate) async fn posted(&self, instruction: &Instruction) -> String {
        match self.running.post(instruction).await {
            Outcome::Decided { transfer, .. } if transfer.decision == ledger_model::Decision::Posted => {
                transfer.serial.to_string()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Accounts of these numbers with CNY 1,000.00 each, and their agreements.
    pub(crate) async fn load(&self, numbers: &[u64]) {
        self.running.load(numbers.iter().copied(), "CNY1000.00").await;
    }
}
