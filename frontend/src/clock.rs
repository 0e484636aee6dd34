//! What time it is, asked here only, and whether a message's own time is near enough to it.

use std::time::{SystemTime, UNIX_EPOCH};

use ledger_model::ChinaTime;

/// Reads the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    unix_seconds: fn() -> i64,
}

/// How far `SndDt` may lie from now.
#[derive(Debug, Clone, Copy)]
pub struct Freshness {
    pub skew_seconds_max: i64,
    /// Fixture files carry one fixed time. An installation of testers accepts it besides the present; no other does.
    pub fixture_time: Option<ChinaTime>,
}

impl Clock {
    pub const fn system() -> Self {
        Self { unix_seconds: system_seconds }
    }

    /// A clock of the caller's.
    pub const fn reading(unix_seconds: fn() -> i64) -> Self {
        Self { unix_seconds }
    }

    pub fn now(self) -> ChinaTime {
        ChinaTime::from_unix_seconds((self.unix_seconds)()).expect("the clock stands between 1970 and 9999")
    }
}

impl Freshness {
    pub fn holds(self, sent_at: ChinaTime, now: ChinaTime) -> bool {
        let near = |time: ChinaTime| sent_at.seconds_since(time).abs() <= self.skew_seconds_max;
        near(now) || self.fixture_time.is_some_and(near)
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
        let now = "2026-07-01T12:00:00".parse().unwrap();
        let freshness = Freshness { skew_seconds_max: 900, fixture_time: fixture_time.map(|time| time.parse().unwrap()) };
        assert_eq!(freshness.holds(sent_at.parse().unwrap(), now), expected, "{sent_at} {fixture_time:?}");
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
