//! Eight field elements side by side: five limbs of 52 bits, Montgomery form with R = 2^260, for AVX-512 IFMA.
//!
//! R leaves four bits above p, so that a product needs no final reduction and sums need few. How large a value may be
//! is told by its name, in units of 2^256:
//!
//! ```text
//!   Fe8, any      below 4         what may enter a product; every limb below 2^52, so the carries are done
//!   a product     below 2         a·b/R + p < 4·4/16 + 1
//!   folded        below 1 + 2^-26 what has its multiples of 2^256 folded; below 2p
//!   Loose8        0 to 32         a sum whose limbs are signed and have not been carried
//! ```
//!
//! Constant-time: nothing branches on a value, and a lane never touches another but where a function says so.

use core::arch::x86_64::{
    __m512i, __mmask8, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpeq_epu64_mask, _mm512_cmple_epu64_mask,
    _mm512_loadu_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_blend_epi64, _mm512_mask_sub_epi64,
    _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_shuffle_i64x2, _mm512_slli_epi64,
    _mm512_srai_epi64, _mm512_srli_epi64, _mm512_storeu_si512, _mm512_sub_epi64, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64,
};

use zeroize::Zeroize;

use super::super::field::{Fe, P};
use super::super::limbs::{self, Limbs};
use super::super::point::Affine;

pub(super) const LANES: usize = 8;

const LIMB: i64 = (1 << 52) - 1;
/// p in limbs of 52 bits.
const P52: [i64; 5] = [
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

/// A sum of elements, its limbs signed and not yet carried.
#[derive(Clone, Copy)]
pub(super) struct Loose8([__m512i; 5]);

/// A 64-byte row in each lane, which is what table entries are, becomes eight vectors.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn transpose(rows: &[__m512i; 8]) -> [__m512i; 8] {
    let [a, b, c, d, e, f, g, h] = *rows;
    let (ab0, ab1) = (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    let (cd0, cd1) = (_mm512_unpacklo_epi64(c, d), _mm512_unpackhi_epi64(c, d));
    let (ef0, ef1) = (_mm512_unpacklo_epi64(e, f), _mm512_unpackhi_epi64(e, f));
    let (gh0, gh1) = (_mm512_unpacklo_epi64(g, h), _mm512_unpackhi_epi64(g, h));
    // words 0 and 4 of four rows, then 2 and 6; the odd ones likewise
    let (abcd04, abcd26) = (
        _mm512_shuffle_i64x2::<0x88>(ab0, cd0),
        _mm512_shuffle_i64x2::<0xdd>(ab0, cd0),
    );
    let (abcd15, abcd37) = (
        _mm512_shuffle_i64x2::<0x88>(ab1, cd1),
        _mm512_shuffle_i64x2::<0xdd>(ab1, cd1),
    );
    let (efgh04, efgh26) = (
        _mm512_shuffle_i64x2::<0x88>(ef0, gh0),
        _mm512_shuffle_i64x2::<0xdd>(ef0, gh0),
    );
    let (efgh15, efgh37) = (
        _mm512_shuffle_i64x2::<0x88>(ef1, gh1),
        _mm512_shuffle_i64x2::<0xdd>(ef1, gh1),
    );
    [
        _mm512_shuffle_i64x2::<0x88>(abcd04, efgh04),
        _mm512_shuffle_i64x2::<0x88>(abcd15, efgh15),
        _mm512_shuffle_i64x2::<0x88>(abcd26, efgh26),
        _mm512_shuffle_i64x2::<0x88>(abcd37, efgh37),
        _mm512_shuffle_i64x2::<0xdd>(abcd04, efgh04),
        _mm512_shuffle_i64x2::<0xdd>(abcd15, efgh15),
        _mm512_shuffle_i64x2::<0xdd>(abcd26, efgh26),
        _mm512_shuffle_i64x2::<0xdd>(abcd37, efgh37),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load(words: &[u64; 8]) -> __m512i {
    // SAFETY: 64 readable bytes; the load asks for no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// A table entry: x and y in four words each.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_entry(entry: &Affine) -> __m512i {
    const { assert!(size_of::<Affine>() == 64) }
    // SAFETY: a point is `repr(C)` and its eight words are all of its 64 bytes; the load asks for no alignment.
    unsafe { _mm512_loadu_si512(core::ptr::from_ref(entry).cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store(vector: __m512i) -> [u64; 8] {
    let mut words = [0; 8];
    // SAFETY: 64 writable bytes; the store asks for no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) };
    words
}

#[inline]
#[target_feature(enable = "avx512f")]
fn all(word: i64) -> __m512i {
    _mm512_set1_epi64(word)
}

/// What is above the lowest 52 bits, signed.
#[inline]
#[target_feature(enable = "avx512f")]
fn above(limb: __m512i) -> __m512i {
    _mm512_srai_epi64::<52>(limb)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn low(limb: __m512i) -> __m512i {
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
