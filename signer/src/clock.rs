//! The one place where the signer reads the wall clock. Certificates are current or not by this, and records are dated.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::audit::Moment;

/// Unix time. A clock before 1970 counts as 1970, when no certificate is current.
pub(crate) fn unix_seconds() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}

/// Now, for a record.
pub(crate) fn moment() -> Moment {
    Moment::of(SystemTime::now())
}
