//! Whether signatures hold, eight to a group.

use core::arch::x86_64::__mmask8;
use std::cell::Cell;

use super::super::digits;
use super::super::field::P;
use super::super::limbs::{self, Limbs};
use super::super::scalar::{N, Scalar};
use super::super::table::{Multiples, Table};
use super::super::verify::Claim;
use super::curve::{Affine8, Jacobian8};
use super::digits8::OddScalar8;
use super::fe8::{Fe8, LANES, load, store};
use super::sums::{self, Group};

/// What the lanes say of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Holds,
    Fails,
    /// An exceptional case may have come up: the scalar path decides.
    Open,
}

/// What a batch is worked out in. Kept by each thread: half a megabyte that is given back and asked for again costs more
/// than the arithmetic.
#[derive(Default)]
struct Scratch {
    groups: Vec<Group>,
    products: Vec<Fe8>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = const { Cell::new(Scratch { groups: Vec::new(), products: Vec::new() }) };
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
    let mut scratch = SCRATCH.take();
    let mut eights = Vec::with_capacity(claims.len().div_ceil(LANES));
    for some in claims.chunks(LANES) {
        let eight = Eight::new(some, table);
        if scratch.groups.len() == eights.len() {
            scratch.groups.push(Group::default());
        }
        eight.fill(g, &mut scratch.groups[eights.len()]);
        eights.push(eight);
    }
    let sums = sums::add_up(&mut scratch.groups[..eights.len()], &mut scratch.products);
    let mut verdicts = Vec::with_capacity(claims.len());
    for ((eight, group), sum) in eights.iter().zip(&scratch.groups).zip(&sums) {
        let (holds, open) = (eight.x_matches(sum), group.exceptional | eight.open);
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
    SCRATCH.set(scratch);
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
            let x = *claim.r.sub(&claim.e).limbs();
            let (above_n, carry) = limbs::add(&x, &N);
            if !carry && limbs::sub(&above_n, &P).1 {
                eight.open |= 1 << lane;
            }
            (eight.keys[lane], eight.s[lane], eight.t[lane], eight.x[lane]) = (key, claim.s, t, x);
        }
        eight
    }

    /// The table entries that add up to s·G + t·P.
    #[target_feature(enable = "avx512f")]
    fn fill(&self, g: &Table, group: &mut Group) {
        group.points.clear();
        group.exceptional = 0;
        push_entries(&mut group.points, &[g; LANES], &OddScalar8::new(&self.s));
        push_entries(&mut group.points, &self.keys, &OddScalar8::new(&self.t));
    }

    /// Whether X = x·Z².
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn x_matches(&self, sum: &Jacobian8) -> __mmask8 {
        let mut words = [[0u64; LANES]; 4];
        for (lane, x) in self.x.iter().enumerate() {
            for (words, limb) in words.iter_mut().zip(x) {
                words[lane] = *limb;
            }
        }
        let [a, b, c, d] = &words;
        // x is not in Montgomery form, so neither is the product
        let expected = Fe8::from_words(&[load(a), load(b), load(c), load(d)]).mul(&sum.z.square());
        expected
            .minus::<4>(&sum.x.out_of_montgomery())
            .folded()
            .folded_is_zero()
    }
}

#[target_feature(enable = "avx512f")]
fn push_entries(points: &mut Vec<Affine8>, tables: &[&Table; LANES], scalars: &OddScalar8) {
    let window = tables[0].window;
    for row in 0..digits::count(window) {
        let digit = scalars.digit(row, window);
        let places = store(digit.places);
        let mut entries = [tables[0].entry(row, places[0]); LANES];
        for lane in 1..LANES {
            entries[lane] = tables[lane].entry(row, places[lane]);
        }
        points.push(Affine8::gathered(&entries, digit.negative));
    }
}
