//! Scalars as signed odd digits.
//!
//! An odd scalar k below 2^256 is the sum of dᵢ·2^(w·i) with every dᵢ odd, −2^w < dᵢ < 2^w, the top one positive: with bᵢ
//! the i-th window of k >> 1, dᵢ = 2bᵢ + 1 − 2^w, and 2b + 1 for the top one. No digit is zero, so every window adds
//! exactly one table entry: no infinity to handle, no length to leak. An even scalar is replaced by n − k, which is
//! odd, and its multiple negated.
//!
//! Constant-time.

use zeroize::Zeroize;

use super::limbs::{self, Limbs};
use super::scalar::{N, Scalar};

/// A scalar, made odd, ready to be read off in digits. Not zero.
#[derive(Clone, Copy, Zeroize)]
pub(super) struct OddScalar {
    limbs: Limbs,
    /// All ones when the scalar was even and is negated.
    negated: u64,
}

/// One digit: the place of |d| among the odd numbers 1, 3, 5, …, and a mask of all ones when the entry is negated (the
/// sign of the whole scalar included).
#[derive(Clone, Copy)]
pub(super) struct Digit {
    pub(super) place: u64,
    pub(super) negative: u64,
}

/// How many digits a scalar has. The top window holds at most w − 1 bits, because its digit has no sign to spend one on.
pub(super) const fn count(window: u32) -> u32 {
    255 / window + 1
}

impl OddScalar {
    pub(super) fn new(scalar: &Scalar) -> Self {
        let limbs = scalar.limbs();
        let even = limbs::mask(limbs[0] & 1 == 0);
        Self {
            limbs: limbs::select(even, &limbs::sub(&N, limbs).0, limbs),
            negated: even,
        }
    }

    pub(super) const fn limbs(&self) -> &Limbs {
        &self.limbs
    }

    /// All ones when the scalar was even and is negated.
    pub(super) const fn negated(&self) -> u64 {
        self.negated
    }

    #[inline(always)]
    pub(super) fn digit(&self, index: u32, window: u32) -> Digit {
        let bits = self.bits(index * window + 1, window);
        if index + 1 == count(window) {
            return Digit {
                place: bits,
                negative: self.negated,
            };
        }
        let half = 1u64 << (window - 1);
        // below the middle of the window the digit is negative, and its size falls as the bits rise
        let negative = (bits >> (window - 1)).wrapping_sub(1);
        Digit {
            place: (bits ^ negative) & (half - 1),
            negative: negative ^ self.negated,
        }
    }

    #[inline(always)]
    fn bits(&self, at: u32, count: u32) -> u64 {
        let [a, b, c, d] = self.limbs;
        let (low, high) = match at / 64 {
            0 => (a, b),
            1 => (b, c),
            2 => (c, d),
            3 => (d, 0),
            _ => (0, 0),
        };
        let shift = at % 64;
        // two shifts, so that a shift by 64 is never asked for
        let joined = (low >> shift) | ((high << 1) << (63 - shift));
        joined & ((1 << count) - 1)
    }
}
