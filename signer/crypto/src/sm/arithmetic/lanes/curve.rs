//! Points of the curve in eight lanes: the forms they are kept in, doubling, mixed addition, and the way back.
//!
//! Additions take finite points whose x differ. Where they do not, which a stranger can bring about for points that
//! are public, the lane's result is meaningless and the lane is said to be exceptional; its neighbours are not touched.

use core::arch::x86_64::{__m512i, __mmask8, _mm512_permutexvar_epi64};

use zeroize::Zeroize;

use super::super::point::Affine;
use super::fe8::{Fe8, LANES};
use super::loose8::Loose8;
use super::vectors::{load, load_entry, transpose};

/// A finite point in each lane. Both coordinates are folded.
#[derive(Clone, Copy, Zeroize)]
pub(super) struct Affine8 {
    pub(super) x: Fe8,
    pub(super) y: Fe8,
}

/// (X/Z², Y/Z³) in each lane. X and Y are folded, Z is a product.
#[derive(Clone, Copy, Zeroize)]
pub(super) struct Jacobian8 {
    pub(super) x: Fe8,
    pub(super) y: Fe8,
    pub(super) z: Fe8,
}

impl Affine8 {
    /// A table entry in each lane, negated in the lanes of the mask.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn gathered(entries: &[&Affine; LANES], negative: __mmask8) -> Self {
        let [a, b, c, d, e, f, g, h] = *entries;
        let rows = [
            load_entry(a),
            load_entry(b),
            load_entry(c),
            load_entry(d),
            load_entry(e),
            load_entry(f),
            load_entry(g),
            load_entry(h),
        ];
        Self::from_rows(&rows, negative)
    }

    /// Like [`Self::gathered`], from the entries' words.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn from_rows(rows: &[__m512i; LANES], negative: __mmask8) -> Self {
        let [x0, x1, x2, x3, y0, y1, y2, y3] = transpose(rows);
        Self {
            x: Loose8::sixteenfold(&[x0, x1, x2, x3]).folded(),
            y: Loose8::sixteenfold(&[y0, y1, y2, y3]).negated(negative).folded(),
        }
    }

    /// −self in the lanes of the mask.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn negated(&self, mask: __mmask8) -> Self {
        let negative = Fe8::zero().minus::<2>(&self.y).folded();
        Self {
            x: self.x,
            y: self.y.replaced(mask, &negative),
        }
    }

    /// For the scalar path, `None` in the lanes of the mask.
    #[target_feature(enable = "avx512f")]
    pub(super) fn to_points(self, infinity: __mmask8) -> [Option<Affine>; LANES] {
        let (x, y) = (self.x.to_elements(), self.y.to_elements());
        let mut points = [None; LANES];
        for lane in 0..LANES {
            if infinity >> lane & 1 == 0 {
                points[lane] = Some(Affine { x: x[lane], y: y[lane] });
            }
        }
        points
    }
}

impl Jacobian8 {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn from_affine(point: &Affine8) -> Self {
        Self {
            x: point.x,
            y: point.y,
            z: Fe8::one(),
        }
    }

    /// N mixed additions in place, 8M + 3S each, and the lanes that may be exceptional. Step by step for all of them,
    /// as [`Affine8::plus_given`] does it.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn add_each<const N: usize>(sums: &mut [Self; N], points: &[Affine8; N]) -> [__mmask8; N] {
        let zero = [Fe8::zero(); N];
        let (mut zz, mut h, mut r, mut hh, mut hhh, mut v) = (zero, zero, zero, zero, zero, zero);
        let mut exceptional = [0; N];
        for k in 0..N {
            zz[k] = sums[k].z.square();
        }
        for k in 0..N {
            h[k] = points[k].x.mul(&zz[k]).minus::<2>(&sums[k].x).carried();
            r[k] = zz[k].mul(&sums[k].z);
            exceptional[k] = h[k].maybe_zero();
        }
        for k in 0..N {
            hh[k] = h[k].square();
            r[k] = points[k].y.mul(&r[k]).minus::<2>(&sums[k].y).carried();
            sums[k].z = sums[k].z.mul(&h[k]);
        }
        for k in 0..N {
            hhh[k] = hh[k].mul(&h[k]);
            v[k] = sums[k].x.mul(&hh[k]);
            sums[k].x = r[k].square().minus::<8>(&hhh[k]).minus_twice(&v[k]).folded();
        }
        for k in 0..N {
            let y = r[k].mul(&v[k].minus::<2>(&sums[k].x).carried());
            sums[k].y = y.minus::<4>(&sums[k].y.mul(&hhh[k])).folded();
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

    /// N doublings in place, for a = −3, dbl-2001-b of the Explicit-Formulas Database; step by step for all of them.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn double_each<const N: usize>(points: &mut [Self; N]) {
        let zero = [Fe8::zero(); N];
        let (mut delta, mut gamma, mut beta, mut alpha) = (zero, zero, zero, zero);
        for k in 0..N {
            delta[k] = points[k].z.square();
            gamma[k] = points[k].y.square();
        }
        for k in 0..N {
            let Self { x, y, z } = &points[k];
            beta[k] = x.mul(&gamma[k]);
            // 3(X − Z²)(X + Z²)
            let slope = x.minus::<4>(&delta[k]).folded().mul(&x.plus(&delta[k]).carried());
            alpha[k] = slope.plus(&slope).plus(&slope).folded();
            let z = y.plus(z).carried().square();
            points[k].z = z.minus::<4>(&gamma[k]).minus(&delta[k]).folded();
        }
        for k in 0..N {
            gamma[k] = gamma[k].square();
            points[k].x = alpha[k].square().minus_eightfold(&beta[k]).folded();
        }
        for k in 0..N {
            let y = alpha[k].mul(&beta[k].fourfold_minus(&points[k].x).folded());
            points[k].y = y.minus_eightfold(&gamma[k]).folded();
        }
    }

    /// One doubling.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn double(&self) -> Self {
        let mut double = [*self];
        Self::double_each(&mut double);
        double[0]
    }
}

/// Lanes 0 and 4, 0 and 2, or 0 and 1 exchanged, and the rest likewise.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn exchanged(element: &Fe8, distance: u64) -> Fe8 {
    let places = load(&[0u64, 1, 2, 3, 4, 5, 6, 7].map(|lane| lane ^ distance));
    element.map(|limb| _mm512_permutexvar_epi64(places, limb))
}

/// The inverse in each lane, none of which may be zero, with one inversion on the scalar path. Constant-time.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn inverted(elements: &Fe8) -> Fe8 {
    let fours = elements.mul(&exchanged(elements, 4));
    let twos = fours.mul(&exchanged(&fours, 2));
    let all = twos.mul(&exchanged(&twos, 1));
    let [product, ..] = all.to_elements();
    let inverse = Fe8::from_elements(&[product.invert(); LANES]);
    let of_twos = inverse.mul(&exchanged(&twos, 1));
    let of_fours = of_twos.mul(&exchanged(&fours, 2));
    of_fours.mul(&exchanged(elements, 4))
}

/// All inverses with one inversion on the scalar path, and where there is none: zeros, in whose place one is inverted.
/// Products in, products out. Constant-time.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn inverted_all(elements: &[Fe8]) -> Vec<(Fe8, __mmask8)> {
    let one = Fe8::one();
    let mut steps = Vec::with_capacity(elements.len());
    let mut product = one;
    for element in elements {
        let zero = element.refolded().folded_is_zero();
        let element = element.replaced(zero, &one);
        steps.push((element, product, zero));
        product = product.mul(&element);
    }
    let mut inverse = inverted(&product);
    let mut inverses = Vec::with_capacity(elements.len());
    for (element, before, zero) in steps.iter_mut().rev() {
        inverses.push((inverse.mul(before), *zero));
        inverse = inverse.mul(element);
        element.zeroize();
        before.zeroize();
    }
    inverses.reverse();
    inverses
}

/// The points in affine form with one inversion for all, and where they are infinity, which becomes some other point.
/// Constant-time.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn to_affine_all(points: &[Jacobian8]) -> Vec<(Affine8, __mmask8)> {
    let mut z = Vec::with_capacity(points.len());
    for point in points {
        z.push(point.z);
    }
    let mut inverses = inverted_all(&z);
    let mut affine = Vec::with_capacity(points.len());
    for (point, (inverse, infinity)) in points.iter().zip(&mut inverses) {
        let squared = inverse.square();
        let point = Affine8 {
            x: point.x.mul(&squared).refolded(),
            y: point.y.mul(&squared.mul(inverse)).refolded(),
        };
        affine.push((point, *infinity));
        inverse.zeroize();
    }
    z.iter_mut().for_each(Zeroize::zeroize);
    affine
}
