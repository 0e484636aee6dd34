//! One shard's records on their way: what was read, sent and acknowledged. Pure.
//!
//! ```text
//!   shipped        sent          read
//!      │ in flight   │  waiting    │ still in the journal
//!  ────┴─────────────┴─────────────┴──────────▶ number
//! ```

use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Lane {
    shipped: u64,
    sent: u64,
    /// Records after `sent`, in order.
    waiting: VecDeque<Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutOfOrder;

impl Lane {
    /// Everything up to `shipped` is safe.
    pub(super) const fn after(shipped: u64) -> Self {
        Self {
            shipped,
            sent: shipped,
            waiting: VecDeque::new(),
        }
    }

    pub(super) const fn shipped(&self) -> u64 {
        self.shipped
    }

    pub(super) fn next_to_read(&self) -> u64 {
        let waiting = u64::try_from(self.waiting.len()).expect("a length in memory fits 64 bits");
        self.sent + waiting + 1
    }

    pub(super) fn wants_records(&self, window: u64) -> bool {
        self.waiting.is_empty() && self.sent - self.shipped < window
    }

    /// Takes in what was read from `next_to_read` on.
    pub(super) fn read(&mut self, records: Vec<Vec<u8>>) {
        self.waiting.extend(records);
    }

    /// The next record, if the window has room for it.
    pub(super) fn next_to_send(&self, window: u64) -> Option<(u64, &[u8])> {
        let record = self.waiting.front()?;
        (self.sent - self.shipped < window).then_some((self.sent + 1, record.as_slice()))
    }

    /// `next_to_send` was taken.
    pub(super) fn sent(&mut self) {
        if self.waiting.pop_front().is_some() {
            self.sent += 1;
        }
    }

    /// The broker has a record. Its partition keeps order (invariant L6), so they become safe one after the other.
    pub(super) fn acknowledged(&mut self, sequence: u64) -> Result<(), OutOfOrder> {
        if sequence != self.shipped + 1 || sequence > self.sent {
            return Err(OutOfOrder);
        }
        self.shipped = sequence;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_go_once_in_order_within_the_window() {
        let mut lane = Lane::after(10);
        assert!(lane.wants_records(2));
        assert_eq!(lane.next_to_read(), 11);
        lane.read(vec![b"11".to_vec(), b"12".to_vec(), b"13".to_vec()]);
        assert_eq!(lane.next_to_read(), 14);
        assert_eq!(lane.next_to_send(2), Some((11, b"11".as_slice())));
        assert_eq!(lane.next_to_send(2), Some((11, b"11".as_slice())), "not taken yet");
        lane.sent();
        assert_eq!(lane.next_to_send(2), Some((12, b"12".as_slice())));
        lane.sent();
        assert_eq!(lane.next_to_send(2), None, "the window is full");
        assert_eq!(lane.acknowledged(12), Err(OutOfOrder));
        assert_eq!(lane.acknowledged(11), Ok(()));
        assert_eq!(lane.acknowledged(11), Err(OutOfOrder));
        assert_eq!(lane.shipped(), 11);
        assert_eq!(lane.next_to_send(2), Some((13, b"13".as_slice())));
        assert_eq!(lane.acknowledged(13), Err(OutOfOrder), "not sent yet");
        assert!(!lane.wants_records(2));
        lane.sent();
        assert_eq!(lane.next_to_read(), 14);
        assert!(!lane.wants_records(2), "the window is full");
        assert_eq!(lane.acknowledged(12), Ok(()));
        assert!(lane.wants_records(2));
    }
}
