//! Double entry: from entries to the rows they leave behind.
//!
//! Every posting goes through here, so invariants L1 (a posting debits and credits the same money) and L3 (no customer
//! balance below zero) are checked once, for all kinds of posting there are or will be.

use ledger_model::{Account, AccountToken, Amount, BatchId, Decision, Entry, Invariant, LedgerAccount, Refusal, Side};

use super::{Changes, Defect, Verdict};
use crate::books::{Books, HeldAccount, InternalAccount};

/// A customer's account on this side, another of the ledger's accounts on the other.
pub(super) fn against(token: AccountToken, side: Side, amount: Amount, other: LedgerAccount) -> Vec<Entry> {
    vec![
        Entry {
            account: LedgerAccount::Customer(token),
            side,
            amount,
        },
        Entry {
            account: other,
            side: side.other(),
            amount,
        },
    ]
}

/// A customer's account against the network's clearing account of the batch.
pub(super) fn against_clearing(token: AccountToken, side: Side, amount: Amount, batch: BatchId) -> Vec<Entry> {
    against(token, side, amount, LedgerAccount::NetworkClearing(batch))
}

/// The verdict that posts `entries`, with `changes` of other rows besides. Refused where the books cannot hold a sum.
pub(super) fn posted(
    books: &impl Books,
    account: &Account,
    entries: Vec<Entry>,
    changes: Changes,
) -> Result<Verdict, Defect> {
    let account = Some(account.token);
    match post(books, &entries, changes)? {
        Ok(changes) => Ok(Verdict {
            decision: Decision::Posted,
            account,
            entries,
            changes,
        }),
        Err(refusal) => Ok(Verdict::refused(refusal, account)),
    }
}

/// Adds to `changes` what `entries` change. An account appears in at most one entry.
pub(super) fn post(
    books: &impl Books,
    entries: &[Entry],
    mut changes: Changes,
) -> Result<Result<Changes, Refusal>, Defect> {
    check_balanced(entries)?;
    for entry in entries {
        let currency = entry.amount.currency();
        let fits = match InternalAccount::of(entry.account) {
            Err(token) => {
                let held = match changes.accounts.iter().position(|held| held.account.token == token) {
                    Some(place) => Some(changes.accounts.swap_remove(place)),
                    None => books.account(&token).cloned(),
                };
                let held = held.ok_or(Defect {
                    invariant: Invariant::L1,
                    what: "an entry names no account",
                })?;
                moved(held, entry)?.map(|held| changes.accounts.push(held))
            }
            Ok(account) => {
                let key = account.in_currency(currency);
                let sums = books.internal(&key).plus(entry);
                sums.map(|sums| changes.internal.push((key, sums)))
            }
        };
        let totals = match changes.totals.iter().position(|(known, _)| *known == currency) {
            Some(place) => changes.totals.swap_remove(place).1,
            None => books.totals(currency),
        };
        let (Some(()), Some(totals)) = (fits, totals.plus(entry)) else {
            return Ok(Err(Refusal::BalanceOutOfRange));
        };
        changes.totals.push((currency, totals));
    }
    Ok(Ok(changes))
}

/// A customer's account is a liability: a credit raises it. `None` when the balance cannot be held.
fn moved(mut held: HeldAccount, entry: &Entry) -> Result<Option<HeldAccount>, Defect> {
    let balance = held.account.balance;
    let after = match entry.side {
        Side::Credit => balance.plus(entry.amount.money()),
        Side::Debit => balance.minus(entry.amount.money()),
    };
    let Ok(after) = after else {
        return Ok(None);
    };
    if after.minor() < 0 {
        return Err(Defect {
            invariant: Invariant::L3,
            what: "a balance would fall below zero",
        });
    }
    held.account.balance = after;
    Ok(Some(held))
}

fn check_balanced(entries: &[Entry]) -> Result<(), Defect> {
    let broken = |what| Defect {
        invariant: Invariant::L1,
        what,
    };
    let mut sums: Vec<(ledger_model::Currency, i128)> = Vec::new();
    for entry in entries {
        let currency = entry.amount.currency();
        let minor = i128::from(entry.amount.minor());
        let signed = match entry.side {
            Side::Debit => minor,
            Side::Credit => -minor,
        };
        match sums.iter_mut().find(|(known, _)| *known == currency) {
            Some((_, sum)) => *sum += signed,
            None => sums.push((currency, signed)),
        }
    }
    if entries.is_empty() {
        return Err(broken("a posting has no entries"));
    }
    if sums.iter().any(|(_, sum)| *sum != 0) {
        return Err(broken("debits and credits of a posting differ"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ledger_model::Currency;

    use super::*;

    fn entry(side: Side, minor: i64, code: &str) -> Entry {
        let amount = Amount::new(minor, code.parse::<Currency>().unwrap()).unwrap();
        Entry {
            account: LedgerAccount::OpeningBalances,
            side,
            amount,
        }
    }

    fn check(entries: &[Entry], balanced: bool) {
        let expected = if balanced { None } else { Some(Invariant::L1) };
        assert_eq!(
            check_balanced(entries).err().map(|defect| defect.invariant),
            expected,
            "{entries:?}"
        );
    }

    #[test]
    fn debits_and_credits_of_a_posting_are_the_same_money() {
        check(&[entry(Side::Debit, 5, "CNY"), entry(Side::Credit, 5, "CNY")], true);
        check(
            &[
                entry(Side::Debit, 5, "CNY"),
                entry(Side::Credit, 2, "CNY"),
                entry(Side::Credit, 3, "CNY"),
            ],
            true,
        );
        check(&[entry(Side::Debit, 5, "CNY"), entry(Side::Credit, 4, "CNY")], false);
        check(&[entry(Side::Debit, 5, "CNY"), entry(Side::Credit, 5, "USD")], false);
        check(&[entry(Side::Debit, 5, "CNY"), entry(Side::Debit, 5, "CNY")], false);
        check(&[], false);
    }
}
