//! The ledger's contract for other processes: what can be asked, what is answered, and the client that asks.
//!
//! Callers use [`LedgerClient`] and the plain types here. The types of the wire are in [`wire`], for the process that
//! serves them; everything that crosses from one to the other goes through the conversions of this crate, so a name or
//! an amount is checked once, at the edge.
#![forbid(unsafe_code)]

mod administration;
mod administration_client;
mod client;
mod convert;
mod hops;
mod load;
mod positions;
mod reading;
mod reply;
mod shipping;
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::as_conversions,
    missing_debug_implementations,
    unreachable_pub,
    reason = "generated code"
)]
pub mod wire {
    //! Generated from `proto`.
    tonic::include_proto!("ledger.v1");
}

pub use administration::{
    AccountState, Adjusted, Adjustment, AdjustmentMode, AdministerOrder, Administered, AgreementState, CloseDayOrder,
    ClosedShard, Closing, DayStatus, JournalBase, JournalPlace, MovedShard, MovingShard, OrderedRegrouping,
    RegroupOrder, Regrouped, Rehearsed, ReleaseOrder, ReleasedRecords, Releasing, ShardGroup, ShardGroups, Used,
};
pub use administration_client::AdministrationClient;
pub use client::{LedgerClient, LedgerFault};
pub use convert::Malformed;
pub use hops::{UnsettledHop, UnsettledHops};
pub use load::{LoadBatch, LoadReply, NewAccount, RefusedItem};
pub use positions::SeenPositions;
pub use reply::{
    CurrencySum, Evidence, KeptEvidence, KeptRecord, NothingPosted, PostReply, QueryReply, ShardPosition, Standing,
};
pub use shipping::{ShipReport, ShipState};
