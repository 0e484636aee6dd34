//! The signer: the one process that holds the bank's private keys and sees plaintext account numbers.
//!
//! ```text
//!  stream ──▶ service ──▶ queue (urgent, ordinary) ──▶ workers ──▶ duties ──▶ answer ──▶ stream
//!             reads work     bounded, full = busy        own threads   keys, no I/O
//! ```
//!
//! What it never does: parse a message, open a connection, write a file, or put a body, a key or a plaintext into a log.
//! A library with a thin `main`, so that its tests run the real thing in their own process.
#![deny(unsafe_code)]

mod clock;
mod config;
mod duties;
mod held_key;
mod job;
mod key_files;
mod key_ring;
mod metrics;
mod opening;
mod process;
mod provider;
mod queue;
mod sealing;
mod service;
mod suites;
mod workers;

pub use config::Config;
pub use process::{BoundProcess, Process, ServeFault, StartFault};
