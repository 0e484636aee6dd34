//! The bank's own keys, held in memory by this process: what a file of encrypted PKCS#8 gives.
//!
//! A hardware provider takes this type's place behind the signer's own seam; nothing outside the signer links it.

use std::fmt;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::certificate::PublicKey;
use crate::rsa::{self, RsaPrivateKey};
use crate::sm::encryption;
use crate::sm::key::{PublicPoint, SecretScalar};
use crate::sm::signature::SigningKey;
use crate::{Certificate, CryptoFault, DoesNotOpen, FieldKey, Passphrase, Suite, envelope};

const ENCRYPTED_LABEL: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";

#[derive(Debug, Error)]
pub enum KeyFault {
    #[error("the private key is not an encrypted PKCS#8 file in PEM")]
    NotEncrypted,
    #[error("the private key does not open with this passphrase")]
    DoesNotOpen(#[source] ErrorStack),
    #[error("the private key is neither RSA of 2048 to 4096 bits nor SM2")]
    KeyType,
    #[error("the private key cannot be taken into use")]
    Unusable(#[source] CryptoFault),
}

/// A private key of either suite, for signing and for opening envelopes.
pub struct PrivateKey(Kind);

enum Kind {
    Rsa(RsaPrivateKey),
    Sm { signing: SigningKey, point: PublicPoint },
}

impl PrivateKey {
    /// From encrypted PKCS#8. An unencrypted file is refused: keys are encrypted at rest.
    pub fn from_pkcs8_pem(pem: &[u8], passphrase: &Passphrase) -> Result<Self, KeyFault> {
        if !pem.trim_ascii_start().starts_with(ENCRYPTED_LABEL) {
            return Err(KeyFault::NotEncrypted);
        }
        // Handed over byte by byte: as a C string, a passphrase with a zero in it would be shown in a panic.
        let key = PKey::private_key_from_pem_callback(pem, |room| Ok(passphrase.copy_to(room)));
        let key = key.map_err(KeyFault::DoesNotOpen)?;
        if rsa::acceptable(&key) {
            return RsaPrivateKey::new(key)
                .map(|key| Self(Kind::Rsa(key)))
                .map_err(KeyFault::Unusable);
        }
        Self::from_sm_key(&key).ok_or(KeyFault::KeyType)
    }

    pub fn suite(&self) -> Suite {
        match self.0 {
            Kind::Rsa(_) => Suite::Rsa,
            Kind::Sm { .. } => Suite::Sm,
        }
    }

    /// Whether `certificate` carries the public half of this key.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        match (&self.0, certificate.key()) {
            (Kind::Rsa(private), PublicKey::Rsa(public)) => private.key().public_eq(public),
            (Kind::Sm { point, .. }, PublicKey::Sm { point: public, .. }) => point == public,
            (Kind::Rsa(_), PublicKey::Sm { .. }) | (Kind::Sm { .. }, PublicKey::Rsa(_)) => false,
        }
    }

    /// Signs exactly these bytes: PKCS#1 v1.5 with SHA-256, or SM2 with SM3 as DER.
    pub fn sign(&self, signed: &[u8]) -> Result<Vec<u8>, CryptoFault> {
        match &self.0 {
            Kind::Rsa(key) => key.sign(signed),
            Kind::Sm { signing, .. } => signing.sign(signed),
        }
    }

    /// Signs like [`sign`](Self::sign), the same bytes each time: for files that are made again and compared. SM2 nonces
    /// then follow from key and message alone.
    pub fn sign_reproducibly(&self, signed: &[u8]) -> Result<Vec<u8>, CryptoFault> {
        match &self.0 {
            Kind::Rsa(key) => key.sign(signed),
            Kind::Sm { signing, .. } => signing.sign_reproducibly(signed),
        }
    }

    /// Signatures in the order of the messages.
    pub fn sign_all(&self, signed: &[&[u8]]) -> Vec<Result<Vec<u8>, CryptoFault>> {
        if let Kind::Sm { signing, .. } = &self.0
            && let Ok(made) = signing.sign_all(signed)
        {
            return made.into_iter().map(Ok).collect();
        }
        // RSA, or each finds out for itself what is wrong with randomness
        signed.iter().map(|signed| self.sign(signed)).collect()
    }

    /// The field key of an envelope. Stranger's input.
    ///
    /// For RSA an envelope with wrong contents yields a key all the same: one that opens nothing, so that nobody can
    /// tell by error or time where it failed (see `rsa`).
    pub fn open_envelope(&self, sealed: &[u8]) -> Result<FieldKey, DoesNotOpen> {
        match &self.0 {
            Kind::Rsa(key) => key.open_envelope(sealed),
            Kind::Sm { signing, .. } => {
                let plaintext = encryption::decrypt(signing.scalar(), sealed, envelope::plaintext_bytes(Suite::Sm))?;
                envelope::read(Suite::Sm, &plaintext)
            }
        }
    }

    /// Field keys in the order of the envelopes. Stranger's input.
    pub fn open_envelopes(&self, sealed: &[&[u8]]) -> Vec<Result<FieldKey, DoesNotOpen>> {
        match &self.0 {
            Kind::Rsa(_) => sealed.iter().map(|sealed| self.open_envelope(sealed)).collect(),
            Kind::Sm { signing, .. } => {
                let bytes = envelope::plaintext_bytes(Suite::Sm);
                let opened = encryption::decrypt_all(signing.scalar(), sealed, bytes).into_iter();
                let keys = opened.map(|plaintext| envelope::read(Suite::Sm, &plaintext?));
                keys.collect()
            }
        }
    }

    fn from_sm_key(key: &PKey<Private>) -> Option<Self> {
        let der = Zeroizing::new(key.private_key_to_pkcs8().ok()?);
        let scalar = SecretScalar::from_pkcs8_der(&der)?;
        let point = scalar.public_point()?;
        Some(Self(Kind::Sm {
            signing: SigningKey::new(scalar, &point)?,
            point,
        }))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, …)", self.suite())
    }
}
