//! Keys and certificates that should never be taken: the signer refuses to start with each, and names the file.

use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::spawned::Spawned;

const REFUSED: i32 = 3;
const PEER: &str = "network-sign-sm.cert.pem";
const OWN: &str = "bank-sign-sm.cert.pem";
const OWN_KEY: &str = "bank-sign-sm.key.pem";
/// The curve's name in a certificate: 1.2.156.10197.1.301.
const SM2_CURVE: [u8; 8] = [0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d];
/// The serial number 4000000101, as in DER.
const SERIAL: [u8; 7] = [0x02, 0x05, 0x40, 0x00, 0x00, 0x01, 0x01];

fn der(pem: &str) -> Vec<u8> {
    let body = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN"));
    let body: String = body.filter(|line| !line.starts_with('-')).collect();
    BASE64_STANDARD.decode(body).unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn place(der: &[u8], of: &[u8]) -> usize {
    der.windows(of.len()).position(|bytes| bytes == of).unwrap()
}

fn check_config(directory: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_signer"))
        .arg("--config")
        .arg(directory.join("signer.toml"))
        .arg("--check-config")
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// With `file` replaced, the signer does not start and says which file it was.
#[track_caller]
fn check(file: &str, content: &[u8]) {
    let directory = tempfile::tempdir().unwrap();
    Spawned::configure(directory.path());
    let (code, said) = check_config(directory.path());
    assert_eq!(code, Some(0), "as it stands: {said}");
    fs::write(directory.path().join(file), content).unwrap();
    let (code, said) = check_config(directory.path());
    assert_eq!(code, Some(REFUSED), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains(file), "the file is named: {last}");
    assert!(!said.contains("panicked"), "{said}");
}

fn original(name: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    Spawned::configure(directory.path());
    fs::read_to_string(directory.path().join(name)).unwrap()
}

/// A certificate of the network's with a few bytes changed.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut der = der(&original(PEER));
    change(&mut der);
    pem("CERTIFICATE", &der)
}

#[test]
fn keys_that_are_on_no_curve_of_ours() {
    // the point follows the curve's name: BIT STRING, length, no unused bits, 04
    check(
        PEER,
        changed(|der| {
            let point = place(der, &SM2_CURVE) + SM2_CURVE.len() + 4;
            der[point + 5] ^= 1;
        })
        .as_bytes(),
    );
    check(
        PEER,
        changed(|der| {
            let point = place(der, &SM2_CURVE) + SM2_CURVE.len() + 3;
            der[point] = 0;
        })
        .as_bytes(),
    );
    check(
        PEER,
        changed(|der| {
            let point = place(der, &SM2_CURVE) + SM2_CURVE.len() + 4;
            der[point..point + 64].fill(0);
        })
        .as_bytes(),
    );
    // another curve's name over the same point
    check(
        PEER,
        changed(|der| {
            let name = place(der, &SM2_CURVE);
            der[name + 7] = 0x2e;
        })
        .as_bytes(),
    );
    // P-256 and Ed25519, whole and well signed
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        check(PEER, certificate.pem().as_bytes());
    }
}

#[test]
fn certificates_with_absurd_fields() {
    let serial = |content: [u8; 5]| {
        changed(|der| {
            let place = place(der, &SERIAL);
            der[place + 2..place + 7].copy_from_slice(&content);
        })
    };
    // negative, and padded as DER forbids
    check(PEER, serial([0x80, 0, 0, 1, 1]).as_bytes());
    // an end before the beginning
    check(
        PEER,
        changed(|der| {
            let until = place(der, b"450101");
            der[until..until + 6].copy_from_slice(b"100101");
        })
        .as_bytes(),
    );
    // a month that there is not
    check(
        PEER,
        changed(|der| {
            let until = place(der, b"450101");
            der[until..until + 6].copy_from_slice(b"451301");
        })
        .as_bytes(),
    );
    let huge = original(PEER).repeat(20_000);
    for (file, content) in [
        (PEER, &b""[..]),
        (PEER, b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
        (PEER, b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"),
        (PEER, &[0xFF; 4_096]),
        (OWN, huge.get(..100).unwrap().as_bytes()),
        (OWN_KEY, original(PEER).as_bytes()),
        (OWN_KEY, b""),
    ] {
        check(file, content);
    }
    let whole = der(&original(PEER));
    for len in [1, 10, whole.len() / 2, whole.len() - 1] {
        check(PEER, pem("CERTIFICATE", &whole[..len]).as_bytes());
    }
    check(PEER, pem("PRIVATE KEY", &whole).as_bytes());
}

#[test]
fn a_private_key_of_somebody_else() {
    check(OWN_KEY, original("bank-decrypt-sm.key.pem").as_bytes());
    check(OWN_KEY, original("network-sign-rsa.key.pem").as_bytes());
}
