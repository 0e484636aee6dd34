//! The digits of eight scalars at once: as `digits` has them, one window of all lanes at a time.
//!
//! Constant-time.

use core::arch::x86_64::{
    __m512i, __mmask8, _mm512_and_si512, _mm512_cmplt_epu64_mask, _mm512_mask_xor_epi64, _mm512_or_si512,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_sllv_epi64, _mm512_srlv_epi64, _mm512_test_epi64_mask,
};

use zeroize::Zeroize;

use super::super::digits::{self, OddScalar};
use super::super::scalar::Scalar;
use super::fe8::LANES;
use super::vectors::load;

/// A scalar in each lane, made odd; none of them zero.
#[derive(Clone, Copy, Zeroize)]
pub(super) struct OddScalar8 {
    limbs: [__m512i; 4],
    /// Where the scalar was even and is negated.
    negated: __mmask8,
}

/// One digit of each lane: the place of its size among the odd numbers, and where the entry is negated.
#[derive(Clone, Copy)]
pub(super) struct Digit8 {
    pub(super) places: __m512i,
    pub(super) negative: __mmask8,
}

impl OddScalar8 {
    #[target_feature(enable = "avx512f")]
    pub(super) fn new(scalars: &[Scalar; LANES]) -> Self {
        let mut words = [[0u64; LANES]; 4];
        let mut negated = [0u64; LANES];
        for (lane, scalar) in scalars.iter().enumerate() {
            let mut odd = OddScalar::new(scalar);
            for (words, limb) in words.iter_mut().zip(odd.limbs()) {
                words[lane] = *limb;
            }
            negated[lane] = odd.negated();
            odd.zeroize();
        }
        let [a, b, c, d] = &words;
        let negative = load(&negated);
        let scalars = Self {
            limbs: [load(a), load(b), load(c), load(d)],
            negated: _mm512_test_epi64_mask(negative, negative),
        };
        words.zeroize();
        negated.zeroize();
        scalars
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn digit(&self, index: u32, window: u32) -> Digit8 {
        let bits = self.bits(index * window + 1, window);
        if index + 1 == digits::count(window) {
            return Digit8 {
                places: bits,
                negative: self.negated,
            };
        }
        let half = 1i64 << (window - 1);
        // below the middle of the window the digit is negative, and its size falls as the bits rise
        let negative = _mm512_cmplt_epu64_mask(bits, _mm512_set1_epi64(half));
        let size = _mm512_mask_xor_epi64(bits, negative, bits, _mm512_set1_epi64(-1));
        Digit8 {
            places: _mm512_and_si512(size, _mm512_set1_epi64(half - 1)),
            negative: negative ^ self.negated,
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn bits(&self, at: u32, count: u32) -> __m512i {
        let [a, b, c, d] = self.limbs;
        let none = _mm512_setzero_si512();
        let (low, high) = match at / 64 {
            0 => (a, b),
            1 => (b, c),
            2 => (c, d),
            3 => (d, none),
            _ => (none, none),
        };
        let shift = i64::from(at % 64);
        // a shift by 64 gives zero
        let low = _mm512_srlv_epi64(low, _mm512_set1_epi64(shift));
        let high = _mm512_sllv_epi64(high, _mm512_set1_epi64(64 - shift));
        _mm512_and_si512(_mm512_or_si512(low, high), _mm512_set1_epi64((1 << count) - 1))
    }
}
