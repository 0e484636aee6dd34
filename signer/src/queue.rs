//! The queue between the streams and the workers: two lanes under one bound.
//!
//! The urgent lane is emptied first: an answer that is waiting to be signed already holds a posting, new messages do
//! not. A full queue refuses at once and gives the item back. Takers get what is there and never wait for company: at
//! most a fair share, so that one worker does not sit on what another could be doing.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Urgent,
    Ordinary,
}

#[derive(Debug)]
pub(crate) struct Queue<T> {
    lanes: Mutex<Lanes<T>>,
    filled: Condvar,
    max: usize,
    takers: usize,
    take_max: usize,
}

#[derive(Debug)]
struct Lanes<T> {
    urgent: VecDeque<T>,
    ordinary: VecDeque<T>,
    closed: bool,
}

/// The queue is full or closed; here is the item.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full<T>(pub(crate) T);

impl<T> Lanes<T> {
    fn len(&self) -> usize {
        self.urgent.len() + self.ordinary.len()
    }
}

impl<T> Queue<T> {
    /// For `takers` threads, each of which takes at most `take_max` at once.
    pub(crate) const fn new(max: usize, takers: usize, take_max: usize) -> Self {
        let lanes = Lanes {
            urgent: VecDeque::new(),
            ordinary: VecDeque::new(),
            closed: false,
        };
        Self {
            lanes: Mutex::new(lanes),
            filled: Condvar::new(),
            max,
            takers,
            take_max,
        }
    }

    pub(crate) fn push(&self, lane: Lane, item: T) -> Result<(), Full<T>> {
        let mut lanes = self.lock();
        if lanes.closed || lanes.len() >= self.max {
            return Err(Full(item));
        }
        match lane {
            Lane::Urgent => lanes.urgent.push_back(item),
            Lane::Ordinary => lanes.ordinary.push_back(item),
        }
        drop(lanes);
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for at least one item. None: the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<Vec<T>> {
        let waiting = |lanes: &mut Lanes<T>| lanes.len() == 0 && !lanes.closed;
        let mut lanes = self
            .filled
            .wait_while(self.lock(), waiting)
            .unwrap_or_else(PoisonError::into_inner);
        let share = lanes.len().div_ceil(self.takers).min(self.take_max);
        let urgent = share.min(lanes.urgent.len());
        let mut taken: Vec<T> = lanes.urgent.drain(..urgent).collect();
        taken.extend(lanes.ordinary.drain(..share - urgent));
        (!taken.is_empty()).then_some(taken)
    }

    /// Nothing more is taken in; what is there is still handed out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// The lanes are whole between any two statements under the lock, so a poisoned one is as good.
    fn lock(&self) -> MutexGuard<'_, Lanes<T>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn filled(max: usize, takers: usize, take_max: usize, items: &[(Lane, u8)]) -> Queue<u8> {
        let queue = Queue::new(max, takers, take_max);
        for (lane, item) in items {
            queue.push(*lane, *item).unwrap();
        }
        queue
    }

    #[test]
    fn urgent_goes_first_and_each_lane_keeps_its_order() {
        let items = [
            (Lane::Ordinary, 1),
            (Lane::Urgent, 2),
            (Lane::Ordinary, 3),
            (Lane::Urgent, 4),
        ];
        assert_eq!(filled(9, 1, 9, &items).take(), Some(vec![2, 4, 1, 3]));
    }

    #[test]
    fn a_taker_gets_its_share() {
        #[track_caller]
        fn check(count: u8, takers: usize, take_max: usize, expected: usize) {
            let items: Vec<_> = (0..count).map(|item| (Lane::Ordinary, item)).collect();
            assert_eq!(filled(99, takers, take_max, &items).take().unwrap().len(), expected);
        }
        check(1, 1, 8, 1);
        check(1, 4, 8, 1);
        check(4, 2, 8, 2);
        check(5, 2, 8, 3);
        check(50, 2, 8, 8);
    }

    #[test]
    fn full_means_both_lanes_together() {
        let queue = filled(2, 1, 1, &[(Lane::Urgent, 1), (Lane::Ordinary, 2)]);
        assert_eq!(queue.push(Lane::Urgent, 3), Err(Full(3)));
        assert_eq!(queue.take(), Some(vec![1]));
        assert_eq!(queue.push(Lane::Ordinary, 3), Ok(()));
    }

    #[test]
    fn closed_gives_out_what_is_left_and_wakes_the_takers() {
        let queue = Arc::new(filled(9, 1, 9, &[(Lane::Ordinary, 1)]));
        queue.close();
        assert_eq!(queue.push(Lane::Urgent, 2), Err(Full(2)));
        assert_eq!(queue.take(), Some(vec![1]));
        assert_eq!(queue.take(), None);

        let waiting = Arc::new(Queue::<u8>::new(9, 1, 9));
        let taker = std::thread::spawn({
            let waiting = Arc::clone(&waiting);
            move || waiting.take()
        });
        waiting.close();
        assert_eq!(taker.join().unwrap(), None);
    }

    proptest! {
        #[test]
        fn every_item_comes_out_once(lanes: Vec<bool>, takers in 1..5usize, take_max in 1..9usize) {
            let queue = Queue::new(lanes.len(), takers, take_max);
            for (item, urgent) in lanes.iter().enumerate() {
                queue.push(if *urgent { Lane::Urgent } else { Lane::Ordinary }, item).unwrap();
            }
            queue.close();
            let mut out = Vec::new();
            while let Some(taken) = queue.take() {
                prop_assert!(!taken.is_empty() && taken.len() <= take_max);
                out.extend(taken);
            }
            let expected: Vec<usize> = [true, false].into_iter()
                .flat_map(|urgent| lanes.iter().enumerate().filter(move |(_, is)| **is == urgent).map(|(item, _)| item))
                .collect();
            prop_assert_eq!(out, expected);
        }
    }
}
