//! Multiplication of points, one at a time, on any processor.
//!
//! [`sum_of_products`] is for public scalars: it indexes and branches. [`fixed_secret`] takes a secret scalar: it scans
//! whole rows under masks and runs the same instructions whatever the scalar.

use zeroize::Zeroize;

use super::digits::{self, OddScalar};
use super::field::Fe;
use super::limbs;
use super::point::{Affine, Jacobian};
use super::scalar::Scalar;
use super::table::Table;

/// s·G + t·P for public scalars, neither zero.
pub(super) fn sum_of_products(g: &Table, s: &Scalar, p: &Table, t: &Scalar) -> Jacobian {
    let mut sum = Jacobian::INFINITY;
    for (table, scalar) in [(g, s), (p, t)] {
        let scalar = OddScalar::new(scalar);
        for row in 0..digits::count(table.window) {
            let digit = scalar.digit(row, table.window);
            let entry = table.entry(row, digit.place).negated_if(digit.negative);
            sum = sum.plus_public(&entry);
        }
    }
    sum
}

/// k·P for a secret k that is not zero, from a table.
///
/// The mixed addition needs no exceptional case: the sum of the lower windows is, as an integer, smaller than any
/// multiple of the next window's weight, so the two are neither equal nor opposite. Only the top window could meet
/// one, modulo n, for a handful of scalars in 2^256; k is random or a key, and the result would be refused as wrong.
pub(super) fn fixed_secret(table: &Table, k: &Scalar) -> Jacobian {
    let mut scalar = OddScalar::new(k);
    let mut sum = Jacobian::INFINITY;
    for (row, entries) in (0u32..).zip(table.rows()) {
        let digit = scalar.digit(row, table.window);
        let entry = scan(entries, digit.place).negated_if(digit.negative);
        sum = if row == 0 {
            entry.into()
        } else {
            sum.plus_affine(&entry).point
        };
    }
    scalar.zeroize();
    sum
}

/// The entry at a secret place: every entry is read, all but one are masked away.
fn scan(entries: &[Affine], place: u64) -> Affine {
    let mut found = [[0u64; 4]; 2];
    for (at, entry) in (0u64..).zip(entries) {
        let mask = limbs::mask_equal(at, place);
        for (found, coordinate) in found.iter_mut().zip([&entry.x, &entry.y]) {
            for (found, limb) in found.iter_mut().zip(coordinate.montgomery()) {
                *found |= limb & mask;
            }
        }
    }
    let [x, y] = found;
    Affine {
        x: Fe::from_scanned(x),
        y: Fe::from_scanned(y),
    }
}
