//! The ledger: sharded double entry, idempotent, journalled.
//!
//! Reading order: [`engine`] decides (pure), [`books`] and [`view`] are what it reads, [`store`] is where that is kept,
//! [`shard`] is the one thread that writes a store, [`router`] finds the shard and keeps a key to one post at a time,
//! [`service`] is the gRPC face, [`shipping`] takes the journal to Kafka,
//! [`reading`] works sums and statements out of it again, [`archive`] keeps closed dates outside the stores. What it must never do: know messages or
//! signatures.
#![forbid(unsafe_code)]

pub mod access;
pub mod administration;
pub mod archive;
pub mod books;
pub mod calendar;
mod causes;
pub mod claims;
pub mod clock;
pub mod command;
pub mod config;
pub mod engine;
pub mod evidence;
pub mod feed;
pub mod hash;
pub mod hopping;
pub mod meters;
#[cfg(feature = "mutations")]
pub mod mutation;
pub mod outcome;
pub mod reading;
pub mod router;
pub mod service;
pub mod shard;
pub mod shipping;
pub mod state;
pub mod store;
pub mod view;
