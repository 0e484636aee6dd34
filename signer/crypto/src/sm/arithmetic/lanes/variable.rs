//! Multiples of eight different points by one secret scalar, without tables: doublings, and one addition a window.
//!
//! The points are a stranger's and public; which of their multiples is added is secret, so all sixteen are read. Constant-
//! time; the only exceptional cases are those that `multiply` names.

use core::arch::x86_64::{_mm512_and_si512, _mm512_or_si512};

use zeroize::{Zeroize, Zeroizing};

use super::super::digits;
use super::super::point::Affine;
use super::super::scalar::Scalar;
use super::curve::{self, Affine8, Jacobian8};
use super::digits8::{Digit8, OddScalar8};
use super::fe8::{Fe8, LANES};
use super::vectors::words_equal;

const WINDOW: u32 = 5;
const MULTIPLES: usize = 1 << (WINDOW - 1);

/// k·P for every P, in their order.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn multiples(points: &[Affine], k: &Scalar) -> Zeroizing<Vec<Option<Affine>>> {
    let mut groups = Vec::with_capacity(points.len().div_ceil(LANES));
    for some in points.chunks(LANES) {
        // lanes without a point repeat the first
        let mut eight = [&some[0]; LANES];
        for (place, point) in eight.iter_mut().zip(some) {
            *place = point;
        }
        groups.push(Affine8::gathered(&eight, 0));
    }
    let tables = odd_multiples(&groups);
    let mut scalars = OddScalar8::new(&[*k; LANES]);
    let mut sums = add_up(&tables, &scalars);
    scalars.zeroize();
    let mut multiples = Zeroizing::new(Vec::with_capacity(groups.len() * LANES));
    for (mut point, infinity) in curve::to_affine_all(&sums) {
        multiples.extend(point.to_points(infinity));
        point.zeroize();
    }
    sums.iter_mut().for_each(Zeroize::zeroize);
    multiples.truncate(points.len());
    multiples
}

/// P, 3P, 5P, … of every group, one after another; by way of another curve, as `table` does it.
#[target_feature(enable = "avx512f,avx512ifma")]
fn odd_multiples(groups: &[Affine8]) -> Vec<Affine8> {
    let mut multiples = Vec::with_capacity(groups.len() * MULTIPLES);
    for point in groups {
        let Jacobian8 { x, y, z } = Jacobian8::from_affine(point).double();
        let double = Affine8 { x, y };
        let zz = z.square();
        let mut multiple = Jacobian8::from_affine(&Affine8 {
            x: point.x.mul(&zz).refolded(),
            y: point.y.mul(&zz.mul(&z)).refolded(),
        });
        for _ in 0..MULTIPLES {
            multiples.push(Jacobian8 {
                z: multiple.z.mul(&z),
                ..multiple
            });
            (multiple, _) = multiple.plus_affine(&double);
        }
    }
    let mut affine = Vec::with_capacity(multiples.len());
    for (multiple, _) in curve::to_affine_all(&multiples) {
        affine.push(multiple);
    }
    affine
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn add_up(tables: &[Affine8], scalars: &OddScalar8) -> Vec<Jacobian8> {
    let top = digits::count(WINDOW) - 1;
    let digit = scalars.digit(top, WINDOW);
    let (tables, _) = tables.as_chunks::<MULTIPLES>();
    let mut sums = Vec::with_capacity(tables.len());
    for table in tables {
        sums.push(Jacobian8::from_affine(&scan(table, &digit)));
    }
    for row in (0..top).rev() {
        let digit = scalars.digit(row, WINDOW);
        let (twos, last) = sums.as_chunks_mut::<2>();
        let (tables, last_table) = tables.as_chunks::<2>();
        for (sums, [first, second]) in twos.iter_mut().zip(tables) {
            for _ in 0..WINDOW {
                Jacobian8::double_each(sums);
            }
            Jacobian8::add_each(sums, &[scan(first, &digit), scan(second, &digit)]);
        }
        for (sum, table) in last.iter_mut().zip(last_table) {
            for _ in 0..WINDOW {
                *sum = sum.double();
            }
            (*sum, _) = sum.plus_affine(&scan(table, &digit));
        }
    }
    sums
}

/// The multiple that each lane wants. Every limb of every multiple is read.
#[inline]
#[target_feature(enable = "avx512f")]
fn scan(table: &[Affine8; MULTIPLES], digit: &Digit8) -> Affine8 {
    let (mut x, mut y) = (Fe8::zero(), Fe8::zero());
    for (place, entry) in (0i64..).zip(table) {
        let wanted = words_equal(digit.places, place);
        for limb in 0..5 {
            x.0[limb] = _mm512_or_si512(x.0[limb], _mm512_and_si512(entry.x.0[limb], wanted));
            y.0[limb] = _mm512_or_si512(y.0[limb], _mm512_and_si512(entry.y.0[limb], wanted));
        }
    }
    Affine8 { x, y }.negated(digit.negative)
}
