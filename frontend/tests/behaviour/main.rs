//! What the front end does with messages and connections, seen from outside. The signer and the ledger are stand-ins
//! that live in this directory and nowhere else.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking, in its helping functions too"
)]

mod certificates;
mod client;
mod exchange;
mod https;
mod messages;
mod outcomes;
mod stand_ins;
mod translation;
mod wrong_messages;
