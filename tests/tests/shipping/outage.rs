//! The broker is away for long, and comes back.

use std::time::Instant;

use ledger_protocol::ShipState;

use crate::journal::{Journal, SHARDS, Store};
use crate::site::{Site, wait_for};

/// In each shard, while the broker is away.
const BACKLOG: u64 = 150_000;
/// Records that come while so many are caught up with: one to four.
const PRODUCED: u64 = 1_000;
const CAUGHT_UP: u64 = 4_000;
const MEMORY_GROWS_MAX_KIB: u64 = 32 << 10;

/// A backlog far longer than memory may grow is caught up with while more comes. How much faster than it can come is
/// printed, and not checked: that is a matter of the machine.
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
    let backlog_kib = journal.bytes() >> 10;
    assert!(
        backlog_kib > MEMORY_GROWS_MAX_KIB,
        "{backlog_kib} KiB would fit into memory"
    );

    site.broker.bring_back();
    let shipped = || SHARDS.all().map(|shard| journal.shipped(shard)).sum::<u64>();
    let length = || SHARDS.all().map(|shard| journal.length(shard)).sum::<u64>();
    let at_first = shipped();
    wait_for("it is tried again", || shipped() > at_first);
    let began = Instant::now();
    let (mut next, mut most) = (at_first + CAUGHT_UP, before);
    wait_for("Kafka catches up", || {
        while shipped() >= next {
            journal.grow(PRODUCED / u64::from(SHARDS.count()), 1);
            next += CAUGHT_UP;
        }
        most = most.max(memory_kib());
        length() - shipped() < CAUGHT_UP
    });
    let (took, caught_up) = (began.elapsed(), shipped() - at_first);
    let per_s = u128::from(caught_up) * 1_000 / took.as_millis().max(1);
    let grown = most - before;
    eprintln!("caught up with {caught_up} records at {per_s}/s, of {backlog_kib} KiB; memory grew by {grown} KiB");
    assert!(grown < MEMORY_GROWS_MAX_KIB, "memory grew by {grown} KiB");
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
