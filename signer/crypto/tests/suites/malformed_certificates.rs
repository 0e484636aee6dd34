//! Certificates with absurd fields, missing parts and dates, as tables. Each gives the error named.

use signer_crypto::{Certificate, Suite};

use crate::built_certificates::{GENERALIZED_TIME, Outcome, Parts, UTC_TIME, check, outcome, pem, signed};
use crate::forms::{INTEGER, OCTET_STRING, element, sequence};
use crate::made::pair;

#[test]
fn a_certificate_built_by_hand_is_taken() {
    check("good", &Parts::good(), Outcome::Taken);
    let certificate = Certificate::from_pem(&Parts::good().pem()).unwrap();
    assert_eq!(certificate.serial(), "4000000101");
    assert!(pair(Suite::Sm).private.matches(&certificate));
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
    check("60 KB", &vec![0x7F; 60_000], Outcome::Serial);
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
fn dates_at_the_ends_of_the_calendar() {
    #[track_caller]
    fn check(tag: u8, text: &str, as_first: Outcome, as_last: Outcome) {
        let date = element(tag, text.as_bytes());
        let first = Parts {
            not_before: date.clone(),
            ..Parts::good()
        };
        self::check(&format!("from {text:?}"), &first, as_first);
        let last = Parts {
            not_after: date,
            ..Parts::good()
        };
        self::check(&format!("to {text:?}"), &last, as_last);
    }
    check(GENERALIZED_TIME, "99991231235959Z", Outcome::Date, Outcome::Taken);
    check(GENERALIZED_TIME, "00000101000000Z", Outcome::Taken, Outcome::Date);
    check(UTC_TIME, "500101000000Z", Outcome::Taken, Outcome::Date);
}

#[test]
fn dates_the_wrong_way_round_are_refused() {
    let Parts {
        not_before, not_after, ..
    } = Parts::good();
    let parts = Parts {
        not_before: not_after,
        not_after: not_before,
        ..Parts::good()
    };
    check("the end before the beginning", &parts, Outcome::Date);
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
