//! How many messages may be in flight, by class. No queue: a message is let in at once or shed at once, before its
//! body is read and before any work is spent on it.
//!
//! What already holds money goes before new debits. The shares are nested, so the part of the whole that payments may
//! not fill is always free for refunds, payouts and queries, and the part that transfers may not fill for queries:
//!
//! ```text
//! 0            payments_max     transfers_max    in_flight_max
//! ├── payments ──────┤               │               │
//! ├── all transfers ─────────────────┤               │
//! ├── all messages ──────────────────────────────────┤
//! ```

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::AdmissionLimits;
use crate::metrics::{InFlight, Metrics};

/// Declared from the first to be served to the first to be shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Query,
    /// Refunds and payouts.
    Credit,
    /// New debits, and whatever is none of the above: it ends in a refusal and may wait.
    Payment,
}

#[derive(Debug)]
pub struct Admission {
    messages: Arc<Semaphore>,
    transfers: Arc<Semaphore>,
    payments: Arc<Semaphore>,
    in_flight_max: u32,
    metrics: Arc<Metrics>,
}

/// Held while a message is in flight.
#[derive(Debug)]
pub struct Admitted {
    _shares: [Option<OwnedSemaphorePermit>; 3],
    _gauge: InFlight,
}

/// There is no room for another message of this class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shed(pub Class);

impl Class {
    pub const ALL: [Self; 3] = [Self::Query, Self::Credit, Self::Payment];

    /// From the header line `MsgTp`. A sender that names another class there than in the message gains nothing: the
    /// two are compared once the message is read.
    pub fn of_header(message_type: Option<&str>) -> Self {
        match message_type.and_then(|text| text.split('.').nth(1)) {
            Some("301") => Self::Query,
            Some("205" | "211") => Self::Credit,
            _ => Self::Payment,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Credit => "credit",
            Self::Payment => "payment",
        }
    }
}

impl Admission {
    pub fn new(limits: &AdmissionLimits, metrics: Arc<Metrics>) -> Self {
        let semaphore = |permits: u32| Arc::new(Semaphore::new(usize::try_from(permits).unwrap_or(usize::MAX)));
        Self {
            messages: semaphore(limits.in_flight_max),
            transfers: semaphore(limits.transfers_max),
            payments: semaphore(limits.payments_max),
            in_flight_max: limits.in_flight_max,
            metrics,
        }
    }

    pub fn admit(&self, class: Class) -> Result<Admitted, Shed> {
        let taken = match class {
            Class::Query => [Some(&self.messages), None, None],
            Class::Credit => [Some(&self.messages), Some(&self.transfers), None],
            Class::Payment => [Some(&self.messages), Some(&self.transfers), Some(&self.payments)],
        };
        let mut shares = [const { None }; 3];
        for (share, semaphore) in shares.iter_mut().zip(taken.into_iter().flatten()) {
            let Ok(permit) = Arc::clone(semaphore).try_acquire_owned() else {
                self.metrics.shed(class);
                return Err(Shed(class));
            };
            *share = Some(permit);
        }
        Ok(Admitted {
            _shares: shares,
            _gauge: self.metrics.in_flight(class),
        })
    }

    /// Returns once nothing is in flight. Lets nothing new in while it waits and after, so it is for the drain only.
    pub async fn emptied(&self) {
        if let Ok(everything) = self.messages.acquire_many(self.in_flight_max).await {
            everything.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(in_flight_max: u32, transfers_max: u32, payments_max: u32) -> Admission {
        let limits = AdmissionLimits {
            in_flight_max,
            transfers_max,
            payments_max,
        };
        Admission::new(&limits, Arc::new(Metrics::new().0))
    }

    #[test]
    fn payments_are_shed_first_queries_last() {
        let admission = admission(4, 3, 2);
        let mut held = Vec::new();
        let mut check = |class, expected: bool| {
            let admitted = admission.admit(class);
            assert_eq!(admitted.is_ok(), expected, "{class:?} with {} in flight", held.len());
            held.extend(admitted);
        };
        check(Class::Payment, true);
        check(Class::Payment, true);
        check(Class::Payment, false);
        check(Class::Credit, true);
        check(Class::Credit, false);
        check(Class::Query, true);
        check(Class::Query, false);
        held.clear();
        assert!(
            admission.admit(Class::Payment).is_ok(),
            "what ends gives its share back"
        );
    }

    #[test]
    fn a_shed_message_leaves_no_share_behind() {
        let admission = admission(3, 2, 1);
        let held = admission.admit(Class::Payment).unwrap();
        for _ in 0..10 {
            assert_eq!(admission.admit(Class::Payment).unwrap_err(), Shed(Class::Payment));
        }
        assert!(admission.admit(Class::Credit).is_ok());
        drop(held);
    }

    #[test]
    fn classes_of_header_lines() {
        let check = |line: Option<&str>, expected| assert_eq!(Class::of_header(line), expected, "{line:?}");
        check(Some("epcc.301.001.01"), Class::Query);
        check(Some("epcc.205.001.01"), Class::Credit);
        check(Some("epcc.211.001.01"), Class::Credit);
        check(Some("epcc.201.001.01"), Class::Payment);
        check(Some("epcc.999.001.01"), Class::Payment);
        check(Some("301"), Class::Payment);
        check(None, Class::Payment);
    }
}
