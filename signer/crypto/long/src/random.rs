//! The long run of random cases: the suites' own comparison, and those of the crate's inside, on every core.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::random_signatures::Tally;
use crate::{digests, hashes, random_envelopes, random_signatures};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Cases of all sorts together
    #[arg(long, default_value_t = 1_000_000)]
    cases: u64,
    /// What the run starts from; another each time unless given
    #[arg(long)]
    seed: Option<u64>,
}

type Compare = fn(u64, u64, &mut dyn FnMut(Tally)) -> Tally;

/// A sort of cases, and how many of a hundred are of it.
const SORTS: [(&str, u64, Compare); 4] = [
    ("signatures", 35, random_signatures::compare),
    ("envelopes", 25, random_envelopes::compare),
    ("digests", 20, digests::compare),
    ("hashes", 20, hashes::compare),
];
/// Cases of one sort that a worker takes at a time.
const PIECE: u64 = 2_000;
const REPORT_EVERY: Duration = Duration::from_secs(10);

pub(crate) fn run(options: &Options) -> bool {
    let seed = options.seed.unwrap_or_else(rand::random);
    let started = Instant::now();
    println!("oracles: {} cases from seed {seed}", options.cases);
    let pieces: Vec<(usize, u64)> = SORTS
        .iter()
        .enumerate()
        .flat_map(|(sort, (_, share, _))| {
            let cases = (options.cases * share).div_ceil(100);
            (0..cases.div_ceil(PIECE)).map(move |piece| (sort, PIECE.min(cases - piece * PIECE)))
        })
        .collect();
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let tallies = Mutex::new([Tally::default(); SORTS.len()]);
    let work = || {
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let Some(&(sort, cases)) = pieces.get(usize::try_from(turn).unwrap()) else {
                return;
            };
            // a seed of its own, so that a piece is repeated by itself: `--cases 2000 --seed` with what is printed
            let mut before = 0;
            let tally = (SORTS[sort].2)(cases, seed.wrapping_add(turn), &mut |tally| {
                done.fetch_add(tally.cases() - before, Ordering::Relaxed);
                before = tally.cases();
            });
            let of_sort = &mut tallies.lock().unwrap()[sort];
            of_sort.taken += tally.taken;
            of_sort.refused += tally.refused;
            of_sort.made += tally.made;
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut reported = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            thread::sleep(Duration::from_millis(50));
            if reported.elapsed() >= REPORT_EVERY {
                reported = Instant::now();
                let seconds = started.elapsed().as_secs();
                println!("  {} cases after {seconds} s", done.load(Ordering::Relaxed));
            }
        }
    });
    let tallies = tallies.into_inner().unwrap();
    for ((name, ..), tally) in SORTS.iter().zip(&tallies) {
        let Tally { taken, refused, made } = tally;
        println!("  {name}: {taken} taken and {refused} refused as by the oracles, {made} made and taken by them");
    }
    let cases: u64 = tallies.iter().map(Tally::cases).sum();
    let seconds = started.elapsed().as_secs();
    println!("oracles: {cases} cases in {seconds} s, no difference");
    true
}
