//! The installation on one machine: PostgreSQL, Kafka and our four processes, started, watched, fed and stopped.
//!
//! `./run` hands over to the `installation` program, which is made of this; the system tests bring up theirs with the
//! same modules. Nothing imports this package.
#![forbid(unsafe_code)]

pub mod bench;
pub mod bench_signer;
pub mod blocking;
pub mod certificates;
pub mod counts;
pub mod demo;
pub mod drill;
pub mod feed;
pub mod figures;
pub mod installation;
pub mod kafka;
pub mod layout;
pub mod operations_port;
pub mod part;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod procfs;
pub mod record;
pub mod settings;
pub mod sources;
pub mod terminal;
pub mod tools;
pub mod up;
pub mod wait;
