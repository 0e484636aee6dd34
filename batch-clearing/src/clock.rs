//! The wall clock, read here and nowhere else in this package.

use std::time::{SystemTime, UNIX_EPOCH};

use ledger_model::ChinaTime;

/// Seconds since 1970-01-01T00:00:00Z; 0 on a clock set before that.
pub fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// `None` on a clock that shows no year between 1970 and 9999.
pub fn china_time() -> Option<ChinaTime> {
    ChinaTime::from_unix_seconds(unix_seconds())
}
