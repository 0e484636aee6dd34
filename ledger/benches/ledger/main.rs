//! `./run bench ledger`: the ledger's own figures, fsync on, beside a naive use of fjall in the same run.
//!
//! Everything is on this machine and in this process, load generators included. `commit` is one group into the store, as
//! of fjall; `posting` is from the call to the answer, which leaves only after the posting is durable.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_arithmetic,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a program for figures: it ends by panicking, calculates and prints them"
)]

mod figures;
mod hot;
mod in_process;
mod naive;
mod over_grpc;
mod postgres;
mod recovery;
#[allow(dead_code, reason = "tests do more with a server")]
#[path = "../../tests/suite/server.rs"]
mod server;
mod timed;
mod work;

use std::path::{Path, PathBuf};

use clap::Parser;

use crate::figures::Figures;

/// Figures of the ledger: in process, through gRPC, recovery, and a naive use of fjall to compare with.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
struct Line {
    /// Smaller and shorter: a look, not a figure.
    #[arg(long)]
    quick: bool,
    /// Write the figures to this file as well, as one flat JSON object.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where the stores go; on the disk that is to be measured. Erased before and after.
    #[arg(long, default_value = "target/bench-ledger", value_name = "DIRECTORY")]
    directory: PathBuf,
    /// What a relative FILE is relative to: cargo starts this in the directory of the package.
    #[arg(long, default_value = ".", hide = true, value_name = "DIRECTORY")]
    relative_to: PathBuf,
    /// Postings to be recovered, with those measured in process.
    #[arg(long, value_name = "N")]
    postings: Option<u64>,
    /// Only the postings in process, for a profiler.
    #[arg(long)]
    only_in_process: bool,
    /// Only the Postgres store and pgbench, for a profiler.
    #[arg(long)]
    only_postgres: bool,
    /// Given by cargo; nothing follows from it.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) accounts: u64,
    /// Unmeasured, at first.
    pub(crate) warm_up: u64,
    /// Measured in process.
    pub(crate) measured: u64,
    /// In the books when they are opened again.
    pub(crate) recovered: u64,
    pub(crate) over_grpc: u64,
    pub(crate) lone: u64,
    /// Measured with the Postgres store.
    pub(crate) postgres: u64,
    /// For each count of clients.
    pub(crate) pgbench_seconds: u32,
    /// In one round of each spread.
    pub(crate) hot: u64,
}

const FULL: Extent = Extent {
    accounts: 1_000_000,
    warm_up: 200_000,
    measured: 3_000_000,
    recovered: 10_000_000,
    over_grpc: 1_000_000,
    lone: 2_000,
    postgres: 1_000_000,
    pgbench_seconds: 10,
    hot: 300_000,
};

const QUICK: Extent = Extent {
    accounts: 100_000,
    warm_up: 50_000,
    measured: 500_000,
    recovered: 1_000_000,
    over_grpc: 150_000,
    lone: 500,
    postgres: 200_000,
    pgbench_seconds: 3,
    hot: 30_000,
};

/// What a posting and an account may come to on the disk, snapshots included.
const BYTES_MAX: u64 = 1_100;

/// Refuses at once what would end in the middle of it.
fn check_room(directory: &Path, extent: Extent) {
    let needed = (extent.recovered + 2 * extent.accounts) * BYTES_MAX;
    let disk = rustix::fs::statvfs(directory).unwrap();
    let free = disk.f_bavail * disk.f_frsize;
    assert!(
        free > needed,
        "{free} bytes are free at {}, {needed} are needed",
        directory.display()
    );
}

fn main() {
    let line = Line::parse();
    let mut extent = if line.quick { QUICK } else { FULL };
    extent.recovered = line.postings.unwrap_or(extent.recovered);
    let root = &line.directory;
    let erase = || {
        if root.exists() {
            std::fs::remove_dir_all(root).unwrap();
        }
    };
    erase();
    std::fs::create_dir_all(root).unwrap();
    let mut figures = Figures::default();
    if !line.only_postgres {
        check_room(root, extent);
        let mut ledger = in_process::run(&root.join("ledger"), extent, &mut figures);
        if line.only_in_process {
            return figures.print();
        }
        hot::run(&mut ledger, extent, &mut figures);
        let ledger = over_grpc::run(ledger, &root.join("ledger.sock"), extent, &mut figures);
        recovery::run(ledger, &root.join("ledger"), extent, &mut figures);
        std::fs::remove_dir_all(root.join("ledger")).unwrap();
        naive::run(&root.join("naive"), extent, &mut figures);
        std::fs::remove_dir_all(root.join("naive")).unwrap();
        figures.ratio("embedded_to_fjall", "embedded_postings_per_s", "fjall_postings_per_s");
    }
    postgres::run(extent, &mut figures);
    figures.text("machine", &figures::machine());
    figures.text("durability", "one fdatasync a group, before any of its answers");
    figures.text(
        "load",
        "80 % payments, 12 % payouts, 8 % refunds; accounts by Zipf's law, exponent 1, but for hot and uniform; signed request of 600 bytes",
    );
    erase();
    figures.print();
    if let Some(path) = &line.json {
        std::fs::write(line.relative_to.join(path), figures.json()).unwrap();
    }
}
