//! The field and the group in lanes, held against big integers and against the scalar path: where limbs are full and
//! carries run, with values as large as they may come, and at random. Each value stands in every lane.
//!
//! On a processor without the lanes there is nothing to hold against anything, and these tests do nothing.

use openssl::bn::{BigNum, BigNumContext};
use proptest::prelude::*;
use sm2::elliptic_curve::Group;
use sm2::{ProjectivePoint, Scalar as Oracle};

use super::super::field::{Fe, P};
use super::super::limbs;
use super::super::point::{Affine, Jacobian};
use super::super::tests::{below, big, edges, ours};
use super::curve::{Affine8, Jacobian8, inverted, inverted_all};
use super::fe8::{Fe8, LANES};
use super::sums::{self, Sum8};

const LIMB: u64 = (1 << 52) - 1;

/// The integer that five limbs are.
fn integer(limbs: &[u64; 5]) -> BigNum {
    let mut sum = BigNum::new().unwrap();
    for limb in limbs.iter().rev() {
        let mut shifted = BigNum::new().unwrap();
        shifted.lshift(&sum, 52).unwrap();
        sum = &shifted + &BigNum::from_slice(&limb.to_be_bytes()).unwrap();
    }
    sum
}

fn power(bits: i32) -> BigNum {
    let mut power = BigNum::new().unwrap();
    power.lshift(&BigNum::from_u32(1).unwrap(), bits).unwrap();
    power
}

fn prime() -> BigNum {
    big(&limbs::to_bytes(&P))
}

fn modulo(number: &BigNum) -> BigNum {
    let mut rest = BigNum::new().unwrap();
    rest.nnmod(number, &prime(), &mut BigNumContext::new().unwrap())
        .unwrap();
    rest
}

/// Values of five limbs below 4·2^256: every limb empty, full or one, and p and its multiples and their neighbours.
fn wide_edges() -> Vec<[u64; 5]> {
    let mut edges = Vec::new();
    for pattern in 0..243usize {
        let limb = |place: u32, full: u64| [0, 1, full].into_iter().nth((pattern / 3usize.pow(place)) % 3).unwrap();
        let top = limb(4, (1 << 50) - 1);
        edges.push([limb(0, LIMB), limb(1, LIMB), limb(2, LIMB), limb(3, LIMB), top]);
    }
    for multiple in 1..=4u32 {
        for (plus, minus) in [(0, 0), (1, 0), (0, 1)] {
            let number = &prime() * &BigNum::from_u32(multiple).unwrap();
            let number = &(&number + &BigNum::from_u32(plus).unwrap()) - &BigNum::from_u32(minus).unwrap();
            let bytes = number.to_vec_padded(40).unwrap();
            let bits = |from: usize| -> u64 {
                (0..52)
                    .filter(|bit| bytes[39 - (from + bit) / 8] >> ((from + bit) % 8) & 1 == 1)
                    .map(|bit| 1 << bit)
                    .sum()
            };
            edges.push([bits(0), bits(52), bits(104), bits(156), bits(208)]);
        }
    }
    edges
}

/// `value` in one lane, others beside it.
fn among(value: &[u64; 5], lane: usize) -> [[u64; 5]; LANES] {
    let mut lanes: [[u64; 5]; LANES] =
        std::array::from_fn(|at| [LIMB - 7 * u64::try_from(at).unwrap(), 3, LIMB, 0, LIMB >> 4]);
    lanes[lane] = *value;
    lanes
}

#[track_caller]
fn check_reduced(what: &str, result: &[u64; 5], expected: &BigNum, bound: &BigNum) {
    assert!(result[..4].iter().all(|limb| *limb <= LIMB), "{what}: carries are done");
    assert!(integer(result) < *bound, "{what}: the bound");
    assert_eq!(modulo(&integer(result)), modulo(expected), "{what}");
}

/// Everything of the field for one pair, in one lane.
#[target_feature(enable = "avx512f,avx512ifma")]
#[track_caller]
fn check_field(a: &[u64; 5], b: &[u64; 5], lane: usize) {
    let (x, y) = (Fe8::from_limbs(&among(a, lane)), Fe8::from_limbs(&among(b, lane)));
    let (big_a, big_b) = (integer(a), integer(b));
    let mut inverse = BigNum::new().unwrap();
    let mut context = BigNumContext::new().unwrap();
    inverse.mod_inverse(&power(260), &prime(), &mut context).unwrap();
    let product = power(257);
    let folded = &power(256) + &power(230);
    check_reduced(
        "product",
        &x.mul(&y).to_limbs()[lane],
        &(&(&big_a * &big_b) * &inverse),
        &product,
    );
    check_reduced(
        "square",
        &x.square().to_limbs()[lane],
        &(&(&big_a * &big_a) * &inverse),
        &product,
    );
    check_reduced(
        "out",
        &x.out_of_montgomery().to_limbs()[lane],
        &(&big_a * &inverse),
        &product,
    );
    check_reduced(
        "sum",
        &x.plus(&y).folded().to_limbs()[lane],
        &(&big_a + &big_b),
        &folded,
    );
    check_reduced(
        "difference",
        &x.minus::<8>(&y).folded().to_limbs()[lane],
        &(&big_a - &big_b),
        &folded,
    );
    let twice = &big_b + &big_b;
    check_reduced(
        "a − b − 2b",
        &x.minus::<16>(&y).minus_twice(&y).folded().to_limbs()[lane],
        &(&(&big_a - &big_b) - &twice),
        &folded,
    );
    // what is multiplied by eight here is a product
    let (z, big_z) = (x.mul(&y), integer(&x.mul(&y).to_limbs()[lane]));
    let eightfold = &big_z * &BigNum::from_u32(8).unwrap();
    check_reduced(
        "a − 8z",
        &x.minus_eightfold(&z).folded().to_limbs()[lane],
        &(&big_a - &eightfold),
        &folded,
    );
    let fourfold = &big_z * &BigNum::from_u32(4).unwrap();
    let w = y.plus(&y).folded();
    let big_w = integer(&w.to_limbs()[lane]);
    check_reduced(
        "4z − w",
        &z.fourfold_minus(&w).folded().to_limbs()[lane],
        &(&fourfold - &big_w),
        &folded,
    );
    let zero = modulo(&big_a) == BigNum::new().unwrap();
    assert!(!zero || x.maybe_zero() >> lane & 1 == 1, "a zero is seen");
    let folded_zero = x.refolded().folded_is_zero() >> lane & 1 == 1;
    assert_eq!(folded_zero, zero, "a folded zero is seen, and nothing else");
}

#[test]
fn the_field_at_its_edges() {
    if !super::available() {
        return;
    }
    let edges = wide_edges();
    for (at, a) in edges.iter().enumerate() {
        for b in edges.iter().skip(at % 5).step_by(5) {
            // SAFETY: the processor has the instructions.
            unsafe { check_field(a, b, at % LANES) }
        }
    }
}

/// Into the lanes and out again, negated or not, and words as they are.
#[target_feature(enable = "avx512f,avx512ifma")]
fn check_conversions(values: &[[u8; 32]; LANES]) {
    let elements = values.map(|bytes| Fe::from_bytes(&bytes).unwrap());
    let lanes = Fe8::from_elements(&elements);
    assert!(lanes.to_elements() == elements);
    assert!(lanes.mul(&Fe8::one()).to_elements() == elements);
    let points = elements.map(|element| Affine { x: element, y: element });
    let [a, b, c, d, e, f, g, h] = &points;
    let gathered = Affine8::gathered(&[a, b, c, d, e, f, g, h], 0b1010_0110);
    assert!(gathered.x.to_elements() == elements);
    for (lane, element) in gathered.y.to_elements().iter().enumerate() {
        let negated = 0b1010_0110 >> lane & 1 == 1;
        assert!(*element == if negated { elements[lane].neg() } else { elements[lane] });
    }
    if values.iter().all(|value| *value != [0; 32]) {
        let inverses = elements.map(|element| element.invert());
        assert!(inverted(&lanes).to_elements() == inverses);
        let all = inverted_all(&[lanes, Fe8::one(), Fe8::zero(), lanes]);
        assert!(
            [all[0], all[3]]
                .iter()
                .all(|(inverse, zero)| *zero == 0 && inverse.to_elements() == inverses)
        );
        assert!(all[1].1 == 0 && all[2].1 == 0xFF);
    }
}

#[test]
fn conversions_at_the_edges() {
    if !super::available() {
        return;
    }
    for values in edges(&P).as_chunks::<LANES>().0 {
        // SAFETY: the processor has the instructions.
        unsafe { check_conversions(values) }
    }
}

#[target_feature(enable = "avx512f")]
fn broadcast(point: &Affine) -> Affine8 {
    Affine8::gathered(&[point; LANES], 0)
}

fn affine(point: Jacobian) -> Option<Affine> {
    point.to_affine()
}

#[target_feature(enable = "avx512f")]
fn first(point: &Jacobian8) -> Jacobian {
    let [x, ..] = point.x.to_elements();
    let [y, ..] = point.y.to_elements();
    let [z, ..] = point.z.to_elements();
    Jacobian { x, y, z }
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn first_sum(sum: &Sum8) -> Option<Affine> {
    let (point, infinity) = sums::to_affine_all(&[*sum, *sum])[1];
    let [first, ..] = point.to_points(infinity);
    first
}

/// a + b in every form there is, where a and b differ in x, and a doubled.
#[target_feature(enable = "avx512f,avx512ifma")]
fn check_points(a: &ProjectivePoint, b: &ProjectivePoint) {
    let (sum, double) = (ours(&(*a + b)), ours(&a.double()));
    let (a, b) = (broadcast(&ours(a)), broadcast(&ours(b)));
    let mut pair = [Jacobian8::from_affine(&a), Jacobian8::from_affine(&b)];
    assert_eq!(Jacobian8::add_each(&mut pair, &[b, a]), [0, 0]);
    assert!(affine(first(&pair[0])) == Some(sum) && affine(first(&pair[1])) == Some(sum));
    let mut pair = [Jacobian8::from_affine(&b), Jacobian8::from_affine(&a)];
    Jacobian8::double_each(&mut pair);
    assert!(affine(first(&pair[1])) == Some(double));
    let doubled_again = pair[1].double().double();
    let expected = affine(Jacobian::from(double).double().double());
    assert!(affine(first(&doubled_again)) == expected);

    let mut pair = [Sum8::from_affine(&a), Sum8::from_affine(&b)];
    assert_eq!(Sum8::add_each(&mut pair, &[b, a]), [0, 0]);
    assert!(first_sum(&pair[0]) == Some(sum) && first_sum(&pair[1]) == Some(sum));
    // (a + b) + a, and twice that of two sums whose ZZ are not one
    let (more, exceptional) = pair[0].plus_affine(&broadcast(&double));
    let expected = affine(Jacobian::from(sum).plus_public(&double));
    assert!(exceptional == 0 && first_sum(&more) == expected);
    let (both, exceptional) = more.plus(&pair[0]);
    let expected = affine(expected.map_or(Jacobian::INFINITY, Jacobian::from).plus_public(&sum));
    assert!(exceptional == 0 && first_sum(&both) == expected);
}

/// Equal and opposite points are told in every form of addition.
#[target_feature(enable = "avx512f,avx512ifma")]
fn check_exceptional(a: &ProjectivePoint) {
    let (double, point) = (ours(&a.double()), ours(a));
    let negative = broadcast(&point.negated_if(u64::MAX));
    let a8 = broadcast(&point);
    for other in [&a8, &negative] {
        assert_eq!(Jacobian8::from_affine(&a8).plus_affine(other).1, 0xFF);
        assert_eq!(Sum8::from_affine(&a8).plus_affine(other).1, 0xFF);
        assert_eq!(Sum8::from_affine(&a8).plus(&Sum8::from_affine(other)).1, 0xFF);
    }
    let with_z = Jacobian8::from_affine(&a8).double();
    let far = broadcast(&ours(&(ProjectivePoint::GENERATOR * Oracle::from(1u64 << 40))));
    let (near, _) = Sum8::from_affine(&a8).plus_affine(&far);
    for mask in [0, u64::MAX] {
        assert_eq!(with_z.plus_affine(&broadcast(&double.negated_if(mask))).1, 0xFF);
        let same = first_sum(&near).unwrap().negated_if(mask);
        assert_eq!(near.plus_affine(&broadcast(&same)).1, 0xFF);
        assert_eq!(near.plus(&Sum8::from_affine(&broadcast(&same))).1, 0xFF);
    }
    let (infinity, _) = Sum8::from_affine(&a8).plus_affine(&negative);
    assert!(first_sum(&infinity).is_none());
}

/// All lanes added up: 1 + 2 + … + 8 times a point, in every lane.
#[target_feature(enable = "avx512f,avx512ifma")]
fn check_lanes_added_up(a: &ProjectivePoint) {
    let multiples: [Affine; LANES] =
        std::array::from_fn(|at| ours(&(*a * Oracle::from(u64::try_from(at).unwrap() + 1))));
    let eight = Affine8::gathered(&multiples.each_ref(), 0);
    let (sum, exceptional) = Sum8::from_affine(&eight).lanes_added_up();
    let (point, _) = sums::to_affine_all(&[sum])[0];
    assert_eq!(exceptional, 0);
    assert!(point.to_points(0) == [Some(ours(&(*a * Oracle::from(36u64)))); LANES]);
    // 3 and −3 among them meet
    let mut opposite = multiples;
    opposite[6] = opposite[2].negated_if(u64::MAX);
    let eight = Affine8::gathered(&opposite.each_ref(), 0);
    assert_ne!(Sum8::from_affine(&eight).lanes_added_up().1, 0);
}

#[test]
fn small_multiples_of_the_base_point() {
    if !super::available() {
        return;
    }
    for a in 1..40u64 {
        let point = |k: u64| ProjectivePoint::GENERATOR * Oracle::from(k);
        // SAFETY: the processor has the instructions.
        unsafe {
            check_exceptional(&point(a));
            check_lanes_added_up(&point(a));
        }
        for b in (1..40u64).filter(|b| *b != a) {
            // SAFETY: as above.
            unsafe { check_points(&point(a), &point(b)) }
        }
    }
}

proptest! {
    #[test]
    fn the_field(a in proptest::array::uniform5(0..=LIMB), b in proptest::array::uniform5(0..=LIMB), lane in 0..LANES) {
        if super::available() {
            let below_four = |mut limbs: [u64; 5]| {
                limbs[4] >>= 2;
                limbs
            };
            // SAFETY: the processor has the instructions.
            unsafe { check_field(&below_four(a), &below_four(b), lane) }
        }
    }

    #[test]
    fn conversions(values in proptest::array::uniform8(below(P))) {
        if super::available() {
            // SAFETY: the processor has the instructions.
            unsafe { check_conversions(&values) }
        }
    }
}
