//! Private keys' files built by hand: scalars that are no key, structures that deviate, keys of other curves. Each gives
//! the error named.

use signer_crypto::{Certificate, KeyFault, Passphrase, PrivateKey, Suite};

use crate::built_certificates::{EC_PUBLIC_KEY, OBJECT, P256_CURVE, Parts, SM2_CURVE, sm_key_of};
use crate::forms::{BIT_STRING, INTEGER, OCTET_STRING, element, minus, order, plus, sequence, word};
use crate::fuzz_corpus::bodies::{PASSPHRASE, encrypted};
use crate::oracles::point_of;

/// What a key's file comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Taken,
    NotEncrypted,
    DoesNotOpen,
    KeyType,
}

fn read(file: &[u8]) -> Result<PrivateKey, KeyFault> {
    PrivateKey::from_pkcs8_pem(file, &Passphrase::new(PASSPHRASE.to_vec()))
}

fn outcome(file: &[u8]) -> Outcome {
    match read(file) {
        Ok(_) => Outcome::Taken,
        Err(KeyFault::NotEncrypted) => Outcome::NotEncrypted,
        Err(KeyFault::DoesNotOpen(_)) => Outcome::DoesNotOpen,
        Err(KeyFault::KeyType) => Outcome::KeyType,
        Err(fault @ KeyFault::Unusable(_)) => panic!("{fault}"),
    }
}

/// `PrivateKeyInfo` around an `ECPrivateKey`.
fn pkcs8(curve: &[u8], scalar: &[u8], point: Option<&[u8]>) -> Vec<u8> {
    let algorithm = sequence(&[element(OBJECT, EC_PUBLIC_KEY), element(OBJECT, curve)]);
    let point = point.map(|point| element(0xA1, &element(BIT_STRING, &[&[0, 4], point].concat())));
    let key = sequence(&[
        vec![INTEGER, 1, 1],
        element(OCTET_STRING, scalar),
        point.unwrap_or_default(),
    ]);
    sequence(&[vec![INTEGER, 1, 0], algorithm, element(OCTET_STRING, &key)])
}

const SCALAR: [u8; 32] = [7; 32];

#[track_caller]
fn check(what: &str, inside: &[u8], expected: Outcome) {
    assert_eq!(outcome(&encrypted(inside)), expected, "{what}");
}

#[test]
fn scalars() {
    let (point, one) = (point_of(SCALAR), word(&[1]));
    let check = |what: &str, scalar: &[u8], expected: Outcome| {
        check(what, &pkcs8(SM2_CURVE, scalar, Some(&point)), expected);
    };
    check("good", &SCALAR, Outcome::Taken);
    check("0", &[0; 32], Outcome::KeyType);
    // cannot sign: 1 + d has no inverse
    check("n - 1", &minus(&order(), &one), Outcome::KeyType);
    check("n", &order(), Outcome::KeyType);
    check("n + 1", &plus(&order(), &one), Outcome::KeyType);
    check("all ff", &[0xFF; 32], Outcome::KeyType);
}

/// The point follows from the scalar, whatever the file says of it.
#[test]
fn points() {
    let (point, another) = (point_of(SCALAR), point_of([9; 32]));
    let certificate = |point: &[u8]| {
        let parts = Parts {
            key: sm_key_of(point),
            ..Parts::good()
        };
        Certificate::from_pem(&parts.pem()).unwrap()
    };
    for given in [Some(point.as_slice()), Some(&another), None] {
        let key = read(&encrypted(&pkcs8(SM2_CURVE, &SCALAR, given))).unwrap();
        assert_eq!(key.suite(), Suite::Sm);
        assert!(key.matches(&certificate(&point)) && !key.matches(&certificate(&another)));
        let signature = key.sign(b"message").unwrap();
        assert_eq!(certificate(&point).verify(b"message", &signature), Ok(()));
    }
    let mut off_curve = point.clone();
    off_curve[63] ^= 1;
    check(
        "off the curve",
        &pkcs8(SM2_CURVE, &SCALAR, Some(&off_curve)),
        Outcome::DoesNotOpen,
    );
    check(
        "cut",
        &pkcs8(SM2_CURVE, &SCALAR, Some(&point[..63])),
        Outcome::DoesNotOpen,
    );
}

#[test]
fn structures() {
    let point = point_of(SCALAR);
    let good = pkcs8(SM2_CURVE, &SCALAR, Some(&point));
    check("another curve", &pkcs8(P256_CURVE, &[7; 32], None), Outcome::KeyType);
    check(
        "unknown curve",
        &pkcs8(&[0x2A, 3, 4], &SCALAR, None),
        Outcome::DoesNotOpen,
    );
    check("nothing", &[], Outcome::DoesNotOpen);
    check("empty", &sequence(&[]), Outcome::DoesNotOpen);
    check("zeros", &[0; 100], Outcome::DoesNotOpen);
    for len in 1..good.len() {
        check("cut", &good[..len], Outcome::DoesNotOpen);
    }
}

#[test]
fn files() {
    let good = encrypted(&pkcs8(SM2_CURVE, &[7; 32], None));
    let check = |what: &str, file: &[u8], expected: Outcome| assert_eq!(outcome(file), expected, "{what}");
    check("good", &good, Outcome::Taken);
    check(
        "white space before",
        &[b"\n \n", good.as_slice()].concat(),
        Outcome::Taken,
    );
    check("empty", b"", Outcome::NotEncrypted);
    check(
        "text before",
        &[b"key:\n", good.as_slice()].concat(),
        Outcome::NotEncrypted,
    );
    let text = String::from_utf8(good.clone()).unwrap();
    check(
        "label of a bare key",
        text.replace("ENCRYPTED ", "").as_bytes(),
        Outcome::NotEncrypted,
    );
    check(
        "head alone",
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n",
        Outcome::DoesNotOpen,
    );
    for len in [40, 60, 100, good.len() - 40] {
        check("cut", &good[..len], Outcome::DoesNotOpen);
    }
    for passphrase in [&b""[..], b"another", &[PASSPHRASE, b" "].concat(), &[0; 2000]] {
        let opened = PrivateKey::from_pkcs8_pem(&good, &Passphrase::new(passphrase.to_vec()));
        assert!(matches!(opened, Err(KeyFault::DoesNotOpen(_))), "{passphrase:02x?}");
    }
}
