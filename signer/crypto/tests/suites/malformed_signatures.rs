//! Malformed SM2 signatures, as tables: each gives the one error, without a panic, alone and in every place of a batch
//! among good ones, whose verdicts stay.

use std::sync::LazyLock;

use signer_crypto::{Certificate, SignatureWrong, Suite, Verification, verify_all};

use crate::forms::{
    Case, INTEGER, contents, each_bit_turned, element, head_deviations, integer, integer_deviations, minus, order,
    plain_fillings, plus, sequence, word,
};
use crate::made::{Pair, pair, sm_key};

const SIGNED: &[u8] = b"message";
/// Places of a batch for the one in question: one more than the processor has lanes, all of SM2. One of RSA comes after.
const BATCH: usize = 9;

/// A signature that holds, of a message of its own.
struct Neighbour {
    certificate: &'static Certificate,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

impl Neighbour {
    fn verification(&self) -> Verification<'_> {
        Verification {
            certificate: self.certificate,
            signed: &self.signed,
            signature: &self.signature,
        }
    }
}

/// By two keys of SM2, and one of RSA.
static NEIGHBOURS: LazyLock<Vec<Neighbour>> = LazyLock::new(|| {
    let another: &'static Pair = Box::leak(Box::new(Pair::new(sm_key())));
    let of_sm = [pair(Suite::Sm), another].into_iter().cycle().take(BATCH);
    let made = of_sm.chain([pair(Suite::Rsa)]).enumerate().map(|(at, by)| {
        let signed = vec![0x5A; at * 40];
        Neighbour {
            certificate: &by.certificate,
            signature: by.private.sign(&signed).unwrap(),
            signed,
        }
    });
    made.collect()
});

/// The verdict on `signature` of `SIGNED`, alone and at `places` of a batch.
#[track_caller]
fn check_at(
    places: impl IntoIterator<Item = usize>,
    what: &str,
    signature: &[u8],
    expected: Result<(), SignatureWrong>,
) {
    let certificate = &pair(Suite::Sm).certificate;
    let shown = hex::encode(&signature[..signature.len().min(100)]);
    assert_eq!(certificate.verify(SIGNED, signature), expected, "{what}: {shown}");
    for place in places {
        let mut items: Vec<_> = NEIGHBOURS.iter().map(Neighbour::verification).collect();
        items[place] = Verification {
            certificate,
            signed: SIGNED,
            signature,
        };
        let mut verdicts = vec![Ok(()); items.len()];
        verdicts[place] = expected;
        assert_eq!(verify_all(&items), verdicts, "{what}, at {place} of a batch: {shown}");
    }
}

#[track_caller]
fn check(what: &str, signature: &[u8], expected: Result<(), SignatureWrong>) {
    check_at(0..BATCH, what, signature, expected);
}

#[track_caller]
fn all_wrong(cases: Vec<Case>) {
    for (what, signature) in cases {
        check(&what, &signature, Err(SignatureWrong));
    }
}

/// r and s of a good signature of `SIGNED`.
fn good() -> (Vec<u8>, Vec<u8>) {
    let der = pair(Suite::Sm).private.sign(SIGNED).unwrap();
    let [r, s] = contents(&der).try_into().unwrap();
    (word(&r), word(&s))
}

fn good_der() -> Vec<u8> {
    let (r, s) = good();
    sequence(&[integer(&r), integer(&s)])
}

#[test]
fn both_forms_hold() {
    let (r, s) = good();
    check("raw", &[r, s].concat(), Ok(()));
    check("DER", &good_der(), Ok(()));
}

#[test]
fn values() {
    let (r, s) = good();
    let (zero, one, ff) = (vec![0; 32], word(&[1]), vec![0xFF; 32]);
    let last = minus(&order(), &one);
    let rotated = [s[1..].to_vec(), vec![s[0]]].concat();
    let cases = [
        ("swapped", s.clone(), r.clone()),
        ("r = 0", zero.clone(), s.clone()),
        ("s = 0", r.clone(), zero.clone()),
        ("both 0", zero.clone(), zero.clone()),
        ("r = 1", one.clone(), s.clone()),
        ("s = 1", r.clone(), one.clone()),
        ("both 1", one.clone(), one.clone()),
        ("r = n - 1", last.clone(), s.clone()),
        ("s = n - 1", r.clone(), last.clone()),
        ("1 and n - 1", one, last),
        ("r = n", order(), s.clone()),
        ("s = n", r.clone(), order()),
        ("both n", order(), order()),
        ("r + s = n", r.clone(), minus(&order(), &r)),
        ("n - s and s", minus(&order(), &s), s.clone()),
        ("s = n - s", r.clone(), minus(&order(), &s)),
        ("r = n - r", minus(&order(), &r), s.clone()),
        ("both negated", minus(&order(), &r), minus(&order(), &s)),
        ("all ff", ff.clone(), ff.clone()),
        ("r all ff", ff.clone(), s.clone()),
        ("s all ff", r.clone(), ff),
        ("r twice", r.clone(), r.clone()),
        ("s twice", s.clone(), s.clone()),
        ("s rotated", r.clone(), rotated),
    ];
    for (what, r, s) in cases {
        check(what, &[r.clone(), s.clone()].concat(), Err(SignatureWrong));
        check(what, &sequence(&[integer(&r), integer(&s)]), Err(SignatureWrong));
    }
}

#[test]
fn values_beyond_the_order() {
    let (r, s) = good();
    let cases = [
        ("r + n", plus(&r, &order()), s.clone()),
        ("s + n", r.clone(), plus(&s, &order())),
        ("both + n", plus(&r, &order()), plus(&s, &order())),
    ];
    for (what, r, s) in cases {
        check(what, &sequence(&[integer(&r), integer(&s)]), Err(SignatureWrong));
        // 33 bytes and what is left of 33 bytes
        check(what, &[r.clone(), s.clone()].concat(), Err(SignatureWrong));
        let low = |word: &[u8]| word[word.len() - 32..].to_vec();
        check(what, &[low(&r), low(&s)].concat(), Err(SignatureWrong));
    }
}

#[test]
fn lengths() {
    let (r, s) = good();
    for signature in [[r, s].concat(), good_der()] {
        for len in 0..signature.len() {
            check_at([len % BATCH], "cut", &signature[..len], Err(SignatureWrong));
            let end = &signature[signature.len() - len..];
            check_at([len % BATCH], "beginning cut", end, Err(SignatureWrong));
        }
        for more in [&[0][..], &[0xFF], &[0x05, 0], &[0; 1000], &signature] {
            check("and more", &[&signature, more].concat(), Err(SignatureWrong));
            check("more before", &[more, &signature].concat(), Err(SignatureWrong));
        }
    }
    all_wrong(plain_fillings());
}

#[test]
fn bits() {
    let (r, s) = good();
    for signature in [[r, s].concat(), good_der()] {
        for (at, turned) in each_bit_turned(&signature).enumerate() {
            check_at([at % BATCH], "bit", &turned, Err(SignatureWrong));
        }
    }
}

#[test]
fn deviations_of_the_sequence() {
    let der = good_der();
    let (r, s) = good();
    let (r, s) = (integer(&r), integer(&s));
    let nested = sequence(std::slice::from_ref(&der));
    let cases = [
        ("third integer", sequence(&[r.clone(), s.clone(), vec![0x02, 1, 1]])),
        ("third integer, empty", sequence(&[r.clone(), s.clone(), vec![0x02, 0]])),
        ("null after", sequence(&[r.clone(), s.clone(), vec![0x05, 0]])),
        ("null between", sequence(&[r.clone(), vec![0x05, 0], s.clone()])),
        ("null before", sequence(&[vec![0x05, 0], r.clone(), s.clone()])),
        ("end of contents inside", sequence(&[r.clone(), s.clone(), vec![0, 0]])),
        ("one integer", sequence(std::slice::from_ref(&r))),
        ("no integer", sequence(&[])),
        ("nested", nested),
        ("without the sequence", [r.clone(), s.clone()].concat()),
        ("two sequences", [sequence(&[r]), sequence(&[s])].concat()),
    ];
    all_wrong(cases.map(|(what, bytes)| (what.to_owned(), bytes)).to_vec());
    all_wrong(head_deviations(&der));
}

#[test]
fn deviations_of_the_integers() {
    let (r, s) = good();
    let (r, s) = (integer(&r), integer(&s));
    for (what, deviating) in integer_deviations(&r) {
        let signature = sequence(&[deviating, s.clone()]);
        check(&format!("r: {what}"), &signature, Err(SignatureWrong));
    }
    for (what, deviating) in integer_deviations(&s) {
        let signature = sequence(&[r.clone(), deviating]);
        check(&format!("s: {what}"), &signature, Err(SignatureWrong));
    }
}

/// A number whose first bit is set, without the byte that says that it is positive: the right bytes, and negative.
#[test]
fn numbers_without_their_sign() {
    let first_bits_set = |_| Some(good()).filter(|(r, s)| r[0] >= 0x80 && s[0] >= 0x80);
    let (r, s) = (0..1000).find_map(first_bits_set).unwrap();
    let bare = |word: &[u8]| element(INTEGER, word);
    check("as it should be", &sequence(&[integer(&r), integer(&s)]), Ok(()));
    check("r", &sequence(&[bare(&r), integer(&s)]), Err(SignatureWrong));
    check("s", &sequence(&[integer(&r), bare(&s)]), Err(SignatureWrong));
    check("both", &sequence(&[bare(&r), bare(&s)]), Err(SignatureWrong));
}

/// An element of a short value is where one that is not minimal fits into the usual length.
#[test]
fn deviations_of_short_integers() {
    for content in [
        &[0][..],
        &[1],
        &[0x7F],
        &[0, 0x80],
        &[0, 0],
        &[0, 1],
        &[0x80],
        &[0xFF],
        &[0, 0x7F],
    ] {
        let short = element(INTEGER, content);
        let (r, s) = good();
        check("short r", &sequence(&[short.clone(), integer(&s)]), Err(SignatureWrong));
        check("short s", &sequence(&[integer(&r), short]), Err(SignatureWrong));
    }
}

#[test]
fn a_batch_of_nothing_and_a_batch_of_only_wrong_ones() {
    assert_eq!(verify_all(&[]), []);
    let mut items: Vec<_> = NEIGHBOURS.iter().map(Neighbour::verification).collect();
    for item in &mut items {
        item.signed = b"something else";
    }
    assert_eq!(verify_all(&items), vec![Err(SignatureWrong); items.len()]);
}

/// Signatures of RSA have one form: as long as the modulus, a number below it.
#[test]
fn signatures_of_the_other_suite() {
    let rsa = pair(Suite::Rsa);
    let good = rsa.private.sign(SIGNED).unwrap();
    let check = |what: &str, signature: &[u8]| {
        let item = Verification {
            certificate: &rsa.certificate,
            signed: SIGNED,
            signature,
        };
        assert_eq!(verify_all(&[item]), [Err(SignatureWrong)], "{what}");
    };
    let modulus = rsa.openssl.rsa().unwrap().n().to_vec();
    for (what, signature) in plain_fillings() {
        check(&what, &signature);
    }
    for (at, turned) in each_bit_turned(&good).enumerate() {
        check(&format!("bit {at}"), &turned);
    }
    check("the modulus", &modulus);
    check("and the modulus", &plus(&good, &modulus));
    check("a byte more", &[&good[..], &[0]].concat());
    check("a zero before", &[&[0], &good[..]].concat());
    check("a byte less", &good[1..]);
    check("of SM2", &good_der());
    let (r, s) = self::good();
    let other = pair(Suite::Sm).certificate.verify(SIGNED, &good);
    assert_eq!(other, Err(SignatureWrong), "of RSA for SM2");
    check("raw of SM2", &[r, s].concat());
}
