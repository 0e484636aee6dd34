//! Eight field elements side by side: five limbs of 52 bits, Montgomery form with R = 2^260, for AVX-512 IFMA.
//!
//! R leaves four bits above p, so that a product needs no final reduction and sums need few. How large a value may be
//! is told by its name, in units of 2^256:
//!
//! ```text
//!   Fe8, any      below 4         what may enter a product; every limb below 2^52, so the carries are done
//!   a product     below 2         a·b/R + p < 4·4/16 + 1
//!   folded        below 1 + 2^-26 what has its multiples of 2^256 folded; below 2p
//!   Loose8        0 to 32         a sum whose limbs are signed and have not been carried (`loose8`)
//! ```
//!
//! Constant-time: nothing branches on a value, and a lane never touches another but where a function says so.

use core::arch::x86_64::{
    __m512i, __mmask8, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpeq_epu64_mask, _mm512_cmple_epu64_mask,
    _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_blend_epi64, _mm512_or_si512, _mm512_setzero_si512,
    _mm512_slli_epi64, _mm512_srai_epi64, _mm512_srli_epi64, _mm512_sub_epi64,
};

use zeroize::Zeroize;

use super::super::field::{Fe, P};
use super::super::limbs::{self, Limbs};
use super::loose8::Loose8;
use super::vectors::{all, load, store};

pub(super) const LANES: usize = 8;

const LIMB: i64 = (1 << 52) - 1;
/// p in limbs of 52 bits.
pub(super) const P52: [i64; 5] = [
    LIMB,
    (1 << 52) - (1 << 44) + (1 << 12) - 1,
    LIMB,
    LIMB,
    (1 << 48) - (1 << 16) - 1,
];
/// 2^252: times this, in the scalar path's Montgomery form, a value of R = 2^260 becomes one of R = 2^256.
const SIXTEENTH: Fe = Fe::from_scanned([0, 0, 0, 1 << 60]);

/// Eight elements, carried: below 4·2^256.
#[derive(Clone, Copy, Zeroize)]
pub(super) struct Fe8(pub(super) [__m512i; 5]);

/// What is above the lowest 52 bits, signed.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn above(limb: __m512i) -> __m512i {
    _mm512_srai_epi64::<52>(limb)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn low(limb: __m512i) -> __m512i {
    _mm512_and_si512(limb, all(LIMB))
}

/// (t + m·p)/R: five rounds, each of which clears the lowest limb. p ≡ −1 (mod 2^52), so m of a round is that limb
/// itself, and m·p + m is m·(2^52 − 2^44 + 2^12)·2^52 − m·2^104 + m·(2^48 − 2^16)·2^208. Limbs are signed on the way.
/// `t` is below 16·2^512 and each of its limbs below 2^56.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn reduce(mut t: [__m512i; 10]) -> Fe8 {
    let (second, fifth) = (all((1 << 52) - (1 << 44) + (1 << 12)), all((1 << 48) - (1 << 16)));
    for at in 0..5 {
        let m = low(t[at]);
        t[at + 1] = _mm512_madd52lo_epu64(_mm512_add_epi64(t[at + 1], above(t[at])), m, second);
        t[at + 2] = _mm512_madd52hi_epu64(_mm512_sub_epi64(t[at + 2], m), m, second);
        t[at + 4] = _mm512_madd52lo_epu64(t[at + 4], m, fifth);
        t[at + 5] = _mm512_madd52hi_epu64(t[at + 5], m, fifth);
    }
    Loose8([t[5], t[6], t[7], t[8], t[9]]).carried()
}

impl Fe8 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn zero() -> Self {
        Self([_mm512_setzero_si512(); 5])
    }

    /// One in Montgomery form, R mod p = 16·(2^256 − p).
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn one() -> Self {
        let zero = _mm512_setzero_si512();
        Self([all(16), all((1 << 48) - (1 << 16)), zero, zero, all(1 << 20)])
    }

    /// a·b/R: a product.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn mul(&self, other: &Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        // low and high halves apart, so that no sum waits for another
        let mut halves = [[_mm512_setzero_si512(); 10]; 2];
        for i in 0..5 {
            for j in 0..5 {
                halves[0][i + j] = _mm512_madd52lo_epu64(halves[0][i + j], a[i], b[j]);
                halves[1][i + j + 1] = _mm512_madd52hi_epu64(halves[1][i + j + 1], a[i], b[j]);
            }
        }
        let [mut t, high] = halves;
        for at in 1..10 {
            t[at] = _mm512_add_epi64(t[at], high[at]);
        }
        reduce(t)
    }

    /// a²/R, each product of two different limbs computed once: a product.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn square(&self) -> Self {
        let a = &self.0;
        let mut halves = [[_mm512_setzero_si512(); 10]; 2];
        for i in 0..5 {
            for j in i + 1..5 {
                halves[0][i + j] = _mm512_madd52lo_epu64(halves[0][i + j], a[i], a[j]);
                halves[1][i + j + 1] = _mm512_madd52hi_epu64(halves[1][i + j + 1], a[i], a[j]);
            }
        }
        let [mut t, high] = halves;
        for at in 1..10 {
            let sum = _mm512_add_epi64(t[at], high[at]);
            t[at] = _mm512_add_epi64(sum, sum);
        }
        for i in 0..5 {
            t[2 * i] = _mm512_madd52lo_epu64(t[2 * i], a[i], a[i]);
            t[2 * i + 1] = _mm512_madd52hi_epu64(t[2 * i + 1], a[i], a[i]);
        }
        reduce(t)
    }

    /// self/R: the residue itself.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn out_of_montgomery(&self) -> Self {
        let [a, b, c, d, e] = self.0;
        let none = _mm512_setzero_si512();
        reduce([a, b, c, d, e, none, none, none, none, none])
    }

    /// self + other.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn plus(&self, other: &Self) -> Loose8 {
        Loose8(self.0).plus(other)
    }

    /// self − other + multiple·p, which the caller knows not to be negative.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn minus<const MULTIPLE: i64>(&self, other: &Self) -> Loose8 {
        let mut limbs = self.0;
        for at in 0..5 {
            limbs[at] = _mm512_sub_epi64(_mm512_add_epi64(limbs[at], all(MULTIPLE * P52[at])), other.0[at]);
        }
        Loose8(limbs)
    }

    /// self − 8·other + 16p, for other below 2 − 2^-31.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn minus_eightfold(&self, other: &Self) -> Loose8 {
        let mut limbs = self.0;
        for at in 0..5 {
            let more = _mm512_add_epi64(limbs[at], all(16 * P52[at]));
            limbs[at] = _mm512_sub_epi64(more, _mm512_slli_epi64::<3>(other.0[at]));
        }
        Loose8(limbs)
    }

    /// 4·self − other + 2p, for other folded.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn fourfold_minus(&self, other: &Self) -> Loose8 {
        let fourfold = Self(self.0.map(|limb| _mm512_slli_epi64::<2>(limb)));
        fourfold.minus::<2>(other)
    }

    /// `other` in the lanes of the mask, self in the rest.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn replaced(&self, mask: __mmask8, other: &Self) -> Self {
        let mut limbs = self.0;
        for at in 0..5 {
            limbs[at] = _mm512_mask_blend_epi64(mask, limbs[at], other.0[at]);
        }
        Self(limbs)
    }

    /// Every lane that may be zero modulo p: that is k·p for k from 1 to 4, whose lowest limb is 2^52 − k, or zero
    /// itself. Says so of one other value in 2^49, too.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn maybe_zero(&self) -> __mmask8 {
        // 0 and 2^52 − 4 to 2^52 − 1 are next to each other when 4 is added
        let shifted = low(_mm512_add_epi64(self.0[0], all(4)));
        _mm512_cmple_epu64_mask(shifted, all(4))
    }

    /// Every lane that is zero modulo p, of a folded element: 0 or p.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn folded_is_zero(&self) -> __mmask8 {
        let (mut zero, mut p) = (0xFF, 0xFF);
        for at in 0..5 {
            zero &= _mm512_cmpeq_epu64_mask(self.0[at], _mm512_setzero_si512());
            p &= _mm512_cmpeq_epu64_mask(self.0[at], all(P52[at]));
        }
        zero | p
    }

    /// From four 64-bit words in each lane, as they are: the integer, below 2^256.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn from_words(words: &[__m512i; 4]) -> Self {
        let [a, b, c, d] = *words;
        let join = |low: __m512i, high: __m512i| _mm512_or_si512(low, high);
        Self([
            low(a),
            low(join(_mm512_srli_epi64::<52>(a), _mm512_slli_epi64::<12>(b))),
            low(join(_mm512_srli_epi64::<40>(b), _mm512_slli_epi64::<24>(c))),
            low(join(_mm512_srli_epi64::<28>(c), _mm512_slli_epi64::<36>(d))),
            _mm512_srli_epi64::<16>(d),
        ])
    }

    /// Every limb changed alike: how lanes are moved.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn map(&self, mut change: impl FnMut(__m512i) -> __m512i) -> Self {
        let [a, b, c, d, e] = self.0;
        Self([change(a), change(b), change(c), change(d), change(e)])
    }

    /// The limbs of each lane as they are.
    #[cfg(test)]
    #[target_feature(enable = "avx512f")]
    pub(super) fn from_limbs(limbs: &[[u64; 5]; LANES]) -> Self {
        let words: [[u64; LANES]; 5] = std::array::from_fn(|at| limbs.map(|limbs| limbs[at]));
        Self(words.map(|words| load(&words)))
    }

    #[cfg(test)]
    #[target_feature(enable = "avx512f")]
    pub(super) fn to_limbs(self) -> [[u64; 5]; LANES] {
        let words = self.0.map(|limb| store(limb));
        std::array::from_fn(|lane| words.map(|words| words[lane]))
    }

    /// The same residue, folded.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn refolded(&self) -> Self {
        Loose8(self.0).folded()
    }

    /// Eight elements of the scalar path.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn from_elements(elements: &[Fe; LANES]) -> Self {
        let mut words = [[0u64; LANES]; 4];
        for (lane, element) in elements.iter().enumerate() {
            for (words, limb) in words.iter_mut().zip(element.montgomery()) {
                words[lane] = *limb;
            }
        }
        let [a, b, c, d] = &words;
        Loose8::sixteenfold(&[load(a), load(b), load(c), load(d)]).folded()
    }

    /// For the scalar path.
    #[target_feature(enable = "avx512f")]
    pub(super) fn to_elements(self) -> [Fe; LANES] {
        let mut elements = [Fe::ZERO; LANES];
        let [a, b, c, d, e] = self.refolded().0.map(|limb| store(limb));
        for (lane, element) in elements.iter_mut().enumerate() {
            let words: Limbs = [
                a[lane] | b[lane] << 52,
                b[lane] >> 12 | c[lane] << 40,
                c[lane] >> 24 | d[lane] << 28,
                d[lane] >> 36 | e[lane] << 16,
            ];
            // folded, it is below 2^256 + 2^230: after p is taken off once, below 2^225 or below p
            let once = limbs::reduce_once(&words, e[lane] >> 48 != 0, &P);
            *element = Fe::from_scanned(limbs::reduce_once(&once, false, &P)).mul(&SIXTEENTH);
        }
        elements
    }
}
