//! The Postgres store on real servers: conformance, several writers at once, lost connections, lost servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ledger::books::UsageKey;
use ledger::outcome::Outcome;
use ledger::shard::group::{self, Working};
use ledger::store::postgres::{Fixed, GroupSettings, Host, PostgresStore, make};
use ledger::store::{Store, StoreFault};
use ledger::view::{View, Wanted};
use ledger_journal::{ChainPosition, Event, JournalRecord};
use ledger_model::{ChinaTime, ContentField, Instruction, ShardCount, ShardId, UsageSubject};

use crate::bank::{SHARDS, WAIT, account, agreement, elsewhere_than, first_of, now, payment, sealed, token};
use crate::conformance::{self, conforms};
use crate::server::{PORT, Server, USER, for_everybody};

/// A database of a test's own.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) server: Arc<Server>,
    pub(crate) settings: GroupSettings,
}

impl Group {
    pub(crate) fn new() -> Self {
        Self::on(for_everybody())
    }

    pub(crate) fn on(server: Arc<Server>) -> Self {
        static DATABASES: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        server.database(&name);
        let settings = GroupSettings::of(&name, host(&server), &name, USER);
        Self { server, settings }
    }

    pub(crate) fn open(&self, shard: ShardId) -> PostgresStore {
        self.opened(SHARDS, shard).unwrap()
    }

    /// Of an empty shard where there was none.
    pub(crate) fn opened(&self, shards: ShardCount, shard: ShardId) -> Result<PostgresStore, StoreFault> {
        make(&Arc::new(self.settings.clone()), shards, shard)?;
        PostgresStore::open(Arc::new(Fixed::new(self.settings.clone())), shards, shard)
    }

    /// Waits, so not on an executor's thread.
    pub(crate) fn open_all(&self) -> Vec<Box<dyn Store>> {
        let open = |shard| -> Box<dyn Store> { Box::new(self.open(shard)) };
        SHARDS.all().map(open).collect()
    }

    /// What a statement yields in this database.
    pub(crate) fn sql(&self, statement: &str) -> String {
        self.server.sql(&self.settings.database, statement)
    }
}

pub(crate) fn host(server: &Server) -> Host {
    Host {
        name: server.host(),
        port: PORT,
    }
}

fn check_conformance(set: impl Fn(&mut GroupSettings)) {
    for shard in SHARDS.all() {
        // the same keys are posted in every shard, so each has a database of its own
        let mut group = Group::new();
        set(&mut group.settings);
        conforms(Box::new(group.open(shard)), &|store| {
            drop(store);
            Box::new(group.open(shard))
        });
    }
}

#[test]
fn conforms_over_lost_processes() {
    check_conformance(|_| {});
}

#[test]
fn conforms_with_every_row_in_its_table() {
    check_conformance(|settings| {
        settings.pending_rows_max = 0;
        settings.remembered_rows_max = 0;
    });
}

/// Decides one instruction as a shard does, and commits it.
pub(crate) fn post(store: &mut PostgresStore, instruction: &Instruction) -> Result<Outcome, StoreFault> {
    post_at(store, instruction, now())
}

fn post_at(store: &mut PostgresStore, instruction: &Instruction, at: ChinaTime) -> Result<Outcome, StoreFault> {
    let state = store.begin()?;
    let mut working = Working::over(SHARDS, state, at);
    for step in [wanted_first, wanted_then] {
        let mut wanted = Wanted::default();
        step(instruction, working.view(), &mut wanted);
        let wanted = working.view().missing(wanted);
        let rows = store.fetch(&wanted)?;
        working.view_mut().admit(wanted, rows);
    }
    let elsewhere = store.elsewhere(instruction.key());
    let outcome = working
        .post(instruction, sealed(instruction), elsewhere.as_ref())
        .unwrap();
    if working.is_unchanged() {
        store.abandon();
    } else {
        store.commit(working.into_group(0).unwrap())?;
    }
    Ok(outcome)
}

fn wanted_first(instruction: &Instruction, _rows: &View, wanted: &mut Wanted) {
    group::wanted_first(instruction, wanted);
}

fn wanted_then(instruction: &Instruction, rows: &View, wanted: &mut Wanted) {
    group::wanted_second(instruction, rows, wanted);
}

pub(crate) fn open_account(store: &mut PostgresStore, number: u64, balance: &str) {
    let mut wanted = Wanted::default();
    group::wanted_by_account(&account(number, balance), &mut wanted);
    group::wanted_by_agreement(&agreement(number), &mut wanted);
    conformance::work(store, wanted, |working| {
        working.open_account(&account(number, balance)).unwrap();
        working.record_agreement(&agreement(number));
    });
}

/// Follows the whole journal, from its first record to the last that is committed.
pub(crate) fn check_chain(store: &mut PostgresStore) -> Vec<JournalRecord> {
    let state = store.begin().unwrap();
    store.abandon();
    let mut position = ChainPosition::start(state.shard);
    let mut records = Vec::new();
    while position.sequence < state.sequence {
        for encoded in store.reader().journal(position.sequence + 1, 10_000).unwrap() {
            let record = JournalRecord::decode(&encoded).unwrap();
            position = position.follow(&record, &encoded).unwrap();
            records.push(record);
        }
    }
    assert_eq!((position.sequence, position.head), (state.sequence, state.head));
    records
}

pub(crate) fn balance(store: &mut PostgresStore, number: u64) -> i64 {
    store.begin().unwrap();
    let wanted = Wanted {
        accounts: vec![token(number)],
        ..Wanted::default()
    };
    let rows = store.fetch(&wanted).unwrap();
    store.abandon();
    rows.accounts[0].account.balance.minor()
}

/// What was paid under the account's agreement on the day of [`now`], in minor units.
fn used(store: &mut PostgresStore, number: u64) -> i64 {
    store.begin().unwrap();
    let usage = UsageKey {
        subject: UsageSubject::Agreement(agreement(number).number),
        date: now().date(),
    };
    let wanted = Wanted {
        usages: vec![usage],
        ..Wanted::default()
    };
    let rows = store.fetch(&wanted).unwrap();
    store.abandon();
    rows.usages[0].1.sum_minor
}

#[test]
fn writers_of_one_shard_take_turns_and_see_what_the_others_did() {
    const WRITERS: u64 = 4;
    const EACH: u64 = 50;
    let mut group = Group::new();
    // small enough for rows to be written and forgotten all the time
    group.settings.pending_rows_max = 3;
    group.settings.remembered_rows_max = 4;
    let shard = SHARDS.shard(0).unwrap();
    let numbers: Vec<u64> = (1..)
        .filter(|number| SHARDS.of_account(token(*number)) == shard)
        .take(5)
        .collect();
    let mut first = group.open(shard);
    for number in &numbers {
        open_account(&mut first, *number, "CNY1000.00");
    }
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (group, numbers) = (&group, &numbers);
            scope.spawn(move || {
                let mut store = group.open(shard);
                for turn in 0..EACH {
                    let number = writer * EACH + turn;
                    let from = numbers[usize::try_from(number % 5).unwrap()];
                    post(&mut store, &payment(number, from, 100)).unwrap();
                }
            });
        }
    });
    let records = check_chain(&mut first);
    let posted = records
        .iter()
        .filter(|record| matches!(record.event, Event::TransferDecided { .. }));
    assert_eq!(u64::try_from(posted.count()).unwrap(), WRITERS * EACH);
    for number in numbers {
        let paid = 100 * i64::try_from(WRITERS * EACH / 5).unwrap();
        assert_eq!(balance(&mut first, number), 100_000 - paid);
        assert_eq!(used(&mut first, number), paid);
        assert_eq!(used(&mut group.open(shard), number), paid);
    }
}

#[test]
fn one_key_in_two_shards_posts_once() {
    let group = Group::new();
    let numbers = [1, elsewhere_than(1)];
    let mut stores = numbers.map(|number| {
        let mut store = group.open(SHARDS.of_account(token(number)));
        open_account(&mut store, number, "CNY1000.00");
        store
    });
    let mut posted = 0;
    for key in 0..60 {
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let racers = stores.iter_mut().zip(numbers).map(|(store, number)| {
                scope.spawn(move || {
                    let instruction = payment(key, number, 100);
                    match post(store, &instruction) {
                        // decided again, it finds the other
                        Err(StoreFault::KeyTaken) => post(store, &instruction),
                        outcome => outcome,
                    }
                })
            });
            let racers: Vec<_> = racers.collect();
            racers.into_iter().map(|racer| racer.join().unwrap().unwrap()).collect()
        });
        posted += outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Decided { repeat: false, .. }))
            .count();
        assert!(
            outcomes.contains(&Outcome::Conflict(ContentField::Agreement)),
            "{outcomes:?}"
        );
    }
    assert_eq!(posted, 60);
    for store in &mut stores {
        check_chain(store);
    }
}

#[test]
fn a_shard_that_another_holds_is_unreachable_and_then_goes_on() {
    let mut group = Group::new();
    group.settings.call_limit = Duration::from_secs(1);
    let shard = SHARDS.shard(0).unwrap();
    let mut waits = group.open(shard);
    group.settings.call_limit = WAIT;
    let mut holds = group.open(shard);
    holds.begin().unwrap();
    let refused = waits.begin().unwrap_err();
    assert!(matches!(refused, StoreFault::Unreachable(_)), "{refused:?}");
    holds.abandon();
    waits.begin().unwrap();
    waits.abandon();
}

/// Of a process that hangs with the lock on the shard.
#[test]
fn a_group_that_nobody_goes_on_with_is_ended_by_the_server_and_others_go_on() {
    let mut group = Group::new();
    group.settings.call_limit = Duration::from_secs(1);
    let shard = SHARDS.shard(0).unwrap();
    let mut hangs = group.open(shard);
    group.settings.call_limit = WAIT;
    let mut waits = group.open(shard);
    hangs.begin().unwrap();
    waits.begin().unwrap();
    waits.abandon();
    drop(hangs);
}

#[test]
fn a_session_that_is_cut_off_is_made_again() {
    let group = Group::new();
    let number = first_of(SHARDS.shard(0).unwrap());
    let mut store = group.open(SHARDS.shard(0).unwrap());
    open_account(&mut store, number, "CNY1000.00");
    let cut = || {
        group.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
    };
    cut();
    post(&mut store, &payment(1, number, 100)).unwrap();
    store.begin().unwrap();
    cut();
    assert!(
        store
            .fetch(&Wanted {
                accounts: vec![token(elsewhere_than(number))],
                ..Wanted::default()
            })
            .is_err()
    );
    store.abandon();
    post(&mut store, &payment(2, number, 100)).unwrap();
    assert_eq!(balance(&mut store, number), 100_000 - 200);
    assert_eq!(check_chain(&mut store).len(), 4);
}

/// A shard that was made, or has come, after another was opened is found without anybody leaving.
#[test]
fn learns_of_shards_that_have_come_to_its_database() {
    let group = Group::new();
    let [first, later] = [0, 1].map(|number| SHARDS.shard(number).unwrap());
    let mut store = group.open(first);
    drop(group.open(later));
    let has_company = |store: &mut PostgresStore| {
        store.begin().unwrap();
        let has_company = store.keeps_keys_with(later);
        store.abandon();
        has_company
    };
    assert!(!has_company(&mut store), "nobody has looked yet");
    assert!(has_company(&mut store));
}

#[test]
fn refuses_another_count_of_shards_and_later_tables() {
    let group = Group::new();
    let shard = SHARDS.shard(0).unwrap();
    drop(group.open(shard));
    let fewer = ShardCount::new(2).unwrap();
    let refused = group.opened(fewer, shard).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the store was created for shard 0 of 4, not for shard 0 of 2"
    );
    group.sql("INSERT INTO ledger.schema_version VALUES (99)");
    let refused = group.opened(SHARDS, shard).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the store is of format 99; this program reads and writes format 3"
    );
}

#[test]
fn what_was_kept_long_enough_is_forgotten_by_day() {
    const DAY: i64 = 24 * 3600;
    let mut group = Group::new();
    group.settings.kept_days = 10;
    group.settings.pending_rows_max = 0;
    let number = first_of(SHARDS.shard(0).unwrap());
    let mut store = group.open(SHARDS.shard(0).unwrap());
    open_account(&mut store, number, "CNY1000.00");
    let counts = || {
        let usages = "SELECT count(*) FROM ledger.held WHERE get_byte(key, 1) = 3";
        ["SELECT count(*) FROM ledger.transfer", usages].map(|query| group.sql(query).parse::<usize>().unwrap())
    };
    let mut pay = |id: u64, days: i64| {
        let at = now().plus_seconds(days * DAY).unwrap();
        let mut instruction = payment(id, number, 100);
        if let Instruction::Payment(payment) = &mut instruction {
            payment.key.id = format!("{}{id:016}0000000", at.date().compact()).parse().unwrap();
            payment.ordered_at = at;
        }
        post_at(&mut store, &instruction, at).unwrap();
    };
    pay(1, 0);
    pay(2, 0);
    pay(3, 11);
    pay(4, 11);
    // one row of use for each day: the account has no limits of its own
    assert_eq!(counts(), [4, 2], "a day is kept to spare");
    // the first group of a day finds out what is due, the next deletes it; the rows of the last group are not due
    pay(5, 12);
    assert_eq!(counts(), [5, 2]);
    pay(6, 12);
    assert_eq!(counts(), [4, 2]);
    assert_eq!(balance(&mut store, number), 100_000 - 600);
    assert_eq!(check_chain(&mut store).len(), 8);
}
