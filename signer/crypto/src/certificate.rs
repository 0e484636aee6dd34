//! A peer's (or the bank's own) public key as its X.509 certificate carries it.
//!
//! Everything that verifying or sealing needs is worked out when the certificate is loaded. Dates are read and not
//! judged: the caller has the clock.

use std::fmt;

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Public};
use openssl::x509::{X509, X509NameRef};
use thiserror::Error;

use crate::sm::encryption;
use crate::sm::key::PublicPoint;
use crate::sm::signature::{TableUse, VerifyingKey};
use crate::{CryptoFault, FieldKey, SignatureWrong, Suite, envelope, rsa};

/// 20 bytes, the most that RFC 5280 allows (section 4.1.2.2).
const SERIAL_DIGITS_MAX: usize = 40;

#[derive(Debug, Error)]
pub enum CertificateFault {
    #[error("not a certificate in PEM")]
    NotACertificate(#[source] ErrorStack),
    #[error("the serial number is not a positive number of at most 20 bytes")]
    Serial,
    #[error("a date cannot be read, or the end lies before the beginning")]
    Date,
    /// Also a key of these types that no honest maker makes: an even modulus, an exponent of 1, a point that is not
    /// uncompressed, a curve in full in place of its name.
    #[error("the public key is neither RSA of 2048 to 4096 bits nor SM2")]
    KeyType,
}

/// A public key with the certificate's serial number and dates.
pub struct Certificate {
    serial: String,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    not_before: i64,
    not_after: i64,
    key: PublicKey,
}

pub(crate) enum PublicKey {
    Rsa(PKey<Public>),
    Sm {
        point: PublicPoint,
        verifying: Box<VerifyingKey>,
    },
}

impl Certificate {
    /// With a small table of multiples if it is of SM2: 86 KiB, made in some tenths of a millisecond.
    pub fn from_pem(pem: &[u8]) -> Result<Self, CertificateFault> {
        Self::from_pem_with(pem, TableUse::Small)
    }

    pub fn from_pem_with(pem: &[u8], table: TableUse) -> Result<Self, CertificateFault> {
        let certificate = X509::from_pem(pem).map_err(CertificateFault::NotACertificate)?;
        let key = certificate.public_key().map_err(|_| CertificateFault::KeyType)?;
        let (not_before, not_after) = (
            unix_seconds(certificate.not_before())?,
            unix_seconds(certificate.not_after())?,
        );
        if not_after < not_before {
            return Err(CertificateFault::Date);
        }
        Ok(Self {
            serial: serial(&certificate)?,
            issuer: name(certificate.issuer_name())?,
            subject: name(certificate.subject_name())?,
            not_before,
            not_after,
            key: PublicKey::new(key, table).ok_or(CertificateFault::KeyType)?,
        })
    }

    /// Upper-case hexadecimal, no leading zeros: what `SignSN` and `NcrptnSN` hold.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The name of whoever issued it, in DER; with the serial number it is what a revocation list goes by.
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// Whose it is, in DER.
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    pub fn suite(&self) -> Suite {
        match self.key {
            PublicKey::Rsa(_) => Suite::Rsa,
            PublicKey::Sm { .. } => Suite::Sm,
        }
    }

    /// First second of validity, in Unix time.
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// Last second of validity, in Unix time.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Whether `second` (Unix time) lies within the dates, both ends included.
    pub fn is_current(&self, second: i64) -> bool {
        (self.not_before..=self.not_after).contains(&second)
    }

    /// Whether `signature` is one of exactly `signed` by this key. Stranger's input: any bytes give a verdict.
    pub fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), SignatureWrong> {
        match &self.key {
            PublicKey::Rsa(key) => rsa::verify(key, signed, signature),
            PublicKey::Sm { verifying, .. } => verifying.verify(signed, signature),
        }
    }

    /// A digital envelope that only the holder of the private key opens.
    pub fn seal_envelope(&self, field_key: &FieldKey) -> Result<Vec<u8>, CryptoFault> {
        if field_key.suite() != self.suite() {
            return Err(CryptoFault::SuiteDiffers);
        }
        match &self.key {
            PublicKey::Rsa(key) => rsa::seal_envelope(key, field_key),
            PublicKey::Sm { verifying, .. } => encryption::encrypt(verifying.multiples(), &envelope::write(field_key)),
        }
    }

    pub(crate) fn key(&self) -> &PublicKey {
        &self.key
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {})", self.serial, self.suite())
    }
}

impl PublicKey {
    fn new(key: PKey<Public>, table: TableUse) -> Option<Self> {
        if rsa::acceptable(&key) {
            return Some(Self::Rsa(key));
        }
        let point = PublicPoint::from_spki_der(&key.public_key_to_der().ok()?)?;
        Some(Self::Sm {
            point,
            verifying: Box::new(VerifyingKey::new(&point, table)),
        })
    }
}

fn name(name: &X509NameRef) -> Result<Vec<u8>, CertificateFault> {
    name.to_der().map_err(CertificateFault::NotACertificate)
}

fn serial(certificate: &X509) -> Result<String, CertificateFault> {
    let number = certificate
        .serial_number()
        .to_bn()
        .map_err(|_| CertificateFault::Serial)?;
    if number.is_negative() {
        return Err(CertificateFault::Serial);
    }
    let digits = number.to_hex_str().map_err(|_| CertificateFault::Serial)?;
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() || digits.len() > SERIAL_DIGITS_MAX {
        Err(CertificateFault::Serial)
    } else {
        Ok(digits.to_owned())
    }
}

fn unix_seconds(time: &Asn1TimeRef) -> Result<i64, CertificateFault> {
    const DAY_SECONDS: i64 = 24 * 60 * 60;
    let since_epoch = Asn1Time::from_unix(0)
        .and_then(|epoch| epoch.diff(time))
        .map_err(|_| CertificateFault::Date)?;
    Ok(i64::from(since_epoch.days) * DAY_SECONDS + i64::from(since_epoch.secs))
}
