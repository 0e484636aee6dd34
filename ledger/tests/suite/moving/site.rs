//! Two groups, each a database, and processes that know both.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ledger::outcome::Outcome;
use ledger::store::postgres::{
    GroupSettings, Move, MoveFault, MoveProgress, PostgresStore, Residence, UnknownGroup, Whereabouts, make, residents,
};
use ledger::store::{Store, StoreFault};
use ledger_model::{Instruction, ShardId};

use crate::bank::{SHARDS, WAIT, first_of};
use crate::postgres::{Group, open_account, post};

/// Group a has shards 0 and 1, group b has 2 and 3.
pub(super) struct Site {
    pub(super) a: Group,
    pub(super) b: Group,
}

/// What one process knows.
pub(super) struct Known {
    groups: BTreeMap<String, Arc<GroupSettings>>,
    places: Mutex<Vec<String>>,
}

impl Whereabouts for Known {
    fn servers(&self, shard: ShardId) -> Arc<GroupSettings> {
        let places = self.places.lock().unwrap();
        Arc::clone(&self.groups[&places[shard.index()]])
    }

    fn moved(&self, shard: ShardId, to: &str) -> Result<(), StoreFault> {
        if !self.groups.contains_key(to) {
            return Err(StoreFault::Unreachable(Box::new(UnknownGroup(to.to_owned()))));
        }
        to.clone_into(&mut self.places.lock().unwrap()[shard.index()]);
        Ok(())
    }
}

impl Known {
    pub(super) fn place(&self, shard: ShardId) -> String {
        self.places.lock().unwrap()[shard.index()].clone()
    }

    pub(super) fn open(self: &Arc<Self>, shard: ShardId) -> PostgresStore {
        PostgresStore::open(Arc::<Self>::clone(self), SHARDS, shard).unwrap()
    }

    /// Not asked yet how it stands.
    pub(super) fn open_unread(self: &Arc<Self>, shard: ShardId) -> PostgresStore {
        PostgresStore::unconnected(Arc::<Self>::clone(self), SHARDS, shard)
    }
}

pub(super) fn shard(number: u8) -> ShardId {
    SHARDS.shard(number).unwrap()
}

/// The account that has money in the shard.
pub(super) fn account_of(number: u8) -> u64 {
    first_of(shard(number))
}

impl Site {
    pub(super) fn start() -> Self {
        Self::with(|_| {})
    }

    /// An account with an agreement in each shard.
    pub(super) fn with(set: impl Fn(&mut GroupSettings)) -> Self {
        Self::of([Group::new(), Group::new()], set)
    }

    pub(super) fn of(groups: [Group; 2], set: impl Fn(&mut GroupSettings)) -> Self {
        let [mut a, mut b] = groups;
        // nobody waits for long where nothing is wrong, and the machine may be busy
        for group in [&mut a, &mut b] {
            group.settings.call_limit = WAIT / 4;
            set(&mut group.settings);
        }
        let site = Self { a, b };
        for (number, group) in [(0, &site.a), (1, &site.a), (2, &site.b), (3, &site.b)] {
            make(&Arc::new(group.settings.clone()), SHARDS, shard(number)).unwrap();
            open_account(
                &mut site.process().open(shard(number)),
                account_of(number),
                "CNY1000.00",
            );
        }
        site
    }

    /// Knows where shards were in the beginning.
    pub(super) fn process(&self) -> Arc<Known> {
        let groups = [&self.a, &self.b].map(|group| (group.settings.name.clone(), Arc::new(group.settings.clone())));
        let [a, b] = [&self.a, &self.b].map(|group| group.settings.name.clone());
        Arc::new(Known {
            groups: groups.into_iter().collect(),
            places: Mutex::new(vec![a.clone(), a, b.clone(), b]),
        })
    }

    /// Of shard 0.
    pub(super) fn to_b(&self) -> Move {
        Self::between(&self.a, &self.b)
    }

    pub(super) fn back_to_a(&self) -> Move {
        Self::between(&self.b, &self.a)
    }

    fn between(from: &Group, to: &Group) -> Move {
        let [from, to] = [from, to].map(|group| Arc::new(group.settings.clone()));
        Move::new(shard(0), from, to, SHARDS)
    }

    /// What each database says of shard 0.
    pub(super) fn residences(&self) -> [Option<Residence>; 2] {
        [&self.a, &self.b].map(|group| {
            let settings = Arc::new(group.settings.clone());
            residents(&settings, SHARDS).unwrap().remove(&shard(0))
        })
    }

    /// Shard 0 is in b and nowhere else, and nothing of it is left in a.
    pub(super) fn check_moved(&self) {
        let to = self.b.settings.name.clone();
        assert_eq!(
            self.residences(),
            [Some(Residence::Moved { to }), Some(Residence::Here)]
        );
        assert_eq!(rows_of_shard(&self.a), "0 0 0 0");
    }
}

/// How many rows of shard 0 a database has.
pub(super) fn rows_of_shard(group: &Group) -> String {
    group.sql(
        "SELECT concat_ws(' ', (SELECT count(*) FROM ledger.frame WHERE shard = 0), \
         (SELECT count(*) FROM ledger.transfer WHERE shard = 0), \
         (SELECT count(*) FROM ledger.held WHERE get_byte(key, 0) = 0), \
         (SELECT count(*) FROM ledger.open_hop WHERE get_byte(key, 0) = 0))",
    )
}

/// Everything a database has of shard 0, as text.
pub(super) fn everything_of_shard(group: &Group) -> String {
    let tables = [
        "SELECT string_agg(f::text, '|' ORDER BY last) FROM ledger.frame AS f WHERE shard = 0",
        "SELECT string_agg(concat_ws(',', key, is_hopped, sequence, returned, place, length), '|' ORDER BY key, is_hopped) \
         FROM ledger.transfer WHERE shard = 0",
        "SELECT string_agg(h::text, '|' ORDER BY key) FROM ledger.held AS h WHERE get_byte(key, 0) = 0",
        "SELECT string_agg(o::text, '|' ORDER BY key) FROM ledger.open_hop AS o WHERE get_byte(key, 0) = 0",
        "SELECT concat_ws(',', sequence, state) FROM ledger.shard WHERE shard = 0",
    ];
    tables.map(|table| group.sql(table)).join("\n")
}

pub(super) fn run(mut moving: Move) -> Result<(), MoveFault> {
    moving.run(&mut |_: MoveProgress| {}, &|| false)
}

/// Until it is decided: nothing was posted by what failed definitely.
pub(super) fn posted(store: &mut PostgresStore, instruction: &Instruction) -> Outcome {
    let deadline = Instant::now() + WAIT;
    loop {
        match post(store, instruction) {
            Ok(outcome) => return outcome,
            Err(StoreFault::Unreachable(_) | StoreFault::NotWritten(_)) => assert!(Instant::now() < deadline),
            Err(fault) => panic!("{fault:?}"),
        }
    }
}

pub(super) fn is_repeat(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Decided { repeat: true, .. })
}

/// Makes the next commit fail that opens a shard in the database, until it is taken away.
pub(super) fn refuse_to_open(group: &Group) {
    group.sql(
        "CREATE FUNCTION ledger.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         RAISE EXCEPTION 'not today'; END $$; \
         CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON ledger.shard DEFERRABLE INITIALLY DEFERRED FOR EACH ROW \
         WHEN (OLD.arrives_from IS NOT NULL AND NEW.arrives_from IS NULL) EXECUTE FUNCTION ledger.refuse()",
    );
}

pub(super) fn let_open(group: &Group) {
    group.sql("DROP TRIGGER refuse ON ledger.shard; DROP FUNCTION ledger.refuse()");
}

pub(super) fn begun(store: &mut PostgresStore) -> u64 {
    let sequence = store.begin().unwrap().sequence;
    store.abandon();
    sequence
}
