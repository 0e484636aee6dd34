//! Sixteen messages side by side in 512-bit registers: each register holds one word of all of them.
//!
//! The only `unsafe` of SM3. It rests on two facts: [`Lanes`] exists only where the processor has the instructions, and
//! no block is read beyond the shortest slice.

#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "instructions that not every processor has, and loads by pointer"
    )
)]

use zeroize::Zeroize;

use super::{Block, State};

pub(super) const LANES: usize = 16;

/// The states of all lanes, word by word.
#[repr(align(64))]
pub(super) struct States([[u32; LANES]; 8]);

impl States {
    pub(super) fn all(state: &State) -> Self {
        Self(state.map(|word| [word; LANES]))
    }

    pub(super) fn lane(&self, lane: usize) -> State {
        self.0.each_ref().map(|words| *words.get(lane).expect("a lane"))
    }

    pub(super) fn set_lane(&mut self, lane: usize, state: &State) {
        for (words, word) in self.0.iter_mut().zip(state) {
            *words.get_mut(lane).expect("a lane") = *word;
        }
    }
}

impl Drop for States {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// That the processor has what the lanes need.
#[derive(Clone, Copy)]
pub(super) struct Lanes(Proof);

#[cfg(not(target_arch = "x86_64"))]
type Proof = std::convert::Infallible;
#[cfg(target_arch = "x86_64")]
type Proof = ();

#[cfg(not(target_arch = "x86_64"))]
impl Lanes {
    pub(super) const fn detect() -> Option<Self> {
        None
    }

    pub(super) fn compress(self, _: &mut States, _: &[&[Block]; LANES]) -> usize {
        match self.0 {}
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        found.then_some(Self(()))
    }

    /// Takes into each lane's state as many of its blocks as every lane has; how many that were.
    pub(super) fn compress(self, states: &mut States, blocks: &[&[Block]; LANES]) -> usize {
        let Self(()) = self;
        // SAFETY: a `Lanes` is made only after both features were detected.
        unsafe { x86_64::compress(states, blocks) }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    #![expect(clippy::many_single_char_names, reason = "the names the standard gives the words")]

    use std::arch::x86_64::{
        __m512i, _mm512_add_epi32, _mm512_load_si512, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32,
        _mm512_set4_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_i32x4, _mm512_store_si512,
        _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
        _mm512_unpacklo_epi64, _mm512_xor_si512,
    };

    use super::super::Block;
    use super::super::rounds::{constant, expand, four_rounds, round, rounds};
    use super::{LANES, States};

    // Loops instead of closures: a closure that is called from outside a function with these features is not inlined.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn compress(states: &mut States, blocks: &[&[Block]; LANES]) -> usize {
        let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
        let mut words = [_mm512_setzero_si512(); 8];
        for (word, place) in words.iter_mut().zip(&states.0) {
            // SAFETY: each row of `States` is 64 bytes, and aligned to them because the rows follow one another.
            *word = unsafe { _mm512_load_si512(place.as_ptr().cast()) };
        }
        for index in 0..count {
            let mut rows = [_mm512_setzero_si512(); LANES];
            for (row, blocks) in rows.iter_mut().zip(blocks) {
                // SAFETY: `index` is below the length of every slice, and a block is 64 bytes.
                *row = big_endian(unsafe { _mm512_loadu_si512(blocks.as_ptr().add(index).cast()) });
            }
            words = compress_rows(&words, &rows);
        }
        for (place, word) in states.0.iter_mut().zip(words) {
            // SAFETY: as where they were loaded.
            unsafe { _mm512_store_si512(place.as_mut_ptr().cast(), word) };
        }
        count
    }

    /// One block of each lane, a row each.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn compress_rows(state: &[__m512i; 8], rows: &[__m512i; LANES]) -> [__m512i; 8] {
        let mut w = transpose(rows);
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
        rounds!(w, [a b c d e f g h]);
        let [a0, b0, c0, d0, e0, f0, g0, h0] = *state;
        [
            xor(a0, a),
            xor(b0, b),
            xor(c0, c),
            xor(d0, d),
            xor(e0, e),
            xor(f0, f),
            xor(g0, g),
            xor(h0, h),
        ]
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn big_endian(row: __m512i) -> __m512i {
        let reversed = _mm512_set4_epi32(0x0C0D_0E0F, 0x0809_0A0B, 0x0405_0607, 0x0001_0203);
        _mm512_shuffle_epi8(row, reversed)
    }

    /// From rows of 16 words to 16 rows of one word of each.
    #[target_feature(enable = "avx512f")]
    fn transpose(rows: &[__m512i; LANES]) -> [__m512i; LANES] {
        let [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12, r13, r14, r15] = *rows;
        let [a0, a1, a2, a3] = interleave(r0, r1, r2, r3);
        let [b0, b1, b2, b3] = interleave(r4, r5, r6, r7);
        let [c0, c1, c2, c3] = interleave(r8, r9, r10, r11);
        let [d0, d1, d2, d3] = interleave(r12, r13, r14, r15);
        let [w0, w4, w8, w12] = gather_quarters(a0, b0, c0, d0);
        let [w1, w5, w9, w13] = gather_quarters(a1, b1, c1, d1);
        let [w2, w6, w10, w14] = gather_quarters(a2, b2, c2, d2);
        let [w3, w7, w11, w15] = gather_quarters(a3, b3, c3, d3);
        [w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15]
    }

    /// Within each quarter of the registers: from four rows of four words to word 0, 1, 2 and 3 of the four.
    #[target_feature(enable = "avx512f")]
    fn interleave(r0: __m512i, r1: __m512i, r2: __m512i, r3: __m512i) -> [__m512i; 4] {
        let (low, low2) = (_mm512_unpacklo_epi32(r0, r1), _mm512_unpacklo_epi32(r2, r3));
        let (high, high2) = (_mm512_unpackhi_epi32(r0, r1), _mm512_unpackhi_epi32(r2, r3));
        [
            _mm512_unpacklo_epi64(low, low2),
            _mm512_unpackhi_epi64(low, low2),
            _mm512_unpacklo_epi64(high, high2),
            _mm512_unpackhi_epi64(high, high2),
        ]
    }

    /// Quarters 0 of the four, then quarters 1, 2 and 3.
    #[target_feature(enable = "avx512f")]
    fn gather_quarters(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [__m512i; 4] {
        const EVEN: i32 = 0b10_00_10_00;
        const ODD: i32 = 0b11_01_11_01;
        let (even, even2) = (_mm512_shuffle_i32x4::<EVEN>(a, b), _mm512_shuffle_i32x4::<EVEN>(c, d));
        let (odd, odd2) = (_mm512_shuffle_i32x4::<ODD>(a, b), _mm512_shuffle_i32x4::<ODD>(c, d));
        [
            _mm512_shuffle_i32x4::<EVEN>(even, even2),
            _mm512_shuffle_i32x4::<EVEN>(odd, odd2),
            _mm512_shuffle_i32x4::<ODD>(even, even2),
            _mm512_shuffle_i32x4::<ODD>(odd, odd2),
        ]
    }

    #[target_feature(enable = "avx512f")]
    fn add(x: __m512i, y: __m512i) -> __m512i {
        _mm512_add_epi32(x, y)
    }

    #[target_feature(enable = "avx512f")]
    fn xor(x: __m512i, y: __m512i) -> __m512i {
        _mm512_xor_si512(x, y)
    }

    #[target_feature(enable = "avx512f")]
    fn xor3(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
        _mm512_ternarylogic_epi32::<0x96>(x, y, z)
    }

    #[target_feature(enable = "avx512f")]
    fn majority(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
        _mm512_ternarylogic_epi32::<0xE8>(x, y, z)
    }

    #[target_feature(enable = "avx512f")]
    fn choose(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
        _mm512_ternarylogic_epi32::<0xCA>(x, y, z)
    }

    #[target_feature(enable = "avx512f")]
    fn rol<const BITS: i32>(x: __m512i) -> __m512i {
        _mm512_rol_epi32::<BITS>(x)
    }

    #[target_feature(enable = "avx512f")]
    fn each(constant: u32) -> __m512i {
        _mm512_set1_epi32(constant.cast_signed())
    }
}
