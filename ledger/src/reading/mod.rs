//! The books worked out from the journal alone: a second opinion, which shares no row and no decision with the engine.
//!
//! [`trial`] and [`statement`] are pure: records in, sums out. [`journal`] is where records come from, a running ledger or
//! stores at rest. Nothing here writes; that the sums are those of the state is compared, never assumed.
//! [`evidence`] finds what is kept about one transfer, [`exhibit`] makes a file of it that stands for itself.

pub mod evidence;
pub mod exhibit;
pub mod journal;
mod readme;
pub mod released;
pub mod signature;
pub mod statement;
pub mod tar;
pub mod trial;
