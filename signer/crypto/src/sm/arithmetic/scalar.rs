//! Integers modulo n, the order of the base point: what digits are read from, what a verdict compares and
//! what signatures are made of.
//!
//! Constant-time throughout. A value is always fully reduced.

use zeroize::Zeroize;

use super::limbs::{self, Limbs};

/// A residue modulo n.
#[derive(Clone, Copy, PartialEq, Eq, Zeroize)]
pub(crate) struct Scalar(Limbs);

pub(super) const N: Limbs = [
    0x53bb_f409_39d5_4123,
    0x7203_df6b_21c6_052b,
    0xffff_ffff_ffff_ffff,
    0xffff_fffe_ffff_ffff,
];
/// −1/n mod 2^64.
const N_INVERSE: u64 = 0x327f_9e88_7235_0975;
/// R² mod n, R = 2^256.
const R_SQUARED: Scalar = Scalar([
    0x9011_92af_7c11_4f20,
    0x3464_504a_de6f_a2fa,
    0x620f_c84c_3aff_e0d4,
    0x1eb5_e412_a22b_3d3b,
]);

/// (t + m·n)/2^64, where m makes the lowest limb vanish.
#[inline(always)]
fn fold(t: &Limbs) -> Limbs {
    let m = t[0].wrapping_mul(N_INVERSE);
    let (_, c) = m.carrying_mul_add(N[0], t[0], 0);
    let (r0, c) = m.carrying_mul_add(N[1], t[1], c);
    let (r1, c) = m.carrying_mul_add(N[2], t[2], c);
    let (r2, r3) = m.carrying_mul_add(N[3], t[3], c);
    [r0, r1, r2, r3]
}

/// a·b/R mod n, for a·b below n·R.
#[inline(always)]
fn montgomery(a: &Limbs, b: &Limbs) -> Scalar {
    let [t0, t1, t2, t3, high @ ..] = limbs::mul_wide(a, b);
    let low = fold(&fold(&fold(&fold(&[t0, t1, t2, t3]))));
    let (sum, carry) = limbs::add(&low, &high);
    Scalar(limbs::reduce_once(&sum, carry, &N))
}

impl Scalar {
    pub(crate) const ZERO: Self = Self([0; 4]);
    pub(crate) const ONE: Self = Self([1, 0, 0, 0]);

    /// From 32 big-endian bytes; `None` at n or above.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let limbs = limbs::from_bytes(bytes);
        limbs::sub(&limbs, &N).1.then_some(Self(limbs))
    }

    /// Any 256-bit integer, reduced: it is below 2n.
    pub(crate) fn from_bytes_reduced(bytes: &[u8; 32]) -> Self {
        Self(limbs::reduce_once(&limbs::from_bytes(bytes), false, &N))
    }

    pub(super) const fn limbs(&self) -> &Limbs {
        &self.0
    }

    pub(crate) fn is_zero(&self) -> bool {
        limbs::is_zero(&self.0)
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        let (sum, carry) = limbs::add(&self.0, &other.0);
        Self(limbs::reduce_once(&sum, carry, &N))
    }

    pub(crate) fn sub(&self, other: &Self) -> Self {
        Self(limbs::sub_mod(&self.0, &other.0, &N))
    }

    pub(crate) fn mul(&self, other: &Self) -> Self {
        montgomery(&montgomery(&self.0, &other.0).0, &R_SQUARED.0)
    }

    /// 1/self, and 0 for 0: self^(n−2).
    pub(crate) fn invert(&self) -> Self {
        let (exponent, _) = limbs::sub(&N, &[2, 0, 0, 0]);
        let mut result = Self::ONE;
        for limb in exponent.iter().rev() {
            for bit in (0..64).rev() {
                result = result.mul(&result);
                // the exponent is no secret
                if limb >> bit & 1 == 1 {
                    result = result.mul(self);
                }
            }
        }
        result
    }

    /// Any 512-bit integer, big-endian, reduced. Of a uniform one the result is uniform but for 2^-256.
    pub(crate) fn from_wide_bytes(high: &[u8; 32], low: &[u8; 32]) -> Self {
        // high·R²/R = high·2^256
        montgomery(&limbs::from_bytes(high), &R_SQUARED.0).add(&Self::from_bytes_reduced(low))
    }

    pub(crate) fn to_bytes(self) -> [u8; 32] {
        limbs::to_bytes(&self.0)
    }
}
