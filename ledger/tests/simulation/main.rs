//! A simulation of the ledger from seeds: the real router, claims and shards, stepped in an order that a seed decides,
//! over stores that fail, with clients that repeat themselves, against an oracle that checks every invariant after every
//! step.
//!
//! A run that fails prints its seed and its steps. `SIMULATION_SEED=N` runs that seed alone, `SIMULATION_SEEDS=N` so many
//! of them, `SIMULATION_FROM=N` from that one on.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and tells what it did"
)]

mod acts;
mod backing;
mod bank;
mod broker;
mod chance;
mod clients;
mod disk;
mod faulty;
mod oracle;
mod process;
mod reached;
mod run;
mod shipment;
mod trouble;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::reached::Tally;
use crate::run::{Telling, run};

/// Seeds of one run of the test, where nothing else is said.
const SEEDS: u64 = 20_000;
/// How often a long run says how far it has come.
const TELL_EVERY: Duration = Duration::from_secs(10);

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")),
    )
}

/// Runs seeds on all processors; what they met, or the first that fails, by number.
fn run_all(from: u64, count: u64) -> Result<Tally, u64> {
    let (next, failed) = (AtomicU64::new(from), AtomicBool::new(false));
    let failing: Mutex<Vec<u64>> = Mutex::default();
    let all_reached: Mutex<Tally> = Mutex::default();
    let (began, told) = (Instant::now(), Mutex::new(Instant::now()));
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed - from >= count {
                        return;
                    }
                    let ran = run(seed, Telling::Nothing);
                    all_reached.lock().unwrap().add(ran.reached);
                    if ran.result.is_err() {
                        failing.lock().unwrap().push(seed);
                        failed.store(true, Ordering::Relaxed);
                    }
                    let mut told = told.lock().unwrap();
                    if told.elapsed() > TELL_EVERY {
                        *told = Instant::now();
                        println!("{} seeds in {:.0?}", seed - from, began.elapsed());
                    }
                }
            });
        }
    });
    let least = failing.lock().unwrap().iter().copied().min();
    if let Some(least) = least {
        return Err(least);
    }
    let all_reached = all_reached.into_inner().unwrap();
    println!("{count} seeds from {from} in {:.1?}: {all_reached}", began.elapsed());
    Ok(all_reached)
}

fn fail(seed: u64) -> ! {
    let ran = run(seed, Telling::Steps);
    for line in &ran.lines {
        println!("{line}");
    }
    panic!("SIMULATION_SEED={seed}: {:?}", ran.result.err());
}

#[test]
fn no_seed_breaks_an_invariant() {
    if let Some(seed) = number("SIMULATION_SEED") {
        if run(seed, Telling::Nothing).result.is_err() {
            fail(seed);
        }
        return;
    }
    let (from, count) = (number("SIMULATION_FROM"), number("SIMULATION_SEEDS"));
    let count = count.unwrap_or(SEEDS);
    let reached = run_all(from.unwrap_or(1), count).unwrap_or_else(|seed| fail(seed));
    let never_met = reached.never_met();
    assert!(count < SEEDS || never_met.is_empty(), "no seed met {never_met:?}");
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    for seed in 1..200 {
        assert_eq!(run(seed, Telling::Steps), run(seed, Telling::Steps), "seed {seed}");
    }
}
