//! What has been kept long enough goes by day: idempotency records, what was used on a day, and hops that are over.
//!
//! The key of a hop does not begin with its day, so a shard's hops are gone through once a day, some with each group.

use ledger_model::{BusinessDate, ShardId};

use super::held;

/// Kept beyond `kept_days`, since shards do not all see a day begin at once.
const SPARE_DAYS: i64 = 1;
/// What has been kept long enough is deleted a part with each group, until there is nothing left of it.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    today: Option<BusinessDate>,
    /// Days before this one are being deleted.
    pub(super) first_day: Option<u32>,
    /// Hops up to this key have been looked at.
    hops_seen: Option<Vec<u8>>,
}

/// What a group did of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expired {
    /// Records and days of use that were deleted.
    pub(super) rows: u64,
    /// The last of the hops that were looked at.
    pub(super) hops_seen: Option<Vec<u8>>,
}

impl Expiry {
    /// A group of this day was committed.
    pub(super) fn day_of_group(&mut self, today: BusinessDate, kept_days: u32) {
        if self.today.is_some_and(|known| today <= known) {
            return;
        }
        self.today = Some(today);
        let seconds = (i64::from(kept_days) + SPARE_DAYS) * 24 * 3600;
        let first = today.at_midnight().plus_seconds(-seconds);
        self.first_day = first.map(|first| first.date().number());
        self.hops_seen = None;
    }

    /// Hops with keys above the first and below the second are still to be looked at.
    pub(super) fn hops_left(&self, shard: ShardId) -> [Vec<u8>; 2] {
        let [first, end] = held::hops_between(shard).map(|key| key.to_vec());
        [self.hops_seen.clone().unwrap_or(first), end]
    }

    /// A group was committed, and with it a part of what is due.
    pub(super) fn went_on(&mut self, expired: Expired) {
        let Expired { rows, hops_seen } = expired;
        if rows == 0 && hops_seen.is_none() {
            self.first_day = None;
        }
        self.hops_seen = hops_seen.or(self.hops_seen.take());
    }
}
