//! SM3 of a message that comes piece by piece.

#![allow(dead_code, reason = "for messages that come piece by piece")]

use zeroize::Zeroize;

use super::batch::{self, Start};
use super::{BLOCK_BYTES, Block, Digest, INITIAL, State, single};

/// A message begun. Wiped when dropped.
#[derive(Clone)]
pub(crate) struct Sm3 {
    state: State,
    /// What has not filled a block yet: the first `waiting` bytes, fewer than a block.
    buffer: Block,
    waiting: usize,
    /// In whole blocks, taken into the state.
    bytes: u64,
}

impl Sm3 {
    pub(crate) const fn new() -> Self {
        Self {
            state: INITIAL,
            buffer: [0; BLOCK_BYTES],
            waiting: 0,
            bytes: 0,
        }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        if self.waiting > 0 {
            let room = self.buffer.get_mut(self.waiting..).expect("less than a block waits");
            let (taken, rest) = bytes.split_at(room.len().min(bytes.len()));
            for (place, byte) in room.iter_mut().zip(taken) {
                *place = *byte;
            }
            self.waiting += taken.len();
            if self.waiting < BLOCK_BYTES {
                return;
            }
            let block = self.buffer;
            self.compress(&[block]);
            self.waiting = 0;
            bytes = rest;
        }
        let (blocks, rest) = bytes.as_chunks();
        self.compress(blocks);
        for (place, byte) in self.buffer.iter_mut().zip(rest) {
            *place = *byte;
        }
        self.waiting = rest.len();
    }

    pub(crate) fn finalize(self) -> Digest {
        let start = Start {
            state: &self.state,
            bytes_before: self.bytes,
        };
        batch::digest(
            &start,
            &[self.buffer.get(..self.waiting).expect("less than a block waits")],
        )
    }

    fn compress(&mut self, blocks: &[Block]) {
        single::compress(&mut self.state, blocks);
        for _ in blocks {
            self.bytes += 64;
        }
    }
}

impl Drop for Sm3 {
    fn drop(&mut self) {
        self.state.zeroize();
        self.buffer.zeroize();
    }
}
