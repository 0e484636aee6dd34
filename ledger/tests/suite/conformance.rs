//! What every store owes, as one function over the trait. `reopen` closes the store as a crash would, without any
//! farewell, and opens what is left.

use ledger::books::{Arrival, Books, HeldAccount, InternalAccount, Remembered, Said, Sides, Usage, UsageKey};
use ledger::shard::group::Working;
use ledger::store::{Store, StoreFault};
use ledger::view::{Rows, Wanted};
use ledger_journal::{ChainPosition, JournalRecord};
use ledger_model::{Currency, Decision, Instruction, Money, UsageSubject};

use crate::bank::{self, SHARDS, account, agreement, first_of, key, now, payment, refund, sealed, token};
use crate::further::{change_everything, holds_everything, rows_of_everything};

/// Works one group as a shard does, and commits it.
pub(crate) fn work(store: &mut dyn Store, wanted: Wanted, task: impl FnOnce(&mut Working)) {
    work_in_steps(store, |first| *first = wanted, |_, _| {}, task);
}

/// As [`work`], with rows that are wanted in two steps.
pub(crate) fn work_in_steps(
    store: &mut dyn Store,
    first: impl FnOnce(&mut Wanted),
    second: impl FnOnce(&Working, &mut Wanted),
    task: impl FnOnce(&mut Working),
) {
    let state = store.begin().unwrap();
    let mut working = Working::over(SHARDS, state, now());
    let mut wanted = Wanted::default();
    first(&mut wanted);
    fetch(store, &mut working, wanted);
    let mut wanted = Wanted::default();
    second(&working, &mut wanted);
    fetch(store, &mut working, wanted);
    task(&mut working);
    store.commit(working.into_group(0).unwrap()).unwrap();
}

fn fetch(store: &dyn Store, working: &mut Working, wanted: Wanted) {
    let wanted = working.view().missing(wanted);
    let rows = store.fetch(&wanted).unwrap();
    working.view_mut().admit(wanted, rows);
}

fn everything(number: u64) -> Wanted {
    Wanted {
        accounts: vec![token(number)],
        agreements: vec![agreement(number).number],
        transfers: vec![key("0110", 1), key("0110", 2), key("0121", 1)],
        new: Vec::new(),
        usages: vec![
            UsageKey {
                subject: UsageSubject::Agreement(agreement(number).number),
                date: now().date(),
            },
            UsageKey {
                subject: UsageSubject::Account(token(number)),
                date: now().date(),
            },
        ],
        internal: vec![
            InternalAccount::NetworkClearing(bank::BATCH.parse().unwrap()).in_currency(Currency::CNY),
            InternalAccount::OpeningBalances.in_currency(Currency::CNY),
        ],
        limits: vec![token(number)],
        hops: vec![key("0120", 1)],
    }
}

fn open_books(store: &mut dyn Store, number: u64) {
    work(store, everything(number), |working| {
        working.open_account(&account(number, "CNY100.00")).unwrap();
        working.record_agreement(&agreement(number));
    });
}

fn post(store: &mut dyn Store, number: u64, instructions: &[Instruction]) {
    work(store, everything(number), |working| {
        for instruction in instructions {
            working.post(instruction, sealed(instruction), None).unwrap();
        }
    });
}

pub(crate) fn conforms(mut store: Box<dyn Store>, reopen: &dyn Fn(Box<dyn Store>) -> Box<dyn Store>) {
    let number = first_of(store.state().shard);
    starts_empty(store.as_ref(), number);
    open_books(store.as_mut(), number);
    let paid = payment(1, number, 3_000);
    let short = payment(2, number, 9_000);
    post(
        store.as_mut(),
        number,
        &[paid.clone(), short, refund(1, 1, number, 3_000, 500)],
    );
    let before = store.state().clone();
    keeps_rows(store.as_ref(), number, &paid);
    reads_committed(store.as_ref(), &paid);

    let mut store = reopen(store);
    assert_eq!(*store.state(), before, "the state survives");
    keeps_rows(store.as_ref(), number, &paid);
    reads_committed(store.as_ref(), &paid);
    meets_what_is_taken_as_new(store.as_mut(), number, &paid);
    goes_on(store.as_mut(), number);
    change_everything(store.as_mut(), number);
    holds_everything(store.as_ref(), number);
    let before = rows_of_everything(store.as_ref(), number);
    let store = reopen(store);
    holds_everything(store.as_ref(), number);
    shows_what_was_taken_in(store.as_ref());
    assert_eq!(rows_of_everything(store.as_ref(), number), before);
    follows_whole_chain(store.as_ref());
}

fn starts_empty(store: &dyn Store, number: u64) {
    assert_eq!(store.state().sequence, 0);
    assert_eq!(store.fetch(&everything(number)).unwrap(), ledger::view::Rows::default());
    let reader = store.reader();
    assert_eq!(reader.transfer(&key("0110", 1)).unwrap(), None);
    assert_eq!(reader.journal(1, 1 << 20).unwrap(), Vec::<Vec<u8>>::new());
    assert_eq!(reader.evidence(1).unwrap(), None);
}

fn keeps_rows(store: &dyn Store, number: u64, paid: &Instruction) {
    let rows = store.fetch(&everything(number)).unwrap();
    let opened_with: Money = "CNY100.00".parse().unwrap();
    let expected = HeldAccount {
        account: account(number, "CNY75.00"),
        opened_with,
    };
    assert_eq!(rows.accounts, [expected]);
    assert_eq!(rows.agreements, [agreement(number)]);
    let usage: Vec<Usage> = rows.usages.iter().map(|(_, usage)| *usage).collect();
    assert_eq!(
        usage,
        [Usage {
            count: 1,
            sum_minor: 3_000
        }]
    );
    let sums: Vec<Sides> = rows.internal.iter().map(|(_, sums)| *sums).collect();
    assert_eq!(
        sums,
        [
            Sides {
                debit_minor: 500,
                credit_minor: 3_000
            },
            Sides {
                debit_minor: 10_000,
                credit_minor: 0
            }
        ]
    );
    let [first, second, third] = rows.transfers.as_slice() else {
        panic!("three transfers: {:?}", rows.transfers);
    };
    assert_eq!(
        (first.refunded_minor, second.refunded_minor, third.refunded_minor),
        (500, 0, 0)
    );
    assert_eq!((first.sequence, second.sequence, third.sequence), (3, 4, 5));
    assert_eq!(first.said, Said::by(paid));
    assert_eq!(first.transfer.decision, Decision::Posted);
}

fn reads_committed(store: &dyn Store, paid: &Instruction) {
    let reader = store.reader();
    let Some(Remembered { sequence, transfer, .. }) = reader.transfer(paid.key()).unwrap() else {
        panic!("the payment is there");
    };
    assert_eq!((sequence, transfer.amount), (3, paid.amount()));
    let all = reader.journal(1, 1 << 20).unwrap();
    assert_eq!(all.len(), 5);
    assert_eq!(reader.journal(4, 1 << 20).unwrap(), all[3..]);
    assert_eq!(
        reader.journal(2, 1).unwrap(),
        all[1..2],
        "at least one record, whatever the bound"
    );
    assert_eq!(reader.journal(6, 1 << 20).unwrap(), Vec::<Vec<u8>>::new());
    let kept = reader.evidence(3).unwrap().unwrap();
    assert_eq!(ledger::evidence::open(&kept).unwrap(), bank::evidence(paid));
    assert_eq!(reader.evidence(1).unwrap(), None, "an opening has no evidence");
    let whole = reader.kept(1, 1 << 20).unwrap();
    for ((sequence, record), kept) in (1..).zip(&all).zip(&whole) {
        assert_eq!(kept.record, *record);
        assert_eq!(kept.evidence, reader.evidence(sequence).unwrap(), "record {sequence}");
    }
    assert_eq!(whole.len(), all.len());
    assert_eq!(
        reader.kept(4, 1 << 20).unwrap(),
        whole[3..],
        "from the middle of a group"
    );
    assert_eq!(
        reader.kept(3, 1).unwrap(),
        whole[2..3],
        "one record, whatever the bound"
    );
    assert_eq!(reader.kept(6, 1 << 20).unwrap(), Vec::new());
}

/// A key that is taken as new is shown to be there, or a commit that adds it is refused as a whole.
fn meets_what_is_taken_as_new(store: &mut dyn Store, number: u64, paid: &Instruction) {
    let before = store.state().clone();
    let mut wanted = everything(number);
    wanted.new = std::mem::take(&mut wanted.transfers);
    let mut working = Working::over(SHARDS, store.begin().unwrap(), now());
    fetch(store, &mut working, wanted);
    if working.view().transfer(paid.key()).is_some() {
        store.abandon();
    } else {
        let other = payment(900, number, 100);
        working.view_mut().admit(only_new(&other), Rows::default());
        for instruction in [paid, &other] {
            working.post(instruction, sealed(instruction), None).unwrap();
        }
        let refused = store.commit(working.into_group(0).unwrap());
        assert!(matches!(refused, Err(StoreFault::KeyTaken)), "{refused:?}");
        assert_eq!(store.reader().transfer(other.key()).unwrap(), None);
    }
    assert_eq!(*store.state(), before);
    keeps_rows(store, number, paid);
}

fn only_new(instruction: &Instruction) -> Wanted {
    Wanted {
        new: vec![*instruction.key()],
        ..Wanted::default()
    }
}

/// What was taken in for another shard would not be met by a commit, so it is shown.
fn shows_what_was_taken_in(store: &dyn Store) {
    let taken_in = key("0120", 5_005);
    let wanted = Wanted {
        new: vec![taken_in],
        ..Wanted::default()
    };
    let rows = store.fetch(&wanted).unwrap();
    let found: Vec<_> = rows
        .transfers
        .iter()
        .map(|row| (row.transfer.key, row.arrival))
        .collect();
    assert_eq!(found, [(taken_in, Arrival::Hopped)]);
}

/// A reader taken earlier follows what is committed later.
fn goes_on(store: &mut dyn Store, number: u64) {
    let reader = store.reader();
    let missing = key("0110", 3);
    assert_eq!(reader.transfer(&missing).unwrap(), None);
    let mut wanted = everything(number);
    wanted.transfers.push(missing);
    let paid = payment(3, number, 100);
    work(store, wanted, |working| {
        working.post(&paid, sealed(&paid), None).unwrap();
    });
    assert_eq!(reader.transfer(&missing).unwrap().unwrap().sequence, 6);
    assert_eq!(reader.journal(6, 1).unwrap().len(), 1);
}

fn follows_whole_chain(store: &dyn Store) {
    let mut position = ChainPosition::start(store.state().shard);
    for encoded in store.reader().journal(1, usize::MAX).unwrap() {
        position = position
            .follow(&JournalRecord::decode(&encoded).unwrap(), &encoded)
            .unwrap();
    }
    assert_eq!(
        (position.sequence, position.head),
        (store.state().sequence, store.state().head)
    );
}

#[test]
fn the_memory_store_conforms() {
    for store in crate::memory::MemoryStore::all() {
        conforms(Box::new(store), &|store| store);
    }
}
