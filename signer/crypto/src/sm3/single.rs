//! One message in ordinary registers.

#![expect(
    clippy::inline_always,
    reason = "operations of an instruction or two, where a call costs more than the work"
)]
#![expect(clippy::many_single_char_names, reason = "the names the standard gives the words")]

use super::rounds::{constant, expand, four_rounds, round, rounds};
use super::{Block, State};

/// Takes the blocks into the state, one after another.
pub(super) fn compress(state: &mut State, blocks: &[Block]) {
    for block in blocks {
        compress_block(state, block);
    }
}

fn compress_block(state: &mut State, block: &Block) {
    let mut w = [0; 16];
    for (word, bytes) in w.iter_mut().zip(block.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    rounds!(w, [a b c d e f g h]);
    for (old, new) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *old ^= new;
    }
}

#[inline(always)]
const fn add(x: u32, y: u32) -> u32 {
    x.wrapping_add(y)
}

#[inline(always)]
const fn xor(x: u32, y: u32) -> u32 {
    x ^ y
}

#[inline(always)]
const fn xor3(x: u32, y: u32, z: u32) -> u32 {
    x ^ y ^ z
}

#[inline(always)]
const fn majority(x: u32, y: u32, z: u32) -> u32 {
    (x & y) | (z & (x | y))
}

#[inline(always)]
const fn choose(x: u32, y: u32, z: u32) -> u32 {
    z ^ (x & (y ^ z))
}

#[inline(always)]
const fn rol<const BITS: u32>(x: u32) -> u32 {
    x.rotate_left(BITS)
}

#[inline(always)]
const fn each(constant: u32) -> u32 {
    constant
}
