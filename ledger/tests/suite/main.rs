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
mod failover;
mod faulty_stores;
mod formats;
mod further;
mod groups;
mod hold;
mod hop_rows;
mod hopping;
mod journals;
mod key_taken;
mod kill;
mod memory;
mod moving;
mod postgres;
mod postgres_access;
mod process;
mod properties;
mod reading;
mod regrouping;
mod releasing;
mod scenarios;
#[allow(dead_code, reason = "benches and other tests do more with a server")]
mod server;
mod service;
mod several;
mod shipping;
mod sums;

#[path = "../simulation/chance.rs"]
#[expect(dead_code, reason = "the simulation uses the rest")]
mod chance;
#[path = "../simulation/disk.rs"]
mod disk_of_simulation;
#[path = "../simulation/faulty.rs"]
#[expect(dead_code, reason = "the simulation uses the rest")]
mod faulty;
#[path = "../simulation/trouble.rs"]
#[expect(dead_code, reason = "the simulation uses the rest")]
mod trouble;
