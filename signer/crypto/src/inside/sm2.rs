//! SM2 by digests and raw numbers: no certificate, no encoding. "Portable" is the scalar path of any processor, all else
//! what the processor allows.

use std::fmt;

use crate::sm::arithmetic::{self, Affine, Claim, Multiples, Scalar, Table};
use crate::sm::encryption;
use crate::sm::key::{PublicPoint, SecretScalar};
use crate::sm::signature::{Numbers, SigningKey};

/// Whether this processor has the lanes (AVX-512 IFMA).
pub fn lanes_available() -> bool {
    arithmetic::lanes_available()
}

/// How much memory a public key's table takes for its speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableSize {
    /// 86 KiB.
    Small,
    /// 256 KiB.
    Large,
}

impl From<TableSize> for arithmetic::TableSize {
    fn from(size: TableSize) -> Self {
        match size {
            TableSize::Small => Self::Small,
            TableSize::Large => Self::Large,
        }
    }
}

/// An SM2 public key.
pub struct PublicKey(Multiples);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(…)")
    }
}

impl PublicKey {
    /// With its table; `None` for what is not a point of the curve.
    pub fn new(x: &[u8; 32], y: &[u8; 32], size: TableSize) -> Option<Self> {
        let point = Affine::from_coordinates(x, y)?;
        Some(Self(Multiples::Tabled(Table::new(&point, size.into()))))
    }

    /// Without a table; `None` for what is not a point of the curve.
    pub fn untabled(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        Affine::from_coordinates(x, y).map(|point| Self(Multiples::Untabled(point)))
    }

    /// One verification on the scalar path: of digest `e` and signature `r‖s`.
    pub fn verify_digest(&self, e: &[u8; 32], r_s: &[u8; 64]) -> bool {
        claim(&(self, e, r_s)).is_some_and(|claim| claim.holds(&arithmetic::BASE_POINT))
    }
}

/// Verdicts in the order of the items.
pub fn verify_digests(items: &[(&PublicKey, &[u8; 32], &[u8; 64])]) -> Vec<bool> {
    let claims: Vec<Option<Claim<'_>>> = items.iter().map(claim).collect();
    arithmetic::hold_all(&claims)
}

/// The same on the scalar path.
pub fn verify_digests_portable(items: &[(&PublicKey, &[u8; 32], &[u8; 64])]) -> Vec<bool> {
    items.iter().map(|(key, e, r_s)| key.verify_digest(e, r_s)).collect()
}

/// `None` where r or s is beyond the order.
fn claim<'k>((key, e, r_s): &(&'k PublicKey, &[u8; 32], &[u8; 64])) -> Option<Claim<'k>> {
    let (r, s) = r_s.split_first_chunk()?;
    Some(Claim {
        key: &key.0,
        e: Scalar::from_bytes_reduced(e),
        r: Scalar::from_bytes(r)?,
        s: Scalar::from_bytes(s.first_chunk()?)?,
    })
}

/// An SM2 private key.
pub struct PrivateKey {
    signing: SigningKey,
    point: PublicPoint,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

impl PrivateKey {
    /// Big-endian; `None` for what is no key: zero, n − 1 and above.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let scalar = SecretScalar::from_bytes(bytes)?;
        let point = scalar.public_point()?;
        let signing = SigningKey::new(scalar, &point)?;
        Some(Self { signing, point })
    }

    pub fn public(&self, size: TableSize) -> PublicKey {
        let table = Table::new(self.point.affine(), size.into());
        PublicKey(Multiples::Tabled(table))
    }

    /// One signature `r‖s` of digest `e`, on the scalar path.
    pub fn sign_digest(&self, e: &[u8; 32]) -> [u8; 64] {
        let mut made = self.sign_digests(std::slice::from_ref(e));
        made.pop().expect("one digest has one signature")
    }

    /// Signatures in the order of the digests.
    pub fn sign_digests(&self, e: &[[u8; 32]]) -> Vec<[u8; 64]> {
        let made = self.signing.sign_digests(e).expect("the system has randomness");
        let raw = made.into_iter().map(|Numbers { r, s }| {
            let mut raw = [0; 64];
            for (byte, from) in raw.iter_mut().zip(r.iter().chain(&s)) {
                *byte = *from;
            }
            raw
        });
        raw.collect()
    }

    /// The same on the scalar path.
    pub fn sign_digests_portable(&self, e: &[[u8; 32]]) -> Vec<[u8; 64]> {
        e.iter().map(|e| self.sign_digest(e)).collect()
    }

    /// One ciphertext in DER or raw, with a plaintext of that length; on the scalar path. `None` if it does not open.
    pub fn decrypt(&self, ciphertext: &[u8], plaintext_bytes: usize) -> Option<Vec<u8>> {
        let opened = encryption::decrypt(self.signing.scalar(), ciphertext, plaintext_bytes);
        opened.ok().map(|plaintext| plaintext.to_vec())
    }

    /// Plaintexts in the order of the ciphertexts.
    pub fn decrypt_all(&self, ciphertexts: &[&[u8]], plaintext_bytes: usize) -> Vec<Option<Vec<u8>>> {
        let opened = encryption::decrypt_all(self.signing.scalar(), ciphertexts, plaintext_bytes).into_iter();
        opened
            .map(|opened| opened.ok().map(|plaintext| plaintext.to_vec()))
            .collect()
    }

    /// The same on the scalar path.
    pub fn decrypt_portable(&self, ciphertexts: &[&[u8]], plaintext_bytes: usize) -> Vec<Option<Vec<u8>>> {
        ciphertexts
            .iter()
            .map(|bytes| self.decrypt(bytes, plaintext_bytes))
            .collect()
    }
}

impl PublicKey {
    /// A ciphertext in DER of one byte or more.
    pub fn encrypt(&self, plaintext: &[u8]) -> Vec<u8> {
        encryption::encrypt(&self.0, plaintext).expect("the system has randomness")
    }
}
