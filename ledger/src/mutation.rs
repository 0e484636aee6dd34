//! Planted bugs, one for each rule the simulation watches over, to show that it would find them. Compiled under the
//! feature `mutations` only, which nothing but that proof switches on; even then none is there until a thread asks for it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use ledger_model::{Amount, Decision, HopState, Instruction, Refusal};

use crate::books::{Books, Remembered};
use crate::engine::{Changes, Closed, Recognised, Settlement, Verdict};
use crate::hopping::settlement::Step;
use crate::shard::Task;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// L1: a posting has one side only.
    OneSidedPosting,
    /// L1: the sides of a posting differ by the smallest sum.
    UnequalSides,
    /// L2: what is posted is not added to the sums of the shard.
    SumsForgotten,
    /// L3: a payment is posted though the balance is short of it.
    Overdraft,
    /// L4: what another shard holds under a key is not asked for.
    OtherShardsIgnored,
    /// L4: two posts of a key are under way at once.
    ClaimSharedOut,
    /// L4: a key that was decided is decided anew.
    RepeatDecidedAnew,
    /// Other content under a known key is told the decision.
    ConflictToldAsRepeat,
    /// L5: a number is left out.
    NumberSkipped,
    /// L5: a record does not name the one before.
    ChainCut,
    /// L6: records are offered for shipping before they are durable.
    OfferedEarly,
    /// S2: a group that was not written is answered as posted.
    UnwrittenToldAsPosted,
    /// S2: a group in doubt is answered as posted.
    DoubtToldAsPosted,
    /// S2: a group is answered though it was not synced.
    SyncLeftOut,
    /// A group in doubt is answered as if it could not post any more.
    DoubtDenied,
    /// The keys of a group in doubt are let go before it is settled.
    DoubtLetGo,
    /// A query denies a key whose post is under way.
    UnderWayDenied,
    /// Work whose deadline has passed is worked.
    ExpiredWorked,
    /// What is used of a day's limits is not counted.
    LimitNotCounted,
    /// What was refunded of a payment is not counted.
    RefundNotCounted,
    /// Refusals are given in another order.
    RefusalOutOfOrder,
    /// A torn end of the log is taken for a group.
    TornTailKept,
    /// A day that is closed takes postings.
    DayReopened,
    /// Settlement compares keys and not serials.
    SettledByKey,
    /// A hop is closed as compensated, and nothing is posted for it.
    CompensationSkipped,
    /// A hop is closed before its home has settled it.
    ClosedUnsettled,
    /// A shard is told to be fenced, and is not.
    FenceSkipped,
    /// What was advanced under an agreement does not count.
    StandInLimitIgnored,
    /// A query denies what it does not find while a shard group cannot be asked.
    DeniedWhileDown,
    /// An order that was not to be decided anew is.
    RecallDecidedAnew,
    /// An order is decided although its hop may lie in a group that went down since it was sent here.
    UnaskedForgotten,
    /// What may be at home is let go of once it was tried elsewhere.
    DoubtLostOnTheWay,
    /// Of several rows of a key the first is told.
    FirstFoundTold,
    /// A group in which a key was posted before is answered as posted.
    TakenKeyToldAsPosted,
    /// A carrier writes to a partition without having shut out whoever wrote to it before.
    NotTakenOver,
    /// A carrier goes on where it was before, whatever the partition ends with.
    EndNotBelieved,
    /// A partition that ends before what it had acknowledged is taken for whole.
    RecreatedUnnoticed,
}

impl Mutation {
    pub const ALL: [Self; 37] = [
        Self::OneSidedPosting,
        Self::UnequalSides,
        Self::SumsForgotten,
        Self::Overdraft,
        Self::OtherShardsIgnored,
        Self::ClaimSharedOut,
        Self::RepeatDecidedAnew,
        Self::ConflictToldAsRepeat,
        Self::NumberSkipped,
        Self::ChainCut,
        Self::OfferedEarly,
        Self::UnwrittenToldAsPosted,
        Self::DoubtToldAsPosted,
        Self::SyncLeftOut,
        Self::DoubtDenied,
        Self::DoubtLetGo,
        Self::UnderWayDenied,
        Self::ExpiredWorked,
        Self::LimitNotCounted,
        Self::RefundNotCounted,
        Self::RefusalOutOfOrder,
        Self::TornTailKept,
        Self::DayReopened,
        Self::SettledByKey,
        Self::CompensationSkipped,
        Self::ClosedUnsettled,
        Self::FenceSkipped,
        Self::StandInLimitIgnored,
        Self::DeniedWhileDown,
        Self::RecallDecidedAnew,
        Self::UnaskedForgotten,
        Self::DoubtLostOnTheWay,
        Self::FirstFoundTold,
        Self::TakenKeyToldAsPosted,
        Self::NotTakenOver,
        Self::EndNotBelieved,
        Self::RecreatedUnnoticed,
    ];
}

thread_local! {
    static PLANTED: Cell<Option<Mutation>> = const { Cell::new(None) };
}

/// What this thread does from now on has this bug, or none.
pub fn plant(mutation: Option<Mutation>) {
    PLANTED.set(mutation);
}

pub(crate) fn is(mutation: Mutation) -> bool {
    PLANTED.get() == Some(mutation)
}

/// What the engine decided, made wrong.
pub(crate) fn verdict(books: &impl Books, instruction: &Instruction, mut verdict: Verdict) -> Verdict {
    match PLANTED.get() {
        Some(Mutation::OneSidedPosting) => {
            let _other_side = verdict.entries.pop();
        }
        Some(Mutation::UnequalSides) => {
            if let Some(entry) = verdict.entries.last_mut() {
                let more = Amount::new(entry.amount.minor() + 1, entry.amount.currency());
                entry.amount = more.unwrap_or(entry.amount);
            }
        }
        Some(Mutation::SumsForgotten) => verdict.changes.totals.clear(),
        Some(Mutation::LimitNotCounted) => verdict.changes.usages.clear(),
        Some(Mutation::RefundNotCounted) => verdict.changes.refunded = None,
        Some(Mutation::RefusalOutOfOrder) if verdict.decision == Decision::Refused(Refusal::AccountFrozen) => {
            verdict.decision = Decision::Refused(Refusal::BalanceShort);
        }
        Some(Mutation::Overdraft) if verdict.decision == Decision::Refused(Refusal::BalanceShort) => {
            return overdraft(books, instruction, verdict);
        }
        _ => {}
    }
    verdict
}

/// Posts what the balance is short of, and leaves it below zero.
fn overdraft(books: &impl Books, instruction: &Instruction, refused: Verdict) -> Verdict {
    let held = refused.account.and_then(|token| books.account(&token));
    let (Some(held), Instruction::Payment(payment)) = (held, instruction) else {
        return refused;
    };
    let mut after = held.clone();
    let Ok(balance) = after.account.balance.minus(payment.amount.money()) else {
        return refused;
    };
    after.account.balance = balance;
    let entry = |account, side| ledger_model::Entry {
        account,
        side,
        amount: payment.amount,
    };
    let customer = ledger_model::LedgerAccount::Customer(after.account.token);
    let clearing = ledger_model::LedgerAccount::NetworkClearing(payment.batch);
    let mut posted = refused;
    posted.decision = Decision::Posted;
    posted.entries = vec![
        entry(customer, ledger_model::Side::Debit),
        entry(clearing, ledger_model::Side::Credit),
    ];
    posted.changes.accounts = vec![after];
    posted
}

/// What is known of a key, made wrong.
pub(crate) fn recognised<'a>(recognised: Recognised<'a>, remembered: Option<&'a Remembered>) -> Recognised<'a> {
    match (PLANTED.get(), recognised, remembered) {
        (Some(Mutation::RepeatDecidedAnew), Recognised::Repeat(_), _) => Recognised::New,
        (Some(Mutation::ConflictToldAsRepeat), Recognised::Conflict(_), Some(remembered)) => {
            Recognised::Repeat(&remembered.transfer)
        }
        (_, recognised, _) => recognised,
    }
}

/// What a hop comes to at its home, made wrong.
pub(crate) fn settlement(known: Option<&Remembered>, settlement: Settlement) -> Settlement {
    let is_posted = known.is_some_and(|known| known.transfer.decision == Decision::Posted);
    match settlement {
        Settlement::Known(_) if is_posted && is(Mutation::SettledByKey) => Settlement::Known(HopState::Settled),
        settlement => settlement,
    }
}

/// What closing a hop posts, made wrong.
pub(crate) fn closed(closed: Closed) -> Closed {
    match closed {
        Closed::New { .. } if is(Mutation::CompensationSkipped) => Closed::New {
            entries: Vec::new(),
            changes: Changes::default(),
        },
        closed => closed,
    }
}

/// Number of the last record in a partition that was known to have `known`, made wrong.
pub(crate) fn end(end: u64, known: u64) -> u64 {
    match PLANTED.get() {
        Some(Mutation::EndNotBelieved) => known,
        Some(Mutation::RecreatedUnnoticed) => end.max(known),
        _ => end,
    }
}

/// The next step of a hop, made wrong.
pub(crate) fn step(step: Step) -> Step {
    match (PLANTED.get(), step) {
        (Some(Mutation::ClosedUnsettled), Step::Settle) => Step::Close(HopState::Settled),
        (_, step) => step,
    }
}

/// What a shard is to do with an order, and whether its hop may be where nobody was asked, made wrong.
pub(crate) fn question(task: Task, is_open: bool) -> (Task, bool) {
    match (PLANTED.get(), task) {
        (Some(Mutation::RecallDecidedAnew), Task::Recall) => (Task::Decide, false),
        (Some(Mutation::UnaskedForgotten), task) => (task, false),
        (_, task) => (task, is_open),
    }
}

/// What time a shard takes it to be.
pub(crate) fn now(now: Instant) -> Instant {
    const LONG: Duration = Duration::from_secs(24 * 3600);
    let earlier = now.checked_sub(LONG).filter(|_| is(Mutation::ExpiredWorked));
    earlier.unwrap_or(now)
}
