//! The simulation can fail: with any one of the planted bugs it does, within a few seeds. A target of its own, so that the
//! program is never built with them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking and tells what it found"
)]
#![allow(dead_code, reason = "the simulation itself uses the rest")]

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

use std::sync::atomic::{AtomicU64, Ordering};

use ledger::mutation::{Mutation, plant};

use crate::run::{Ran, Telling, run};

/// Seeds within which each has to be found.
const SEEDS_MAX: u64 = 100_000;

fn first_seed_that_finds(mutation: Mutation) -> Option<(u64, Ran)> {
    plant(Some(mutation));
    let found = (1..=SEEDS_MAX).find_map(|seed| {
        let ran = run(seed, Telling::Nothing);
        ran.result.is_err().then_some((seed, ran))
    });
    plant(None);
    found
}

/// What finds everything wrong proves nothing.
#[test]
fn without_a_planted_bug_nothing_is_found() {
    for seed in 1..=1_000 {
        assert_eq!(run(seed, Telling::Nothing).result, Ok(()), "seed {seed}");
    }
}

#[test]
fn every_planted_bug_is_found() {
    // what a bug makes the program panic over would fill the screen
    std::panic::set_hook(Box::new(|_| {}));
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let missed: Vec<Mutation> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut missed = Vec::new();
                    loop {
                        let place = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                        let Some(mutation) = Mutation::ALL.get(place).copied() else {
                            return missed;
                        };
                        match first_seed_that_finds(mutation) {
                            Some((seed, ran)) => {
                                let violation = ran.result.unwrap_err();
                                let what: String = violation.what.chars().take(160).collect();
                                println!("{mutation:?}: seed {seed}, {:?}: {what}", violation.rule);
                            }
                            None => missed.push(mutation),
                        }
                    }
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let _ours = std::panic::take_hook();
    assert_eq!(missed, [], "not found in {SEEDS_MAX} seeds");
}
