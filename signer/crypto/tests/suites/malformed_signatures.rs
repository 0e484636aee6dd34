//! Malformed SM2 signatures, as tables: each must be refused, without a panic.

use signer_crypto::Suite;

use crate::made::pair;

const SIGNED: &[u8] = b"message";
/// The order of the group, big-endian.
const ORDER: &str = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123";

fn order() -> Vec<u8> {
    hex::decode(ORDER).unwrap()
}

fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| openssl::bn::BigNum::from_slice(bytes).unwrap();
    (&number(a) - &number(b)).to_vec_padded(32).unwrap()
}

/// A DER element of short or long form, as wanted.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = u8::try_from(content.len()).unwrap();
    let head = if len < 0x80 {
        vec![tag, len]
    } else {
        vec![tag, 0x81, len]
    };
    [head, content.to_vec()].concat()
}

/// A DER integer with the sign byte where it is needed and no byte else.
fn integer(word: &[u8]) -> Vec<u8> {
    let magnitude: Vec<u8> = word.iter().copied().skip_while(|byte| *byte == 0).collect();
    match magnitude.first() {
        None => element(0x02, &[0]),
        Some(0x80..) => element(0x02, &[&[0], magnitude.as_slice()].concat()),
        Some(_) => element(0x02, &magnitude),
    }
}

fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &elements.concat())
}

/// r and s of a good signature of `SIGNED`.
fn good() -> (Vec<u8>, Vec<u8>) {
    let der = pair(Suite::Sm).private.sign(SIGNED).unwrap();
    let r_len = usize::from(der[3]);
    let word = |bytes: &[u8]| {
        let magnitude: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        [vec![0; 32 - magnitude.len()], magnitude].concat()
    };
    (word(&der[4..4 + r_len]), word(&der[6 + r_len..]))
}

#[track_caller]
fn check_signature(what: &str, signature: &[u8], expected: bool) {
    let verdict = pair(Suite::Sm).certificate.verify(SIGNED, signature).is_ok();
    assert_eq!(verdict, expected, "{what}: {}", hex::encode(signature));
}

#[test]
fn signature_values() {
    let (r, s) = good();
    let zero = vec![0; 32];
    let cases = [
        ("as made", r.clone(), s.clone(), true),
        ("swapped", s.clone(), r.clone(), false),
        ("r = 0", zero.clone(), s.clone(), false),
        ("s = 0", r.clone(), zero.clone(), false),
        ("both 0", zero.clone(), zero.clone(), false),
        ("r = n", order(), s.clone(), false),
        ("s = n", r.clone(), order(), false),
        ("r + s = n", r.clone(), minus(&order(), &r), false),
        ("s = n - s", r.clone(), minus(&order(), &s), false),
        ("r = n - r", minus(&order(), &r), s.clone(), false),
        ("all ff", vec![0xFF; 32], vec![0xFF; 32], false),
        ("r all ff", vec![0xFF; 32], s.clone(), false),
        ("s of another", r.clone(), [s[1..].to_vec(), vec![s[0]]].concat(), false),
    ];
    for (what, r, s, expected) in cases {
        check_signature(&format!("{what}, raw"), &[r.clone(), s.clone()].concat(), expected);
        check_signature(
            &format!("{what}, DER"),
            &sequence(&[integer(&r), integer(&s)]),
            expected,
        );
    }
}

#[test]
fn signature_values_beyond_the_order() {
    let (r, s) = good();
    let number = |bytes: &[u8]| openssl::bn::BigNum::from_slice(bytes).unwrap();
    for (r_more, s_more) in [(true, false), (false, true), (true, true)] {
        let more = |word: &[u8], add: bool| {
            if add {
                (&number(word) + &number(&order())).to_vec()
            } else {
                word.to_vec()
            }
        };
        let (r, s) = (more(&r, r_more), more(&s, s_more));
        check_signature("plus n, DER", &sequence(&[integer(&r), integer(&s)]), false);
        check_signature("plus n, raw", &[r, s].concat(), false);
    }
}

#[test]
fn signature_lengths() {
    let (r, s) = good();
    let raw = [r.clone(), s.clone()].concat();
    let der = sequence(&[integer(&r), integer(&s)]);
    check_signature("raw", &raw, true);
    check_signature("DER", &der, true);
    for len in 0..raw.len() {
        check_signature("raw cut", &raw[..len], false);
    }
    for len in 0..der.len() {
        check_signature("DER cut", &der[..len], false);
    }
    for more in [&[0][..], &[0xFF], &[0; 1000]] {
        check_signature("raw and more", &[&raw, more].concat(), false);
        check_signature("DER and more", &[&der, more].concat(), false);
    }
    for len in [1, 31, 32, 33, 63, 64, 65, 70, 71, 72, 128, 4096] {
        check_signature("zeros", &vec![0; len], false);
        check_signature("ff", &vec![0xFF; len], false);
        check_signature("sequence tags", &vec![0x30; len], false);
    }
}

#[test]
fn signature_bits() {
    let (r, s) = good();
    let raw = [r.clone(), s.clone()].concat();
    let der = sequence(&[integer(&r), integer(&s)]);
    for signature in [raw, der] {
        for bit in 0..signature.len() * 8 {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            check_signature("bit", &changed, false);
        }
    }
}

#[test]
fn signature_der_deviations() {
    let (r, s) = good();
    let (r, s) = (integer(&r), integer(&s));
    let inner = [r.clone(), s.clone()].concat();
    let inner_len = u8::try_from(inner.len()).unwrap();
    let with_zero = |integer: &[u8]| element(0x02, &[&[0], &integer[2..]].concat());
    let without_sign = |word: &[u8]| element(0x02, word);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("padded r", sequence(&[with_zero(&r), s.clone()])),
        ("padded s", sequence(&[r.clone(), with_zero(&s)])),
        ("negative", sequence(&[without_sign(&[0xFF; 32]), s.clone()])),
        (
            "long-form length",
            [&[0x30, 0x81, inner_len], inner.as_slice()].concat(),
        ),
        (
            "two-byte length",
            [&[0x30, 0x82, 0, inner_len], inner.as_slice()].concat(),
        ),
        ("indefinite length", [&[0x30, 0x80], inner.as_slice(), &[0, 0]].concat()),
        (
            "outer length short",
            [&[0x30, inner_len - 1], inner.as_slice()].concat(),
        ),
        ("outer length long", [&[0x30, inner_len + 1], inner.as_slice()].concat()),
        (
            "huge length",
            [&[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF], inner.as_slice()].concat(),
        ),
        ("zero length", vec![0x30, 0]),
        ("third integer", sequence(&[r.clone(), s.clone(), vec![0x02, 1, 1]])),
        ("one integer", sequence(std::slice::from_ref(&r))),
        ("empty integer", sequence(&[vec![0x02, 0], s.clone()])),
        (
            "inner length lies",
            sequence(&[[&[0x02, 0x7F], &r[2..]].concat(), s.clone()]),
        ),
        ("set", element(0x31, &inner)),
        ("octet string for r", sequence(&[element(0x04, &r[2..]), s.clone()])),
        (
            "33 significant bytes",
            sequence(&[element(0x02, &[0x01; 33]), s.clone()]),
        ),
        ("nested", sequence(&[sequence(&[r.clone(), s.clone()])])),
        ("null between", sequence(&[r.clone(), vec![0x05, 0], s.clone()])),
    ];
    for (what, signature) in cases {
        check_signature(what, &signature, false);
    }
}
