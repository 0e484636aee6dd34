//! The front end: takes the clearing network's messages over HTTPS and answers them.
//!
//! `pipeline` is the life of a message, `stages` the types that make its order the only possible one, `posting` the one
//! translation to the ledger's words, `respond` the one place from outcome or fault to answer. The rest is the shell:
//! `server`, `http`, `tls`, `admission`.
//!
//! Invariants: nothing is posted that was not verified; an answer leaves after its posting is durable (S2); "failed" is
//! never said of what may have posted. The process holds no key but that of its TLS certificate, sees account numbers
//! and names as ciphertexts and tokens only, and decides nothing about money.
#![forbid(unsafe_code)]

pub mod admission;
pub mod clock;
pub mod codes;
pub mod config;
pub mod desk;
pub mod http;
pub mod metrics;
pub mod neighbours;
pub mod pipeline;
pub mod posting;
pub mod record;
pub mod respond;
pub mod server;
pub mod service;
pub mod signing;
pub mod stages;
pub mod tls;
