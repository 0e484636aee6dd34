//! Secret multiples of the base point in eight lanes.
//!
//! Every lane wants another entry of a row. A row lies limb by limb, so that one instruction picks a limb for all lanes
//! from sixteen entries, and a row of thirty-two is read whole whatever the places are.
//!
//! ```text
//!   limb 0 of x:   entry 0 … 7 | 8 … 15 | 16 … 23 | 24 … 31      one vector each; ten limbs a row
//! ```
//!
//! Constant-time. Additions meet no exceptional case but for the scalars that `multiply` names.

use core::arch::x86_64::{
    __m512i, _mm512_mask_blend_epi64, _mm512_permutex2var_epi64, _mm512_set1_epi64, _mm512_test_epi64_mask,
};
use std::sync::OnceLock;

use zeroize::{Zeroize, Zeroizing};

use super::super::digits;
use super::super::point::Affine;
use super::super::scalar::Scalar;
use super::super::table::{Table, TableSize};
use super::curve::Affine8;
use super::digits8::{Digit8, OddScalar8};
use super::fe8::{Fe8, LANES};
use super::sums::{self, Sum8};

const WINDOW: u32 = TableSize::Small.window();
const ENTRIES_PER_ROW: usize = 1 << (WINDOW - 1);

/// One limb of every entry of a row.
type Column = [__m512i; ENTRIES_PER_ROW / LANES];

/// Ten limbs: five of x, five of y.
struct Row([Column; 10]);

static BASE_POINT: OnceLock<Vec<Row>> = OnceLock::new();

#[target_feature(enable = "avx512f")]
fn rows(table: &Table) -> Vec<Row> {
    let mut rows = Vec::new();
    for entries in table.rows() {
        let mut columns = [[Fe8::zero().0[0]; ENTRIES_PER_ROW / LANES]; 10];
        for (at, eight) in entries.as_chunks::<LANES>().0.iter().enumerate() {
            let (x, y) = (eight.map(|entry| entry.x), eight.map(|entry| entry.y));
            let (x, y): (Fe8, Fe8) = (Fe8::from_elements(&x), Fe8::from_elements(&y));
            for limb in 0..5 {
                columns[limb][at] = x.0[limb];
                columns[limb + 5][at] = y.0[limb];
            }
        }
        rows.push(Row(columns));
    }
    rows
}

impl Row {
    /// The entry that each lane wants.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn scan(&self, digit: &Digit8) -> Affine8 {
        let upper = _mm512_test_epi64_mask(digit.places, _mm512_set1_epi64(16));
        let mut limbs = [digit.places; 10];
        for (limb, [a, b, c, d]) in limbs.iter_mut().zip(&self.0) {
            let low = _mm512_permutex2var_epi64(*a, digit.places, *b);
            let high = _mm512_permutex2var_epi64(*c, digit.places, *d);
            *limb = _mm512_mask_blend_epi64(upper, low, high);
        }
        let [x0, x1, x2, x3, x4, y0, y1, y2, y3, y4] = limbs;
        let entry = Affine8 {
            x: Fe8([x0, x1, x2, x3, x4]),
            y: Fe8([y0, y1, y2, y3, y4]),
        };
        entry.negated(digit.negative)
    }
}

/// The part of a sum that one accumulator adds up: so many rows of a group, from the lowest.
struct Strand {
    group: usize,
    first_row: u32,
    sum: Sum8,
}

/// k·G for every k, none of them zero, in their order. `table` is the base point's, of the small size.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn base_multiples(table: &Table, scalars: &[Scalar]) -> Zeroizing<Vec<Option<Affine>>> {
    let rows = BASE_POINT.get_or_init(|| rows(table));
    let mut groups = Vec::with_capacity(scalars.len().div_ceil(LANES));
    for some in scalars.chunks(LANES) {
        let mut eight = [Scalar::ONE; LANES];
        eight[..some.len()].copy_from_slice(some);
        groups.push(OddScalar8::new(&eight));
        eight.zeroize();
    }
    let mut sums = add_up(rows, &groups);
    groups.iter_mut().for_each(Zeroize::zeroize);
    let mut multiples = Zeroizing::new(Vec::with_capacity(groups.len() * LANES));
    for (mut point, infinity) in sums::to_affine_all(&sums) {
        multiples.extend(point.to_points(infinity));
        point.zeroize();
    }
    sums.iter_mut().for_each(Zeroize::zeroize);
    multiples.truncate(scalars.len());
    multiples
}

/// The groups by turns; a single one in two halves by turns, so that one addition does not wait for another.
#[target_feature(enable = "avx512f,avx512ifma")]
fn add_up(rows: &[Row], groups: &[OddScalar8]) -> Vec<Sum8> {
    let count = digits::count(WINDOW);
    let halves = if groups.len() == 1 { 2 } else { 1 };
    let strand_rows = count.div_ceil(halves);
    let mut strands = Vec::with_capacity(groups.len().max(2));
    for (group, scalars) in groups.iter().enumerate() {
        for half in 0..halves {
            let first_row = half * strand_rows;
            let entry = entry(rows, scalars, first_row);
            strands.push(Strand {
                group,
                first_row,
                sum: Sum8::from_affine(&entry),
            });
        }
    }
    for step in 1..strand_rows {
        for strands in strands.chunks_mut(2) {
            add_row(rows, groups, strands, step);
        }
    }
    let mut sums = Vec::with_capacity(groups.len());
    if let ([lower, upper], 2) = (strands.as_slice(), halves) {
        sums.push(lower.sum.plus(&upper.sum).0);
    } else {
        for strand in &strands {
            sums.push(strand.sum);
        }
    }
    for strand in &mut strands {
        strand.sum.zeroize();
    }
    sums
}

/// The next row of one strand or two; of two halves the upper may have run out of rows.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn add_row(rows: &[Row], groups: &[OddScalar8], strands: &mut [Strand], step: u32) {
    if let [first, second] = strands
        && second.first_row + step < digits::count(WINDOW)
    {
        let entries = [
            entry(rows, &groups[first.group], first.first_row + step),
            entry(rows, &groups[second.group], second.first_row + step),
        ];
        let mut sums = [first.sum, second.sum];
        Sum8::add_each(&mut sums, &entries);
        [first.sum, second.sum] = sums;
    } else if let [first, ..] = strands {
        let entry = entry(rows, &groups[first.group], first.first_row + step);
        (first.sum, _) = first.sum.plus_affine(&entry);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn entry(rows: &[Row], scalars: &OddScalar8, row: u32) -> Affine8 {
    let place = usize::try_from(row).expect("some dozens of rows");
    rows[place].scan(&scalars.digit(row, WINDOW))
}
