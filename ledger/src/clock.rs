//! The only place that asks what time it is.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ledger_model::ChinaTime;

/// Says what time it is in China. Passed to whoever needs it, so that tests say it themselves.
pub type Clock = Arc<dyn Fn() -> ChinaTime + Send + Sync>;

pub fn wall_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        ChinaTime::from_unix_seconds(seconds).expect("a clock set before the year 9999")
    })
}
