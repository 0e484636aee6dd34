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
mod groups;
mod hopping;
mod kill;
mod memory;
mod postgres;
mod properties;
mod scenarios;
mod server;
mod service;
mod shipping;
