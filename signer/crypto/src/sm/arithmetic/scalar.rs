//! Integers modulo n, the order of the base point: what digits are read from and what a verdict compares.
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

impl Scalar {
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
}
