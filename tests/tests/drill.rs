//! The drill of hopping, small: a shard group's primary is killed under load and its standby promoted, and the journals
//! hold every order exactly once. `./run drill hop` does the same for longer and tells the figures.
#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::path::Path;

use jiff::Timestamp;
use system_tests::drill::{HopOptions, hop};
use system_tests::sources::Sources;

#[test]
fn a_primary_that_is_lost_under_load_loses_and_doubles_nothing() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_installation"));
    let sources = Sources::find(repository, program.parent().unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let options = HopOptions {
        clients: 8,
        accounts: 200,
        seconds: 1,
        outage_seconds: 1,
    };
    hop(&directory.path().join("drill"), &sources, &options, Timestamp::now()).unwrap();
}
