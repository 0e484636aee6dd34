//! The ledger's tests. Scenarios in `scenarios/*.txt` are written to be read by whoever knows the business.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod backup;
mod bank;
mod concurrency;
mod conformance;
mod damage;
mod disk;
mod embedded;
mod exhibits;
mod groups;
mod kill;
mod memory;
mod process;
mod properties;
mod reading;
mod scenarios;
mod service;
mod shipping;
mod sums;
