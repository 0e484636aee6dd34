//! Releasing records that are archived: what every store owes, and what is left of the embedded one after any crash in the
//! middle of it or damage after it.

pub(crate) mod conforming;
mod copies;
mod crashes;
mod damaged;
mod reasons;

use ledger::books::InternalAccount;
use ledger::store::release::{Base, Release, ReleaseFault, ReleaseMode, Released, ReleasedBy};
use ledger::store::{Store, StoreFault};
use ledger::view::Wanted;
use ledger_journal::{ChainHash, ChainPosition, JournalRecord};
use ledger_model::{Currency, ShardId};
use ledger_protocol::{ReleaseOrder, ReleasedRecords, Releasing};

use crate::bank::{Running, SHARDS, WAIT, account, now, token};

/// Accounts opened in one group.
const OPENED: usize = 20;

pub(crate) fn by() -> ReleasedBy {
    ReleasedBy {
        operator: "li.wei".parse().unwrap(),
        reason: "the year is archived".parse().unwrap(),
        at: now(),
    }
}

/// Numbers of accounts that live in a shard.
fn numbers(shard: ShardId) -> impl Iterator<Item = u64> + use<> {
    (1..).filter(move |number| SHARDS.of_account(token(*number)) == shard)
}

/// Nothing is remembered under any key for these records.
pub(crate) fn open_accounts(store: &mut dyn Store, numbers: &mut impl Iterator<Item = u64>) {
    let opened: Vec<u64> = numbers.take(OPENED).collect();
    let wanted = Wanted {
        accounts: opened.iter().copied().map(token).collect(),
        internal: vec![InternalAccount::OpeningBalances.in_currency(Currency::CNY)],
        ..Wanted::default()
    };
    crate::conformance::work(store, wanted, |working| {
        for number in opened {
            working.open_account(&account(number, "CNY1000.00")).unwrap();
        }
    });
}

/// Where the journal is after that record, as an archive would say.
pub(crate) fn position(store: &dyn Store, sequence: u64) -> ChainPosition {
    let records = store.reader().journal(sequence, 1).unwrap();
    ChainPosition {
        shard: store.state().shard,
        sequence,
        head: ChainHash::of(&records[0]),
    }
}

pub(crate) fn order(
    store: &mut dyn Store,
    through: ChainPosition,
    shipped: Option<u64>,
    mode: ReleaseMode,
) -> Result<Released, ReleaseFault> {
    let surveyed = store.reader().survey(through)?;
    store.release(&Release {
        surveyed,
        shipped,
        by: by(),
        mode,
    })
}

/// Orders a running ledger to release its records up to that one.
pub(crate) async fn release(running: &Running, shard: ShardId, through: u64) -> ReleasedRecords {
    let records = running.ledger.feed(shard).reader.journal(through, 1).unwrap();
    let ReleasedBy { operator, reason, .. } = by();
    let order = ReleaseOrder {
        shard: shard.number(),
        through,
        head: ChainHash::of(&records[0]).0,
        is_dry_run: false,
        operator,
        reason,
    };
    match running.ledger.release(order, now()).await.unwrap() {
        Releasing::Released(released) => released,
        Releasing::Refused(why) => panic!("{why}"),
    }
}

/// Of all there is.
pub(crate) fn order_all(store: &mut dyn Store, mode: ReleaseMode) -> Released {
    let head = ChainPosition {
        shard: store.state().shard,
        sequence: store.state().sequence,
        head: store.state().head,
    };
    order(store, head, None, mode).unwrap()
}

/// Goes on with `step` until so many records could be released.
pub(crate) fn until_releasable(store: &mut dyn Store, records: u64, mut step: impl FnMut(&mut dyn Store)) -> Released {
    let deadline = std::time::Instant::now() + WAIT;
    loop {
        step(store);
        let released = order_all(store, ReleaseMode::Rehearse);
        if released.base.sequence >= records {
            return released;
        }
        assert!(std::time::Instant::now() < deadline, "{released:?}");
    }
}

#[track_caller]
pub(crate) fn is_released<T: std::fmt::Debug>(asked: Result<T, StoreFault>, through: u64) {
    match asked {
        Err(StoreFault::Released { through: told }) => assert_eq!(told, through),
        other => panic!("{other:?}"),
    }
}

/// The journal begins after the base, and its chain follows from there to the state.
pub(crate) fn begins_at(store: &dyn Store, base: &Base) {
    let reader = store.reader();
    assert_eq!((&*reader.base().unwrap(), &*store.base()), (base, base));
    let mut position = base.position;
    for encoded in reader.journal(position.sequence + 1, usize::MAX).unwrap() {
        let record = JournalRecord::decode(&encoded).unwrap();
        position = position.follow(&record, &encoded).unwrap();
    }
    let state = store.state();
    assert_eq!((position.sequence, position.head), (state.sequence, state.head));
}
