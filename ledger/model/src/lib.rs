//! What the ledger speaks of, as types: money, tokens, transfers, batches, outcomes.
//!
//! Every value here is checked once, where it is built, and trusted afterwards. The crate has no clock, no I/O and
//! no knowledge of messages or signatures.
#![forbid(unsafe_code)]

mod account;
mod adjustment;
mod administration;
mod entry;
mod hop;
mod instruction;
mod invariant;
mod money;
mod name;
mod outcome;
mod packed;
mod shard;
mod time;
mod token;
mod transfer;
mod usage;

pub use account::{Account, AccountStatus, Agreement, AgreementStatus, AgreementTerms};
pub use adjustment::{Reversal, Supplement, SupplementAgainst};
pub use administration::{AccountLimits, Administration, Operator, Reason, RemarkFault};
pub use entry::{Entry, LedgerAccount, Side};
pub use hop::{Hop, HopState};
pub use instruction::{Instruction, Payee, Payment, Payout, Refund};
pub use invariant::Invariant;
pub use money::{Amount, Currency, Money, MoneyFault};
pub use name::{AgreementNumber, BankSerial, BatchId, InstitutionId, NameFault, TransferCategory, TransferId};
pub use outcome::{ContentField, Decision, Refusal, TransferStatus};
pub use packed::{Packed, UnpackFault, Unpacker};
pub use shard::{ShardCount, ShardId};
pub use time::{BusinessDate, ChinaTime};
pub use token::{AccountToken, DetailsDigest, NameToken};
pub use transfer::{Transfer, TransferKey, TransferKind};
pub use usage::UsageSubject;
