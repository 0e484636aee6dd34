//! Malformed SM2 envelopes, as tables: each must be refused, without a panic. Raw forms are built from a good one.

use signer_crypto::{FieldKey, Suite};

use crate::made::pair;

const KEY: [u8; 16] = [0; 16];
const FIELD: &[u8] = b"6222021234567890123";
/// The prime of the field, big-endian.
const PRIME: &str = "fffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffff";

/// The parts of a ciphertext: x, y, hash and masked plaintext.
#[derive(Clone)]
struct Parts {
    x: Vec<u8>,
    y: Vec<u8>,
    hash: Vec<u8>,
    masked: Vec<u8>,
}

impl Parts {
    /// A good envelope, whose field key begins with zero bytes.
    fn good() -> Self {
        let key = FieldKey::from_bytes(Suite::Sm, &KEY).unwrap();
        let der = pair(Suite::Sm).certificate.seal_envelope(&key).unwrap();
        let mut rest = &der[2..];
        let mut next = || {
            let len = usize::from(rest[1]);
            let content = rest[2..2 + len].to_vec();
            rest = &rest[2 + len..];
            content
        };
        let (x, y, hash, masked) = (next(), next(), next(), next());
        let word = |bytes: Vec<u8>| {
            let magnitude: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
            [vec![0; 32 - magnitude.len()], magnitude].concat()
        };
        Self {
            x: word(x),
            y: word(y),
            hash,
            masked,
        }
    }

    fn raw(&self) -> Vec<u8> {
        [self.x.as_slice(), &self.y, &self.hash, &self.masked].concat()
    }

    fn raw_with_prefix(&self, prefix: u8) -> Vec<u8> {
        [&[prefix], self.raw().as_slice()].concat()
    }

    fn der(&self) -> Vec<u8> {
        sequence(&[
            integer(&self.x),
            integer(&self.y),
            element(0x04, &self.hash),
            element(0x04, &self.masked),
        ])
    }
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = u8::try_from(content.len()).unwrap();
    let head = if len < 0x80 {
        vec![tag, len]
    } else {
        vec![tag, 0x81, len]
    };
    [head, content.to_vec()].concat()
}

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

#[track_caller]
fn check(what: &str, envelope: &[u8], expected: bool) {
    let field = FieldKey::from_bytes(Suite::Sm, &KEY).unwrap().encrypt(FIELD);
    let opened = pair(Suite::Sm)
        .private
        .open_envelope(envelope)
        .and_then(|key| key.decrypt(&field));
    assert_eq!(
        opened.is_ok_and(|field| field.expose() == FIELD),
        expected,
        "{what}: {}",
        hex::encode(envelope)
    );
}

#[test]
fn the_three_forms_open() {
    for _ in 0..20 {
        let good = Parts::good();
        check("DER", &good.der(), true);
        check("raw", &good.raw(), true);
        check("raw with 04", &good.raw_with_prefix(4), true);
    }
}

#[test]
fn values() {
    let good = Parts::good();
    let mut y_is_x = good.clone();
    y_is_x.y.clone_from(&good.x);
    let mut off_curve = good.clone();
    off_curve.y[31] ^= 1;
    let mut zero_point = good.clone();
    (zero_point.x, zero_point.y) = (vec![0; 32], vec![0; 32]);
    let mut big_x = good.clone();
    big_x.x = hex::decode(PRIME).unwrap();
    let mut all_ff = good.clone();
    (all_ff.x, all_ff.y) = (vec![0xFF; 32], vec![0xFF; 32]);
    let mut hash = good.clone();
    hash.hash[0] ^= 0x80;
    let mut zero_hash = good.clone();
    zero_hash.hash = vec![0; 32];
    let mut masked = good.clone();
    masked.masked[18] ^= 1;
    let mut prefix = good.clone();
    prefix.masked[1] ^= b'2' ^ b'1';
    let mut truncated = good.clone();
    truncated.masked.pop();
    let mut longer = good.clone();
    longer.masked.push(0);
    let mut none = good.clone();
    none.masked.clear();
    let mut short_hash = good.clone();
    short_hash.hash.pop();
    let mut negated = good.clone();
    negated.y = {
        let number = |bytes: &[u8]| openssl::bn::BigNum::from_slice(bytes).unwrap();
        (&number(&hex::decode(PRIME).unwrap()) - &number(&good.y))
            .to_vec_padded(32)
            .unwrap()
    };
    let cases = [
        ("y = x", y_is_x),
        ("off the curve", off_curve),
        ("(0, 0)", zero_point),
        ("x = p", big_x),
        ("coordinates all ff", all_ff),
        ("hash changed", hash),
        ("hash zero", zero_hash),
        ("masked text changed", masked),
        ("prefix changed", prefix),
        ("masked text short", truncated),
        ("masked text long", longer),
        ("masked text empty", none),
        ("hash short", short_hash),
        ("point negated", negated),
    ];
    for (what, parts) in cases {
        check(what, &parts.der(), false);
        check(what, &parts.raw(), false);
        check(what, &parts.raw_with_prefix(4), false);
    }
}

#[test]
fn point_prefixes() {
    let good = Parts::good();
    for prefix in (0..=u8::MAX).filter(|prefix| *prefix != 4) {
        check("prefix", &good.raw_with_prefix(prefix), false);
    }
    let compressed = [&[2], good.x.as_slice(), &good.hash, &good.masked].concat();
    check("compressed", &compressed, false);
    check("infinity", &[&[0], good.hash.as_slice(), &good.masked].concat(), false);
}

#[test]
fn lengths() {
    let good = Parts::good();
    for envelope in [good.der(), good.raw(), good.raw_with_prefix(4)] {
        for len in 0..envelope.len() {
            check("cut", &envelope[..len], false);
            check(
                "beginning cut",
                &envelope[envelope.len() - len..],
                envelope.len() == 116 && len == 115,
            );
        }
        check("and more", &[envelope.as_slice(), &[0]].concat(), false);
    }
    for len in [1, 64, 96, 97, 115, 116, 125, 126, 127, 4096] {
        for byte in [0x00, 0x04, 0x30, 0xFF] {
            check("one byte over and over", &vec![byte; len], false);
        }
    }
}

#[test]
fn bits() {
    let good = Parts::good();
    for envelope in [good.der(), good.raw(), good.raw_with_prefix(4)] {
        for bit in 0..envelope.len() * 8 {
            let mut changed = envelope.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            check("bit", &changed, false);
        }
    }
}

#[test]
fn der_deviations() {
    let good = Parts::good();
    let (x, y) = (integer(&good.x), integer(&good.y));
    let (hash, masked) = (element(0x04, &good.hash), element(0x04, &good.masked));
    let inner = [x.clone(), y.clone(), hash.clone(), masked.clone()].concat();
    let inner_len = u8::try_from(inner.len()).unwrap();
    let with_zero = element(0x02, &[&[0], &x[2..]].concat());
    let long_form = [&[0x04, 0x81, 32], good.hash.as_slice()].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "padded x",
            sequence(&[with_zero, y.clone(), hash.clone(), masked.clone()]),
        ),
        (
            "long-form length",
            [&[0x30, 0x81, inner_len], inner.as_slice()].concat(),
        ),
        (
            "long-form inside",
            sequence(&[x.clone(), y.clone(), long_form, masked.clone()]),
        ),
        ("indefinite length", [&[0x30, 0x80], inner.as_slice(), &[0, 0]].concat()),
        (
            "outer length short",
            [&[0x30, inner_len - 1], inner.as_slice()].concat(),
        ),
        ("outer length long", [&[0x30, inner_len + 1], inner.as_slice()].concat()),
        ("zero length", vec![0x30, 0]),
        (
            "C1 C2 C3",
            sequence(&[x.clone(), y.clone(), masked.clone(), hash.clone()]),
        ),
        (
            "fifth element",
            sequence(&[x.clone(), y.clone(), hash.clone(), masked.clone(), vec![0x05, 0]]),
        ),
        ("three elements", sequence(&[x.clone(), y.clone(), hash.clone()])),
        (
            "bit string",
            sequence(&[x.clone(), y.clone(), hash, element(0x03, &good.masked)]),
        ),
        ("nested", sequence(&[sequence(std::slice::from_ref(&inner))])),
    ];
    check("as it should be", &sequence(std::slice::from_ref(&inner)), true);
    for (what, envelope) in cases {
        check(what, &envelope, false);
    }
}
