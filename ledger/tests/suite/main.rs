//! The ledger's tests. Scenarios in `scenarios/*.txt` are written to be read by whoever knows the business.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bank;
mod concurrency;
mod conformance;
mod damage;
mod disk;
mod embedded;
mod failover;
mod groups;
mod kill;
mod memory;
mod postgres;
mod postgres_access;
mod properties;
mod scenarios;
#[allow(dead_code, reason = "benches and other tests do more with a server")]
mod server;
mod service;
mod shipping;
