//! What administrators ask and are answered.

mod acts;
mod adjustments;
mod groups;
mod releases;
mod states;

use ledger_model::{
    Account, AccountLimits, Administration, Agreement, BusinessDate, ContentField, Decision, Entry, Instruction, Money,
    Operator, Reason, Transfer,
};

pub(crate) use self::acts::limits;
use crate::reply::NothingPosted;

pub use self::groups::{MovedShard, MovingShard, OrderedRegrouping, RegroupOrder, Regrouped, ShardGroup, ShardGroups};
pub use self::releases::{JournalBase, ReleaseOrder, ReleasedRecords, Releasing};

/// One act on an account or agreement, who ordered it, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdministerOrder {
    pub act: Administration,
    pub operator: Operator,
    pub reason: Reason,
}

/// Where the journal says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalPlace {
    pub shard: u8,
    pub sequence: u64,
}

/// What came of an act, durable when it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Administered {
    Done(JournalPlace),
    /// It was so already; nothing is recorded.
    Unchanged,
    /// Nothing was changed; why.
    Refused(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdjustmentMode {
    Post,
    /// Decide it over the books as they stand, and post nothing.
    DryRun,
}

/// A reversal or a supplement, ordered by two people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    pub order: Instruction,
    pub maker: Operator,
    /// Somebody else.
    pub checker: Operator,
    pub reason: Reason,
    pub mode: AdjustmentMode,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every answer is the large one")]
pub enum Adjusted {
    Decided {
        transfer: Transfer,
        repeat: bool,
    },
    Conflict(ContentField),
    /// Not known in time; the same order again tells.
    InProcess,
    NothingPosted(NothingPosted),
    Rehearsed(Rehearsed),
}

/// What would be posted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    pub decision: Decision,
    pub entries: Vec<Entry>,
}

/// Payments counted in a day, minor units of the account's currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    pub count: u32,
    pub minor: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountState {
    pub account: Account,
    pub opened_with: Money,
    pub limits: Option<AccountLimits>,
    /// Against the limits, today.
    pub used_today: Used,
    pub shard: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementState {
    pub agreement: Agreement,
    pub used_today: Used,
    pub shard: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseDayOrder {
    pub date: BusinessDate,
    pub operator: Operator,
    pub reason: Reason,
}

/// How far a shard is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedShard {
    pub shard: u8,
    /// `None` before any date was closed.
    pub closed_through: Option<BusinessDate>,
    /// Of the journal record that says so, where it was written just now.
    pub sequence: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closing {
    Closed(Vec<ClosedShard>),
    /// Nothing was closed; why.
    Refused(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayStatus {
    /// Of now.
    pub business_date: BusinessDate,
    pub shards: Vec<ClosedShard>,
}
