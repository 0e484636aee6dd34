//! The rows the books are made of, and the view of them that a decision is taken over.
//!
//! Rows are values. Where they are kept is the store's affair, which of them changed in a group is the affair of
//! [`View`](crate::view::View); the engine only reads.

use ledger_model::{
    Account, AccountLimits, AccountToken, Agreement, AgreementNumber, Amount, BankSerial, BatchId, BusinessDate,
    ChinaTime, Currency, Decision, Entry, Hop, HopState, Instruction, LedgerAccount, Money, NameToken, Payee, Side,
    SupplementAgainst, Transfer, TransferKey, UsageSubject,
};

/// An account as it stands, and what it was opened with, so that a second load of the same file is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAccount {
    pub account: Account,
    pub opened_with: Money,
}

/// The idempotency record: a decided transfer, and what its message said beyond it, so that a resend of the same
/// content can be told from another message under the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Number of the journal record that decided it.
    pub sequence: u64,
    pub transfer: Transfer,
    pub said: Said,
    pub arrival: Arrival,
    /// Sum of the refunds posted for it, in minor units of its currency.
    pub refunded_minor: i64,
    /// Taken back wholly by the bank; then nothing of it is refunded.
    pub reversed: bool,
}

/// Which of the rows of one key in several shards says what the key is told, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precedence {
    /// Refused at home.
    Refused,
    /// Taken in elsewhere and answered as posted, which stays so if the home has refused it, or refuses it later.
    TakenIn,
    /// Posted or settled at home: its last word.
    Last,
}

/// How a transfer came into the books of the shard that remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Decided here.
    Direct,
    /// Taken in here for its home, which could not be reached.
    Hopped,
    /// Taken in by another shard and settled here, with this decision. What was answered stands in the transfer.
    Settled(Decision),
}

/// Fields of an instruction that the transfer in the books does not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    pub ordered_at: ChinaTime,
    /// Of a payout to an account.
    pub name: Option<NameToken>,
    /// Of a refund.
    pub original_amount: Option<Amount>,
    pub original_serial: Option<BankSerial>,
    /// Of a supplement.
    pub supplement: Option<SupplementPosting>,
}

/// Which way a supplement goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupplementPosting {
    /// Of the customer's account.
    pub side: Side,
    pub against: SupplementAgainst,
}

/// A transfer taken in for another shard, in the shard that took it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HopRow {
    /// As it was answered.
    pub transfer: Transfer,
    pub said: Said,
    pub hop: Hop,
    pub state: HopState,
}

/// What was used in a day is counted under this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageKey {
    pub subject: UsageSubject,
    pub date: BusinessDate,
}

/// Payments posted in a day; minor units of the subject's currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub count: u32,
    pub sum_minor: i64,
}

/// The ledger's own accounts: all but the customers'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InternalAccount {
    NetworkClearing(BatchId),
    OpeningBalances,
    Suspense,
    Fee,
    StandInAdvance,
}

/// One of the ledger's own accounts, in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InternalKey {
    pub account: InternalAccount,
    pub currency: Currency,
}

/// Sums of one side and the other, minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sides {
    pub debit_minor: i64,
    pub credit_minor: i64,
}

/// What the engine reads. Every row an instruction may touch has been brought in before it is decided.
pub trait Books {
    fn account(&self, token: &AccountToken) -> Option<&HeldAccount>;
    /// `None` where the account has none.
    fn limits(&self, token: &AccountToken) -> Option<AccountLimits>;
    fn agreement(&self, number: &AgreementNumber) -> Option<&Agreement>;
    fn transfer(&self, key: &TransferKey) -> Option<&Remembered>;
    fn hop(&self, key: &TransferKey) -> Option<&HopRow>;
    /// Zero where nothing was used yet.
    fn usage(&self, key: &UsageKey) -> Usage;
    /// Zero where nothing was posted yet.
    fn internal(&self, key: &InternalKey) -> Sides;
    /// The last business date that is closed; none of its batches, or of an earlier date's, takes a posting any more.
    fn closed_through(&self) -> Option<BusinessDate>;
    /// Over all entries of the shard.
    fn totals(&self, currency: Currency) -> Sides;
}

impl Remembered {
    pub const fn precedence(&self) -> Precedence {
        match (self.arrival, self.transfer.decision) {
            (Arrival::Hopped, _) => Precedence::TakenIn,
            (Arrival::Direct, Decision::Refused(_)) => Precedence::Refused,
            (Arrival::Direct, Decision::Posted) | (Arrival::Settled(_), _) => Precedence::Last,
        }
    }

    /// Whether its home has refused it, without having been asked to settle it.
    pub fn is_refused(&self) -> bool {
        self.precedence() == Precedence::Refused
    }
}

impl HopRow {
    /// Nothing more comes of it: it waits neither for its home nor for an operator. It is kept as long as the record of its
    /// transfer is.
    pub const fn is_over(&self) -> bool {
        match self.state {
            HopState::Open | HopState::Unapplied(_) => false,
            HopState::Settled | HopState::Compensated => true,
        }
    }
}

impl InternalAccount {
    /// Where it is a customer's account, the customer's token.
    pub const fn of(account: LedgerAccount) -> Result<Self, AccountToken> {
        match account {
            LedgerAccount::Customer(token) => Err(token),
            LedgerAccount::NetworkClearing(batch) => Ok(Self::NetworkClearing(batch)),
            LedgerAccount::OpeningBalances => Ok(Self::OpeningBalances),
            LedgerAccount::Suspense => Ok(Self::Suspense),
            LedgerAccount::Fee => Ok(Self::Fee),
            LedgerAccount::StandInAdvance => Ok(Self::StandInAdvance),
        }
    }

    pub const fn in_currency(self, currency: Currency) -> InternalKey {
        InternalKey {
            account: self,
            currency,
        }
    }
}

impl Sides {
    /// `None` when the sum cannot be held.
    pub fn plus(self, entry: &Entry) -> Option<Self> {
        let minor = entry.amount.minor();
        match entry.side {
            Side::Debit => Some(Self {
                debit_minor: self.debit_minor.checked_add(minor)?,
                ..self
            }),
            Side::Credit => Some(Self {
                credit_minor: self.credit_minor.checked_add(minor)?,
                ..self
            }),
        }
    }
}

impl Said {
    pub const fn by(instruction: &Instruction) -> Self {
        let said = Self {
            ordered_at: instruction.ordered_at(),
            name: None,
            original_amount: None,
            original_serial: None,
            supplement: None,
        };
        match instruction {
            Instruction::Payment(_) | Instruction::Reversal(_) => said,
            Instruction::Refund(refund) => Self {
                original_amount: Some(refund.original_amount),
                original_serial: refund.original_serial,
                ..said
            },
            Instruction::Payout(payout) => Self {
                name: match payout.payee {
                    Payee::Account { name, .. } => Some(name),
                    Payee::Agreement(_) => None,
                },
                ..said
            },
            Instruction::Supplement(supplement) => Self {
                supplement: Some(SupplementPosting {
                    side: supplement.side,
                    against: supplement.against,
                }),
                ..said
            },
        }
    }
}
