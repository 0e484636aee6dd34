//! Multiplication of points, one at a time, on any processor.
//!
//! [`sum_of_products`] is for public scalars: it indexes and branches. [`fixed_secret`] and [`variable_secret`] take a
//! secret scalar: they scan whole rows under masks and run the same instructions whatever the scalar.

use std::hint::black_box;

use zeroize::Zeroize;

use super::digits::{self, OddScalar};
use super::field::Fe;
use super::limbs;
use super::point::{Affine, Jacobian};
use super::scalar::Scalar;
use super::table::{Multiples, Table, odd_multiples};

/// Window of a point without a table: sixteen multiples are made for each multiplication.
const WINDOW: u32 = 5;

/// s·G + t·P for public scalars, neither zero.
pub(super) fn sum_of_products(g: &Table, s: &Scalar, p: &Multiples, t: &Scalar) -> Jacobian {
    let product = match p {
        Multiples::Tabled(table) => plus_multiple(Jacobian::INFINITY, table, t),
        Multiples::Untabled(point) => variable(point, t, Jacobian::plus_public),
    };
    plus_multiple(product, g, s)
}

fn plus_multiple(mut sum: Jacobian, table: &Table, scalar: &Scalar) -> Jacobian {
    let scalar = OddScalar::new(scalar);
    for row in 0..digits::count(table.window) {
        let digit = scalar.digit(row, table.window);
        let entry = table.entry(row, digit.place).negated_if(digit.negative);
        sum = sum.plus_public(&entry);
    }
    sum
}

/// k·P for a secret k that is not zero, of a point that has no table: doublings, and one addition a window.
///
/// As in [`fixed_secret`] only the last addition could meet an exceptional case, for sixteen scalars just below n: 32
/// times what was summed up is, as an integer, larger than any digit.
pub(super) fn variable_secret(point: &Affine, k: &Scalar) -> Jacobian {
    variable(point, k, |sum, entry| sum.plus_affine(entry).point)
}

fn variable(point: &Affine, k: &Scalar, plus: impl Fn(&Jacobian, &Affine) -> Jacobian) -> Jacobian {
    let entries = odd_multiples(point, 1 << (WINDOW - 1));
    let mut scalar = OddScalar::new(k);
    let rows = digits::count(WINDOW);
    let entry = |row| {
        let digit = scalar.digit(row, WINDOW);
        scan(&entries, digit.place).negated_if(digit.negative)
    };
    let mut sum = Jacobian::from(entry(rows - 1));
    for row in (0..rows - 1).rev() {
        for _ in 0..WINDOW {
            sum = sum.double();
        }
        sum = plus(&sum, &entry(row));
    }
    scalar.zeroize();
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

/// Masks that are made before any is used.
const MASKS: usize = 16;

/// The entry at a secret place: every entry is read, all but one are masked away.
fn scan(entries: &[Affine], place: u64) -> Affine {
    let mut found = [[0u64; 4]; 2];
    let mut places = 0u64..;
    for entries in entries.chunks(MASKS) {
        let mut masks = [0; MASKS];
        for (mask, at) in masks.iter_mut().zip(&mut places) {
            *mask = limbs::mask_equal(at, place);
        }
        // As long as it knows that a mask is all or nothing, the compiler branches on it and reads one entry alone.
        // `./run long secrets` shows that it does not any more.
        for (entry, mask) in entries.iter().zip(black_box(masks)) {
            for (found, coordinate) in found.iter_mut().zip([&entry.x, &entry.y]) {
                for (found, limb) in found.iter_mut().zip(coordinate.montgomery()) {
                    *found |= limb & mask;
                }
            }
        }
    }
    let [x, y] = found;
    Affine {
        x: Fe::from_scanned(x),
        y: Fe::from_scanned(y),
    }
}
