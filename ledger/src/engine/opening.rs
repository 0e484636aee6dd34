//! Bringing in accounts and agreements. Loading the same again changes nothing. What operators change (status, limits,
//! terms) stays as it is, whatever is loaded; other content under the same token or number is refused.

use ledger_model::{Account, AccountLimits, Agreement, Amount, Entry, LedgerAccount, ShardCount, Side};

use super::posting::post;
use super::{Changes, Defect};
use crate::books::{Books, HeldAccount};

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every one is new")]
pub enum Opened {
    New {
        entries: Vec<Entry>,
        changes: Changes,
    },
    Unchanged,
    /// It is there with another status or other limits.
    Kept,
    Refused(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every one is new")]
pub enum Recorded {
    New(Changes),
    Unchanged,
    /// It is there with another status or other terms.
    Kept,
    Refused(&'static str),
}

/// Opens an account with its opening balance, against the counter-account of opening balances. Its limits, where any are
/// said, are set afterwards by whoever calls this.
pub fn open_account(books: &impl Books, account: &Account, limits: Option<AccountLimits>) -> Result<Opened, Defect> {
    if let Some(known) = books.account(&account.token) {
        let other_limits = limits.is_some_and(|limits| books.limits(&account.token) != Some(limits));
        return Ok(loaded_again(known, account, other_limits));
    }
    let currency = account.balance.currency();
    let other = |limit: Amount| limit.currency() != currency;
    if limits.is_some_and(|limits| other(limits.single_max) || other(limits.daily_max)) {
        return Ok(Opened::Refused("its limits are in another currency than its balance"));
    }
    if account.balance.minor() < 0 {
        return Ok(Opened::Refused("an opening balance is not negative"));
    }
    let held = HeldAccount {
        account: account.clone(),
        opened_with: account.balance,
    };
    let Ok(amount) = Amount::new(account.balance.minor(), account.balance.currency()) else {
        // opened with nothing: no entries
        return Ok(Opened::New {
            entries: Vec::new(),
            changes: Changes {
                accounts: vec![held],
                ..Changes::default()
            },
        });
    };
    let entries = vec![
        Entry {
            account: LedgerAccount::OpeningBalances,
            side: Side::Debit,
            amount,
        },
        Entry {
            account: LedgerAccount::Customer(account.token),
            side: Side::Credit,
            amount,
        },
    ];
    let mut empty = held;
    empty.account.balance = ledger_model::Money::zero(amount.currency());
    let changes = Changes {
        accounts: vec![empty],
        ..Changes::default()
    };
    Ok(match post(books, &entries, changes)? {
        Ok(changes) => Opened::New { entries, changes },
        Err(_) => Opened::Refused("the books cannot hold the sum"),
    })
}

/// `other_limits`: it has other ones than those that are loaded; where none are, it may have any.
fn loaded_again(known: &HeldAccount, account: &Account, other_limits: bool) -> Opened {
    let as_loaded = Account {
        balance: known.opened_with,
        status: account.status,
        ..known.account.clone()
    };
    let is_as_set = known.account.status == account.status && !other_limits;
    match (as_loaded == *account, is_as_set) {
        (true, true) => Opened::Unchanged,
        (true, false) => Opened::Kept,
        (false, _) => Opened::Refused("the account is there with other content"),
    }
}

/// Records an agreement for an account that is there.
pub fn record_agreement(books: &impl Books, shards: ShardCount, agreement: &Agreement) -> Recorded {
    let home = shards.of_account(agreement.account);
    if shards.of_agreement(&agreement.number) != Some(home) {
        return Recorded::Refused("the number does not carry the shard of its account");
    }
    if let Some(known) = books.agreement(&agreement.number) {
        let same = (known.account, known.institution) == (agreement.account, agreement.institution);
        return match (same, known == agreement) {
            (true, true) => Recorded::Unchanged,
            (true, false) => Recorded::Kept,
            (false, _) => Recorded::Refused("the number is there with other content"),
        };
    }
    let Some(held) = books.account(&agreement.account) else {
        return Recorded::Refused("its account is not there");
    };
    let currency = held.account.balance.currency();
    let terms = &agreement.terms;
    if terms.single_max.currency() != currency || terms.daily_max.currency() != currency {
        return Recorded::Refused("its limits are in another currency than its account");
    }
    Recorded::New(Changes {
        agreements: vec![agreement.clone()],
        ..Changes::default()
    })
}
