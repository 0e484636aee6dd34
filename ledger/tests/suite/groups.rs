//! Groups of instructions worked over one store, as a shard does, and everything a store then holds.

use std::collections::BTreeSet;
use std::path::Path;

use ledger::books::{InternalAccount, Remembered};
use ledger::shard::group::{Working, wanted_first, wanted_second};
use ledger::state::ShardState;
use ledger::store::embedded::{EmbeddedStore, StoreOptions};
use ledger::store::{Group, Store, StoreFault};
use ledger::view::{Rows, Wanted};
use ledger_model::{ChinaTime, Currency, Instruction, ShardId};

use crate::bank::{SHARDS, account, agreement, now, payment, payout, refund, sealed, token};

pub(crate) const ACCOUNTS: usize = 6;

pub(crate) fn shard() -> ShardId {
    SHARDS.shard(0).unwrap()
}

/// Numbers of accounts that live in the shard.
pub(crate) fn accounts() -> Vec<u64> {
    let home = |number: &u64| SHARDS.of_account(token(*number)) == shard();
    (1..1000).filter(home).take(ACCOUNTS).collect()
}

/// Small enough for a few groups to fill segments and be in snapshots.
pub(crate) fn small() -> StoreOptions {
    StoreOptions {
        segment_bytes_max: 16 << 10,
        snapshot_bytes: 6 << 10,
        ..StoreOptions::default()
    }
}

pub(crate) fn open(directory: &Path, options: StoreOptions) -> Result<EmbeddedStore, StoreFault> {
    EmbeddedStore::open_with(directory, SHARDS, shard(), options)
}

fn fetch(store: &dyn Store, working: &mut Working, wanted: Wanted) {
    let wanted = working.view().missing(wanted);
    let rows = store.fetch(&wanted).unwrap();
    working.view_mut().admit(wanted, rows);
}

/// Decides a group.
pub(crate) fn decided(store: &dyn Store, instructions: &[Instruction], at: ChinaTime) -> Group {
    let mut working = Working::over(SHARDS, store.state().clone(), at);
    let mut wanted = Wanted::default();
    for instruction in instructions {
        wanted_first(instruction, &mut wanted);
    }
    fetch(store, &mut working, wanted);
    let mut wanted = Wanted::default();
    for instruction in instructions {
        wanted_second(instruction, working.view(), &mut wanted);
    }
    fetch(store, &mut working, wanted);
    for instruction in instructions {
        working.post(instruction, sealed(instruction), None).unwrap();
    }
    working.into_group(0).unwrap()
}

/// Decides a group and commits it.
pub(crate) fn post_at(store: &mut dyn Store, instructions: &[Instruction], at: ChinaTime) -> Result<(), StoreFault> {
    let group = decided(store, instructions, at);
    store.commit(group)
}

pub(crate) fn post(store: &mut dyn Store, instructions: &[Instruction]) -> Result<(), StoreFault> {
    post_at(store, instructions, now())
}

pub(crate) fn open_books(store: &mut dyn Store) {
    let wanted = Wanted {
        accounts: accounts().into_iter().map(token).collect(),
        agreements: accounts().into_iter().map(|number| agreement(number).number).collect(),
        internal: vec![InternalAccount::OpeningBalances.in_currency(Currency::CNY)],
        ..Wanted::default()
    };
    crate::conformance::work(store, wanted, |working| {
        for number in accounts() {
            working.open_account(&account(number, "CNY1000.00")).unwrap();
            working.record_agreement(&agreement(number));
        }
    });
}

/// What may be asked for: a kind, one of the accounts, an id out of few, so that repeats and refunds meet, an amount.
pub(crate) type Asked = (u8, usize, u64, i64);

pub(crate) fn instruction((kind, place, number, minor): Asked) -> Instruction {
    let account = accounts()[place % ACCOUNTS];
    match kind % 4 {
        0 | 1 => payment(number, account, minor),
        2 => refund(number, number / 2, account, minor, minor),
        _ => payout(number, account, minor),
    }
}

/// Everything a store says when asked for all that these instructions may have touched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    state: ShardState,
    rows: Rows,
    by_reader: Vec<Option<Remembered>>,
    journal: Vec<Vec<u8>>,
    evidence: Vec<Option<Vec<u8>>>,
}

impl Held {
    pub(crate) fn sequence(&self) -> u64 {
        self.state.sequence
    }
}

pub(crate) fn held(store: &dyn Store, instructions: &[Instruction]) -> Held {
    let mut wanted = Wanted::default();
    for instruction in instructions {
        wanted_first(instruction, &mut wanted);
    }
    wanted.accounts.extend(accounts().into_iter().map(token));
    let opening = InternalAccount::OpeningBalances.in_currency(Currency::CNY);
    wanted.internal.push(opening);
    let working = Working::over(SHARDS, store.state().clone(), now());
    let wanted = working.view().missing(wanted);
    let reader = store.reader();
    let keys: BTreeSet<_> = instructions.iter().map(|instruction| *instruction.key()).collect();
    Held {
        state: store.state().clone(),
        rows: store.fetch(&wanted).unwrap(),
        by_reader: keys.iter().map(|key| reader.transfer(key).unwrap()).collect(),
        journal: reader.journal(1, usize::MAX).unwrap(),
        evidence: (1..=store.state().sequence)
            .map(|number| reader.evidence(number).unwrap())
            .collect(),
    }
}

/// A few groups, the first of which opens the books.
pub(crate) fn fill(store: &mut dyn Store, groups: u64) -> Vec<Instruction> {
    open_books(store);
    fill_more(store, 0..groups)
}

pub(crate) fn fill_more(store: &mut dyn Store, groups: std::ops::Range<u64>) -> Vec<Instruction> {
    let mut all = Vec::new();
    for group in groups {
        let place = usize::try_from(group).unwrap();
        let asked = [(0, place, 2 * group, 700), (3, 1, 2 * group + 1, 40)];
        let mut instructions: Vec<Instruction> = asked.map(instruction).to_vec();
        if group > 0 {
            let of = 2 * (group - 1);
            let account = accounts()[(place - 1) % ACCOUNTS];
            instructions.push(refund(group, of, account, 700, 100));
        }
        post(store, &instructions).unwrap();
        all.extend(instructions);
    }
    for instruction in &all {
        assert!(store.reader().transfer(instruction.key()).unwrap().is_some());
    }
    all
}
