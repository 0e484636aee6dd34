//! The books worked out from the journal alone: a second opinion, which shares no row and no decision with the engine.
//!
//! [`trial`] and [`statement`] are pure: records in, sums out. [`journal`] is where records come from, a running ledger or
//! stores at rest. Nothing here writes; that the sums are those of the state is compared, never assumed.

pub mod journal;
pub mod statement;
pub mod trial;
