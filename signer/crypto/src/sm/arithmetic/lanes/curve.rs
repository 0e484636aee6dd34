//! Points of the curve in eight lanes, and the tree in which many of them are added.
//!
//! Additions take finite points whose x differ. Where they do not, which a stranger can bring about for points that
//! are public, the lane's result is meaningless and the lane is said to be exceptional; its neighbours are not touched.

use core::arch::x86_64::{__m512i, __mmask8, _mm512_permutexvar_epi64};

use zeroize::Zeroize;

use super::super::point::Affine;
use super::fe8::{Fe8, LANES, Loose8, load, load_entry, transpose};

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

    /// x of the second less x of the first: what an addition divides by, and where that may be zero.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn x_difference(&self, other: &Self) -> (Fe8, __mmask8) {
        let difference = other.x.minus::<2>(&self.x).carried();
        (difference, difference.maybe_zero())
    }

    /// The sum, given 1/(x difference).
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn plus_given(&self, other: &Self, inverse: &Fe8) -> Self {
        let slope = other.y.minus::<2>(&self.y).carried().mul(inverse);
        let x = slope.square().minus::<4>(&self.x).minus(&other.x).folded();
        let y = slope.mul(&self.x.minus::<2>(&x).carried());
        Self {
            x,
            y: y.minus::<2>(&self.y).folded(),
        }
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

    /// Mixed addition, 8M + 3S, and the lanes that may be exceptional.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn plus_affine(&self, other: &Affine8) -> (Self, __mmask8) {
        let zz = self.z.square();
        let h = other.x.mul(&zz).minus::<2>(&self.x).carried();
        let r = other.y.mul(&zz.mul(&self.z)).minus::<2>(&self.y).carried();
        let hh = h.square();
        let hhh = hh.mul(&h);
        let v = self.x.mul(&hh);
        let x = r.square().minus::<8>(&hhh).minus_twice(&v).folded();
        let y = r.mul(&v.minus::<2>(&x).carried());
        let sum = Self {
            x,
            y: y.minus::<4>(&self.y.mul(&hhh)).folded(),
            z: self.z.mul(&h),
        };
        (sum, h.maybe_zero())
    }

    /// Addition, 12M + 4S, and the lanes that may be exceptional.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn plus(&self, other: &Self) -> (Self, __mmask8) {
        let (zz, other_zz) = (self.z.square(), other.z.square());
        let u = self.x.mul(&other_zz);
        let s = self.y.mul(&other_zz.mul(&other.z));
        // of products, which are below 2: folded, so that the differences are below 4
        let h = other.x.mul(&zz).minus::<4>(&u).folded();
        let r = other.y.mul(&zz.mul(&self.z)).minus::<4>(&s).folded();
        let hh = h.square();
        let hhh = hh.mul(&h);
        let v = u.mul(&hh);
        let x = r.square().minus::<8>(&hhh).minus_twice(&v).folded();
        let y = r.mul(&v.minus::<2>(&x).carried());
        let sum = Self {
            x,
            y: y.minus::<4>(&s.mul(&hhh)).folded(),
            z: self.z.mul(&other.z).mul(&h),
        };
        (sum, h.maybe_zero())
    }

    /// dbl-2001-b of the Explicit-Formulas Database, for a = −3.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn double(&self) -> Self {
        let delta = self.z.square();
        let gamma = self.y.square();
        let beta = self.x.mul(&gamma);
        // 3(X − Z²)(X + Z²)
        let slope = self.x.minus::<4>(&delta).folded().mul(&self.x.plus(&delta).carried());
        let alpha = slope.plus(&slope).plus(&slope).folded();
        let x = alpha.square().minus_eightfold(&beta).folded();
        let z = self.y.plus(&self.z).carried().square();
        let z = z.minus::<4>(&gamma).minus(&delta).folded();
        let y = alpha.mul(&beta.fourfold_minus(&x).folded());
        Self {
            x,
            y: y.minus_eightfold(&gamma.square()).folded(),
            z,
        }
    }
}

/// Lanes 0 and 4, 0 and 2, or 0 and 1 exchanged, and the rest likewise.
#[inline]
#[target_feature(enable = "avx512f")]
fn exchanged(element: &Fe8, distance: u64) -> Fe8 {
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

/// The points in affine form with one inversion for all, and where they are infinity, which becomes some other point.
/// Constant-time.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn to_affine_all(points: &[Jacobian8]) -> Vec<(Affine8, __mmask8)> {
    let one = Fe8::one();
    let mut before = Vec::with_capacity(points.len());
    let mut product = one;
    for point in points {
        let infinity = point.z.plus(&Fe8::zero()).folded().folded_is_zero();
        let z = point.z.replaced(infinity, &one);
        before.push((product, z, infinity));
        product = product.mul(&z);
    }
    let mut inverse = inverted(&product);
    let mut affine = Vec::with_capacity(points.len());
    for (point, (before, z, infinity)) in points.iter().zip(&before).rev() {
        let own = inverse.mul(before);
        inverse = inverse.mul(z);
        let squared = own.square();
        let point = Affine8 {
            x: point.x.mul(&squared).plus(&Fe8::zero()).folded(),
            y: point.y.mul(&squared.mul(&own)).plus(&Fe8::zero()).folded(),
        };
        affine.push((point, *infinity));
    }
    affine.reverse();
    for (product, z, _) in &mut before {
        product.zeroize();
        z.zeroize();
    }
    affine
}

impl Affine8 {
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
