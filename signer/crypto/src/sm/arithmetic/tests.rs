//! Every routine held against another implementation: the field against OpenSSL's big integers, scalars and points
//! against the `sm2` crate; at the edges where carries and special cases lie, and at random.

use openssl::bn::{BigNum, BigNumContext};
use proptest::prelude::*;
use sm2::elliptic_curve::ops::Reduce;
use sm2::elliptic_curve::point::AffineCoordinates;
use sm2::elliptic_curve::{Field, Group, PrimeField};
use sm2::{FieldBytes, ProjectivePoint, Scalar as Oracle};

use super::digits::{self, OddScalar};
use super::field::{Fe, P};
use super::limbs::{self, Limbs};
use super::point::{Affine, Jacobian};
use super::scalar::{N, Scalar};
use super::table::{Multiples, Table, TableSize};
use super::{base_multiple, multiply};

const SIZES: [TableSize; 2] = [TableSize::Small, TableSize::Large];

/// 0, 1, 2, all around the modulus that lies below it, and limbs of all zeros or ones in every mixture.
pub(super) fn edges(modulus: &Limbs) -> Vec<[u8; 32]> {
    let mut edges = Vec::new();
    for small in 0..4 {
        edges.push([small, 0, 0, 0]);
        edges.push(limbs::sub(modulus, &[small + 1, 0, 0, 0]).0);
    }
    for pattern in 0..81usize {
        let limb = |place: u32| {
            [0, 1, u64::MAX]
                .into_iter()
                .nth((pattern / 3usize.pow(place)) % 3)
                .unwrap()
        };
        edges.push([limb(0), limb(1), limb(2), limb(3)]);
    }
    for bit in 0..256usize {
        let mut one = [0; 4];
        one[bit / 64] = 1 << (bit % 64);
        edges.push(one);
    }
    edges.retain(|edge| limbs::sub(edge, modulus).1);
    edges.iter().map(limbs::to_bytes).collect()
}

pub(super) fn big(bytes: &[u8; 32]) -> BigNum {
    BigNum::from_slice(bytes).unwrap()
}

pub(super) fn bytes(number: &BigNum) -> [u8; 32] {
    number.to_vec_padded(32).unwrap().try_into().unwrap()
}

#[track_caller]
fn check_field(a: &[u8; 32], b: &[u8; 32]) {
    let (x, y) = (Fe::from_bytes(a).unwrap(), Fe::from_bytes(b).unwrap());
    let (p, big_a, big_b) = (big(&limbs::to_bytes(&P)), big(a), big(b));
    let mut context = BigNumContext::new().unwrap();
    let mut expected = BigNum::new().unwrap();
    expected.mod_mul(&big_a, &big_b, &p, &mut context).unwrap();
    assert_eq!(x.mul(&y).to_bytes(), bytes(&expected), "product");
    expected.mod_sqr(&big_a, &p, &mut context).unwrap();
    assert_eq!(x.square().to_bytes(), bytes(&expected), "square");
    expected.mod_add(&big_a, &big_b, &p, &mut context).unwrap();
    assert_eq!(x.add(&y).to_bytes(), bytes(&expected), "sum");
    expected.mod_sub(&big_a, &big_b, &p, &mut context).unwrap();
    // OpenSSL's remainder takes the sign of what is divided
    if expected.is_negative() {
        expected = &expected + &p;
    }
    assert_eq!(x.sub(&y).to_bytes(), bytes(&expected), "difference");
    assert_eq!(x.to_bytes(), *a);
    assert!(x.half().double() == x, "half");
}

#[test]
fn the_field_at_its_edges() {
    let edges = edges(&P);
    for a in &edges {
        for b in &edges {
            check_field(a, b);
        }
        let x = Fe::from_bytes(a).unwrap();
        let expected = if x.is_zero() { Fe::ZERO } else { Fe::ONE };
        assert!(x.mul(&x.invert()) == expected);
        assert!(x.add(&x.neg()).is_zero());
    }
    assert!(Fe::from_bytes(&limbs::to_bytes(&P)).is_none());
    assert!(Fe::from_bytes(&[0xFF; 32]).is_none());
}

#[track_caller]
fn check_scalars(a: &[u8; 32], b: &[u8; 32]) {
    let (x, y) = (Scalar::from_bytes(a).unwrap(), Scalar::from_bytes(b).unwrap());
    let oracle = |bytes: &[u8; 32]| Oracle::from_repr((*bytes).into()).unwrap();
    let same = |ours: Scalar, theirs: Oracle| limbs::to_bytes(ours.limbs()) == <[u8; 32]>::from(theirs.to_repr());
    assert!(same(x.add(&y), oracle(a) + oracle(b)), "sum");
    assert!(same(x.sub(&y), oracle(a) - oracle(b)), "difference");
    assert!(same(x.mul(&y), oracle(a) * oracle(b)), "product");
    let wide = oracle(a) * Oracle::from(2u64).pow([256]) + oracle(b);
    assert!(same(Scalar::from_wide_bytes(a, b), wide), "two words");
    assert_eq!(x.to_bytes(), *a);
}

#[test]
fn scalars_at_their_edges() {
    let edges = edges(&N);
    for a in &edges {
        for b in &edges {
            check_scalars(a, b);
        }
        let x = Scalar::from_bytes(a).unwrap();
        let expected = if x.is_zero() { Scalar::ZERO } else { Scalar::ONE };
        assert!(x.mul(&x.invert()) == expected);
    }
    for high in [N, [u64::MAX; 4]] {
        let high = limbs::to_bytes(&high);
        let expected = Oracle::reduce(&FieldBytes::from(high)) * Oracle::from(2u64).pow([256])
            + Oracle::reduce(&FieldBytes::from([0xFF; 32]));
        assert_eq!(
            Scalar::from_wide_bytes(&high, &[0xFF; 32]).to_bytes(),
            <[u8; 32]>::from(expected.to_repr())
        );
    }
    let order = limbs::to_bytes(&N);
    assert!(Scalar::from_bytes(&order).is_none());
    assert!(Scalar::from_bytes_reduced(&order).is_zero());
    assert_eq!(limbs::to_bytes(Scalar::from_bytes_reduced(&[0xFF; 32]).limbs()), {
        let most = Oracle::reduce(&FieldBytes::from([0xFF; 32]));
        <[u8; 32]>::from(most.to_repr())
    });
}

/// Σ dᵢ·2^(w·i) is the scalar again, for every window that is used.
#[test]
fn digits_add_up_to_their_scalar() {
    for window in SIZES.map(TableSize::window) {
        for edge in edges(&N) {
            let odd = OddScalar::new(&Scalar::from_bytes(&edge).unwrap());
            let mut sum = Oracle::ZERO;
            for index in (0..digits::count(window)).rev() {
                let digit = odd.digit(index, window);
                assert!(digit.place < 1 << (window - 1));
                let size = Oracle::from(2 * digit.place + 1);
                sum = sum * Oracle::from(1u64 << window) + if digit.negative == 0 { size } else { -size };
            }
            assert_eq!(<[u8; 32]>::from(sum.to_repr()), edge);
        }
    }
}

pub(super) fn oracle(bytes: &[u8; 32]) -> Oracle {
    Oracle::from_repr((*bytes).into()).unwrap()
}

/// x and y, or nothing for infinity.
pub(super) fn coordinates(point: &ProjectivePoint) -> Option<([u8; 32], [u8; 32])> {
    let affine = point.to_affine();
    (!bool::from(point.is_identity())).then(|| (affine.x().into(), affine.y().into()))
}

pub(super) fn ours(point: &ProjectivePoint) -> Affine {
    let (x, y) = coordinates(point).unwrap();
    Affine::from_coordinates(&x, &y).unwrap()
}

fn found(point: Jacobian) -> Option<([u8; 32], [u8; 32])> {
    point.to_affine().map(|point| (point.x.to_bytes(), point.y.to_bytes()))
}

#[test]
fn secret_multiples_at_the_edges() {
    for size in SIZES {
        let point = ProjectivePoint::GENERATOR * Oracle::from(0x1234_5678_9abc_def1u64);
        let table = Table::new(&ours(&point), size);
        for edge in edges(&N).into_iter().filter(|edge| *edge != [0; 32]) {
            let product = multiply::fixed_secret(&table, &Scalar::from_bytes(&edge).unwrap());
            assert_eq!(
                found(product),
                coordinates(&(point * oracle(&edge))),
                "{size:?} {edge:02x?}"
            );
        }
    }
}

#[test]
fn secret_multiples_of_points_without_a_table() {
    let point = ProjectivePoint::GENERATOR * Oracle::from(0x1234_5678_9abc_def1u64);
    for edge in edges(&N).into_iter().filter(|edge| *edge != [0; 32]) {
        let product = multiply::variable_secret(&ours(&point), &Scalar::from_bytes(&edge).unwrap());
        let expected = coordinates(&(point * oracle(&edge)));
        // the scalars just below n for which the last addition meets equal points: nothing rather than a wrong one
        let refused = found(product).is_none() && (-oracle(&edge)).to_repr()[..31] == [0; 31];
        assert!(refused || found(product) == expected, "{edge:02x?}");
    }
}

/// The one scalar for which the last addition meets two equal points, 30·2^252 − n: no point is given rather than a
/// wrong one.
#[test]
fn the_scalar_that_cannot_be_multiplied_gives_nothing() {
    let thirty = Oracle::from(30u64) * Oracle::from(2u64).pow([252]);
    let scalar = Scalar::from_bytes(&thirty.to_repr().into()).unwrap();
    assert!(base_multiple(&scalar).is_none());
}

#[track_caller]
fn check_sum(g: &Table, s: Oracle, key: Oracle, t: Oracle, size: TableSize) {
    let point = ProjectivePoint::GENERATOR * key;
    let table = Multiples::Tabled(Table::new(&ours(&point), size));
    let scalar = |oracle: Oracle| Scalar::from_bytes(&oracle.to_repr().into()).unwrap();
    for multiples in [table, Multiples::Untabled(ours(&point))] {
        let sum = multiply::sum_of_products(g, &scalar(s), &multiples, &scalar(t));
        assert_eq!(found(sum), coordinates(&(ProjectivePoint::GENERATOR * s + point * t)));
    }
}

/// Keys that are small multiples of the base point, so that both tables hold the same points and sums meet equal and
/// opposite ones at every stage. A stranger may have such a key.
#[test]
fn sums_that_meet_equal_and_opposite_points() {
    for size in SIZES {
        let g = Table::new(&Affine::generator(), size);
        let step = Oracle::from(1u64 << 12);
        for key in [
            Oracle::ONE,
            -Oracle::ONE,
            Oracle::from(2u64),
            Oracle::from(3u64),
            step,
            -step,
        ] {
            for s in [
                Oracle::ONE,
                Oracle::from(2u64),
                -Oracle::ONE,
                step,
                Oracle::from(0x7fff_ffff_ffffu64),
            ] {
                let opposite = -(s * key.invert().unwrap());
                for t in [s, -s, opposite, opposite + Oracle::ONE, Oracle::ONE] {
                    check_sum(&g, s, key, t, size);
                }
            }
        }
    }
}

fn reduced(bytes: [u8; 32]) -> Oracle {
    Oracle::reduce(&FieldBytes::from(bytes))
}

pub(super) fn below(modulus: Limbs) -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>().prop_filter("below the modulus", move |bytes| {
        limbs::sub(&limbs::from_bytes(bytes), &modulus).1
    })
}

proptest! {
    #[test]
    fn the_field(a in below(P), b in below(P)) {
        check_field(&a, &b);
    }

    #[test]
    fn scalars(a in below(N), b in below(N)) {
        check_scalars(&a, &b);
    }

    #[test]
    fn base_multiples(k in below(N)) {
        let expected = coordinates(&(ProjectivePoint::GENERATOR * oracle(&k)));
        let made = base_multiple(&Scalar::from_bytes(&k).unwrap()).map(|point| point.x());
        prop_assert_eq!(made, expected.map(|(x, _)| x));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn sums(s: [u8; 32], key: [u8; 32], t: [u8; 32]) {
        let g = Table::new(&Affine::generator(), TableSize::Small);
        prop_assume!(key != [0; 32]);
        check_sum(&g, reduced(s), reduced(key), reduced(t), TableSize::Small);
    }
}

#[test]
fn points_off_the_curve_are_refused() {
    let (x, y) = coordinates(&ProjectivePoint::GENERATOR).unwrap();
    assert!(Affine::from_coordinates(&x, &y).is_some());
    assert!(Affine::from_coordinates(&y, &x).is_none());
    assert!(Affine::from_coordinates(&[0; 32], &[0; 32]).is_none());
    assert!(Affine::from_coordinates(&x, &limbs::to_bytes(&P)).is_none());
}
