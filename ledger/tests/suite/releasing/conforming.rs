//! What every store owes that releases records.

use ledger::books::UsageKey;
use ledger::shard::group::Working;
use ledger::store::Store;
use ledger::store::release::{Base, KeptFor, ReleaseFault, ReleaseMode, Released};
use ledger::view::Wanted;
use ledger_journal::ChainHash;
use ledger_model::{Instruction, UsageSubject};

use super::{begins_at, by, is_released, numbers, open_accounts, order, order_all, position, until_releasable};
use crate::bank::{account, agreement, key, now, payment, sealed, token};
use crate::conformance::work;
use crate::groups::{open, small};
use crate::memory::MemoryStore;

const PAYMENT: u64 = 1;

fn wanted(number: u64) -> Wanted {
    let date = now().date();
    let subject = UsageSubject::Agreement(agreement(number).number);
    let batch = ledger::books::InternalAccount::NetworkClearing(crate::bank::BATCH.parse().unwrap());
    Wanted {
        accounts: vec![token(number)],
        agreements: vec![agreement(number).number],
        transfers: vec![key("0110", PAYMENT), key("0110", PAYMENT + 1)],
        new: Vec::new(),
        usages: vec![UsageKey { subject, date }],
        internal: vec![batch.in_currency(ledger_model::Currency::CNY)],
        limits: vec![token(number)],
        hops: Vec::new(),
    }
}

fn pay(store: &mut dyn Store, number: u64, instruction: &Instruction) {
    work(store, wanted(number), |working: &mut Working| {
        working.record_agreement(&agreement(number));
        working.post(instruction, sealed(instruction), None).unwrap();
    });
}

/// `store` is empty.
pub(crate) fn releases(mut store: Box<dyn Store>, reopen: &dyn Fn(Box<dyn Store>) -> Box<dyn Store>) {
    let shard = store.state().shard;
    let mut fresh = numbers(shard);
    until_releasable(store.as_mut(), 1, |store| open_accounts(store, &mut fresh));
    let number = numbers(shard).next().unwrap();
    let paid = payment(PAYMENT, number, 700);
    pay(store.as_mut(), number, &paid);
    let decided = store.reader().transfer(paid.key()).unwrap().unwrap();
    for _ in 0..40 {
        open_accounts(store.as_mut(), &mut fresh);
    }
    let rehearsed = order_all(store.as_mut(), ReleaseMode::Rehearse);
    let (through, kept_for) = (rehearsed.base.sequence, rehearsed.kept_for);
    assert!(through > 0 && through < decided.sequence, "{rehearsed:?}");
    assert!(kept_for.is_some(), "a resend is answered from what is kept");
    refuses(store.as_mut(), &rehearsed);
    let all = store.reader().journal(1, usize::MAX).unwrap();
    assert_eq!(
        all.len(),
        usize::try_from(store.state().sequence).unwrap(),
        "nothing is gone yet"
    );
    let before = (store.state().clone(), store.fetch(&wanted(number)).unwrap());

    let released = order_all(store.as_mut(), ReleaseMode::Release);
    assert_eq!((released.before, released.base), (0, rehearsed.base));
    assert_eq!(
        released.base.head,
        ChainHash::of(&all[usize::try_from(through).unwrap() - 1])
    );
    let base = Base {
        position: released.base,
        by: Some(by()),
    };
    let check = |store: &dyn Store| {
        assert_eq!((store.state().clone(), store.fetch(&wanted(number)).unwrap()), before);
        assert_eq!(store.reader().transfer(paid.key()).unwrap().unwrap(), decided);
        begins_at(store, &base);
        has_from(store, &all, through);
    };
    check(store.as_ref());
    store.reader().clear().unwrap();
    check(store.as_ref());
    let mut store = reopen(store);
    store.begin().unwrap();
    store.abandon();
    check(store.as_ref());
    store.reader().clear().unwrap();
    again(store.as_mut(), &released);

    // the books go on, and what was said is said again
    let next = payment(PAYMENT + 1, number, 300);
    pay(store.as_mut(), number, &next);
    open_accounts(store.as_mut(), &mut fresh);
    let store = reopen(store);
    begins_at(store.as_ref(), &base);
    let remembered = |instruction: &Instruction| store.reader().transfer(instruction.key()).unwrap();
    assert_eq!(remembered(&paid), Some(decided));
    assert!(remembered(&next).is_some());
    assert_eq!(
        store.fetch(&wanted(number)).unwrap().accounts[0].account,
        account(number, "CNY990.00")
    );
}

/// What is not proved is not released, and what Kafka has not is not either.
fn refuses(store: &mut dyn Store, rehearsed: &Released) {
    let (through, last) = (rehearsed.base, store.state().sequence);
    let mut other = through;
    other.head = ChainHash([9; 32]);
    let refused = order(store, other, None, ReleaseMode::Release).unwrap_err();
    assert!(matches!(refused, ReleaseFault::OtherJournal(sequence) if sequence == through.sequence));
    other.sequence = last + 1;
    let refused = order(store, other, None, ReleaseMode::Release).unwrap_err();
    assert!(matches!(refused, ReleaseFault::NotSoFar(told) if told == last));
    let shipped = order(store, through, Some(0), ReleaseMode::Release).unwrap();
    assert_eq!(
        (shipped.base.sequence, shipped.kept_for),
        (0, Some(KeptFor::Shipping { shipped: 0 }))
    );
    // no further than the order says, though more could go
    let before = position(store, through.sequence - 1);
    let less = order(store, before, None, ReleaseMode::Rehearse).unwrap();
    assert!(less.base.sequence < through.sequence, "{less:?}");
    assert_eq!(store.base().position.sequence, 0);
}

fn has_from(store: &dyn Store, all: &[Vec<u8>], through: u64) {
    let reader = store.reader();
    let from = usize::try_from(through).unwrap();
    assert_eq!(reader.journal(through + 1, usize::MAX).unwrap(), all[from..]);
    let kept = reader.kept(through + 1, usize::MAX).unwrap();
    assert!(kept.iter().map(|kept| &kept.record).eq(&all[from..]));
    for gone in [1, through] {
        is_released(reader.journal(gone, 1), through);
        is_released(reader.kept(gone, 1), through);
        is_released(reader.evidence(gone), through);
    }
    reader.evidence(through + 1).unwrap();
}

/// Nothing more, and an older order asks for what is done.
fn again(store: &mut dyn Store, released: &Released) {
    let nothing = order_all(store, ReleaseMode::Release);
    assert_eq!((nothing.before, nothing.base), (released.base.sequence, released.base));
    let same = order(store, released.base, None, ReleaseMode::Release).unwrap();
    assert_eq!((same.base, same.kept_for), (released.base, None));
    let mut other = released.base;
    other.head = ChainHash([9; 32]);
    let refused = order(store, other, None, ReleaseMode::Release).unwrap_err();
    assert!(matches!(refused, ReleaseFault::OtherJournal(_)));
}

#[test]
fn the_memory_store_releases() {
    for store in MemoryStore::all() {
        releases(Box::new(store), &|store| store);
    }
}

/// What a crash leaves in the middle of it is tried in `crashes`.
#[test]
fn the_embedded_store_releases() {
    let directory = tempfile::tempdir().unwrap();
    let reopened = || -> Box<dyn Store> { Box::new(open(directory.path(), small()).unwrap()) };
    releases(reopened(), &|store| {
        drop(store);
        reopened()
    });
}
