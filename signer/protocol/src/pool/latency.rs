//! How long answers took lately: two quantiles over the last few, cheap enough to note every answer.

use std::time::Duration;

/// Answers looked at.
const KEPT: usize = 128;
/// The quantiles are found anew after so many answers.
const RENEW_EVERY: usize = 16;

/// Microseconds of the last answers, and what follows from them.
#[derive(Debug)]
pub(super) struct Recent {
    micros: Vec<u32>,
    oldest: usize,
    noted: usize,
    p50: Option<Duration>,
    p95: Option<Duration>,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            micros: Vec::with_capacity(KEPT),
            oldest: 0,
            noted: 0,
            p50: None,
            p95: None,
        }
    }

    pub(super) fn note(&mut self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        if self.micros.len() < KEPT {
            self.micros.push(micros);
        } else if let Some(oldest) = self.micros.get_mut(self.oldest) {
            *oldest = micros;
            self.oldest = (self.oldest + 1) % KEPT;
        }
        self.noted += 1;
        if self.noted == RENEW_EVERY {
            self.noted = 0;
            self.renew();
        }
    }

    /// None until there were enough answers to say.
    pub(super) const fn p50(&self) -> Option<Duration> {
        self.p50
    }

    pub(super) const fn p95(&self) -> Option<Duration> {
        self.p95
    }

    fn renew(&mut self) {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        let at = |percent: usize| {
            let micros = sorted.get(last * percent / 100)?;
            Some(Duration::from_micros((*micros).into()))
        };
        (self.p50, self.p95) = (at(50), at(95));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_last_answers() {
        let check = |noted: &[u64], expected: Option<(u64, u64)>| {
            let mut recent = Recent::new();
            for ms in noted {
                recent.note(Duration::from_millis(*ms));
            }
            let expected = expected.map(|(p50, p95)| (Duration::from_millis(p50), Duration::from_millis(p95)));
            assert_eq!(recent.p50().zip(recent.p95()), expected, "{noted:?}");
        };
        check(&[1; RENEW_EVERY - 1], None);
        check(&[1; RENEW_EVERY], Some((1, 1)));
        let mixed: Vec<u64> = (1..=128).collect();
        check(&mixed, Some((64, 121)));
        // what is older than the last answers counts no more
        let changed: Vec<u64> = [9; KEPT].into_iter().chain([2; KEPT]).collect();
        check(&changed, Some((2, 2)));
    }
}
