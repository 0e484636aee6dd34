//! Many messages through the lanes.
//!
//! Each lane holds one message; all lanes go on by as many blocks as every one of them has ready. A message that is over
//! leaves its digest and its lane to the next one. Lanes without a message repeat the blocks of a neighbour, to no
//! effect. When so few messages are left that the lanes would be slower, these are finished singly.

use zeroize::Zeroize;

use super::feed::{self, Feed};
use super::lanes::{LANES, Lanes, States};
use super::{Digest, INITIAL, State, single, to_bytes};

/// Fewer messages than this are faster singly: a step of all lanes takes as long as about two single blocks.
const LANES_WORTHWHILE: usize = 3;

/// Where hashing begins: at a message's start, or behind blocks that many messages begin with.
#[derive(Clone, Copy)]
pub(super) struct Start<'a> {
    pub(super) state: &'a State,
    pub(super) bytes_before: u64,
}

impl Start<'static> {
    pub(super) const OF_MESSAGE: Self = Self {
        state: &INITIAL,
        bytes_before: 0,
    };
}

/// Singly.
pub(super) fn digest(start: &Start<'_>, parts: &[&[u8]]) -> Digest {
    finish(*start.state, Feed::new(start.bytes_before, parts))
}

fn finish(mut state: State, mut feed: Feed<'_>) -> Digest {
    while !feed.is_over() {
        let ready = feed.ready();
        let count = ready.len();
        single::compress(&mut state, ready);
        feed.advance(count);
    }
    let digest = to_bytes(&state);
    state.zeroize();
    digest
}

/// In lanes where there are any. Digests in the order of the messages.
pub(super) fn digest_all<const PARTS: usize>(
    start: &Start<'_>,
    messages: &[[&[u8]; PARTS]],
    lanes: Option<Lanes>,
) -> Vec<Digest> {
    match lanes {
        Some(lanes) if messages.len() >= LANES_WORTHWHILE => side_by_side(start, messages, lanes),
        _ => messages.iter().map(|parts| digest(start, parts)).collect(),
    }
}

/// A message in a lane, and the place of its digest.
struct Passenger<'a> {
    place: usize,
    feed: Feed<'a>,
}

fn side_by_side<const PARTS: usize>(start: &Start<'_>, messages: &[[&[u8]; PARTS]], lanes: Lanes) -> Vec<Digest> {
    let mut digests = vec![[0; _]; messages.len()];
    let mut queue = longest_first(messages).into_iter().map(|(place, parts)| Passenger {
        place,
        feed: Feed::new(start.bytes_before, parts),
    });
    let mut states = States::all(start.state);
    let mut seats: [Option<Passenger<'_>>; LANES] = std::array::from_fn(|_| queue.next());
    while seats.iter().flatten().count() >= LANES_WORTHWHILE {
        step(lanes, &mut states, &mut seats);
        for (lane, seat) in seats.iter_mut().enumerate() {
            let Some(over) = seat.take_if(|passenger| passenger.feed.is_over()) else {
                continue;
            };
            leave(&mut digests, over.place, to_bytes(&states.lane(lane)));
            *seat = queue.next();
            states.set_lane(lane, start.state);
        }
    }
    for (lane, seat) in seats.into_iter().enumerate() {
        if let Some(passenger) = seat {
            leave(&mut digests, passenger.place, finish(states.lane(lane), passenger.feed));
        }
    }
    digests
}

fn leave(digests: &mut [Digest], place: usize, digest: Digest) {
    *digests.get_mut(place).expect("every message has a place") = digest;
}

/// All lanes go on by as many blocks as every one of them has ready.
fn step(lanes: Lanes, states: &mut States, seats: &mut [Option<Passenger<'_>>; LANES]) {
    let neighbour = seats
        .iter()
        .flatten()
        .next()
        .map_or(&[][..], |passenger| passenger.feed.ready());
    let ready = seats
        .each_ref()
        .map(|seat| seat.as_ref().map_or(neighbour, |passenger| passenger.feed.ready()));
    let count = lanes.compress(states, &ready);
    for passenger in seats.iter_mut().flatten() {
        passenger.feed.advance(count);
    }
}

/// The messages with their places. What starts last should be short: the lanes then end together.
fn longest_first<'a, 'b, const PARTS: usize>(messages: &'a [[&'b [u8]; PARTS]]) -> Vec<(usize, &'a [&'b [u8]; PARTS])> {
    let mut order: Vec<_> = messages.iter().enumerate().collect();
    if messages.len() > LANES {
        order.sort_by_cached_key(|(_, parts)| std::cmp::Reverse(feed::blocks(*parts)));
    }
    order
}
