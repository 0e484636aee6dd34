//! What is read from certificates and key files, and which are refused.

use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use signer_crypto::{Certificate, CertificateFault, KeyFault, Passphrase, PrivateKey, Suite};

use crate::made::{PASSPHRASE, Pair, certificate_pem, key_pem, pair, rsa_key, sm_key};

fn passphrase() -> Passphrase {
    Passphrase::new(PASSPHRASE.to_vec())
}

#[test]
fn serials() {
    #[track_caller]
    fn check(serial: &str, expected: Option<&str>) {
        let read = Certificate::from_pem(&certificate_pem(&pair(Suite::Sm).openssl, serial));
        assert_eq!(read.ok().as_ref().map(Certificate::serial), expected);
    }
    check("4000000101", Some("4000000101"));
    check("00ab", Some("AB"));
    check("1", Some("1"));
    check("0f00", Some("F00"));
    check(
        "ffffffffffffffffffffffffffffffffffffffff",
        Some("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"),
    );
    check("0", None);
    check("-5", None);
}

#[test]
fn dates_and_suites() {
    for suite in Suite::ALL {
        let certificate = &pair(suite).certificate;
        assert_eq!(certificate.suite(), suite);
        assert_eq!(certificate.not_before(), 1_577_836_800, "2020-01-01");
        assert_eq!(certificate.not_after(), 2_366_841_600, "2045-01-01");
        assert!(certificate.is_current(1_577_836_800) && certificate.is_current(2_366_841_600));
        assert!(!certificate.is_current(1_577_836_799) && !certificate.is_current(2_366_841_601));
    }
}

#[test]
fn a_key_matches_its_own_certificate_alone() {
    for suite in Suite::ALL {
        for other in Suite::ALL {
            assert_eq!(pair(suite).private.matches(&pair(other).certificate), suite == other);
        }
    }
    let other = Pair::new(sm_key());
    assert!(!other.private.matches(&pair(Suite::Sm).certificate));
}

#[test]
fn certificates_that_are_refused() {
    let p256 = EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap();
    let p256 = PKey::from_ec_key(p256).unwrap();
    let ed25519 = PKey::generate_ed25519().unwrap();
    for key in [&p256, &ed25519, &rsa_key(1024)] {
        let refused = Certificate::from_pem(&certificate_pem(key, "1"));
        assert!(matches!(refused, Err(CertificateFault::KeyType)), "{refused:?}");
    }
    for pem in [&b""[..], b"-----BEGIN CERTIFICATE-----", &key_pem(&p256)] {
        assert!(matches!(
            Certificate::from_pem(pem),
            Err(CertificateFault::NotACertificate(_))
        ));
    }
}

#[test]
fn key_files_that_are_refused() {
    let sm = sm_key();
    let opened = PrivateKey::from_pkcs8_pem(&key_pem(&sm), &Passphrase::new(b"another".to_vec()));
    assert!(matches!(opened, Err(KeyFault::DoesNotOpen(_))));
    let plain = sm.private_key_to_pem_pkcs8().unwrap();
    assert!(matches!(
        PrivateKey::from_pkcs8_pem(&plain, &passphrase()),
        Err(KeyFault::NotEncrypted)
    ));
    assert!(matches!(
        PrivateKey::from_pkcs8_pem(b"", &passphrase()),
        Err(KeyFault::NotEncrypted)
    ));
    let short = key_pem(&rsa_key(1024));
    assert!(matches!(
        PrivateKey::from_pkcs8_pem(&short, &passphrase()),
        Err(KeyFault::KeyType)
    ));
}

#[test]
fn debug_prints_no_key() {
    for suite in Suite::ALL {
        assert_eq!(format!("{:?}", pair(suite).private), format!("PrivateKey({suite}, …)"));
        assert_eq!(
            format!("{:?}", pair(suite).certificate),
            format!("Certificate(4000000101, {suite})")
        );
    }
    assert_eq!(format!("{:?}", passphrase()), "Passphrase(…)");
}
