//! The statement of one customer's account, from the journal alone.
//!
//! Days are those on which records were committed, China time. Entries before the period make up the opening balance,
//! entries after it only the balance now, which is what the state must say.

use ledger_journal::{Event, JournalRecord};
use ledger_model::{
    AccountToken, Amount, BankSerial, BatchId, BusinessDate, ChinaTime, LedgerAccount, Money, Side, Transfer,
    TransferKey, TransferKind,
};

/// Days of a statement, both included; open where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    pub from: Option<BusinessDate>,
    pub to: Option<BusinessDate>,
}

/// What brought an entry about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The account was opened with it.
    Opening,
    Transfer {
        key: TransferKey,
        kind: TransferKind,
        serial: BankSerial,
        batch: BatchId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementEntry {
    /// Of the journal record, in the account's shard.
    pub sequence: u64,
    pub committed_at: ChinaTime,
    pub cause: Cause,
    pub side: Side,
    pub amount: Amount,
    /// The other accounts of the posting.
    pub against: Vec<LedgerAccount>,
    /// After this entry.
    pub balance: Money,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub account: AccountToken,
    pub period: Period,
    /// When the account was opened, and its balances; none when it was not found.
    pub balances: Option<Balances>,
    pub entries: Vec<StatementEntry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balances {
    pub opened_at: ChinaTime,
    /// Before the first entry of the period.
    pub opening: Money,
    /// After the last entry of the period.
    pub closing: Money,
    /// After the last record read.
    pub now: Money,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatementFault {
    #[error("record {0} has an entry of the account before it was opened")]
    NotOpened(u64),
    #[error("record {0} moves the account in another currency, or beyond what can be held")]
    Sum(u64),
}

impl Statement {
    pub const fn new(account: AccountToken, period: Period) -> Self {
        Self {
            account,
            period,
            balances: None,
            entries: Vec::new(),
        }
    }

    /// Takes the next record of the account's shard.
    pub fn follow(&mut self, record: &JournalRecord) -> Result<(), StatementFault> {
        if let Event::AccountOpened { account, .. } = &record.event
            && account.token == self.account
        {
            let zero = Money::zero(account.balance.currency());
            self.balances = Some(Balances {
                opened_at: record.committed_at,
                opening: zero,
                closing: zero,
                now: zero,
            });
        }
        let entries = record.event.entries();
        let own = LedgerAccount::Customer(self.account);
        for entry in entries.iter().filter(|entry| entry.account == own) {
            let sequence = record.sequence;
            let balances = self.balances.as_mut().ok_or(StatementFault::NotOpened(sequence))?;
            let moved = match entry.side {
                Side::Credit => balances.now.plus(entry.amount.money()),
                Side::Debit => balances.now.minus(entry.amount.money()),
            };
            balances.now = moved.map_err(|_| StatementFault::Sum(sequence))?;
            let day = record.committed_at.date();
            if self.period.from.is_some_and(|from| day < from) {
                balances.opening = balances.now;
                balances.closing = balances.now;
            } else if self.period.to.is_none_or(|to| day <= to) {
                balances.closing = balances.now;
                let against = entries
                    .iter()
                    .map(|other| other.account)
                    .filter(|account| *account != own);
                self.entries.push(StatementEntry {
                    sequence,
                    committed_at: record.committed_at,
                    cause: Cause::of(&record.event),
                    side: entry.side,
                    amount: entry.amount,
                    against: against.collect(),
                    balance: balances.now,
                });
            }
        }
        Ok(())
    }
}

impl Cause {
    fn of(event: &Event) -> Self {
        match event {
            Event::AccountOpened { .. } | Event::AgreementRecorded { .. } | Event::Administered { .. } => Self::Opening,
            Event::TransferDecided { transfer, .. }
            | Event::TransferHopped { transfer, .. }
            | Event::HopSettled { transfer, .. }
            | Event::HopClosed { transfer, .. } => Self::by(transfer),
        }
    }

    fn by(transfer: &Transfer) -> Self {
        Self::Transfer {
            key: transfer.key,
            kind: transfer.kind,
            serial: transfer.serial,
            batch: transfer.batch,
        }
    }
}
