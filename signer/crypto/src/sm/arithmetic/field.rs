//! The field of SM2: integers modulo p = 2^256 − 2^224 − 2^96 + 2^64 − 1, in Montgomery form (R = 2^256).
//!
//! Constant-time throughout. A value is always fully reduced, so equal residues have equal limbs.

use zeroize::Zeroize;

use super::limbs::{self, Limbs};

/// A residue modulo p.
#[derive(Clone, Copy, PartialEq, Eq, Zeroize)]
#[repr(transparent)]
pub(crate) struct Fe(Limbs);

pub(super) const P: Limbs = [
    0xffff_ffff_ffff_ffff,
    0xffff_ffff_0000_0000,
    0xffff_ffff_ffff_ffff,
    0xffff_fffe_ffff_ffff,
];
/// R mod p, which is 2^256 − p: one in Montgomery form.
const R: Limbs = [1, 0x0000_0000_ffff_ffff, 0, 0x0000_0001_0000_0000];
/// R² mod p.
const R_SQUARED: Limbs = [
    0x0000_0002_0000_0003,
    0x0000_0002_ffff_ffff,
    0x0000_0001_0000_0001,
    0x0000_0004_0000_0002,
];

/// One step of the reduction: (t + m·p)/2^64 where m is the lowest limb of t, already taken off. p ≡ −1 (mod 2^64), so
/// m times p clears that limb, and what is left to add is m·(2^192 − 2^160 − 2^32 + 1): shifts, no multiplication. The
/// sum stays below 2^256 because t is below 2^256 and m·p below 2^320.
#[inline(always)]
fn fold(m: u64, above: [u64; 3]) -> Limbs {
    let (low, high) = (m << 32, m >> 32);
    let (v0, b) = m.borrowing_sub(low, false);
    let (v1, b) = 0u64.borrowing_sub(high, b);
    let (v2, b) = 0u64.borrowing_sub(low, b);
    let (v3, _) = m.borrowing_sub(high, b);
    limbs::add(&[above[0], above[1], above[2], 0], &[v0, v1, v2, v3]).0
}

/// t/R mod p, for t below p·R.
#[inline(always)]
fn reduce(t: &[u64; 8]) -> Fe {
    let a = fold(t[0], [t[1], t[2], t[3]]);
    let b = fold(a[0], [a[1], a[2], a[3]]);
    let c = fold(b[0], [b[1], b[2], b[3]]);
    let d = fold(c[0], [c[1], c[2], c[3]]);
    let (sum, carry) = limbs::add(&d, &[t[4], t[5], t[6], t[7]]);
    Fe(limbs::reduce_once(&sum, carry, &P))
}

impl Fe {
    pub(crate) const ZERO: Self = Self([0; 4]);
    pub(crate) const ONE: Self = Self(R);

    #[inline(always)]
    pub(crate) fn mul(&self, other: &Self) -> Self {
        reduce(&limbs::mul_wide(&self.0, &other.0))
    }

    #[inline(always)]
    pub(crate) fn square(&self) -> Self {
        reduce(&limbs::square_wide(&self.0))
    }

    #[inline(always)]
    pub(crate) fn add(&self, other: &Self) -> Self {
        let (sum, carry) = limbs::add(&self.0, &other.0);
        Self(limbs::reduce_once(&sum, carry, &P))
    }

    #[inline(always)]
    pub(crate) fn double(&self) -> Self {
        self.add(self)
    }

    /// self/2: p is added where that makes it even.
    #[inline(always)]
    pub(crate) fn half(&self) -> Self {
        let odd = limbs::mask(self.0[0] & 1 == 1);
        let (sum, carry) = limbs::add(&self.0, &limbs::select(odd, &P, &[0; 4]));
        Self([
            sum[0] >> 1 | sum[1] << 63,
            sum[1] >> 1 | sum[2] << 63,
            sum[2] >> 1 | sum[3] << 63,
            sum[3] >> 1 | u64::from(carry) << 63,
        ])
    }

    #[inline(always)]
    pub(crate) fn sub(&self, other: &Self) -> Self {
        Self(limbs::sub_mod(&self.0, &other.0, &P))
    }

    #[inline(always)]
    pub(crate) fn neg(&self) -> Self {
        Self::ZERO.sub(self)
    }

    /// −self under a mask of all ones, self under zero.
    #[inline(always)]
    pub(crate) fn negated_if(&self, mask: u64) -> Self {
        Self(limbs::select(mask, &self.neg().0, &self.0))
    }

    pub(crate) fn is_zero(&self) -> bool {
        limbs::is_zero(&self.0)
    }

    /// From 32 big-endian bytes; `None` at p or above.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        Self::from_plain(limbs::from_bytes(bytes))
    }

    pub(crate) fn to_bytes(self) -> [u8; 32] {
        limbs::to_bytes(&self.plain())
    }

    /// Into Montgomery form; `None` at p or above.
    pub(super) fn from_plain(plain: Limbs) -> Option<Self> {
        let (_, below) = limbs::sub(&plain, &P);
        below.then(|| Self(plain).mul(&Self(R_SQUARED)))
    }

    /// Out of Montgomery form.
    pub(super) fn plain(self) -> Limbs {
        let [a, b, c, d] = self.0;
        reduce(&[a, b, c, d, 0, 0, 0, 0]).0
    }

    /// The limbs as they are kept: the residue times R.
    pub(super) const fn montgomery(&self) -> &Limbs {
        &self.0
    }

    /// From limbs taken from another element.
    pub(super) const fn from_scanned(montgomery: Limbs) -> Self {
        Self(montgomery)
    }

    fn squared_times(&self, times: u32) -> Self {
        let mut result = *self;
        for _ in 0..times {
            result = result.square();
        }
        result
    }

    /// self^(p−2): the inverse, and 0 for 0. The exponent is
    /// fffffffe ffffffff ffffffff ffffffff ffffffff 00000000 ffffffff fffffffd; xN below is self to N ones.
    pub(crate) fn invert(&self) -> Self {
        let x1 = *self;
        let x2 = x1.square().mul(&x1);
        let x4 = x2.squared_times(2).mul(&x2);
        let x6 = x4.squared_times(2).mul(&x2);
        let x7 = x6.square().mul(&x1);
        let x8 = x4.squared_times(4).mul(&x4);
        let x15 = x8.squared_times(7).mul(&x7);
        let x30 = x15.squared_times(15).mul(&x15);
        let x31 = x30.square().mul(&x1);
        let x32 = x31.square().mul(&x1);
        let mut result = x31.squared_times(33).mul(&x32);
        for _ in 0..3 {
            result = result.squared_times(32).mul(&x32);
        }
        result = result.squared_times(64).mul(&x32);
        result.squared_times(30).mul(&x30).squared_times(2).mul(&x1)
    }

    /// Inverts every element with one inversion. A zero would make all of them zero: callers rule it out.
    pub(super) fn invert_all(elements: &mut [Self]) {
        let mut before = Vec::with_capacity(elements.len());
        let mut product = Self::ONE;
        for element in elements.iter() {
            before.push(product);
            product = product.mul(element);
        }
        let mut inverse = product.invert();
        for (element, before) in elements.iter_mut().zip(&before).rev() {
            let own = inverse.mul(before);
            inverse = inverse.mul(element);
            *element = own;
        }
        before.iter_mut().for_each(Zeroize::zeroize);
    }
}
