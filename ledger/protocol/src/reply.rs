//! What the ledger is given beside the instruction, and what it answers.

use std::fmt;

use ledger_model::{BusinessDate, ContentField, Currency, Money, Transfer};

use crate::administration::JournalBase;
use crate::shipping::ShipReport;

/// The request as it was signed, kept with the posting. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Evidence {
    pub signed: Vec<u8>,
    pub signature: Vec<u8>,
    pub signing_serial: String,
}

/// What came of a post. There is no error: that the outcome is not known is an outcome too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every reply is the large one")]
pub enum PostReply {
    /// `repeat`: the same message was decided before, and this is its stored outcome.
    Decided { transfer: Transfer, repeat: bool },
    /// The key was used before for other content; nothing was posted.
    Conflict(ContentField),
    /// May or may not have posted; a later query tells.
    Unknown,
    /// Definite.
    NothingPosted(NothingPosted),
}

/// Why nothing was posted. All of them may be tried again, but for `MalformedWork`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NothingPosted {
    /// The deadline passed before the ledger began.
    Expired,
    Busy,
    /// The store could not be read.
    Store,
    /// A debit whose home cannot be reached.
    HomeDown,
    /// The work was not as the contract says.
    MalformedWork,
    /// It never left this process.
    NotSent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every reply is the large one")]
pub enum QueryReply {
    Found(Transfer),
    NotFound,
    /// Being decided right now.
    InProcess,
    /// The ledger could not be asked, or not in time.
    Unavailable,
}

/// How far one shard has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardPosition {
    pub shard: u8,
    /// Number of the last committed record, 0 before the first.
    pub sequence: u64,
    /// SHA-256 of that record.
    pub head: [u8; 32],
    /// Number of the last record that Kafka acknowledged.
    pub shipped: u64,
    pub transfers_posted: u64,
    pub transfers_refused: u64,
    pub sums: Vec<CurrencySum>,
    /// Absent where nothing is shipped.
    pub shipping: Option<ShipReport>,
    /// The last business date that is closed.
    pub closed_through: Option<BusinessDate>,
    /// Absent where the journal begins with record 1.
    pub base: Option<JournalBase>,
}

/// A committed record, encoded, and what is kept with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRecord {
    pub record: Vec<u8>,
    pub evidence: Option<Evidence>,
}

/// Over all entries of a shard, opening balances included. Invariant L2: the two are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrencySum {
    pub currency: Currency,
    pub debit_minor: i64,
    pub credit_minor: i64,
}

/// What the state has of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Home of the account.
    pub shard: u8,
    /// Number of the record as of which it is told.
    pub sequence: u64,
    /// None where there is no such account.
    pub balance: Option<Money>,
}

/// What is kept about a decided transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEvidence {
    pub shard: u8,
    /// Number of the record that decided the transfer.
    pub sequence: u64,
    pub evidence: Evidence,
    /// Encoded: that record, then those that follow it.
    pub records: Vec<Vec<u8>>,
    /// How far the shard's journal had come.
    pub head_sequence: u64,
    /// SHA-256 of its last record.
    pub head: [u8; 32],
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            signed,
            signature,
            signing_serial,
        } = self;
        write!(
            f,
            "Evidence({} signed bytes, {} of signature by {signing_serial})",
            signed.len(),
            signature.len()
        )
    }
}

impl fmt::Debug for crate::wire::Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Evidence({} signed bytes, {} of signature)",
            self.signed.len(),
            self.signature.len()
        )
    }
}
