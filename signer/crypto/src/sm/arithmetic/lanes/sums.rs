//! Sums of many points without doublings: what multiplications by tables come to.
//!
//! A sum is kept as (X/ZZ, Y/ZZZ) with ZZ³ = ZZZ², in which a mixed addition takes ten products (madd-2008-s of the
//! Explicit-Formulas Database) and its longest chain four of them. A tree of affine additions that share an inversion a
//! level takes six, and was no faster: what it saves in products it spends on moving points through the cache.
//!
//! Additions take finite points whose x differ. Where they do not, which a stranger can bring about for points that
//! are public, the lane's result is meaningless and the lane is said to be exceptional; its neighbours are not touched.

use core::arch::x86_64::__mmask8;

use zeroize::Zeroize;

use super::curve::{self, Affine8};
use super::fe8::Fe8;

/// A sum in each lane. X and Y are folded, ZZ and ZZZ are products; infinity is ZZ = 0.
#[derive(Clone, Copy, Zeroize)]
pub(super) struct Sum8 {
    pub(super) x: Fe8,
    pub(super) y: Fe8,
    pub(super) zz: Fe8,
    pub(super) zzz: Fe8,
}

impl Sum8 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn from_affine(point: &Affine8) -> Self {
        Self {
            x: point.x,
            y: point.y,
            zz: Fe8::one(),
            zzz: Fe8::one(),
        }
    }

    /// N mixed additions in place, 8M + 2S each, and the lanes that may be exceptional. Step by step for all of them,
    /// since no step of one waits for another's: the processor looks ahead no further than a few products.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn add_each<const N: usize>(sums: &mut [Self; N], points: &[Affine8; N]) -> [__mmask8; N] {
        let zero = [Fe8::zero(); N];
        let (mut p, mut r, mut pp, mut ppp, mut q) = (zero, zero, zero, zero, zero);
        let mut exceptional = [0; N];
        for k in 0..N {
            p[k] = points[k].x.mul(&sums[k].zz).minus::<2>(&sums[k].x).carried();
            r[k] = points[k].y.mul(&sums[k].zzz).minus::<2>(&sums[k].y).carried();
            exceptional[k] = p[k].maybe_zero();
        }
        for k in 0..N {
            pp[k] = p[k].square();
            q[k] = r[k].square();
        }
        for k in 0..N {
            ppp[k] = p[k].mul(&pp[k]);
            let r_squared = q[k];
            q[k] = sums[k].x.mul(&pp[k]);
            sums[k].zz = sums[k].zz.mul(&pp[k]);
            sums[k].x = r_squared.minus::<8>(&ppp[k]).minus_twice(&q[k]).folded();
        }
        for k in 0..N {
            sums[k].zzz = sums[k].zzz.mul(&ppp[k]);
            let y = r[k].mul(&q[k].minus::<2>(&sums[k].x).carried());
            sums[k].y = y.minus::<4>(&sums[k].y.mul(&ppp[k])).folded();
        }
        exceptional
    }

    /// One mixed addition.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn plus_affine(&self, other: &Affine8) -> (Self, __mmask8) {
        let mut sum = [*self];
        let [exceptional] = Self::add_each(&mut sum, &[*other]);
        (sum[0], exceptional)
    }

    /// Addition of two sums, 12M + 2S, and the lanes that may be exceptional.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn plus(&self, other: &Self) -> (Self, __mmask8) {
        let (u, s) = (self.x.mul(&other.zz), self.y.mul(&other.zzz));
        // of products, which are below 2: folded, so that the differences are below 4
        let p = other.x.mul(&self.zz).minus::<4>(&u).folded();
        let r = other.y.mul(&self.zzz).minus::<4>(&s).folded();
        let pp = p.square();
        let ppp = p.mul(&pp);
        let q = u.mul(&pp);
        let x = r.square().minus::<8>(&ppp).minus_twice(&q).folded();
        let y = r.mul(&q.minus::<2>(&x).carried());
        let sum = Self {
            x,
            y: y.minus::<4>(&s.mul(&ppp)).folded(),
            zz: self.zz.mul(&other.zz).mul(&pp),
            zzz: self.zzz.mul(&other.zzz).mul(&ppp),
        };
        (sum, p.maybe_zero())
    }

    /// `other` in the lanes of the mask, self in the rest.
    #[target_feature(enable = "avx512f")]
    pub(super) fn replaced(&self, mask: __mmask8, other: &Self) -> Self {
        Self {
            x: self.x.replaced(mask, &other.x),
            y: self.y.replaced(mask, &other.y),
            zz: self.zz.replaced(mask, &other.zz),
            zzz: self.zzz.replaced(mask, &other.zzz),
        }
    }

    /// The sum of all eight lanes, in each of them, and the lanes that may be exceptional.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn lanes_added_up(&self) -> (Self, __mmask8) {
        let (mut sum, mut exceptional) = (*self, 0);
        for distance in [4, 2, 1] {
            let other = Self {
                x: curve::exchanged(&sum.x, distance),
                y: curve::exchanged(&sum.y, distance),
                zz: curve::exchanged(&sum.zz, distance),
                zzz: curve::exchanged(&sum.zzz, distance),
            };
            let (next, maybe) = sum.plus(&other);
            sum = next;
            exceptional |= maybe;
        }
        (sum, exceptional)
    }
}

/// The sums in affine form with one inversion for all, and where they are infinity, which becomes some other point.
/// Constant-time.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn to_affine_all(sums: &[Sum8]) -> Vec<(Affine8, __mmask8)> {
    let mut zzz = Vec::with_capacity(sums.len());
    for sum in sums {
        zzz.push(sum.zzz);
    }
    let mut inverses = curve::inverted_all(&zzz);
    let mut affine = Vec::with_capacity(sums.len());
    for (sum, (inverse, infinity)) in sums.iter().zip(&mut inverses) {
        // ZZ/ZZZ is 1/Z
        let of_z = inverse.mul(&sum.zz);
        let point = Affine8 {
            x: sum.x.mul(&of_z.square()).refolded(),
            y: sum.y.mul(inverse).refolded(),
        };
        affine.push((point, *infinity));
        inverse.zeroize();
    }
    zzz.iter_mut().for_each(Zeroize::zeroize);
    affine
}
