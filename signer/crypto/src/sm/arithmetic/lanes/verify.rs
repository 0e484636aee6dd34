//! Whether signatures hold, eight to a group.

use core::arch::x86_64::__mmask8;

use super::super::digits;
use super::super::field::P;
use super::super::limbs::{self, Limbs};
use super::super::scalar::{N, Scalar};
use super::super::table::{Multiples, Table};
use super::super::verify::Claim;
use super::curve::Affine8;
use super::digits8::OddScalar8;
use super::fe8::{Fe8, LANES};
use super::sums::Sum8;
use super::vectors::{load, store};

/// What the lanes say of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Holds,
    Fails,
    /// An exceptional case may have come up: the scalar path decides.
    Open,
}

/// Verdicts in the order of the claims, all of which have tables of the same window.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn verdicts(g: &Table, claims: &[Claim<'_>]) -> Vec<Verdict> {
    let tables = claims.iter().find_map(|claim| match claim.key {
        Multiples::Tabled(table) => Some(table),
        Multiples::Untabled(_) => None,
    });
    let Some(table) = tables else {
        return vec![Verdict::Open; claims.len()];
    };
    let mut eights = Vec::with_capacity(claims.len().div_ceil(LANES));
    for some in claims.chunks(LANES) {
        eights.push(Eight::new(some, table));
    }
    let mut strands = Vec::with_capacity(2 * eights.len());
    for eight in &eights {
        strands.push(Strand::new([g; LANES], &eight.s));
    }
    for eight in &eights {
        strands.push(Strand::new(eight.keys, &eight.t));
    }
    for strands in strands.chunks_mut(2) {
        add_up(strands);
    }
    let mut verdicts = Vec::with_capacity(eights.len() * LANES);
    let (of_base, of_key) = strands.split_at(eights.len());
    for ((eight, base), key) in eights.iter().zip(of_base).zip(of_key) {
        let (sum, exceptional) = base.sum.plus(&key.sum);
        let open = eight.open | base.exceptional | key.exceptional | exceptional;
        let holds = x_matches(&eight.x, &sum);
        for lane in 0..LANES {
            let bit = 1 << lane;
            verdicts.push(match () {
                () if eight.fails & bit != 0 => Verdict::Fails,
                () if open & bit != 0 => Verdict::Open,
                () if holds & bit != 0 => Verdict::Holds,
                () => Verdict::Fails,
            });
        }
    }
    verdicts.truncate(claims.len());
    verdicts
}

/// Up to eight claims, one to a lane; lanes without work go through the motions with ones.
struct Eight<'t> {
    keys: [&'t Table; LANES],
    s: [Scalar; LANES],
    t: [Scalar; LANES],
    /// What x is, unless it is that plus n.
    x: [Limbs; LANES],
    /// Lanes whose numbers no signature has.
    fails: __mmask8,
    /// Lanes whose x may be above n, one number in 2^129, or whose key has no table.
    open: __mmask8,
}

impl<'t> Eight<'t> {
    /// `table` is that of any of the claims: lanes without work use it, too.
    fn new(claims: &[Claim<'t>], table: &'t Table) -> Self {
        let mut eight = Self {
            keys: [table; LANES],
            s: [Scalar::ONE; LANES],
            t: [Scalar::ONE; LANES],
            x: [[0; 4]; LANES],
            fails: 0,
            open: 0,
        };
        for (lane, claim) in claims.iter().enumerate() {
            let Some(t) = claim.key_scalar() else {
                eight.fails |= 1 << lane;
                continue;
            };
            let Multiples::Tabled(key) = claim.key else {
                eight.open |= 1 << lane;
                continue;
            };
            let (x, may_exceed_order) = expected_x(claim);
            eight.open |= u8::from(may_exceed_order) << lane;
            (eight.keys[lane], eight.s[lane], eight.t[lane], eight.x[lane]) = (key, claim.s, t, x);
        }
        eight
    }
}

/// One multiplication in each lane, by a table of its own: a sum of entries, one from each row.
struct Strand<'t> {
    tables: [&'t Table; LANES],
    scalars: OddScalar8,
    rows: u32,
    sum: Sum8,
    /// Lanes that came upon points of the same x, or may have: what is computed of them means nothing.
    exceptional: __mmask8,
}

impl<'t> Strand<'t> {
    /// With the first row in it.
    #[target_feature(enable = "avx512f")]
    fn new(tables: [&'t Table; LANES], scalars: &[Scalar; LANES]) -> Self {
        let scalars = OddScalar8::new(scalars);
        Self {
            tables,
            scalars,
            rows: digits::count(tables[0].window),
            sum: Sum8::from_affine(&entries(&tables, &scalars, 0)),
            exceptional: 0,
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn row(&self, row: u32) -> Affine8 {
        entries(&self.tables, &self.scalars, row)
    }
}

/// Adds up one strand or two, two by turns as long as both have rows.
#[target_feature(enable = "avx512f,avx512ifma")]
fn add_up(strands: &mut [Strand<'_>]) {
    let mut row = 1;
    if let [first, second] = strands {
        let mut sums = [first.sum, second.sum];
        while row < first.rows.min(second.rows) {
            let exceptional = Sum8::add_each(&mut sums, &[first.row(row), second.row(row)]);
            first.exceptional |= exceptional[0];
            second.exceptional |= exceptional[1];
            row += 1;
        }
        [first.sum, second.sum] = sums;
    }
    for strand in strands {
        for row in row..strand.rows {
            let (sum, exceptional) = strand.sum.plus_affine(&strand.row(row));
            strand.sum = sum;
            strand.exceptional |= exceptional;
        }
    }
}

/// The table entry that each lane adds in a row.
#[inline]
#[target_feature(enable = "avx512f")]
fn entries(tables: &[&Table; LANES], scalars: &OddScalar8, row: u32) -> Affine8 {
    let digit = scalars.digit(row, tables[0].window);
    let places = store(digit.places);
    let mut entries = [tables[0].entry(row, places[0]); LANES];
    for lane in 1..LANES {
        entries[lane] = tables[lane].entry(row, places[lane]);
    }
    Affine8::gathered(&entries, digit.negative)
}

/// What x is, and whether it may be that plus n instead.
pub(super) fn expected_x(claim: &Claim<'_>) -> (Limbs, bool) {
    let x = *claim.r.sub(&claim.e).limbs();
    let (above_n, carry) = limbs::add(&x, &N);
    (x, !carry && limbs::sub(&above_n, &P).1)
}

/// Whether X = x·ZZ.
#[target_feature(enable = "avx512f,avx512ifma")]
pub(super) fn x_matches(x: &[Limbs; LANES], sum: &Sum8) -> __mmask8 {
    let mut words = [[0u64; LANES]; 4];
    for (lane, x) in x.iter().enumerate() {
        for (words, limb) in words.iter_mut().zip(x) {
            words[lane] = *limb;
        }
    }
    let [a, b, c, d] = &words;
    // x is not in Montgomery form, so neither is the product
    let expected = Fe8::from_words(&[load(a), load(b), load(c), load(d)]).mul(&sum.zz);
    expected
        .minus::<4>(&sum.x.out_of_montgomery())
        .folded()
        .folded_is_zero()
}
