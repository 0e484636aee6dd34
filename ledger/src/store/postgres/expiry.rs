//! What has been kept long enough goes by day: idempotency records, and what was used on a day.

use ledger_model::BusinessDate;

/// Kept beyond `kept_days`, since shards do not all see a day begin at once.
const SPARE_DAYS: i64 = 1;
/// What has been kept long enough is deleted a part with each group, until there is nothing left of it.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    today: Option<BusinessDate>,
    /// Days before this one are being deleted.
    pub(super) first_day: Option<u32>,
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
    }
}
