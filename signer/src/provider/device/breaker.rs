//! When a device is left alone: after failures in a row callers are refused at once, until a probe gives it another
//! trial, and one success ends that.
//!
//! ```text
//!  Closed ──failures_max in a row──▶ Open ──probe──▶ Trial ──success──▶ Closed
//!                                     ▲───failure──────┘
//! ```
//!
//! Values only: the instants come from the caller, the probing is the session threads'.

use std::time::{Duration, Instant};

use super::BackOff;

#[derive(Debug)]
pub(super) struct Breaker {
    failures_max: u32,
    back_off: BackOff,
    position: Position,
}

#[derive(Debug)]
enum Position {
    Closed {
        failures: u32,
    },
    Open {
        reason: String,
        probe_at: Instant,
        wait: Duration,
    },
    /// `wait` is how long the next pause lasts if the trial fails.
    Trial {
        wait: Duration,
    },
}

impl Breaker {
    pub(super) const fn new(failures_max: u32, back_off: BackOff) -> Self {
        Self {
            failures_max,
            back_off,
            position: Position::Closed { failures: 0 },
        }
    }

    /// Why callers are refused, while it is open.
    pub(super) fn reason(&self) -> Option<&str> {
        match &self.position {
            Position::Open { reason, .. } => Some(reason),
            Position::Closed { .. } | Position::Trial { .. } => None,
        }
    }

    /// When the next probe is due, while it is open.
    pub(super) const fn probe_at(&self) -> Option<Instant> {
        match self.position {
            Position::Open { probe_at, .. } => Some(probe_at),
            Position::Closed { .. } | Position::Trial { .. } => None,
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.position = Position::Closed { failures: 0 };
    }

    /// A failure of the device's. True when this opened the breaker.
    pub(super) fn failed(&mut self, reason: &str, now: Instant) -> bool {
        if let Position::Closed { failures } = &mut self.position {
            *failures += 1;
            if *failures < self.failures_max {
                return false;
            }
        }
        self.open(reason, now)
    }

    /// Without counting: nothing of the device is left that could answer. True when this opened the breaker.
    pub(super) fn open(&mut self, reason: &str, now: Instant) -> bool {
        let wait = match self.position {
            Position::Open { .. } => return false,
            Position::Closed { .. } => self.back_off.first,
            Position::Trial { wait } => wait,
        };
        self.position = Position::Open {
            reason: reason.to_owned(),
            probe_at: now + wait,
            wait,
        };
        true
    }

    /// A session is open again: no reason to wait with the probe.
    pub(super) fn hasten(&mut self, now: Instant) {
        if let Position::Open { probe_at, .. } = &mut self.position {
            *probe_at = now.min(*probe_at);
        }
    }

    /// Whether the caller is the one to probe now; the next one is due after a pause twice as long.
    pub(super) fn take_probe(&mut self, now: Instant) -> bool {
        let Position::Open { probe_at, wait, .. } = &mut self.position else {
            return false;
        };
        let due = now >= *probe_at;
        if due {
            *wait = self.back_off.longest.min(*wait * 2);
            *probe_at = now + *wait;
        }
        due
    }

    /// A probe was answered.
    pub(super) fn probed(&mut self) {
        if let Position::Open { wait, .. } = self.position {
            self.position = Position::Trial { wait };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACK_OFF: BackOff = BackOff {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(3),
    };

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_a_trial() {
        let (mut breaker, now) = (Breaker::new(3, BACK_OFF), Instant::now());
        assert!(!breaker.failed("a", now) && !breaker.failed("b", now));
        breaker.succeeded();
        assert!(!breaker.failed("c", now) && !breaker.failed("d", now));
        assert_eq!(breaker.reason(), None);
        assert!(breaker.failed("e", now));
        assert_eq!(breaker.reason(), Some("e"));
        assert!(!breaker.failed("f", now), "it is open already");
        assert!(!breaker.take_probe(now));
        assert!(breaker.take_probe(now + BACK_OFF.first));
        assert!(!breaker.take_probe(now + BACK_OFF.first), "one probe at a time");
        breaker.probed();
        assert_eq!(breaker.reason(), None);
        assert!(breaker.failed("g", now), "one failure ends a trial");
        breaker.probed();
        breaker.succeeded();
        assert!(!breaker.failed("h", now), "a success ends it for good");
    }

    #[test]
    fn pauses_grow_to_the_longest_and_a_new_session_cuts_one_short() {
        let (mut breaker, mut now) = (Breaker::new(1, BACK_OFF), Instant::now());
        assert!(breaker.failed("a", now));
        for pause in [1, 2, 3, 3] {
            let due = breaker.probe_at().unwrap();
            assert_eq!(due - now, Duration::from_secs(pause));
            now = due;
            assert!(breaker.take_probe(now));
        }
        assert!(!breaker.take_probe(now));
        breaker.hasten(now);
        assert!(breaker.take_probe(now));
    }
}
