//! The laws that field, scalars and group obey, whatever their inputs: the edges of carries mixed with chance. The group's
//! hold on every path to a multiple: tables small and large, no table, alone and in lanes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::field::{Fe, P};
use super::limbs::{self, Limbs};
use super::multiply;
use super::point::{Affine, Jacobian};
use super::scalar::{N, Scalar};
use super::secret;
use super::table::{Multiples, Table, TableSize};
use super::tests::{below, edges};

/// Numbers below the modulus, half of them at an edge.
fn number(modulus: Limbs) -> impl Strategy<Value = [u8; 32]> {
    prop_oneof![below(modulus), select(edges(&modulus))]
}

fn element() -> impl Strategy<Value = Fe> {
    number(P).prop_map(|bytes| Fe::from_bytes(&bytes).unwrap())
}

fn scalar() -> impl Strategy<Value = Scalar> {
    number(N).prop_map(|bytes| Scalar::from_bytes(&bytes).unwrap())
}

fn not_zero() -> impl Strategy<Value = Scalar> {
    scalar().prop_filter("not zero", |scalar| !scalar.is_zero())
}

impl std::fmt::Debug for Fe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", hex::encode(self.to_bytes()))
    }
}

impl std::fmt::Debug for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", hex::encode(self.to_bytes()))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn of_the_field(a in element(), b in element(), c in element()) {
        prop_assert_eq!(a.add(&b), b.add(&a));
        prop_assert_eq!(a.mul(&b), b.mul(&a));
        prop_assert_eq!(a.add(&b).add(&c), a.add(&b.add(&c)));
        prop_assert_eq!(a.mul(&b).mul(&c), a.mul(&b.mul(&c)));
        prop_assert_eq!(a.mul(&b.add(&c)), a.mul(&b).add(&a.mul(&c)));
        prop_assert_eq!(a.add(&Fe::ZERO), a);
        prop_assert_eq!(a.mul(&Fe::ONE), a);
        prop_assert_eq!(a.mul(&Fe::ZERO), Fe::ZERO);
        prop_assert_eq!(a.sub(&b).add(&b), a);
        prop_assert_eq!(a.add(&a.neg()), Fe::ZERO);
        prop_assert_eq!(a.sub(&b), b.sub(&a).neg());
        prop_assert_eq!(a.double(), a.add(&a));
        prop_assert_eq!(a.square(), a.mul(&a));
        prop_assert_eq!(a.add(&b).mul(&a.sub(&b)), a.square().sub(&b.square()));
        prop_assert_eq!(a.negated_if(0), a);
        prop_assert_eq!(a.negated_if(u64::MAX), a.neg());
        prop_assert_eq!(Fe::from_bytes(&a.to_bytes()), Some(a));
    }

    #[test]
    fn of_scalars(a in scalar(), b in scalar(), c in scalar()) {
        prop_assert_eq!(a.add(&b), b.add(&a));
        prop_assert_eq!(a.mul(&b), b.mul(&a));
        prop_assert_eq!(a.add(&b).add(&c), a.add(&b.add(&c)));
        prop_assert_eq!(a.mul(&b).mul(&c), a.mul(&b.mul(&c)));
        prop_assert_eq!(a.mul(&b.add(&c)), a.mul(&b).add(&a.mul(&c)));
        prop_assert_eq!(a.mul(&Scalar::ONE), a);
        prop_assert_eq!(a.sub(&b).add(&b), a);
        prop_assert_eq!(a.sub(&a), Scalar::ZERO);
        prop_assert_eq!(Scalar::from_bytes(&a.to_bytes()), Some(a));
        prop_assert_eq!(Scalar::from_wide_bytes(&[0; 32], &a.to_bytes()), a);
    }
}

proptest! {
    #[test]
    fn of_inverses(a in element(), b in not_zero(), many in vec(element(), 1..20)) {
        let expected = if a.is_zero() { Fe::ZERO } else { Fe::ONE };
        prop_assert_eq!(a.mul(&a.invert()), expected);
        prop_assert_eq!(b.mul(&b.invert()), Scalar::ONE);
        let mut together: Vec<Fe> = many.into_iter().filter(|element| !element.is_zero()).collect();
        let singly: Vec<Fe> = together.iter().map(Fe::invert).collect();
        Fe::invert_all(&mut together);
        prop_assert_eq!(together, singly);
    }
}

/// k·G, as a point that may be infinity.
fn multiple_of_base(k: &Scalar) -> Jacobian {
    if k.is_zero() {
        return Jacobian::INFINITY;
    }
    secret::base_multiple(k).unwrap().into()
}

/// a + b, where either may be infinity.
fn sum(a: Jacobian, b: Jacobian) -> Jacobian {
    b.to_affine().map_or(a, |b| a.plus_public(&b))
}

fn same(a: Jacobian, b: Jacobian) -> bool {
    a.to_affine() == b.to_affine()
}

fn negated(point: Jacobian) -> Jacobian {
    Jacobian {
        y: point.y.neg(),
        ..point
    }
}

#[test]
fn the_order_times_the_base_point_is_infinity() {
    let minus_one = Scalar::ZERO.sub(&Scalar::ONE);
    assert_eq!(limbs::to_bytes(minus_one.limbs())[31], 0x22);
    let before = multiple_of_base(&minus_one);
    assert!(sum(before, Affine::generator().into()).is_infinity());
    assert!(same(before, negated(Affine::generator().into())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn of_the_group(a in scalar(), b in scalar(), c in scalar()) {
        let [p, q, r] = [&a, &b, &c].map(multiple_of_base);
        prop_assert!(same(sum(p, q), multiple_of_base(&a.add(&b))));
        prop_assert!(same(sum(p, q), sum(q, p)));
        prop_assert!(same(sum(sum(p, q), r), sum(p, sum(q, r))));
        prop_assert!(same(sum(p, p), p.double()));
        prop_assert!(same(p.double(), multiple_of_base(&a.add(&a))));
        prop_assert!(sum(p, negated(p)).is_infinity());
        prop_assert!(same(sum(p, Jacobian::INFINITY), p));
        prop_assert!(Jacobian::INFINITY.double().is_infinity());
        let coordinates = p.to_affine().map(|point| point.coordinates());
        prop_assert!(coordinates.is_none_or(|[x, y]| Affine::from_coordinates(&x, &y).is_some()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// a·(b·G) = (a·b)·G on every path, and so s·G + t·P.
    #[test]
    fn of_every_path_to_a_multiple(a in not_zero(), b in not_zero(), s in not_zero()) {
        let point = secret::base_multiple(&b).unwrap();
        let expected = multiple_of_base(&a.mul(&b));
        let g = Table::new(&Affine::generator(), TableSize::Large);
        let kinds = [
            Multiples::Tabled(Table::new(&point, TableSize::Small)),
            Multiples::Tabled(Table::new(&point, TableSize::Large)),
            Multiples::Untabled(point),
        ];
        for multiples in &kinds {
            let found = secret::multiple(multiples, &a).unwrap();
            prop_assert!(same(found.into(), expected));
            let both = multiply::sum_of_products(&g, &s, multiples, &a);
            prop_assert!(same(both, sum(multiple_of_base(&s), expected)));
        }
    }

    /// Many at once are what each is alone, wherever it stands.
    #[test]
    fn of_many_at_once(scalars in vec(not_zero(), 1..40), k in not_zero()) {
        let singly: Vec<_> = scalars.iter().map(secret::base_multiple).collect();
        prop_assert!(*secret::base_multiples(&scalars) == singly);
        let points: Vec<Affine> = singly.into_iter().flatten().collect();
        let expected: Vec<_> = scalars.iter().map(|scalar| multiple_of_base(&scalar.mul(&k)).to_affine()).collect();
        prop_assert!(*secret::multiples(&points, &k) == expected);
    }
}

/// Every edge in every place of a batch of nine.
#[test]
fn edges_in_every_lane() {
    let edges = edges(&N).into_iter().map(|edge| Scalar::from_bytes(&edge).unwrap());
    let edges: Vec<Scalar> = edges.filter(|edge| !edge.is_zero()).collect();
    let expected: Vec<_> = edges.iter().map(secret::base_multiple).collect();
    for first in 0..9 {
        for (scalars, expected) in edges[first..].chunks(9).zip(expected[first..].chunks(9)) {
            assert!(*secret::base_multiples(scalars) == expected);
        }
    }
    let points: Vec<Affine> = expected.iter().copied().flatten().take(9).collect();
    for edge in &edges {
        let singly = points
            .iter()
            .map(|point| secret::multiple(&Multiples::Untabled(*point), edge));
        assert!(*secret::multiples(&points, edge) == singly.collect::<Vec<_>>());
    }
}
