//! Signatures crafted together with their digests, so that the equation of verification holds for them and only the
//! rules about ranges and special points decide. A stranger cannot choose a digest, but whoever takes one of these by
//! mistake has lost the rule, and no random test would tell.
//!
//! The `sm2` crate does the arithmetic: nothing here is ours.

use std::collections::BTreeMap;

use sm2::elliptic_curve::ops::Reduce;
use sm2::elliptic_curve::point::AffineCoordinates;
use sm2::elliptic_curve::{Group, PrimeField};
use sm2::{FieldBytes, ProjectivePoint, PublicKey, Scalar};

use crate::inside::{self, TableSize};

type Word = [u8; 32];

/// n, as it is not a scalar.
const ORDER: &str = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123";

/// A signature of a digest by a key, and whether it holds.
struct Crafted {
    what: String,
    key: (Word, Word),
    e: Word,
    r_s: [u8; 64],
    holds: bool,
}

fn words(text: &str) -> Word {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// Big-endian sum, which must fit.
fn sum(a: &Word, b: &Word) -> Word {
    let mut carry = 0;
    let mut sum = [0; 32];
    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b).rev() {
        let [high, low] = (u16::from(*a) + u16::from(*b) + carry).to_be_bytes();
        (*sum, carry) = (low, u16::from(high));
    }
    assert_eq!(carry, 0, "fits");
    sum
}

fn small(number: u8) -> Word {
    let mut word = [0; 32];
    word[31] = number;
    word
}

fn reduced(word: &Word) -> Scalar {
    Scalar::reduce(&FieldBytes::from(*word))
}

fn word(scalar: &Scalar) -> Word {
    scalar.to_repr().into()
}

/// A scalar that nobody would hit by luck.
fn far(label: u64) -> Scalar {
    Scalar::from(label + 2).invert().unwrap() * Scalar::from(0x1234_5678_9abc_def1_u64)
}

fn coordinates(point: &ProjectivePoint) -> (Word, Word) {
    let affine = point.to_affine();
    (affine.x().into(), affine.y().into())
}

/// x modulo n; 0 for infinity, for which a careless implementation takes it.
fn x_of(point: &ProjectivePoint) -> Scalar {
    if bool::from(point.is_identity()) {
        return Scalar::ZERO;
    }
    reduced(&coordinates(point).0)
}

/// The digest for which (r, s) fulfils the equation: e = r − x(sG + (r + s)P).
fn crafted(what: &str, key: &ProjectivePoint, r: &Word, s: &Word) -> Crafted {
    let below = |word: &Word| *word < words(ORDER);
    let (r_reduced, s_reduced) = (reduced(r), reduced(s));
    let t = r_reduced + s_reduced;
    let point = ProjectivePoint::GENERATOR * s_reduced + *key * t;
    let special = [r_reduced, s_reduced, t]
        .iter()
        .any(|scalar| bool::from(scalar.is_zero()));
    Crafted {
        what: what.to_owned(),
        key: coordinates(key),
        e: word(&(r_reduced - x_of(&point))),
        r_s: [*r, *s].concat().try_into().unwrap(),
        holds: below(r) && below(s) && !special && !bool::from(point.is_identity()),
    }
}

/// r and s of all sorts, in and out of their range, with keys near the base point and far from it.
fn at_the_edges_of_the_range() -> Vec<Crafted> {
    let order = words(ORDER);
    let (a, b) = (far(1), far(2));
    let values: Vec<Word> = vec![
        [0; 32],
        small(1),
        small(2),
        word(&-Scalar::from(2u64)),
        word(&-Scalar::ONE),
        order,
        sum(&order, &small(1)),
        sum(&order, &small(2)),
        [0xFF; 32],
        word(&a),
        word(&-a),
        word(&b),
        word(&-b),
    ];
    let scalars = [Scalar::ONE, -Scalar::ONE, Scalar::from(2u64), far(3)];
    let mut items = Vec::new();
    for key in scalars.map(|scalar| ProjectivePoint::GENERATOR * scalar) {
        for r in &values {
            for s in &values {
                items.push(crafted("edges of r and s", &key, r, s));
            }
        }
    }
    items
}

/// Keys that are multiples of the base point, so that sums meet equal and opposite points, and infinity, on the way.
fn with_related_points() -> Vec<Crafted> {
    let powers = [5, 6, 7, 8, 12, 16].map(|power| Scalar::from(1u64 << power));
    let two = Scalar::from(2u64);
    let multiples = [Scalar::ONE, two, Scalar::from(3u64)].into_iter().chain(powers);
    let multiples: Vec<Scalar> = multiples.flat_map(|m| [m, -m, m.invert().unwrap()]).collect();
    let mut items = Vec::new();
    for m in multiples {
        let key = ProjectivePoint::GENERATOR * m;
        for s in [
            Scalar::ONE,
            two,
            -Scalar::ONE,
            Scalar::from(0x7fff_ffff_ffff_u64),
            far(4),
        ] {
            let equal = s * m.invert().unwrap();
            let others = [equal * Scalar::from(64u64), equal * Scalar::from(256u64)];
            for t in [equal, -equal, s, -s, equal + Scalar::ONE, -equal + Scalar::ONE]
                .into_iter()
                .chain(others)
            {
                let r = t - s;
                items.push(crafted("related points", &key, &word(&r), &word(&s)));
            }
        }
    }
    items
}

/// Points whose x lies between n and p, where x mod n is not x; a key is made to fit such a point.
fn with_x_beyond_the_order() -> Vec<Crafted> {
    let order = words(ORDER);
    let mut items = Vec::new();
    for beyond in 0..40 {
        for x in [sum(&order, &small(beyond)), small(beyond)] {
            let Ok(point) = PublicKey::from_sec1_bytes(&[&[2], x.as_slice()].concat()) else {
                continue;
            };
            let (s, t) = (far(5) + Scalar::from(u64::from(beyond)), far(6));
            let point = ProjectivePoint::from(*point.as_affine());
            let key = (point - ProjectivePoint::GENERATOR * s) * t.invert().unwrap();
            let item = crafted("x around n", &key, &word(&(t - s)), &word(&s));
            assert!(item.holds);
            items.push(item);
        }
    }
    assert!(items.len() > 20, "half of all x are on the curve");
    items
}

/// Digests that are not below n, and those next to 0: signed with a known key, as they are reduced first.
fn with_digests_beyond_the_order() -> Vec<Crafted> {
    let order = words(ORDER);
    let (d, k) = (far(7), far(8));
    let key = ProjectivePoint::GENERATOR * d;
    let least = [small(0), small(1), small(2), small(255)];
    let digests = least.iter().flat_map(|e| [*e, sum(e, &order)]);
    let others = [[0xFF; 32], word(&-Scalar::ONE), word(&far(9))];
    let signed = digests.chain(others).map(|e| {
        let r = reduced(&e) + x_of(&(ProjectivePoint::GENERATOR * k));
        let s = (Scalar::ONE + d).invert().unwrap() * (k - r * d);
        Crafted {
            what: "digest around n".to_owned(),
            key: coordinates(&key),
            e,
            r_s: [word(&r), word(&s)].concat().try_into().unwrap(),
            holds: true,
        }
    });
    signed.collect()
}

/// Everything, each with a copy of which the digest is another.
fn all() -> Vec<Crafted> {
    let made = [
        at_the_edges_of_the_range(),
        with_related_points(),
        with_x_beyond_the_order(),
        with_digests_beyond_the_order(),
    ];
    let made = made.into_iter().flatten();
    made.flat_map(|item| {
        let beside = Crafted {
            what: format!("{}, another digest", item.what),
            e: word(&(reduced(&item.e) + Scalar::ONE)),
            holds: false,
            ..item
        };
        [item, beside]
    })
    .collect()
}

/// The keys of `items` as the crate has them.
struct Keys(BTreeMap<(Word, Word), inside::PublicKey>);

impl Keys {
    fn new(items: &[Crafted], made: impl Fn(&Word, &Word) -> Option<inside::PublicKey>) -> Self {
        let keys = items.iter().map(|item| item.key);
        let unique: std::collections::BTreeSet<_> = keys.collect();
        Self(
            unique
                .into_iter()
                .map(|key| (key, made(&key.0, &key.1).unwrap()))
                .collect(),
        )
    }

    fn of(&self, item: &Crafted) -> &inside::PublicKey {
        &self.0[&item.key]
    }
}

type Asked<'a> = (&'a inside::PublicKey, &'a Word, &'a [u8; 64]);

#[track_caller]
fn check_batch(keys: &Keys, items: &[&Crafted], verify: impl Fn(&[Asked<'_>]) -> Vec<bool>) {
    let asked: Vec<Asked<'_>> = items.iter().map(|item| (keys.of(item), &item.e, &item.r_s)).collect();
    let verdicts = verify(&asked);
    assert_eq!(verdicts.len(), items.len());
    for (at, (item, verdict)) in items.iter().zip(verdicts).enumerate() {
        let Crafted {
            what,
            key,
            e,
            r_s,
            holds,
        } = item;
        assert_eq!(
            verdict,
            *holds,
            "{what}, at {at} of {}: key {key:02x?} e {e:02x?} signature {r_s:02x?}",
            items.len()
        );
    }
}

/// Alone, and in batches of every size about the lanes: each item comes to stand in many places and beside many others.
fn check_with(items: &[Crafted], keys: &Keys) {
    for item in items {
        check_batch(keys, &[item], |asked| {
            asked.iter().map(|(key, e, r_s)| key.verify_digest(e, r_s)).collect()
        });
    }
    // a stride that is prime to their number mixes the sorts
    let mixed: Vec<&Crafted> = (0..items.len()).map(|at| &items[at * 1009 % items.len()]).collect();
    assert_ne!(items.len() % 1009, 0);
    for size in [1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 64] {
        for batch in mixed.chunks(size) {
            check_batch(keys, batch, inside::verify_digests);
        }
    }
    for batch in mixed.chunks(9) {
        check_batch(keys, batch, inside::verify_digests_portable);
    }
}

#[test]
fn small_tables() {
    let items = all();
    check_with(
        &items,
        &Keys::new(&items, |x, y| inside::PublicKey::new(x, y, TableSize::Small)),
    );
}

#[test]
fn large_tables() {
    let items = all();
    check_with(
        &items,
        &Keys::new(&items, |x, y| inside::PublicKey::new(x, y, TableSize::Large)),
    );
}

#[test]
fn no_tables() {
    let items = all();
    check_with(&items, &Keys::new(&items, inside::PublicKey::untabled));
}

/// The wrong digest of every one of them among good ones, in every place of a batch of nine.
#[test]
fn a_wrong_one_among_good_ones() {
    let items = all();
    let keys = Keys::new(&items, |x, y| inside::PublicKey::new(x, y, TableSize::Small));
    let good: Vec<&Crafted> = with_good_ones(&items);
    let wrong = items.iter().filter(|item| !item.holds);
    for (at, wrong) in wrong.enumerate() {
        let mut batch: Vec<&Crafted> = (0..9).map(|place| good[(at * 7 + place) % good.len()]).collect();
        batch[at % 9] = wrong;
        check_batch(&keys, &batch, inside::verify_digests);
    }
    for special in items.iter().filter(|item| !item.holds && item.what == "related points") {
        for place in 0..9 {
            let mut batch: Vec<&Crafted> = good.iter().copied().skip(place).take(9).collect();
            batch[place] = special;
            check_batch(&keys, &batch, inside::verify_digests);
        }
    }
}

fn with_good_ones(items: &[Crafted]) -> Vec<&Crafted> {
    items.iter().filter(|item| item.holds).collect()
}

/// Points that are none give no key.
#[test]
fn keys_that_are_none() {
    let (x, y) = coordinates(&ProjectivePoint::GENERATOR);
    let prime = words("fffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffff");
    let beside = sum(&y, &small(1));
    for (x, y) in [
        (y, x),
        (x, beside),
        ([0; 32], [0; 32]),
        (prime, y),
        (x, prime),
        ([0xFF; 32], [0xFF; 32]),
    ] {
        assert!(inside::PublicKey::untabled(&x, &y).is_none());
        assert!(inside::PublicKey::new(&x, &y, TableSize::Small).is_none());
        assert!(inside::PublicKey::new(&x, &y, TableSize::Large).is_none());
    }
    // x of a point that is on the curve, lifted by p: a residue, but not one way to write it
    let lifted = (0..40u8).find_map(|x| {
        let point = PublicKey::from_sec1_bytes(&[&[2], small(x).as_slice()].concat()).ok()?;
        Some((
            sum(&prime, &small(x)),
            coordinates(&ProjectivePoint::from(*point.as_affine())).1,
        ))
    });
    let (x, y) = lifted.unwrap();
    assert!(inside::PublicKey::untabled(&x, &y).is_none());
}
