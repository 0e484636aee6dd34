//! What the people of the bank do with a ledger from day to day: every command as a real process beside a ledger that
//! runs as one.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod access;
mod adjusting;
mod administering;
mod archive;
mod days;
mod load;
mod process;
mod releasing;
