//! Cuts a message that lies in parts into blocks and pads it.
//!
//! ```text
//! parts    |prefix|body………………………………………|
//! blocks   |scratch |of the body |of the body |scratch: rest, 80, zeros, bits|
//! ```
//!
//! Blocks that lie within one part are handed out where they are; only those across parts, and the padding, are put
//! together in a scratch, which is wiped.

use std::slice;

use zeroize::optimization_barrier;

use super::{BLOCK_BYTES, Block};

/// Bytes at the end of the last block that hold the message's length in bits.
const LENGTH_BYTES: usize = size_of::<u64>();

/// The blocks of one message that are still to be compressed.
pub(super) struct Feed<'a> {
    /// Blocks within a part; while there are any, they come before the scratch.
    whole: &'a [Block],
    scratch: [Block; 2],
    /// Of the scratch, what is still to be handed out: its last `waiting` blocks up to `end`.
    waiting: usize,
    end: usize,
    /// What is left of the part begun, then of the others.
    rest: &'a [u8],
    parts: slice::Iter<'a, &'a [u8]>,
    bits: u64,
    padded: bool,
}

impl<'a> Feed<'a> {
    /// `bytes_before`: how much was hashed before these parts, whole blocks.
    pub(super) fn new(bytes_before: u64, parts: &'a [&'a [u8]]) -> Self {
        let mut feed = Self {
            whole: &[],
            scratch: [[0; BLOCK_BYTES]; 2],
            waiting: 0,
            end: 0,
            rest: &[],
            parts: parts.iter(),
            bits: 8 * (bytes_before + total_bytes(parts)),
            padded: false,
        };
        feed.prepare();
        feed
    }

    /// Blocks that lie ready, at least one until the message is over, none then.
    pub(super) fn ready(&self) -> &[Block] {
        if self.whole.is_empty() {
            self.scratch
                .get(self.end - self.waiting..self.end)
                .expect("no more waits than was put there")
        } else {
            self.whole
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.whole.is_empty() && self.waiting == 0
    }

    /// Takes off the first `count` of the blocks that lie ready.
    pub(super) fn advance(&mut self, count: usize) {
        if self.whole.is_empty() {
            self.waiting -= count;
        } else {
            self.whole = self.whole.get(count..).expect("as many lie ready");
        }
        if self.is_over() && !self.padded {
            self.prepare();
        }
    }

    fn prepare(&mut self) {
        self.next_part();
        if self.rest.len() >= BLOCK_BYTES {
            (self.whole, self.rest) = self.rest.as_chunks();
            return;
        }
        let filled = self.fill();
        let [first, second] = &mut self.scratch;
        self.end = 1;
        if let Some([mark, room @ ..]) = first.get_mut(filled..) {
            *mark = 0x80;
            room.fill(0);
            let last = if room.len() >= LENGTH_BYTES {
                first
            } else {
                second.fill(0);
                self.end = 2;
                second
            };
            *last.last_chunk_mut().expect("a block is longer than a length") = self.bits.to_be_bytes();
            self.padded = true;
        }
        self.waiting = self.end;
    }

    /// Copies what comes next into the first block of the scratch; how many bytes that were.
    fn fill(&mut self) -> usize {
        let [block, _] = &mut self.scratch;
        let mut room = block.as_mut_slice();
        loop {
            let (taken, rest) = self.rest.split_at(room.len().min(self.rest.len()));
            let (place, room_left) = room.split_at_mut(taken.len());
            place.copy_from_slice(taken);
            (self.rest, room) = (rest, room_left);
            match self.parts.as_slice() {
                [next, ..] if !room.is_empty() => {
                    self.rest = next;
                    self.parts.next();
                }
                _ => return BLOCK_BYTES - room.len(),
            }
        }
    }

    /// Goes on to the next part that holds anything, when one has ended.
    fn next_part(&mut self) {
        while self.rest.is_empty() {
            let Some(next) = self.parts.next() else { return };
            self.rest = next;
        }
    }
}

impl Drop for Feed<'_> {
    fn drop(&mut self) {
        // In wide stores: byte by byte, as `zeroize` works, it would be a third of the hashing of a short message.
        self.scratch = [[0; BLOCK_BYTES]; 2];
        optimization_barrier(&self.scratch);
    }
}

/// How many blocks the message has, for putting the longest first.
pub(super) fn blocks(parts: &[&[u8]]) -> u64 {
    total_bytes(parts) / 64
}

fn total_bytes(parts: &[&[u8]]) -> u64 {
    parts
        .iter()
        .map(|part| u64::try_from(part.len()).expect("a length in memory fits 64 bits"))
        .sum()
}
