//! Public keys in certificates that are none, or that no honest maker makes, as tables. Each is refused as a key.

use signer_crypto::{Certificate, Suite};

use crate::built_certificates::{
    EC_PUBLIC_KEY, OBJECT, Outcome, P256_CURVE, Parts, RSA, SM2_CURVE, check_key, good_point, key_of, on_sm_curve,
    outcome, sm_key_of,
};
use crate::forms::{
    BIT_STRING, INTEGER, OCTET_STRING, element, head_deviations, integer, minus, number, order, plus, prime, sequence,
};
use crate::made::{pair, rsa_key};
use crate::oracles::point_of;

#[test]
fn points() {
    let (x, y) = (good_point()[..32].to_vec(), good_point()[32..].to_vec());
    let (zero, ff) = (vec![0; 32], vec![0xFF; 32]);
    let mut beside = y.clone();
    beside[31] ^= 1;
    let point = |x: &[u8], y: &[u8]| [x, y].concat();
    let low = |word: &[u8]| word[word.len() - 32..].to_vec();
    let cases = [
        ("off the curve", point(&x, &beside)),
        ("swapped", point(&y, &x)),
        ("(0, 0)", point(&zero, &zero)),
        ("x = 0", point(&zero, &y)),
        ("y = 0", point(&x, &zero)),
        ("x = p", point(&prime(), &y)),
        ("y = p", point(&x, &prime())),
        ("x = n", point(&order(), &y)),
        ("x + p, cut", point(&low(&plus(&x, &prime())), &y)),
        ("x = 3 + p", point(&plus(&prime(), &[3]), &y)),
        ("all ff", point(&ff, &ff)),
        ("y cut", point(&x, &y[..31])),
        ("x cut", point(&x[1..], &y)),
        ("a byte more", [point(&x, &y), vec![0]].concat()),
        ("x alone", x.clone()),
        ("nothing", vec![]),
    ];
    for (what, coordinates) in cases {
        check_key(what, sm_key_of(&coordinates), Outcome::KeyType);
    }
    check_key("negated", sm_key_of(&point(&x, &minus(&prime(), &y))), Outcome::Taken);
}

#[test]
fn prefixes() {
    let point = good_point();
    let odd = 2 | point[63] & 1;
    for prefix in (0..=u8::MAX).filter(|prefix| *prefix != 4) {
        let key = on_sm_curve(&[&[prefix], point.as_slice()].concat());
        check_key(&format!("prefix {prefix:02x}"), key, Outcome::KeyType);
    }
    check_key("none", on_sm_curve(&point), Outcome::KeyType);
    check_key("infinity", on_sm_curve(&[0]), Outcome::KeyType);
    check_key("infinity in full", on_sm_curve(&[0; 65]), Outcome::KeyType);
    check_key(
        "compressed",
        on_sm_curve(&[&[odd], &point[..32]].concat()),
        Outcome::KeyType,
    );
    check_key(
        "compressed, the other",
        on_sm_curve(&[&[odd ^ 1], &point[..32]].concat()),
        Outcome::KeyType,
    );
    check_key(
        "hybrid",
        on_sm_curve(&[&[odd | 4], point.as_slice()].concat()),
        Outcome::KeyType,
    );
}

#[test]
fn each_bit_of_a_point() {
    for turned in crate::forms::each_bit_turned(&good_point()) {
        check_key("bit", sm_key_of(&turned), Outcome::KeyType);
    }
}

/// The curve's own parameters written out, with a base point of the maker's choice: whoever takes them from a key lets
/// a stranger choose what a signature means.
fn curve_in_full(base: &[u8]) -> Vec<u8> {
    let b = hex::decode("28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93").unwrap();
    let field = sequence(&[
        element(OBJECT, &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 1, 1]),
        integer(&prime()),
    ]);
    let coefficients = sequence(&[element(OCTET_STRING, &minus(&prime(), &[3])), element(OCTET_STRING, &b)]);
    sequence(&[
        vec![INTEGER, 1, 1],
        field,
        coefficients,
        element(OCTET_STRING, &[&[4], base].concat()),
        integer(&order()),
        vec![INTEGER, 1, 1],
    ])
}

#[test]
fn algorithms() {
    let bits = [&[4], good_point().as_slice()].concat();
    let (curve, null) = (element(OBJECT, SM2_CURVE), vec![0x05, 0]);
    let generator = hex::decode(
        "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7\
         bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0",
    )
    .unwrap();
    let cases = [
        (
            "point on another curve",
            key_of(EC_PUBLIC_KEY, &element(OBJECT, P256_CURVE), &bits),
        ),
        ("no curve", key_of(EC_PUBLIC_KEY, &null, &bits)),
        ("no parameters", key_of(EC_PUBLIC_KEY, &[], &bits)),
        (
            "unknown curve",
            key_of(EC_PUBLIC_KEY, &element(OBJECT, &[0x2A, 3, 4]), &bits),
        ),
        (
            "curve in full",
            key_of(EC_PUBLIC_KEY, &curve_in_full(&generator), &bits),
        ),
        (
            "another base point",
            key_of(EC_PUBLIC_KEY, &curve_in_full(&good_point()), &bits),
        ),
        ("the curve as the algorithm", key_of(SM2_CURVE, &null, &bits)),
        ("unknown algorithm", key_of(&[0x2A, 3, 4], &curve, &bits)),
        ("a point for RSA", key_of(RSA, &null, &bits)),
    ];
    for (what, key) in cases {
        check_key(what, key, Outcome::KeyType);
    }
    let algorithm = sequence(&[element(OBJECT, EC_PUBLIC_KEY), curve]);
    // four bits that are not used are taken for zeros, which they must not have been
    let key = (1..=20)
        .map(|byte| point_of([byte; 32]))
        .find(|point| point[63] & 0x0F != 0);
    let unused_bits = element(BIT_STRING, &[&[4, 4], key.unwrap().as_slice()].concat());
    check_key(
        "unused bits",
        sequence(&[algorithm.clone(), unused_bits]),
        Outcome::KeyType,
    );
    check_key(
        "no bits",
        sequence(&[algorithm.clone(), element(BIT_STRING, &[0])]),
        Outcome::KeyType,
    );
    check_key(
        "octets",
        sequence(&[algorithm.clone(), element(OCTET_STRING, &bits)]),
        Outcome::NotACertificate,
    );
    check_key("algorithm alone", sequence(&[algorithm]), Outcome::NotACertificate);
    check_key("empty", sequence(&[]), Outcome::NotACertificate);
}

#[test]
fn keys_of_rsa() {
    let good = rsa_key(2048).rsa().unwrap();
    let (modulus, exponent) = (good.n().to_vec(), good.e().to_vec());
    let check = |what: &str, modulus: &[u8], exponent: &[u8], expected: Outcome| {
        let bits = sequence(&[integer(modulus), integer(exponent)]);
        check_key(what, key_of(RSA, &[0x05, 0], &bits), expected);
    };
    check("good", &modulus, &exponent, Outcome::Taken);
    check("e = 3", &modulus, &[3], Outcome::Taken);
    check("e = 0", &modulus, &[0], Outcome::KeyType);
    // the power is the number itself: anybody signs
    check("e = 1", &modulus, &[1], Outcome::KeyType);
    check("e = 2", &modulus, &[2], Outcome::KeyType);
    check("e even", &modulus, &[1, 0, 0], Outcome::KeyType);
    check("e of 5 bytes", &modulus, &[1, 0, 0, 0, 1], Outcome::KeyType);
    check("e as long as n", &modulus, &minus_one(&modulus), Outcome::KeyType);
    check("n even", &minus_one(&modulus), &exponent, Outcome::KeyType);
    check("n = 0", &[0], &exponent, Outcome::KeyType);
    check("n = 1", &[1], &exponent, Outcome::KeyType);
    check("n of 1024 bits", &modulus[..128], &exponent, Outcome::KeyType);
    check("n of 2040 bits", &modulus[..255], &exponent, Outcome::KeyType);
    check(
        "n of 4104 bits",
        &[&modulus[..], &modulus, &[1]].concat(),
        &exponent,
        Outcome::KeyType,
    );
    check("n of 32 KiB", &vec![0xA5; 32_768], &exponent, Outcome::KeyType);
    for bits in [
        vec![],
        sequence(&[]),
        sequence(&[integer(&modulus)]),
        b"\x30\x80".to_vec(),
    ] {
        check_key("no numbers", key_of(RSA, &[0x05, 0], &bits), Outcome::KeyType);
    }
}

fn minus_one(modulus: &[u8]) -> Vec<u8> {
    (&number(modulus) - &number(&[1])).to_vec()
}

/// A certificate need not be strict DER (the operator chose it; nothing compares its bytes): what deviates is refused,
/// or is the same key.
#[test]
fn deviations_of_the_key() {
    let key = on_sm_curve(&[&[4], good_point().as_slice()].concat());
    for (what, key) in head_deviations(&key) {
        let pem = Parts { key, ..Parts::good() }.pem();
        match outcome(&pem) {
            Outcome::NotACertificate | Outcome::KeyType => {}
            Outcome::Taken => {
                let taken = Certificate::from_pem(&pem).unwrap();
                assert!(pair(Suite::Sm).private.matches(&taken), "{what}");
            }
            found => panic!("{what}: {found:?}"),
        }
    }
}
