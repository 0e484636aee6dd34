//! What time it is, asked here only, and whether a message's own time is near enough to it.

use std::time::{SystemTime, UNIX_EPOCH};

use frontend_messages::Profile;
use ledger_model::ChinaTime;

/// Reads the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    unix_seconds: fn() -> i64,
    /// Fixture files carry one fixed time. An installation of testers accepts it besides the present; no other does.
    fixture_time: Option<ChinaTime>,
}

impl Clock {
    pub const fn system(fixture_time: Option<ChinaTime>) -> Self {
        Self {
            unix_seconds: system_seconds,
            fixture_time,
        }
    }

    /// A clock of the caller's.
    pub const fn reading(unix_seconds: fn() -> i64, fixture_time: Option<ChinaTime>) -> Self {
        Self {
            unix_seconds,
            fixture_time,
        }
    }

    pub fn now(self) -> ChinaTime {
        ChinaTime::from_unix_seconds((self.unix_seconds)()).expect("the clock stands between 1970 and 9999")
    }

    pub fn accepts(self, sent_at: ChinaTime, profile: &Profile) -> bool {
        profile.is_timely(sent_at, self.now())
            || self
                .fixture_time
                .is_some_and(|fixture_time| profile.is_timely(sent_at, fixture_time))
    }
}

/// A clock set before 1970 reads as 1970: then no message is fresh and all are refused, which is right.
fn system_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sent_at: &str, fixture_time: Option<&str>, expected: bool) {
        // 2026-07-01T12:00:00 in China
        let clock = Clock::reading(|| 1_782_878_400, fixture_time.map(|time| time.parse().unwrap()));
        let accepted = clock.accepts(sent_at.parse().unwrap(), &Profile::default());
        assert_eq!(accepted, expected, "{sent_at} {fixture_time:?}");
    }

    #[test]
    fn fifteen_minutes_either_way() {
        check("2026-07-01T12:00:00", None, true);
        check("2026-07-01T11:45:00", None, true);
        check("2026-07-01T11:44:59", None, false);
        check("2026-07-01T12:15:00", None, true);
        check("2026-07-01T12:15:01", None, false);
        check("2026-03-02T10:00:00", None, false);
        check("2026-03-02T10:00:00", Some("2026-03-02T10:00:00"), true);
        check("2026-03-02T10:15:01", Some("2026-03-02T10:00:00"), false);
        check("2026-07-01T12:00:00", Some("2026-03-02T10:00:00"), true);
    }
}
