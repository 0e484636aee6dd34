//! The clock: short slices of every cell in turn, round after round, and the best slice of each counts.
//!
//! What else the machine does then hurts all alike, and hardly ever every slice of one. Time is that of the processor in
//! this thread: what other programs take of the core does not count.

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::check::check;
use crate::implementation::{Ability, Implementation, Operation, Work};
use crate::scenario::Scenario;

/// A slice lasts at least this long, and at least one call.
const SLICE: Duration = Duration::from_millis(12);
const ROUNDS_MIN: usize = 3;

/// One implementation's one operation.
pub(crate) struct Cell {
    pub(crate) operation: Operation,
    pub(crate) outcome: Outcome,
}

pub(crate) enum Outcome {
    PerSecond(f64),
    Wrong(&'static str),
    Panicked,
}

pub(crate) struct Row {
    pub(crate) implementation: Implementation,
    /// In the order of the implementation's abilities.
    pub(crate) cells: Vec<Cell>,
}

impl Row {
    pub(crate) fn per_second(&self, operation: Operation) -> Option<f64> {
        let cell = self.cells.iter().find(|cell| cell.operation == operation)?;
        match cell.outcome {
            Outcome::PerSecond(rate) => Some(rate),
            Outcome::Wrong(_) | Outcome::Panicked => None,
        }
    }
}

/// Checks every ability; what is wrong is never measured.
pub(crate) fn checked(implementation: Implementation) -> Row {
    let scenario = implementation.scenario;
    let cells = implementation.abilities.iter().map(|ability| Cell {
        operation: ability.operation,
        outcome: match catch_unwind(AssertUnwindSafe(|| check(ability, scenario))) {
            Ok(Ok(())) => Outcome::PerSecond(0.0),
            Ok(Err(fault)) => Outcome::Wrong(fault),
            Err(_) => Outcome::Panicked,
        },
    });
    Row {
        cells: cells.collect(),
        implementation,
    }
}

/// Round after round until the time is over. `progress` is told the seconds left.
pub(crate) fn measure(rows: &mut [Row], time: Duration, progress: impl Fn(u64)) {
    let end = Instant::now() + time;
    let mut round = 0;
    while round < ROUNDS_MIN || Instant::now() < end {
        progress(end.saturating_duration_since(Instant::now()).as_secs());
        for row in rows.iter_mut() {
            measure_once(row);
        }
        round += 1;
    }
}

fn measure_once(row: &mut Row) {
    let scenario = row.implementation.scenario;
    for (cell, ability) in row.cells.iter_mut().zip(&row.implementation.abilities) {
        let Outcome::PerSecond(best) = cell.outcome else {
            continue;
        };
        cell.outcome = match catch_unwind(AssertUnwindSafe(|| slice(ability, scenario))) {
            Ok(rate) => Outcome::PerSecond(best.max(rate)),
            Err(_) => Outcome::Panicked,
        };
    }
}

/// Operations a second over one slice.
fn slice(ability: &Ability, scenario: &Scenario) -> f64 {
    let mut done: u32 = 0;
    let mut groups = (0..scenario.signed.len() / ability.batch).cycle();
    let (start, worked) = (Instant::now(), processor_time());
    loop {
        let first = groups.next().unwrap_or(0) * ability.batch;
        call(&ability.work, scenario, first..first + ability.batch);
        done += u32::try_from(ability.batch).expect("a batch is small");
        if start.elapsed() >= SLICE {
            return f64::from(done) / processor_time().saturating_sub(worked).as_secs_f64();
        }
    }
}

/// Of this thread, since it began.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into().expect("time does not run backwards")
}

fn call(work: &Work, scenario: &Scenario, items: std::ops::Range<usize>) {
    let signed = scenario.signed.get(items.clone()).expect("batches divide the items");
    let sealed = scenario.sealed.get(items).expect("batches divide the items");
    match work {
        Work::Verify(verify) => drop(black_box(verify(black_box(signed)))),
        Work::Sign(sign) => drop(black_box(sign(black_box(signed)))),
        Work::Decrypt(decrypt) => drop(black_box(decrypt(black_box(sealed)))),
        Work::Hash(hash) => drop(black_box(hash(black_box(signed)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::implementation::Made;
    use crate::scenario::Scenario;

    /// What the checks say of an implementation's only ability.
    fn verdict(make: impl FnOnce(Implementation) -> Implementation) -> Outcome {
        let scenario = Scenario::generate().expect("OpenSSL makes keys");
        let mut row = checked(make(Implementation::new("tried", "tried", scenario)));
        row.cells.pop().expect("one ability has one cell").outcome
    }

    #[test]
    fn what_is_wrong_is_never_measured() {
        #[track_caller]
        fn check(outcome: &Outcome, expected: &str) {
            assert!(
                matches!(outcome, Outcome::Wrong(fault) if *fault == expected),
                "{expected}"
            );
        }
        check(
            &verdict(|tried| tried.verify_digest(|_| true)),
            "takes a forged signature",
        );
        check(
            &verdict(|tried| tried.verify_digest(|_| false)),
            "refuses a good signature",
        );
        check(
            &verdict(|tried| tried.sign_message(|_| Some(Made::Der(vec![0x30, 0])))),
            "makes a signature that OpenSSL refuses",
        );
        check(&verdict(|tried| tried.decrypt(|_| None)), "decrypts wrongly");
        check(&verdict(|tried| tried.hash(|_| [0; 32])), "hashes wrongly");
    }

    #[test]
    fn panics_are_said() {
        let outcome = verdict(|tried| tried.hash(|_| panic!("as some do")));
        assert!(matches!(outcome, Outcome::Panicked));
    }

    #[test]
    fn what_is_right_is_measured() {
        let scenario = Scenario::generate().expect("OpenSSL makes keys");
        let tried = Implementation::new("tried", "tried", scenario);
        let tried = tried.verify_digest(|item| scenario.verifies(&item.digest, &item.der));
        let mut rows = [checked(tried)];
        measure(&mut rows, Duration::ZERO, |_| {});
        let [row] = rows;
        assert!(row.per_second(Operation::VerifyDigest).is_some_and(|rate| rate > 0.0));
    }
}
