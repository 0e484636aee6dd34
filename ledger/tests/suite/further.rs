//! One of everything beyond payments, refunds and payouts, over one store: limits, an operator's acts, adjustments, hops.

use std::collections::BTreeSet;

use ledger::books::{Arrival, HopRow, Said};
use ledger::engine::HopOrder;
use ledger::shard::group::{
    Act, Working, wanted_by_act, wanted_by_closing, wanted_by_hop, wanted_by_settlement_first,
    wanted_by_settlement_second, wanted_first, wanted_second,
};
use ledger::store::Store;
use ledger::view::{Rows, Wanted};
use ledger_model::{
    AccountLimits, AccountStatus, Administration, BankSerial, Decision, Hop, HopState, Instruction, Refusal, ShardId,
    Transfer,
};

use crate::bank::{
    self, SHARDS, amount, details, elsewhere_than, key, now, payment, payout, reversal, sealed, supplement, token,
};
use crate::conformance::work_in_steps;

/// Another shard than this one.
fn other(shard: ShardId) -> ShardId {
    SHARDS.all().find(|one| *one != shard).unwrap()
}

fn limits() -> AccountLimits {
    AccountLimits {
        single_max: amount("CNY40.00"),
        daily_max: amount("CNY50.00"),
        daily_count_max: 5,
    }
}

fn posts(number: u64) -> [Instruction; 4] {
    let paid = payment(5_001, number, 1_000);
    let taken_back = reversal(5_002, &paid);
    [
        paid,
        taken_back,
        supplement(5_003, number, 250),
        payment(5_004, number, 4_001),
    ]
}

/// Payouts that are for another shard, and are taken in here.
fn hopping(number: u64) -> [Instruction; 3] {
    [5_005, 5_006, 5_007].map(|id| payout(id, elsewhere_than(number), 77))
}

fn order(home: ShardId) -> HopOrder {
    let hop = Hop {
        home,
        attempt: 1,
        epoch: 3,
    };
    HopOrder { hop, stand_in: None }
}

/// Taken in by another shard, for an account of this one.
fn hopped(number: u64, id: u64, state: HopState, here: ShardId) -> HopRow {
    let instruction = payout(id, number, 55);
    HopRow {
        transfer: Transfer {
            key: *instruction.key(),
            kind: instruction.kind(),
            amount: instruction.amount(),
            batch: instruction.batch(),
            institution: instruction.institution(),
            agreement: None,
            account: Some(token(number)),
            original: None,
            details: details(),
            decision: Decision::Posted,
            serial: BankSerial::issue(now().date(), other(here), id),
            decided_at: now(),
        },
        said: Said::by(&instruction),
        hop: order(here).hop,
        state,
    }
}

fn act(store: &mut dyn Store, act: &Administration) {
    let (operator, reason) = ("li.wei".parse().unwrap(), "case 4711".parse().unwrap());
    work_in_steps(
        store,
        |wanted| wanted_by_act(act, wanted),
        |_, _| {},
        |working| assert_eq!(working.administer(act, &operator, &reason), Act::Done),
    );
}

fn post_all(store: &mut dyn Store, instructions: &[Instruction]) {
    work_in_steps(
        store,
        |wanted| {
            for instruction in instructions {
                wanted_first(instruction, wanted);
            }
        },
        |working, wanted| {
            let view = working.view();
            let each = instructions.iter();
            each.for_each(|instruction| wanted_second(instruction, view, wanted));
        },
        |working| {
            for instruction in instructions {
                working.post(instruction, sealed(instruction), None).unwrap();
            }
        },
    );
}

pub(crate) fn take_in(store: &mut dyn Store, instructions: &[Instruction]) {
    let order = order(other(store.state().shard));
    work_in_steps(
        store,
        |wanted| {
            for instruction in instructions {
                wanted_by_hop(instruction, wanted);
            }
        },
        |_, _| {},
        |working| {
            for instruction in instructions {
                let sealed = sealed(instruction);
                working.accept_hop(instruction, sealed, None, &order).unwrap();
            }
        },
    );
}

fn settle(store: &mut dyn Store, row: &HopRow) -> HopState {
    let mut state = None;
    work_in_steps(
        store,
        |wanted| wanted_by_settlement_first(row, wanted),
        |working, wanted| wanted_by_settlement_second(row, working.view(), wanted),
        |working| state = Some(working.settle_hop(row).unwrap()),
    );
    state.unwrap()
}

pub(crate) fn close(store: &mut dyn Store, instruction: &Instruction, state: HopState) {
    let homes = SHARDS.all().collect();
    let rows = store.open_hops(&homes, 9).unwrap().rows;
    let row = rows.iter().find(|row| row.transfer.key == *instruction.key()).unwrap();
    work_in_steps(
        store,
        |wanted| wanted_by_closing(row, wanted),
        |_, _| {},
        |working: &mut Working| working.close_hop(&row.transfer.key, state).unwrap(),
    );
}

/// Does one of everything with an account that is open and holds enough.
pub(crate) fn change_everything(store: &mut dyn Store, number: u64) {
    let shard = store.state().shard;
    let account = token(number);
    let limits = Some(limits());
    act(store, &Administration::AccountLimits { account, limits });
    post_all(store, &posts(number));
    let [open, unapplied, compensated] = hopping(number);
    take_in(store, &[open, unapplied.clone(), compensated.clone()]);
    close(store, &unapplied, HopState::Unapplied(Refusal::NoSuchAccount));
    close(store, &compensated, HopState::Compensated);
    let settled = settle(store, &hopped(number, 5_008, HopState::Open, shard));
    assert_eq!(settled, HopState::Settled);
    let status = AccountStatus::Frozen;
    act(store, &Administration::AccountStatus { account, status });
    let unapplied = settle(store, &hopped(number, 5_009, HopState::Open, shard));
    assert_eq!(unapplied, HopState::Unapplied(Refusal::AccountFrozen));
}

/// A payout to an account that takes none.
pub(crate) fn refuse(store: &mut dyn Store, number: u64, id: u64) {
    post_all(store, &[payout(id, number, 55)]);
    let known = store.reader().transfer(&key("0120", id)).unwrap().unwrap();
    assert_eq!(known.arrival, Arrival::Direct);
    assert_ne!(known.transfer.decision, Decision::Posted);
}

/// What was refused here comes home as two hops: the first is remembered from then on.
pub(crate) fn replace_refusal(store: &mut dyn Store, number: u64, id: u64) {
    let shard = store.state().shard;
    let reader = store.reader();
    let refused = reader.transfer(&key("0120", id)).unwrap().unwrap();
    let Decision::Refused(refusal) = refused.transfer.decision else {
        panic!("it was refused")
    };
    let first = hopped(number, id, HopState::Open, shard);
    let mut second = first.clone();
    second.transfer.serial = BankSerial::issue(now().date(), other(shard), id + 1);
    for _ in 0..2 {
        assert_eq!(settle(store, &first), HopState::Unapplied(refusal));
        assert_eq!(settle(store, &second), HopState::Compensated);
    }
    is_replaced(store, number, id);
    let settled = reader.transfer(&key("0120", id)).unwrap().unwrap();
    assert!(settled.sequence > refused.sequence);
    assert_eq!(reader.transfers(&[key("0120", id)]).unwrap(), [settled]);
}

/// The hop is what is known under the key, wherever the shard lives.
pub(crate) fn is_replaced(store: &dyn Store, number: u64, id: u64) {
    let first = hopped(number, id, HopState::Open, store.state().shard);
    let known = store.reader().transfer(&key("0120", id)).unwrap().unwrap();
    assert_eq!(known.transfer, first.transfer);
    assert!(matches!(known.arrival, Arrival::Settled(Decision::Refused(_))));
}

/// All rows that it left, and those of the instructions before it.
pub(crate) fn rows_of_everything(store: &dyn Store, number: u64) -> Rows {
    let mut wanted = Wanted::default();
    for instruction in posts(number) {
        wanted_first(&instruction, &mut wanted);
    }
    for instruction in hopping(number) {
        wanted_by_hop(&instruction, &mut wanted);
    }
    wanted.transfers.extend([key("0120", 5_008), key("0120", 5_009)]);
    wanted.accounts.push(token(number));
    wanted.limits.push(token(number));
    wanted.agreements.push(bank::agreement_number(number));
    let working = Working::over(SHARDS, store.state().clone(), now());
    let wanted = working.view().missing(wanted);
    store.fetch(&wanted).unwrap()
}

/// What is to be seen of [`change_everything`] in a store, now or after it was opened again.
pub(crate) fn holds_everything(store: &dyn Store, number: u64) {
    let rows = rows_of_everything(store, number);
    assert_eq!(rows.limits, [(token(number), Some(limits()))]);
    let found = |category: &str, id| {
        let reader = store.reader();
        let row = reader.transfer(&key(category, id)).unwrap().unwrap();
        assert!(rows.transfers.contains(&row));
        row
    };
    assert!(found("0110", 5_001).reversed);
    let over = Decision::Refused(Refusal::OverAccountSingleAmount);
    assert_eq!(found("0110", 5_004).transfer.decision, over);
    assert_eq!(found("9002", 5_003).said, Said::by(&supplement(5_003, number, 250)));
    assert_eq!(found("0120", 5_005).arrival, Arrival::Hopped);
    let posted = Arrival::Settled(Decision::Posted);
    assert_eq!(found("0120", 5_008).arrival, posted);
    let refused = Arrival::Settled(Decision::Refused(Refusal::AccountFrozen));
    assert_eq!(found("0120", 5_009).arrival, refused);
    assert_eq!(found("0120", 5_009).transfer.decision, Decision::Posted);
    let states: Vec<HopState> = rows.hops.iter().map(|row| row.state).collect();
    let unapplied = HopState::Unapplied(Refusal::NoSuchAccount);
    assert_eq!(states, [HopState::Open, unapplied, HopState::Compensated]);
    let home = rows.hops[0].hop.home;
    let (of_home, of_none) = (BTreeSet::from([home]), BTreeSet::new());
    let open = store.open_hops(&of_home, 9).unwrap();
    assert_eq!(open.rows, rows.hops[..1]);
    assert_eq!(open.tally[&home].count, 1);
    assert_eq!(store.open_hops(&of_home, 0).unwrap().rows, []);
    let told_alone = store.open_hops(&of_none, 9).unwrap();
    assert_eq!((told_alone.rows, told_alone.tally), (Vec::new(), open.tally));
    assert_eq!(store.unapplied_hops(9).unwrap(), rows.hops[1..2]);
    assert_eq!(rows.accounts[0].account.status, AccountStatus::Frozen);
}
