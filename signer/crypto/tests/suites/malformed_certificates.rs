//! Certificates built by hand in DER: keys that are none, absurd fields, missing parts. Each gives the error named.

use openssl::base64::encode_block;
use signer_crypto::{Certificate, CertificateFault, Suite};

use crate::forms::{
    BIT_STRING, INTEGER, OCTET_STRING, element, head_deviations, integer, minus, number, order, plus, prime, sequence,
};
use crate::made::{pair, rsa_key};

/// What a certificate comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Taken,
    NotACertificate,
    Serial,
    Date,
    KeyType,
}

fn outcome(pem: &[u8]) -> Outcome {
    match Certificate::from_pem(pem) {
        Ok(_) => Outcome::Taken,
        Err(CertificateFault::NotACertificate(_)) => Outcome::NotACertificate,
        Err(CertificateFault::Serial) => Outcome::Serial,
        Err(CertificateFault::Date) => Outcome::Date,
        Err(CertificateFault::KeyType) => Outcome::KeyType,
    }
}

fn pem(der: &[u8]) -> Vec<u8> {
    let text = encode_block(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n").into_bytes()
}

/// The parts of a certificate, each an element.
#[derive(Clone)]
struct Parts {
    version: Vec<u8>,
    serial: Vec<u8>,
    not_before: Vec<u8>,
    not_after: Vec<u8>,
    key: Vec<u8>,
}

const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
const SM2_CURVE: &[u8] = &[0x2A, 0x81, 0x1C, 0xCF, 0x55, 0x01, 0x82, 0x2D];
const P256_CURVE: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
const SM2_WITH_SM3: &[u8] = &[0x2A, 0x81, 0x1C, 0xCF, 0x55, 0x01, 0x83, 0x75];

impl Parts {
    fn good() -> Self {
        Self {
            version: element(0xA0, &[INTEGER, 1, 2]),
            serial: element(INTEGER, &[0x40, 0, 0, 1, 1]),
            not_before: element(UTC_TIME, b"200101000000Z"),
            not_after: element(UTC_TIME, b"450101000000Z"),
            key: sm_key_of(&good_point()),
        }
    }

    fn to_be_signed(&self) -> [Vec<u8>; 7] {
        let name = sequence(&[element(
            0x31,
            &sequence(&[element(OBJECT, &[0x55, 4, 3]), element(0x0C, b"TEST ONLY")]),
        )]);
        [
            self.version.clone(),
            self.serial.clone(),
            sequence(&[element(OBJECT, SM2_WITH_SM3)]),
            name.clone(),
            sequence(&[self.not_before.clone(), self.not_after.clone()]),
            name,
            self.key.clone(),
        ]
    }

    fn pem(&self) -> Vec<u8> {
        pem(&signed(&self.to_be_signed()))
    }
}

/// Nobody verifies the authority's signature here, so any bytes do for it.
fn signed(to_be_signed: &[Vec<u8>]) -> Vec<u8> {
    let signature = element(BIT_STRING, &[0, 0x30, 0]);
    sequence(&[
        sequence(to_be_signed),
        sequence(&[element(OBJECT, SM2_WITH_SM3)]),
        signature,
    ])
}

/// x ‖ y of a key that is in use.
fn good_point() -> Vec<u8> {
    let der = pair(Suite::Sm).openssl.public_key_to_der().unwrap();
    der[der.len() - 64..].to_vec()
}

fn key_of(algorithm: &[u8], parameters: &[u8], bits: &[u8]) -> Vec<u8> {
    let algorithm = sequence(&[element(OBJECT, algorithm), parameters.to_vec()]);
    sequence(&[algorithm, element(BIT_STRING, &[&[0], bits].concat())])
}

fn on_sm_curve(bits: &[u8]) -> Vec<u8> {
    key_of(EC_PUBLIC_KEY, &element(OBJECT, SM2_CURVE), bits)
}

/// The key with these coordinates, uncompressed.
fn sm_key_of(coordinates: &[u8]) -> Vec<u8> {
    on_sm_curve(&[&[4], coordinates].concat())
}

#[track_caller]
fn check(what: &str, parts: &Parts, expected: Outcome) {
    assert_eq!(outcome(&parts.pem()), expected, "{what}");
}

#[track_caller]
fn check_key(what: &str, key: Vec<u8>, expected: Outcome) {
    check(what, &Parts { key, ..Parts::good() }, expected);
}

#[test]
fn a_certificate_built_by_hand_is_taken() {
    check("good", &Parts::good(), Outcome::Taken);
    let certificate = Certificate::from_pem(&Parts::good().pem()).unwrap();
    assert_eq!(certificate.serial(), "4000000101");
    assert!(pair(Suite::Sm).private.matches(&certificate));
}

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
    let unused_bits = element(BIT_STRING, &[&[4], bits.as_slice()].concat());
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
    check("n of 32 KiB", &[0xA5; 32_768], &exponent, Outcome::KeyType);
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

#[test]
fn serials() {
    let check = |what: &str, content: &[u8], expected: Outcome| {
        let serial = element(INTEGER, content);
        check(
            what,
            &Parts {
                serial,
                ..Parts::good()
            },
            expected,
        );
    };
    check("zero", &[0], Outcome::Serial);
    check("negative", &[0xFF], Outcome::Serial);
    check("negative and long", &[0x80; 20], Outcome::Serial);
    check("20 bytes", &[0x7F; 20], Outcome::Taken);
    check("20 bytes and a sign", &[&[0][..], &[0xFF; 20]].concat(), Outcome::Taken);
    check("21 bytes", &[0x7F; 21], Outcome::Serial);
    check("1000 bytes", &[0x7F; 1000], Outcome::Serial);
    check("60 KB", &[0x7F; 60_000], Outcome::Serial);
    check("none", &[], Outcome::NotACertificate);
    check("not the shortest", &[0, 1], Outcome::NotACertificate);
    let serial = element(OCTET_STRING, &[1]);
    self::check(
        "octets",
        &Parts {
            serial,
            ..Parts::good()
        },
        Outcome::NotACertificate,
    );
}

#[test]
fn dates() {
    let check = |tag: u8, text: &str, expected: Outcome| {
        let date = element(tag, text.as_bytes());
        let before = Parts {
            not_before: date.clone(),
            ..Parts::good()
        };
        self::check(&format!("from {text:?}"), &before, expected);
        let after = Parts {
            not_after: date,
            ..Parts::good()
        };
        self::check(&format!("to {text:?}"), &after, expected);
    };
    check(GENERALIZED_TIME, "99991231235959Z", Outcome::Taken);
    check(GENERALIZED_TIME, "00000101000000Z", Outcome::Taken);
    check(UTC_TIME, "500101000000Z", Outcome::Taken);
    for text in [
        "20201301000000Z",
        "20200230000000Z",
        "20200101250000Z",
        "20200100000000Z",
        "x0200101000000Z",
    ] {
        check(GENERALIZED_TIME, text, Outcome::Date);
    }
    for text in [
        "",
        "Z",
        "200101",
        "201301000000Z",
        "-00101000000Z",
        "99999999999999999999999Z",
    ] {
        check(UTC_TIME, text, Outcome::Date);
    }
    check(OCTET_STRING, "200101000000Z", Outcome::NotACertificate);
}

#[test]
fn dates_the_wrong_way_round_are_never_current() {
    let Parts {
        not_before, not_after, ..
    } = Parts::good();
    let parts = Parts {
        not_before: not_after,
        not_after: not_before,
        ..Parts::good()
    };
    let certificate = Certificate::from_pem(&parts.pem()).unwrap();
    assert!(
        [i64::MIN, 0, 1_577_836_800, 2_000_000_000, i64::MAX]
            .iter()
            .all(|now| !certificate.is_current(*now))
    );
}

#[test]
fn missing_and_superfluous_parts() {
    let parts = Parts::good().to_be_signed();
    for left_out in 1..parts.len() {
        let mut fewer = parts.to_vec();
        fewer.remove(left_out);
        assert_eq!(
            outcome(&pem(&signed(&fewer))),
            Outcome::NotACertificate,
            "without part {left_out}"
        );
    }
    let twice = [parts.as_slice(), &parts].concat();
    assert_eq!(
        outcome(&pem(&signed(&twice))),
        Outcome::NotACertificate,
        "every part twice"
    );
    let whole = signed(&parts);
    let outer: Vec<Vec<u8>> = {
        let bare = &parts[1..];
        vec![sequence(bare)]
    };
    assert_eq!(outcome(&pem(&sequence(&outer))), Outcome::NotACertificate, "unsigned");
    for len in 0..whole.len() {
        assert_eq!(outcome(&pem(&whole[..len])), Outcome::NotACertificate, "cut to {len}");
    }
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

#[test]
fn texts_that_are_no_certificate() {
    let good = String::from_utf8(Parts::good().pem()).unwrap();
    let check = |text: &str| assert_eq!(outcome(text.as_bytes()), Outcome::NotACertificate, "{text:.60}");
    check("");
    check("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
    check(&good.replace("CERTIFICATE", "PUBLIC KEY"));
    check(&good.replace("END", "BEGIN"));
    check(&good.replace('M', "!"));
    check(&"-----BEGIN CERTIFICATE-----\n".repeat(1000));
    check(&"A".repeat(100_000));
    for byte in [0, 0x30, 0xFF] {
        assert_eq!(outcome(&vec![byte; 10_000]), Outcome::NotACertificate);
    }
}
