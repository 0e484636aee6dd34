//! Looks every second how far behind shipping is, whatever the carriers are doing: a carrier that waits for a broker
//! must not be what raises the alarm over it.

use std::sync::Arc;
use std::time::Duration;

use ledger_journal::JournalRecord;

use super::alarm::{Lag, LagLimits};
use super::board::Board;
use super::{FinishBy, Route};
use crate::clock::Clock;
use crate::store::StoreFault;

const LOOK_EVERY: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct Watch {
    pub(super) routes: Vec<Route>,
    pub(super) board: Arc<Board>,
    pub(super) clock: Clock,
    pub(super) limits: LagLimits,
    pub(super) finish_by: Arc<FinishBy>,
}

impl Watch {
    pub(super) fn run(&self) {
        while !self.finish_by.is_requested() {
            self.look();
            let mut left = LOOK_EVERY;
            while !left.is_zero() && !self.finish_by.is_requested() {
                std::thread::sleep(PAUSE);
                left = left.saturating_sub(PAUSE);
            }
        }
        self.look();
    }

    fn look(&self) {
        for route in &self.routes {
            let shard = route.feed.shard;
            match self.lag(route) {
                Ok(lag) => self.board.lags(shard, lag, |is_on| self.limits.alarms(lag, is_on)),
                Err(fault) => tracing::warn!(%shard, %fault, "the journal could not be read to see how old it is"),
            }
        }
    }

    fn lag(&self, route: &Route) -> Result<Lag, StoreFault> {
        let shipped = route.shipped();
        let records = route.feed.known()?.saturating_sub(shipped);
        if records == 0 {
            return Ok(Lag::default());
        }
        // what was released before anything was shipped is not waited for
        let shipped = shipped.max(route.feed.reader.base()?.position.sequence);
        let oldest = route.feed.reader.journal(shipped.saturating_add(1), 1)?;
        let committed_at = oldest
            .first()
            .and_then(|encoded| JournalRecord::decode(encoded).ok())
            .map(|record| record.committed_at);
        let age = committed_at.map_or(0, |at| (self.clock)().seconds_since(at));
        Ok(Lag {
            records,
            seconds: u64::try_from(age).unwrap_or(0),
        })
    }
}
