//! SM2 keys: the public point and the secret scalar.
//!
//! The `sm2` crate's secret types are copied freely and not wiped; here a scalar lives once, on the heap, and is
//! overwritten when dropped. Copies on the stack during an operation are that crate's and are not wiped.

use std::fmt;

use sm2::elliptic_curve::point::AffineCoordinates;
use sm2::pkcs8::{DecodePrivateKey, DecodePublicKey};
use sm2::{AffinePoint, NonZeroScalar, PublicKey, SecretKey};
use zeroize::Zeroize;

use super::Word;

/// The bank's secret scalar.
pub(crate) struct SecretScalar(Box<NonZeroScalar>);

impl SecretScalar {
    /// From an unencrypted PKCS#8 structure in DER.
    pub(crate) fn from_pkcs8_der(der: &[u8]) -> Option<Self> {
        let key = SecretKey::from_pkcs8_der(der).ok()?;
        Some(Self(Box::new(key.to_nonzero_scalar())))
    }

    #[cfg(test)]
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        NonZeroScalar::try_from(bytes).ok().map(|scalar| Self(Box::new(scalar)))
    }

    pub(super) fn expose(&self) -> &NonZeroScalar {
        &self.0
    }

    pub(crate) fn public_point(&self) -> PublicPoint {
        PublicPoint(*PublicKey::from_secret_scalar(&self.0).as_affine())
    }
}

impl Drop for SecretScalar {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretScalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretScalar(…)")
    }
}

/// A point of the curve that is not the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PublicPoint(AffinePoint);

impl PublicPoint {
    /// From a `SubjectPublicKeyInfo` of id-ecPublicKey on the SM2 curve. Refuses points off the curve and the identity.
    pub(crate) fn from_spki_der(der: &[u8]) -> Option<Self> {
        PublicKey::from_public_key_der(der)
            .ok()
            .map(|key| Self(*key.as_affine()))
    }

    /// x and y, as they enter hashes.
    pub(crate) fn coordinates(&self) -> [Word; 2] {
        [self.0.x().into(), self.0.y().into()]
    }

    pub(super) fn expose(&self) -> &AffinePoint {
        &self.0
    }
}
