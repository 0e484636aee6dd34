//! SM2 keys: the public point and the secret scalar.
//!
//! A secret scalar lives once, on the heap, and is overwritten when dropped. Copies on the stack during an operation are
//! not wiped.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use super::arithmetic::{self, Affine, Scalar};
use super::der::Elements;
use super::{WORD_BYTES, Word};

/// id-ecPublicKey and the name of the curve, as they stand in an `AlgorithmIdentifier`.
const ALGORITHM: [u8; 19] = [
    0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x81, 0x1C, 0xCF, 0x55, 0x01, 0x82, 0x2D,
];

/// What comes before x and y in a `SubjectPublicKeyInfo`: the lengths, id-ecPublicKey, the curve's name, and the byte of
/// an uncompressed point.
const SPKI_HEAD: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x81, 0x1C, 0xCF,
    0x55, 0x01, 0x82, 0x2D, 0x03, 0x42, 0x00, 0x04,
];

/// The bank's secret scalar. Not zero.
pub(crate) struct SecretScalar(Box<Scalar>);

impl SecretScalar {
    /// From an unencrypted PKCS#8 structure in DER that names the curve. What it may say of the public key is not
    /// looked at: the point follows from the scalar.
    pub(crate) fn from_pkcs8_der(der: &[u8]) -> Option<Self> {
        let mut outer = Elements::of_sequence(der)?;
        let version = outer.word()?;
        let algorithm = outer.sequence()?;
        let mut inner = Elements::of_sequence(outer.octets()?)?;
        let inner_version = inner.word()?;
        let bytes = inner.octets()?.try_into().ok()?;
        let known = version == small(0) && inner_version == small(1) && algorithm == ALGORITHM;
        if known { Self::from_bytes(bytes) } else { None }
    }

    /// Big-endian; `None` for zero and for n or above.
    pub(crate) fn from_bytes(bytes: &Word) -> Option<Self> {
        let mut scalar = Box::new(Scalar::ZERO);
        *scalar = Scalar::from_bytes(bytes)?;
        (!scalar.is_zero()).then_some(Self(scalar))
    }

    pub(super) fn expose(&self) -> &Scalar {
        &self.0
    }

    /// `None` for the few scalars near the order's ends that the multiplication has no answer for.
    pub(crate) fn public_point(&self) -> Option<PublicPoint> {
        arithmetic::base_multiple(&self.0).map(PublicPoint)
    }

    /// The scalar's bytes, for what is derived from them.
    pub(super) fn to_bytes(&self) -> Zeroizing<Word> {
        Zeroizing::new(self.0.to_bytes())
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
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PublicPoint(Affine);

impl PublicPoint {
    /// From a `SubjectPublicKeyInfo` of id-ecPublicKey on the named SM2 curve with an uncompressed point, in DER. Refuses
    /// every other form, points off the curve and the identity.
    pub(crate) fn from_spki_der(der: &[u8]) -> Option<Self> {
        let coordinates = der.strip_prefix(&SPKI_HEAD)?;
        let (x, y) = coordinates.split_first_chunk::<WORD_BYTES>()?;
        Affine::from_coordinates(x, y.try_into().ok()?).map(Self)
    }

    /// x and y, as they enter hashes.
    pub(crate) fn coordinates(&self) -> [Word; 2] {
        self.0.coordinates()
    }

    pub(crate) fn affine(&self) -> &Affine {
        &self.0
    }
}

impl fmt::Debug for PublicPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicPoint({:02x?})", self.coordinates())
    }
}

/// A number below 256 as a word.
fn small(number: u8) -> Word {
    let mut word = [0; WORD_BYTES];
    if let Some(last) = word.last_mut() {
        *last = number;
    }
    word
}
