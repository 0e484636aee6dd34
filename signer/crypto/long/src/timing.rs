//! Whether the duration of an operation tells something of its secret: each is done over and over on two classes of
//! input in random order, and Welch's t-test says whether their durations differ.
//!
//! It can only find a leak, not exclude one: the finer the difference, the more durations it takes. What it finds on a
//! machine that does other work at the same time is still a difference between the classes, because their order is
//! random. Two leaky controls show that differences are found.

mod operations;

use std::time::{Duration, Instant};

use clap::Args;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::statistics::{Class, Comparison, Difference};
use operations::Operation;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Time for all operations together
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// Only operations whose name contains this
    #[arg(long, default_value = "")]
    only: String,
}

/// |t| from which a difference is worth a look, and from which it is one. The chance of the second without a
/// difference is below one in 10^20, of the first below one in 10^4 for one threshold, and there are some forty.
const SUSPICIOUS: f64 = 5.0;
const LEAK: f64 = 10.0;
/// Inputs that are prepared before their operations are timed.
const BLOCK: usize = 128;
/// Durations that choose the thresholds.
const SAMPLE: usize = 1024;

pub(crate) fn run(options: &Options) -> bool {
    let mut operations = operations::all();
    operations.retain(|operation| operation.name.contains(&options.only));
    let share = Duration::from_mins(options.minutes) / u32::try_from(operations.len().max(1)).unwrap();
    println!(
        "{:<58} {:>10} {:>10} {:>9} {:>7}",
        "operation: fixed | varied", "durations", "mean ns", "longer ns", "max |t|"
    );
    let mut shown = true;
    for operation in &mut operations {
        let found = measure(operation, share);
        let verdict = match (found.t >= LEAK, operation.leaks) {
            (true, true) => "found, as it has to be",
            (false, true) => "NOT FOUND: the test sees nothing",
            (true, false) => "LEAK",
            (false, false) if found.t >= SUSPICIOUS => "to be looked at",
            (false, false) => "no difference",
        };
        shown &= (found.t >= LEAK) == operation.leaks;
        let Difference {
            t,
            durations,
            nanoseconds,
            longer,
        } = found;
        println!(
            "{:<58} {durations:>10} {nanoseconds:>10.0} {longer:>9.1} {t:>7.1}  {verdict}",
            operation.name
        );
    }
    println!(
        "timing: {}",
        if shown {
            "no operation leaks, the controls do"
        } else {
            "see above"
        }
    );
    shown
}

fn measure(operation: &mut Operation, share: Duration) -> Difference {
    let mut chance = ChaCha8Rng::seed_from_u64(rand::random());
    let mut sample = Vec::with_capacity(SAMPLE);
    while sample.len() < SAMPLE {
        sample.extend(block(operation, &mut chance).map(|(_, duration)| duration));
    }
    let mut comparison = Comparison::new(sample);
    let started = Instant::now();
    while started.elapsed() < share {
        for (class, duration) in block(operation, &mut chance) {
            comparison.push(class, duration);
        }
    }
    comparison.difference()
}

/// Prepares inputs of both classes in random order, then times the operation on each.
fn block(operation: &mut Operation, chance: &mut ChaCha8Rng) -> impl Iterator<Item = (Class, f64)> + use<> {
    let prepared: Vec<_> = (0..BLOCK)
        .map(|_| {
            let class = if chance.random() { Class::Fixed } else { Class::Varied };
            (class, (operation.prepare)(class, chance))
        })
        .collect();
    let timed: Vec<(Class, f64)> = prepared
        .into_iter()
        .map(|(class, work)| {
            let started = Instant::now();
            let result = work();
            let duration = started.elapsed();
            std::hint::black_box(result);
            (class, f64::from(u32::try_from(duration.as_nanos()).unwrap_or(u32::MAX)))
        })
        .collect();
    timed.into_iter()
}
