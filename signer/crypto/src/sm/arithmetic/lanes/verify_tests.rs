//! Verification in lanes held against the scalar path and against verdicts known beforehand: cases that a stranger can
//! force, in every lane, beside honest neighbours; batches of every size.

use proptest::prelude::*;
use sm2::elliptic_curve::ops::Reduce;
use sm2::elliptic_curve::{Group, PrimeField};
use sm2::{FieldBytes, ProjectivePoint, Scalar as Oracle};
use std::sync::LazyLock;

use super::super::point::Affine;
use super::super::scalar::Scalar;
use super::super::table::{Multiples, Table, TableSize};
use super::super::tests::{coordinates, ours};
use super::super::verify::Claim;
use super::super::{BASE_POINT, hold_all};
use super::{Verdict, verdicts};

/// A key by its secret, with tables of both sizes and with none.
struct Key {
    secret: Oracle,
    multiples: [Multiples; 3],
}

impl Key {
    fn new(secret: Oracle) -> Self {
        let point = ours(&(ProjectivePoint::GENERATOR * secret));
        let table = |size| Multiples::Tabled(Table::new(&point, size));
        Self {
            secret,
            multiples: [
                table(TableSize::Small),
                table(TableSize::Large),
                Multiples::Untabled(point),
            ],
        }
    }
}

static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let step = Oracle::from(1u64 << 12);
    let small = [
        Oracle::ONE,
        -Oracle::ONE,
        Oracle::from(2u64),
        Oracle::from(3u64),
        step,
        -step,
    ];
    let large = [1u8, 2, 3].map(|byte| reduced([0x51 ^ byte; 32]));
    small.into_iter().chain(large).map(Key::new).collect()
});

fn reduced(bytes: [u8; 32]) -> Oracle {
    Oracle::reduce(&FieldBytes::from(bytes))
}

fn scalar(oracle: Oracle) -> Scalar {
    Scalar::from_bytes(&oracle.to_repr().into()).unwrap()
}

/// A claim that makes its verifier compute s·G + t·P, and what it must say: it holds unless that sum is infinity or a
/// number of it is zero. With `spoilt` the digest is another.
fn made(key: &'static Key, s: Oracle, t: Oracle, table: usize, spoilt: bool) -> (Claim<'static>, bool) {
    let r = t - s;
    let sum = ProjectivePoint::GENERATOR * (s + t * key.secret);
    let x = coordinates(&sum).map_or(Oracle::ZERO, |(x, _)| reduced(x));
    let e = r - x + if spoilt { Oracle::ONE } else { Oracle::ZERO };
    let holds = !spoilt && !bool::from(sum.is_identity() | r.is_zero() | s.is_zero() | t.is_zero());
    let claim = Claim {
        key: &key.multiples[table],
        e: scalar(e),
        r: scalar(r),
        s: scalar(s),
    };
    (claim, holds)
}

/// Sums that meet equal and opposite points: keys that are small multiples of the base point, scalars that cancel.
fn forced(table: usize) -> Vec<(Claim<'static>, bool)> {
    let mut forced = Vec::new();
    let step = Oracle::from(1u64 << 12);
    for key in KEYS.iter() {
        for s in [
            Oracle::ONE,
            Oracle::from(2u64),
            -Oracle::ONE,
            step,
            Oracle::from(0x7fff_ffff_ffffu64),
            Oracle::ZERO,
        ] {
            let opposite = -(s * key.secret.invert().unwrap());
            for t in [s, -s, opposite, opposite + Oracle::ONE, Oracle::ONE, Oracle::ZERO] {
                for spoilt in [false, true] {
                    forced.push(made(key, s, t, table, spoilt));
                }
            }
        }
    }
    forced
}

fn honest(seed: u8, table: usize, spoilt: bool) -> (Claim<'static>, bool) {
    let key = &KEYS[6 + usize::from(seed) % 3];
    made(
        key,
        reduced([seed ^ 0x35; 32]),
        reduced([seed ^ 0xE2; 32]),
        table,
        spoilt,
    )
}

fn hold(claims: &[(Claim<'static>, bool)]) -> Vec<bool> {
    let claims: Vec<Option<Claim<'_>>> = claims.iter().map(|(claim, _)| Some(*claim)).collect();
    hold_all(&claims)
}

fn expected(claims: &[(Claim<'static>, bool)]) -> Vec<bool> {
    claims.iter().map(|(_, holds)| *holds).collect()
}

/// Every forced case in every lane, with honest and spoilt neighbours, which keep their verdicts.
#[test]
fn forced_cases_among_honest_neighbours() {
    for table in 0..3 {
        for (at, case) in forced(table).into_iter().enumerate() {
            assert_eq!(case.0.holds(&BASE_POINT), case.1, "the scalar path, {table} {at}");
            assert_eq!(hold(&[case]), [case.1], "alone, {table} {at}");
            let mut claims: Vec<_> = (0..8).map(|lane| honest(lane, table, lane == 2)).collect();
            claims[at % 8] = case;
            assert_eq!(hold(&claims), expected(&claims), "{table} {at}");
        }
    }
}

/// So that inversions shared by many groups meet them, too.
#[test]
fn forced_cases_in_large_batches() {
    for table in 0..2 {
        let mut claims: Vec<_> = forced(table);
        let count = u8::try_from(claims.len() % 200).unwrap();
        claims.extend((0..count).map(|seed| honest(seed, table, seed % 3 == 0)));
        for turn in [1, 5, 7, 11] {
            let mixed: Vec<_> = (0..claims.len()).map(|at| claims[at * turn % claims.len()]).collect();
            assert_eq!(hold(&mixed), expected(&mixed));
        }
        assert_eq!(hold(&vec![claims[3]; 64]), vec![claims[3].1; 64]);
    }
}

/// What the lanes leave open is what they must: nothing of honest claims.
#[test]
fn honest_claims_are_settled_in_lanes() {
    for table in 0..2 {
        let claims: Vec<_> = (0..64).map(|seed| honest(seed, table, seed % 2 == 0)).collect();
        let only: Vec<_> = claims.iter().map(|(claim, _)| *claim).collect();
        let settled = verdicts(&BASE_POINT, &only).map(|verdicts| {
            let holds = verdicts.into_iter().map(|verdict| {
                assert_ne!(verdict, Verdict::Open);
                verdict == Verdict::Holds
            });
            holds.collect::<Vec<bool>>()
        });
        assert!(settled.is_none_or(|settled| settled == expected(&claims)));
    }
}

/// x of the sum is between n and p in one case of 2^129, which nobody can make; the lanes leave what could be one open.
#[test]
fn an_x_that_may_exceed_the_order_is_left_open() {
    let (mut claim, _) = honest(1, 0, false);
    claim.e = claim.r.sub(&Scalar::ONE);
    if let Some(verdicts) = verdicts(&BASE_POINT, &[claim; 8]) {
        assert_eq!(verdicts, [Verdict::Open; 8]);
    }
    assert_eq!(hold_all(&[Some(claim); 8]), [false; 8]);
}

#[test]
fn batches_of_every_size_and_mixture() {
    for size in 0..=140usize {
        let claims: Vec<_> = (0..size)
            .map(|at| honest(u8::try_from(at).unwrap(), at * size % 3, (at + size) % 4 == 1))
            .collect();
        assert_eq!(hold(&claims), expected(&claims), "{size}");
    }
}

#[test]
fn what_is_no_claim_does_not_hold_and_moves_nothing() {
    let claims: Vec<_> = (0..16).map(|seed| honest(seed, 0, false)).collect();
    let some: Vec<_> = claims
        .iter()
        .enumerate()
        .map(|(at, (claim, _))| (at % 3 != 1).then_some(*claim))
        .collect();
    let expected: Vec<_> = (0..16).map(|at| at % 3 != 1).collect();
    assert_eq!(hold_all(&some), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_claims(
        numbers in proptest::collection::vec((any::<[u8; 32]>(), any::<[u8; 32]>(), 0..9usize, 0..3usize, any::<bool>()), 1..40),
    ) {
        let claims = numbers.iter().map(|(s, t, key, table, spoilt)| made(&KEYS[*key], reduced(*s), reduced(*t), *table, *spoilt));
        let claims: Vec<_> = claims.collect();
        prop_assert_eq!(hold(&claims), expected(&claims));
        for (claim, holds) in claims {
            prop_assert_eq!(claim.holds(&BASE_POINT), holds);
        }
    }
}

#[test]
fn points_without_a_table_are_left_open() {
    let point = Multiples::Untabled(Affine::generator());
    let (claim, _) = honest(3, 0, false);
    let claim = Claim { key: &point, ..claim };
    if let Some(verdicts) = verdicts(&BASE_POINT, &[claim; 3]) {
        assert_eq!(verdicts, [Verdict::Open; 3]);
    }
}
