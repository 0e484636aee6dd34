//! Certificates built by hand in DER, out of parts that may be anything, and what comes of them.

use openssl::base64::encode_block;
use signer_crypto::{Certificate, CertificateFault, Suite};

use crate::forms::{BIT_STRING, INTEGER, element, sequence};
use crate::made::pair;

/// What a certificate comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Taken,
    NotACertificate,
    Serial,
    Date,
    KeyType,
}

pub(crate) fn outcome(pem: &[u8]) -> Outcome {
    match Certificate::from_pem(pem) {
        Ok(_) => Outcome::Taken,
        Err(CertificateFault::NotACertificate(_)) => Outcome::NotACertificate,
        Err(CertificateFault::Serial) => Outcome::Serial,
        Err(CertificateFault::Date) => Outcome::Date,
        Err(CertificateFault::KeyType) => Outcome::KeyType,
    }
}

pub(crate) fn pem(der: &[u8]) -> Vec<u8> {
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
pub(crate) struct Parts {
    pub(crate) version: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) not_before: Vec<u8>,
    pub(crate) not_after: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

pub(crate) const OBJECT: u8 = 0x06;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
pub(crate) const SM2_CURVE: &[u8] = &[0x2A, 0x81, 0x1C, 0xCF, 0x55, 0x01, 0x82, 0x2D];
pub(crate) const P256_CURVE: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
pub(crate) const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
const SM2_WITH_SM3: &[u8] = &[0x2A, 0x81, 0x1C, 0xCF, 0x55, 0x01, 0x83, 0x75];

impl Parts {
    pub(crate) fn good() -> Self {
        Self {
            version: element(0xA0, &[INTEGER, 1, 2]),
            serial: element(INTEGER, &[0x40, 0, 0, 1, 1]),
            not_before: element(UTC_TIME, b"200101000000Z"),
            not_after: element(UTC_TIME, b"450101000000Z"),
            key: sm_key_of(&good_point()),
        }
    }

    pub(crate) fn to_be_signed(&self) -> [Vec<u8>; 7] {
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

    pub(crate) fn pem(&self) -> Vec<u8> {
        pem(&signed(&self.to_be_signed()))
    }
}

/// Nobody verifies the authority's signature here, so any bytes do for it.
pub(crate) fn signed(to_be_signed: &[Vec<u8>]) -> Vec<u8> {
    let signature = element(BIT_STRING, &[0, 0x30, 0]);
    sequence(&[
        sequence(to_be_signed),
        sequence(&[element(OBJECT, SM2_WITH_SM3)]),
        signature,
    ])
}

/// x ‖ y of a key that is in use.
pub(crate) fn good_point() -> Vec<u8> {
    let der = pair(Suite::Sm).openssl.public_key_to_der().unwrap();
    der[der.len() - 64..].to_vec()
}

pub(crate) fn key_of(algorithm: &[u8], parameters: &[u8], bits: &[u8]) -> Vec<u8> {
    let algorithm = sequence(&[element(OBJECT, algorithm), parameters.to_vec()]);
    sequence(&[algorithm, element(BIT_STRING, &[&[0], bits].concat())])
}

pub(crate) fn on_sm_curve(bits: &[u8]) -> Vec<u8> {
    key_of(EC_PUBLIC_KEY, &element(OBJECT, SM2_CURVE), bits)
}

/// The key with these coordinates, uncompressed.
pub(crate) fn sm_key_of(coordinates: &[u8]) -> Vec<u8> {
    on_sm_curve(&[&[4], coordinates].concat())
}

#[track_caller]
pub(crate) fn check(what: &str, parts: &Parts, expected: Outcome) {
    assert_eq!(outcome(&parts.pem()), expected, "{what}");
}

#[track_caller]
pub(crate) fn check_key(what: &str, key: Vec<u8>, expected: Outcome) {
    check(what, &Parts { key, ..Parts::good() }, expected);
}
