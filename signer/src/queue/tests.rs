//! The order of the lanes, shares and bounds.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const fn queued<T>(lane: Lane, item: T) -> Queued<T> {
    Queued { lane, bytes: 1, item }
}

fn limits(items_max: usize, takers: usize) -> QueueLimits {
    QueueLimits {
        items_max,
        bytes_max: usize::MAX,
        takers,
    }
}

fn filled(items_max: usize, takers: usize, items: &[(Lane, u8)]) -> Queue<u8> {
    let queue = Queue::new(limits(items_max, takers));
    let refused = queue.push_all(items.iter().map(|(lane, item)| queued(*lane, *item)));
    assert_eq!(refused, []);
    queue
}

#[test]
fn a_take_is_of_the_most_urgent_lane_and_in_its_order() {
    let queue = filled(
        9,
        1,
        &[
            (Lane::Opening, 1),
            (Lane::Sealing, 2),
            (Lane::Signing, 3),
            (Lane::Health, 4),
            (Lane::Opening, 5),
            (Lane::Signing, 6),
        ],
    );
    assert_eq!(queue.take_waiting(Lane::Opening), [1, 5]);
    assert_eq!(queue.take(), Some((Lane::Health, vec![4])));
    assert_eq!(queue.take(), Some((Lane::Signing, vec![3, 6])));
    assert_eq!(queue.take(), Some((Lane::Sealing, vec![2])));
    assert_eq!(queue.take_waiting(Lane::Signing), [0; 0]);
    assert_eq!(queue.depth(), (0, 0));
}

#[test]
fn a_taker_gets_its_share() {
    #[track_caller]
    fn check(count: u8, takers: usize, expected: usize) {
        let items: Vec<_> = (0..count).map(|item| (Lane::Opening, item)).collect();
        assert_eq!(filled(255, takers, &items).take().unwrap().1.len(), expected);
    }
    check(1, 1, 1);
    check(1, 4, 1);
    check(8, 2, 8);
    check(9, 2, 8);
    check(40, 2, 20);
    check(200, 2, 64);
}

#[test]
fn full_means_all_lanes_together_but_health() {
    let queue = filled(2, 1, &[(Lane::Signing, 1), (Lane::Opening, 2)]);
    assert_eq!(queue.push_all([queued(Lane::Signing, 3)]), [queued(Lane::Signing, 3)]);
    assert_eq!(queue.push_all([queued(Lane::Health, 4)]), []);
    assert_eq!(queue.push_all([queued(Lane::Health, 5)]), []);
    assert_eq!(queue.push_all([queued(Lane::Health, 6)]), [queued(Lane::Health, 6)]);
    assert_eq!(queue.take_waiting(Lane::Signing), [1]);
    assert_eq!(queue.push_all([queued(Lane::Signing, 3)]), []);
}

#[test]
fn bytes_are_bounded_as_well() {
    #[track_caller]
    fn check(weights: &[usize], refused: &[usize]) {
        let queue = Queue::new(QueueLimits {
            bytes_max: 100,
            ..limits(9, 1)
        });
        let items = weights.iter().map(|bytes| Queued {
            lane: Lane::Opening,
            bytes: *bytes,
            item: *bytes,
        });
        let back: Vec<usize> = queue.push_all(items).into_iter().map(|queued| queued.item).collect();
        assert_eq!(back, refused);
        assert!(queue.depth().1 <= 100);
        let _all = queue.take_waiting(Lane::Opening);
        assert_eq!(queue.depth(), (0, 0));
    }
    check(&[100], &[]);
    check(&[101], &[101]);
    check(&[60, 60, 40, 1], &[60, 1]);
    check(&[usize::MAX, 1], &[usize::MAX]);
}

#[test]
fn closed_gives_out_what_is_left_and_wakes_the_takers() {
    let queue = Arc::new(filled(9, 1, &[(Lane::Opening, 1)]));
    queue.close();
    assert_eq!(queue.push_all([queued(Lane::Signing, 2)]), [queued(Lane::Signing, 2)]);
    assert_eq!(queue.take(), Some((Lane::Opening, vec![1])));
    assert_eq!(queue.take(), None);

    let waiting = Arc::new(Queue::<u8>::new(limits(9, 2)));
    let takers = [1, 2].map(|_| {
        let waiting = Arc::clone(&waiting);
        std::thread::spawn(move || waiting.take())
    });
    waiting.close();
    for taker in takers {
        assert_eq!(taker.join().unwrap(), None);
    }
}

proptest! {
    #[test]
    fn every_item_comes_out_once(lanes: Vec<u8>, takers in 1..5usize) {
        let lanes = lanes.into_iter().map(|lane| match lane % 3 {
            0 => Lane::Signing,
            1 => Lane::Sealing,
            _ => Lane::Opening,
        });
        let items: Vec<_> = lanes.enumerate().collect();
        let queue = Arc::new(Queue::new(limits(items.len(), takers)));
        let threads: Vec<_> = (0..takers).map(|_| {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || {
                let mut out = Vec::new();
                while let Some((lane, taken)) = queue.take() {
                    out.extend(taken.into_iter().map(|item| (item, lane)));
                }
                out
            })
        }).collect();
        for (item, lane) in &items {
            prop_assert_eq!(queue.push_all([queued(*lane, *item)]), []);
        }
        queue.close();
        let mut out: Vec<(usize, Lane)> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        out.sort_by_key(|(item, _)| *item);
        prop_assert_eq!(out, items);
    }
}
