//! Waiting for a condition of another process, always with a limit and with the last reason why it did not hold.

use std::time::{Duration, Instant};

use thiserror::Error;

const PAUSE: Duration = Duration::from_millis(20);

/// What one look at the condition found.
#[derive(Debug)]
pub enum Look<T> {
    Holds(T),
    NotYet(String),
    /// Waiting longer is of no use.
    Never(String),
}

#[derive(Debug, Error)]
pub enum WaitFault {
    #[error("{what} did not come about within {limit:?}: {why}")]
    TooLong { what: String, limit: Duration, why: String },
    #[error("{what} cannot come about any more: {why}")]
    Never { what: String, why: String },
}

/// Looks again and again until the condition holds, can never hold, or the limit is over.
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Look<T>) -> Result<T, WaitFault> {
    let began = Instant::now();
    let what = || what.to_owned();
    loop {
        match look() {
            Look::Holds(value) => return Ok(value),
            Look::Never(why) => return Err(WaitFault::Never { what: what(), why }),
            Look::NotYet(why) if began.elapsed() >= limit => {
                let what = what();
                return Err(WaitFault::TooLong { what, limit, why });
            }
            Look::NotYet(_) => std::thread::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_as_the_condition_does() {
        let check = |limit_ms, holds_at: u32, never_at: u32, expected: &str| {
            let mut looks = 0;
            let ended = wait_for("the thing", Duration::from_millis(limit_ms), || {
                looks += 1;
                match looks {
                    n if n == holds_at => Look::Holds(n),
                    n if n == never_at => Look::Never("it broke".into()),
                    n => Look::NotYet(format!("look {n}")),
                }
            });
            let seen = ended.map_or_else(|fault| fault.to_string(), |n| format!("held at {n}"));
            assert_eq!(seen, expected);
        };
        check(1_000, 3, 9, "held at 3");
        check(1_000, 9, 2, "the thing cannot come about any more: it broke");
        check(0, 9, 8, "the thing did not come about within 0ns: look 1");
    }
}
