//! Sums of eight field elements whose carries are still to be done: between the elements that are multiplied (`fe8`).

use core::arch::x86_64::{
    __m512i, __mmask8, _mm512_add_epi64, _mm512_and_si512, _mm512_mask_sub_epi64, _mm512_or_si512, _mm512_slli_epi64,
    _mm512_srai_epi64, _mm512_srli_epi64, _mm512_sub_epi64,
};

use super::fe8::{Fe8, P52, above, low};
use super::vectors::all;

/// A sum of elements, its limbs signed and not yet carried.
#[derive(Clone, Copy)]
pub(super) struct Loose8(pub(super) [__m512i; 5]);

impl Loose8 {
    /// Elements in the scalar path's Montgomery form, times 16, which is the form of the lanes: below 16.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn sixteenfold(words: &[__m512i; 4]) -> Self {
        let [a, b, c, d] = *words;
        let join = |low: __m512i, high: __m512i| _mm512_or_si512(low, high);
        Self([
            low(_mm512_slli_epi64::<4>(a)),
            low(join(_mm512_srli_epi64::<48>(a), _mm512_slli_epi64::<16>(b))),
            low(join(_mm512_srli_epi64::<36>(b), _mm512_slli_epi64::<28>(c))),
            low(join(_mm512_srli_epi64::<24>(c), _mm512_slli_epi64::<40>(d))),
            _mm512_srli_epi64::<12>(d),
        ])
    }

    /// 16p − self in the lanes of the mask, self in the rest. Self is at most 16p.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn negated(&self, mask: __mmask8) -> Self {
        let mut limbs = self.0;
        for at in 0..5 {
            limbs[at] = _mm512_mask_sub_epi64(limbs[at], mask, all(16 * P52[at]), limbs[at]);
        }
        Self(limbs)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn plus(&self, other: &Fe8) -> Self {
        let mut limbs = self.0;
        for at in 0..5 {
            limbs[at] = _mm512_add_epi64(limbs[at], other.0[at]);
        }
        Self(limbs)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn minus(&self, other: &Fe8) -> Self {
        let mut limbs = self.0;
        for at in 0..5 {
            limbs[at] = _mm512_sub_epi64(limbs[at], other.0[at]);
        }
        Self(limbs)
    }

    /// self − 2·other.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn minus_twice(&self, other: &Fe8) -> Self {
        let mut limbs = self.0;
        for at in 0..5 {
            limbs[at] = _mm512_sub_epi64(limbs[at], _mm512_slli_epi64::<1>(other.0[at]));
        }
        Self(limbs)
    }

    /// The same integer with its carries done, which must be below 4.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn carried(&self) -> Fe8 {
        let [a, b, c, d, e] = self.0;
        let b = _mm512_add_epi64(b, above(a));
        let c = _mm512_add_epi64(c, above(b));
        let d = _mm512_add_epi64(d, above(c));
        let e = _mm512_add_epi64(e, above(d));
        Fe8([low(a), low(b), low(c), low(d), e])
    }

    /// The same residue with its multiples of 2^256 replaced: 2^256 ≡ 2^224 + 2^96 − 2^64 + 1. Below 1 + 2^-26.
    ///
    /// The multiple is read off before the carries, so it is the right one or one more or less; a value that it leaves
    /// negative in between is below p, and had −1 as its multiple, which adds p.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn folded(&self) -> Fe8 {
        let [a, b, c, d, e] = self.0;
        let multiple = _mm512_srai_epi64::<48>(e);
        let a = _mm512_add_epi64(a, multiple);
        let b = _mm512_add_epi64(b, _mm512_slli_epi64::<44>(multiple));
        let b = _mm512_sub_epi64(b, _mm512_slli_epi64::<12>(multiple));
        let e = _mm512_and_si512(e, all((1 << 48) - 1));
        let e = _mm512_add_epi64(e, _mm512_slli_epi64::<16>(multiple));
        Self([a, b, c, d, e]).carried()
    }
}
