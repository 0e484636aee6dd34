//! Multiples of eight public points that have tables, each by a secret scalar of its own: what sealing comes to.
//!
//! Every lane has its own table, so its row is read entry by entry under masks, whole. Constant-time; additions meet no
//! exceptional case but for the scalars that `multiply` names.

use core::arch::x86_64::{
    _mm512_and_si512, _mm512_or_si512, _mm512_permutexvar_epi64, _mm512_set1_epi64, _mm512_setzero_si512,
};

use zeroize::{Zeroize, Zeroizing};

use super::super::digits;
use super::super::point::Affine;
use super::super::scalar::Scalar;
use super::super::table::Table;
use super::curve::Affine8;
use super::digits8::OddScalar8;
use super::fe8::LANES;
use super::sums::{self, Sum8};
use super::vectors::{load_entry, words_equal};

/// One multiplication in each lane.
struct Strand<'t> {
    tables: [&'t Table; LANES],
    scalars: OddScalar8,
}

/// k·P for every P and its k, none of them zero, in their order. All tables have the same window.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn multiples(tables: &[&Table], scalars: &[Scalar]) -> Zeroizing<Vec<Option<Affine>>> {
    let mut strands = Vec::with_capacity(scalars.len().div_ceil(LANES));
    for (tables, scalars) in tables.chunks(LANES).zip(scalars.chunks(LANES)) {
        // lanes without a receiver take the first one's point once
        let mut strand = ([tables[0]; LANES], [Scalar::ONE; LANES]);
        strand.0[..tables.len()].copy_from_slice(tables);
        strand.1[..scalars.len()].copy_from_slice(scalars);
        strands.push(Strand {
            tables: strand.0,
            scalars: OddScalar8::new(&strand.1),
        });
        strand.1.zeroize();
    }
    let mut sums = Vec::with_capacity(strands.len());
    for strand in &strands {
        sums.push(Sum8::from_affine(&strand.row(0)));
    }
    for (strands, sums) in strands.chunks(2).zip(sums.chunks_mut(2)) {
        add_up(strands, sums);
    }
    for strand in &mut strands {
        strand.scalars.zeroize();
    }
    let mut multiples = Zeroizing::new(Vec::with_capacity(sums.len() * LANES));
    for (mut point, infinity) in sums::to_affine_all(&sums) {
        multiples.extend(point.to_points(infinity));
        point.zeroize();
    }
    sums.iter_mut().for_each(Zeroize::zeroize);
    multiples.truncate(scalars.len());
    multiples
}

/// The rows after the first; two strands by turns, so that one addition does not wait for another.
#[target_feature(enable = "avx512f,avx512ifma")]
fn add_up(strands: &[Strand<'_>], sums: &mut [Sum8]) {
    for row in 1..strands
        .first()
        .map_or(0, |strand| digits::count(strand.tables[0].window))
    {
        if let ([first, second], [first_sum, second_sum]) = (strands, &mut *sums) {
            let mut both = [*first_sum, *second_sum];
            Sum8::add_each(&mut both, &[first.row(row), second.row(row)]);
            [*first_sum, *second_sum] = both;
        } else if let ([strand], [sum]) = (strands, &mut *sums) {
            (*sum, _) = sum.plus_affine(&strand.row(row));
        }
    }
}

impl Strand<'_> {
    /// The entry that each lane wants of a row. Every entry is read.
    #[target_feature(enable = "avx512f")]
    fn row(&self, row: u32) -> Affine8 {
        let digit = self.scalars.digit(row, self.tables[0].window);
        let mut found = [_mm512_setzero_si512(); LANES];
        for ((lane, table), found) in (0i64..).zip(&self.tables).zip(&mut found) {
            let place = _mm512_permutexvar_epi64(_mm512_set1_epi64(lane), digit.places);
            for (at, entry) in (0i64..).zip(table.row(row)) {
                let entry = _mm512_and_si512(load_entry(entry), words_equal(place, at));
                *found = _mm512_or_si512(*found, entry);
            }
        }
        Affine8::from_rows(&found, digit.negative)
    }
}
