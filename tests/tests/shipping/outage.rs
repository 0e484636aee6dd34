//! The broker is away for long, and comes back.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ledger_protocol::ShipState;

use crate::journal::{Journal, SHARDS, Store};
use crate::site::Site;

/// In each shard, while the broker is away.
const BACKLOG: u64 = 150_000;
/// In all, at which the ledger goes on while Kafka catches up.
const PRODUCED_PER_S: u64 = 10_000;
const MEMORY_GROWS_MAX_KIB: u64 = 64 << 10;

/// A backlog far longer than memory may grow is caught up with while records go on coming at the rate of a busy day.
pub(crate) fn broker_away(site: &mut Site) {
    let journal = Journal::new();
    journal.grow(1_000, 1);
    let ships = site.ship(&journal, "outage", Store::Own);
    ships.wait_shipped();
    site.broker.kill();
    journal.grow(BACKLOG, 1);
    ships.wait_state(ShipState::Unreachable);
    ships.wait_all("the alarm is on", |report| report.alarm);
    let before = memory_kib();

    let grows = Arc::clone(&journal);
    site.broker.bring_back();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let load = thread::spawn(move || {
        let mut produced = 0_u64;
        let each = PRODUCED_PER_S / 100 / u64::from(SHARDS.count());
        while stopped.recv_timeout(Duration::from_millis(10)).is_err() {
            grows.grow(each, 1);
            produced += each * u64::from(SHARDS.count());
        }
        produced
    });
    crate::site::wait_for("it is tried again", || {
        SHARDS.all().any(|shard| journal.shipped(shard) > 1_000)
    });
    let began = Instant::now();
    let caught_up = || {
        let lag = |shard| journal.length(shard).saturating_sub(journal.shipped(shard));
        SHARDS.all().map(lag).sum::<u64>() < PRODUCED_PER_S / 2
    };
    let mut most = before;
    crate::site::wait_for("Kafka catches up", || {
        most = most.max(memory_kib());
        caught_up()
    });
    let (took, shipped): (_, u64) = (began.elapsed(), SHARDS.all().map(|shard| journal.shipped(shard)).sum());
    drop(stop);
    let produced = load.join().unwrap();
    eprintln!(
        "catch-up: {shipped} records ({} MiB of journal) in {} ms, {produced} produced beside it; memory grew by {} KiB",
        journal.bytes() >> 20,
        took.as_millis(),
        most - before,
    );
    assert!(
        most - before < MEMORY_GROWS_MAX_KIB,
        "memory grew by {} KiB",
        most - before
    );
    ships.wait_shipped();
    ships.wait_all("the alarm is over", |report| !report.alarm);
    ships.finish();
    site.check_holds("outage", &journal);
}

/// Of this process alone, where the ledgers are: the broker is another.
fn memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
