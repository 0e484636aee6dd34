//! Which rows a piece of work may touch. They are fetched in two steps: rows that the work names, then rows that those
//! name in turn.

use ledger_model::{Account, Administration, Agreement, BusinessDate, Instruction, SupplementAgainst, UsageSubject};
use ledger_protocol::NewAccount;

use crate::books::{Books, HopRow, InternalAccount, UsageKey};
use crate::engine::{account_named, agreement_named};
use crate::view::Wanted;

/// Rows an instruction names itself.
pub fn wanted_first(instruction: &Instruction, wanted: &mut Wanted) {
    wanted.transfers.push(*instruction.key());
    wanted_beside_key(instruction, wanted);
}

/// As [`wanted_first`], of an instruction whose key is taken to be new.
pub fn wanted_by_new(instruction: &Instruction, wanted: &mut Wanted) {
    wanted.new.push(*instruction.key());
    wanted_beside_key(instruction, wanted);
}

fn wanted_beside_key(instruction: &Instruction, wanted: &mut Wanted) {
    wanted.transfers.extend(instruction.original());
    wanted.agreements.extend(agreement_named(instruction));
    wanted.accounts.extend(account_named(instruction));
    let currency = instruction.amount().currency();
    let clearing = InternalAccount::NetworkClearing(instruction.batch());
    wanted.internal.push(clearing.in_currency(currency));
    match instruction {
        Instruction::Payment(payment) => {
            let subject = UsageSubject::Agreement(payment.agreement);
            let date = payment.ordered_at.date();
            wanted.usages.push(UsageKey { subject, date });
        }
        Instruction::Supplement(supplement) => {
            wanted.internal.extend(counter(supplement.against, instruction));
        }
        Instruction::Refund(_) | Instruction::Payout(_) | Instruction::Reversal(_) => {}
    }
}

/// Rows that those name in turn.
pub fn wanted_second(instruction: &Instruction, books: &impl Books, wanted: &mut Wanted) {
    if let Some(agreement) = agreement_named(instruction).and_then(|number| books.agreement(&number)) {
        wanted.accounts.push(agreement.account);
        if let Instruction::Payment(payment) = instruction {
            payer(agreement, payment.ordered_at.date(), wanted);
        }
    }
    let original = instruction.original().and_then(|original| books.transfer(&original));
    if let Some(original) = original {
        wanted.accounts.extend(original.transfer.account);
        if let Instruction::Reversal(_) = instruction {
            // the payment of a refund that is reversed, the counter-account of a supplement
            wanted.transfers.extend(original.transfer.original);
            let posting = original.said.supplement;
            wanted
                .internal
                .extend(posting.and_then(|posting| counter(posting.against, instruction)));
        }
    }
}

/// The payer's own limits.
fn payer(agreement: &Agreement, date: BusinessDate, wanted: &mut Wanted) {
    wanted.limits.push(agreement.account);
    let subject = UsageSubject::Account(agreement.account);
    wanted.usages.push(UsageKey { subject, date });
}

fn counter(against: SupplementAgainst, instruction: &Instruction) -> Option<crate::books::InternalKey> {
    let account = InternalAccount::of(against.account(instruction.batch())).ok()?;
    Some(account.in_currency(instruction.amount().currency()))
}

/// Rows touched by opening an account.
pub fn wanted_by_account(account: &Account, wanted: &mut Wanted) {
    wanted.accounts.push(account.token);
    let opening = InternalAccount::OpeningBalances;
    wanted.internal.push(opening.in_currency(account.balance.currency()));
}

/// Rows touched by opening an account that may come with limits.
pub fn wanted_by_loading(new: &NewAccount, wanted: &mut Wanted) {
    wanted_by_account(&new.account, wanted);
    wanted.limits.extend(new.limits.map(|_| new.account.token));
}

/// Rows touched by recording an agreement.
pub fn wanted_by_agreement(agreement: &Agreement, wanted: &mut Wanted) {
    wanted.accounts.push(agreement.account);
    wanted.agreements.push(agreement.number);
}

/// Rows touched by an operator's act; it names them all.
pub fn wanted_by_act(act: &Administration, wanted: &mut Wanted) {
    wanted.agreements.extend(act.agreement());
    wanted.accounts.extend(act.account());
    if let Administration::AccountLimits { account, .. } = act {
        wanted.limits.push(*account);
    }
}

/// Rows touched by taking a transfer in for its home; it names them all.
pub fn wanted_by_hop(instruction: &Instruction, wanted: &mut Wanted) {
    wanted.transfers.push(*instruction.key());
    wanted.hops.push(*instruction.key());
    let currency = instruction.amount().currency();
    let internal = [
        InternalAccount::NetworkClearing(instruction.batch()),
        InternalAccount::Suspense,
        InternalAccount::StandInAdvance,
    ];
    wanted
        .internal
        .extend(internal.map(|account| account.in_currency(currency)));
    if let Instruction::Payment(payment) = instruction {
        let subject = UsageSubject::StandIn(payment.agreement);
        let date = payment.ordered_at.date();
        wanted.usages.push(UsageKey { subject, date });
    }
}

/// Rows touched by closing a hop where it was taken in.
pub fn wanted_by_closing(row: &HopRow, wanted: &mut Wanted) {
    wanted.hops.push(row.transfer.key);
    let currency = row.transfer.amount.currency();
    let internal = [
        InternalAccount::NetworkClearing(row.transfer.batch),
        InternalAccount::Suspense,
        InternalAccount::StandInAdvance,
    ];
    wanted
        .internal
        .extend(internal.map(|account| account.in_currency(currency)));
}

/// Rows touched by settling a hop at home: those it names, and, once these are there, those that they name.
pub fn wanted_by_settlement_first(row: &HopRow, wanted: &mut Wanted) {
    let transfer = &row.transfer;
    wanted.transfers.push(transfer.key);
    wanted.agreements.extend(transfer.agreement);
    wanted.accounts.extend(transfer.account);
    let currency = transfer.amount.currency();
    let internal = [InternalAccount::Suspense, InternalAccount::StandInAdvance];
    wanted
        .internal
        .extend(internal.map(|account| account.in_currency(currency)));
    if let Some(agreement) = transfer.agreement {
        let subject = UsageSubject::Agreement(agreement);
        let date = row.said.ordered_at.date();
        wanted.usages.push(UsageKey { subject, date });
    }
}

/// The second step of [`wanted_by_settlement_first`].
pub fn wanted_by_settlement_second(row: &HopRow, books: &impl Books, wanted: &mut Wanted) {
    if let Some(agreement) = row.transfer.agreement.and_then(|number| books.agreement(&number)) {
        wanted.accounts.push(agreement.account);
        payer(agreement, row.said.ordered_at.date(), wanted);
    }
}
