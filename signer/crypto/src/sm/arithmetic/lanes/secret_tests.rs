//! Multiples by secret scalars in lanes held against the scalar path: edge scalars in every lane, batches of every size,
//! points of every kind, and at random.

use proptest::prelude::*;
use sm2::ProjectivePoint;
use sm2::Scalar as Oracle;
use sm2::elliptic_curve::{Field, PrimeField};

use super::super::point::Affine;
use super::super::scalar::{N, Scalar};
use super::super::table::{Table, TableSize};
use super::super::tests::{below, edges, ours};
use super::super::{BASE_POINT_SCANNED, multiply};
use super::{base_multiples, multiples, multiples_each};

fn scalars() -> Vec<Scalar> {
    let edges = edges(&N).into_iter().filter(|edge| *edge != [0; 32]);
    edges.map(|edge| Scalar::from_bytes(&edge).unwrap()).collect()
}

fn point(k: u64) -> Affine {
    ours(&(ProjectivePoint::GENERATOR * Oracle::from(k)))
}

#[track_caller]
fn check_base(scalars: &[Scalar]) {
    let Some(found) = base_multiples(scalars) else { return };
    let expected = scalars
        .iter()
        .map(|k| multiply::fixed_secret(&BASE_POINT_SCANNED, k).to_affine());
    assert!(found.iter().copied().eq(expected), "{} scalars", scalars.len());
}

#[track_caller]
fn check_multiples(points: &[Affine], k: &Scalar) {
    let Some(found) = multiples(points, k) else { return };
    let expected = points
        .iter()
        .map(|point| multiply::variable_secret(point, k).to_affine());
    assert!(found.iter().copied().eq(expected), "{} points", points.len());
}

/// Edge scalars of points of their own, in every lane.
#[test]
fn multiples_by_tables_at_the_edges() {
    let tables: Vec<Table> = (1..=9).map(|k| Table::new(&point(k), TableSize::Small)).collect();
    let scalars = scalars();
    for (size, shift) in [(1, 0), (8, 0), (8, 3), (16, 5), (64, 1), (11, 2)] {
        for scalars in scalars[shift..].chunks(size) {
            let tables: Vec<&Table> = (0..scalars.len()).map(|at| &tables[(at * 7 + shift) % 9]).collect();
            let Some(found) = multiples_each(&tables, scalars) else {
                return;
            };
            let each = tables.iter().zip(scalars);
            let expected = each.map(|(table, k)| multiply::fixed_secret(table, k).to_affine());
            assert!(found.iter().copied().eq(expected), "{size} {shift}");
        }
    }
}

#[test]
fn base_multiples_at_the_edges() {
    let scalars = scalars();
    for size in [1, 3, 8, 9, 16, 64] {
        scalars.chunks(size).for_each(check_base);
    }
    for lane in 0..8 {
        check_base(&scalars[lane..lane + 8]);
    }
}

#[test]
fn multiples_at_the_edges() {
    let points: Vec<Affine> = (1..=17).map(point).collect();
    for (at, k) in scalars().iter().enumerate() {
        check_multiples(&points[at % 9..at % 9 + 8], k);
    }
    for size in 1..=points.len() {
        check_multiples(&points[..size], &Scalar::from_bytes(&[0x5A; 32]).unwrap());
    }
}

/// The scalars of which the last addition comes upon two equal points give nothing rather than something wrong, and
/// leave their neighbours alone.
#[test]
fn scalars_that_cannot_be_multiplied() {
    let thirty = Oracle::from(30u64) * Oracle::from(2u64).pow([252]);
    let refused = Scalar::from_bytes(&thirty.to_repr().into()).unwrap();
    let one = [refused, Scalar::ONE];
    for size in [8, 16] {
        for lane in 0..size {
            let batch: Vec<Scalar> = (0..size).map(|at| one[usize::from(at != lane)]).collect();
            let Some(found) = base_multiples(&batch) else { return };
            for (at, found) in found.iter().enumerate() {
                assert!(if at == lane {
                    found.is_none() || size == 8
                } else {
                    *found == Some(Affine::generator())
                });
            }
        }
    }
    // n − 2 of any point: 32 times what was summed up is the digit itself
    let near = Scalar::ZERO.sub(&Scalar::ONE).sub(&Scalar::ONE);
    check_multiples(&[point(1), point(2), point(3)], &near);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn random_base_multiples(numbers in proptest::collection::vec(below(N), 1..20)) {
        let scalars = numbers.iter().filter(|number| **number != [0; 32]).map(|number| Scalar::from_bytes(number).unwrap());
        check_base(&scalars.collect::<Vec<_>>());
    }

    #[test]
    fn random_multiples(k in below(N), numbers in proptest::collection::vec(1..u64::MAX, 1..20)) {
        prop_assume!(k != [0; 32]);
        let points: Vec<Affine> = numbers.into_iter().map(point).collect();
        check_multiples(&points, &Scalar::from_bytes(&k).unwrap());
    }
}
