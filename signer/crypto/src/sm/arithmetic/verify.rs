//! Whether a signature holds (GB/T 32918.2, section 7).

use super::field::{Fe, P};
use super::limbs;
use super::multiply;
use super::scalar::{N, Scalar};
use super::table::{Multiples, Table};

/// A signature (r, s) that claims to be of a digest e by the key that `key` are the multiples of. All public.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'t> {
    pub(crate) key: &'t Multiples,
    /// The digest as an integer, modulo n.
    pub(crate) e: Scalar,
    pub(crate) r: Scalar,
    pub(crate) s: Scalar,
}

impl Claim<'_> {
    /// t = r + s, the scalar of the key; `None` where r, s or t is zero, which no signature has.
    pub(super) fn key_scalar(&self) -> Option<Scalar> {
        let t = self.r.add(&self.s);
        (!self.r.is_zero() && !self.s.is_zero() && !t.is_zero()).then_some(t)
    }

    /// On any processor. `g` is the base point's table.
    pub(crate) fn holds(&self, g: &Table) -> bool {
        let Some(t) = self.key_scalar() else { return false };
        let sum = multiply::sum_of_products(g, &self.s, self.key, &t);
        !sum.is_infinity() && x_matches(self, &sum.x, &sum.z.square())
    }
}

/// Whether r = e + x mod n, where x = X/Z² and Z is not zero, without a division: x modulo n is r − e exactly when x is
/// r − e, or r − e + n where that is below p.
pub(super) fn x_matches(claim: &Claim<'_>, x: &Fe, zz: &Fe) -> bool {
    let expected = claim.r.sub(&claim.e);
    let is_x = |plain| Fe::from_plain(plain).is_some_and(|candidate| candidate.mul(zz) == *x);
    let (above_n, carry) = limbs::add(expected.limbs(), &N);
    is_x(*expected.limbs()) || (!carry && limbs::sub(&above_n, &P).1 && is_x(above_n))
}
