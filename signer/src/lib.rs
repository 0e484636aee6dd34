//! The signer: the one process that holds the bank's private keys and sees plaintext account numbers.
//!
//! ```text
//!  stream ──▶ service ──▶ queue of lanes ──▶ workers ──▶ stages of duties ──▶ replies ──▶ stream
//!             reads work   bounded, full =    own          batched; keys,
//!                          busy               threads      no I/O, no clock
//! ```
//!
//! What it never does: parse a message, open a connection, write a file but those of the audit log, or put a body, a key
//! or a plaintext into a log.
//! A library with a thin `main`, so that its tests run the real thing in their own process.
#![deny(unsafe_code)]

mod administration;
pub mod audit;
mod callers;
mod clock;
mod config;
mod duties;
mod envelopes;
mod guarded;
mod health;
mod held_key;
mod job;
mod key_files;
mod key_ring;
mod key_set;
mod metrics;
mod opening;
mod policy;
#[cfg(test)]
mod pretended_key;
mod process;
mod provider;
mod queue;
mod reload;
mod replies;
mod revealing;
mod revocation;
mod sealing;
mod service;
mod signing;
mod suites;
mod tokens;
mod trials;
mod workers;

pub use administration::{AskFault, ask_to_reload};
pub use config::Config;
pub use process::{BoundProcess, Process, ServeFault, StartFault};
pub use reload::{ReloadFault, Reloaded, Reloader};
