//! SM2 signatures with SM3 (GB/T 32918.2) under the user id of the profile.
//!
//! A signature is accepted as strict DER or as raw `r‖s`, and made as DER. `r` and `s` must lie in 1..n, `r + s` must
//! not be n, and the computed point must not be the identity. How nonces come about is told in [`nonce`](super::nonce).

use zeroize::Zeroizing;

use super::arithmetic::{self, Claim, Multiples, Scalar, Table, TableSize};
use super::der::{Elements, Sequence};
use super::key::{PublicPoint, SecretScalar};
use super::nonce::NonceKey;
use super::{WORD_BYTES, Word};
use crate::sm3::{self, Prefixed};
use crate::{CryptoFault, SignatureWrong};

/// The user id that the profile fixes (section 4).
pub(crate) const USER_ID: &[u8; 16] = b"1234567812345678";

/// a, b and the generator's x and y of the recommended curve (GB/T 32918.5), as they enter the hash of an identity.
#[rustfmt::skip]
const CURVE: [[u32; 8]; 4] = [
    [0xFFFF_FFFE, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF, 0x0000_0000, 0xFFFF_FFFF, 0xFFFF_FFFC],
    [0x28E9_FA9E, 0x9D9F_5E34, 0x4D5A_9E4B, 0xCF65_09A7, 0xF397_89F5, 0x15AB_8F92, 0xDDBC_BD41, 0x4D94_0E93],
    [0x32C4_AE2C, 0x1F19_8119, 0x5F99_0446, 0x6A39_C994, 0x8FE3_0BBF, 0xF266_0BE1, 0x715A_4589, 0x334C_74C7],
    [0xBC37_36A2, 0xF4F6_779C, 0x59BD_CEE3, 0x6B69_2153, 0xD0A9_877C, 0xC62A_4740, 0x02DF_32E5, 0x2139_F0A0],
];

/// Whether a public key gets a table of its multiples, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableUse {
    /// 86 KiB: for every key that is seen now and then.
    Small,
    /// 256 KiB: a sixth faster, for the few that are seen all the time.
    Large,
    /// None: a verification takes some fifty microseconds where it took ten or fewer. For keys seen too rarely.
    None,
}

impl TableUse {
    fn multiples(self, point: &PublicPoint) -> Multiples {
        let size = match self {
            Self::Small => TableSize::Small,
            Self::Large => TableSize::Large,
            Self::None => return Multiples::Untabled(*point.affine()),
        };
        Multiples::Tabled(Table::new(point.affine(), size))
    }
}

/// What verifying by one key needs, computed once: the hash of the identity and the multiples of the point.
pub(crate) struct VerifyingKey {
    identity: Word,
    multiples: Multiples,
}

impl VerifyingKey {
    pub(crate) fn new(point: &PublicPoint, table: TableUse) -> Self {
        Self {
            identity: identity_hash(point),
            multiples: table.multiples(point),
        }
    }

    pub(crate) fn multiples(&self) -> &Multiples {
        &self.multiples
    }

    /// e = SM3(Z ‖ M) of a message under this key.
    pub(crate) fn digest(&self, signed: &[u8]) -> Word {
        sm3::digest(&[&self.identity, signed])
    }

    pub(crate) fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), SignatureWrong> {
        let claim = self.claim(&self.digest(signed), signature);
        if arithmetic::hold_all(&[claim]) == [true] {
            Ok(())
        } else {
            Err(SignatureWrong)
        }
    }

    /// Whether each signature holds, in their order.
    pub(crate) fn verify_all(items: &[Signed<'_>]) -> Vec<bool> {
        let messages = items.iter().map(|item| Prefixed {
            prefix: &item.key.identity,
            body: item.bytes,
        });
        let digests = sm3::digest_all(&messages.collect::<Vec<_>>());
        let claims = items.iter().zip(&digests);
        let claims = claims.map(|(item, digest)| item.key.claim(digest, item.signature));
        arithmetic::hold_all(&claims.collect::<Vec<_>>())
    }

    /// `None` for bytes that are no signature, whatever they claim to sign.
    fn claim(&self, digest: &Word, signature: &[u8]) -> Option<Claim<'_>> {
        let (r, s) = read(signature)?;
        let e = Scalar::from_bytes_reduced(digest);
        let key = &self.multiples;
        Some(Claim { key, e, r, s })
    }
}

/// Bytes and what is to be their signature by a key.
pub(crate) struct Signed<'a> {
    pub(crate) key: &'a VerifyingKey,
    pub(crate) bytes: &'a [u8],
    pub(crate) signature: &'a [u8],
}

/// The bank's signing key. What is secret in it is wiped when dropped.
pub(crate) struct SigningKey {
    identity: Word,
    scalar: SecretScalar,
    /// 1 / (1 + d)
    inverse: Box<Zeroizing<Scalar>>,
    nonces: NonceKey,
}

/// The numbers of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) r: Word,
    pub(crate) s: Word,
}

impl SigningKey {
    /// `None` for d = n − 1, which cannot sign.
    pub(crate) fn new(scalar: SecretScalar, point: &PublicPoint) -> Option<Self> {
        let divisor = Zeroizing::new(scalar.expose().add(&Scalar::ONE));
        if divisor.is_zero() {
            return None;
        }
        Some(Self {
            identity: identity_hash(point),
            nonces: NonceKey::new(&scalar),
            scalar,
            inverse: Box::new(Zeroizing::new(divisor.invert())),
        })
    }

    pub(crate) fn scalar(&self) -> &SecretScalar {
        &self.scalar
    }

    /// A DER signature.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoFault> {
        let mut made = self.sign_all(&[message])?;
        Ok(made.pop().expect("one message has one signature"))
    }

    /// A DER signature that is the same each time.
    pub(crate) fn sign_reproducibly(&self, message: &[u8]) -> Result<Vec<u8>, CryptoFault> {
        let digest = sm3::digest(&[&self.identity, message]);
        let nonces = self.nonces.fixed(&digest);
        let made = nonces.first().and_then(|nonce| self.sign_with(&digest, nonce));
        let Numbers { r, s } = made.ok_or(CryptoFault::Sm2Sign)?;
        Ok(Sequence::default().word(&r).word(&s).finish())
    }

    /// DER signatures, in the order of the messages.
    pub(crate) fn sign_all(&self, messages: &[&[u8]]) -> Result<Vec<Vec<u8>>, CryptoFault> {
        let messages = messages.iter().map(|body| Prefixed {
            prefix: &self.identity,
            body,
        });
        let digests = sm3::digest_all(&messages.collect::<Vec<_>>());
        let made = self.sign_digests(&digests)?.into_iter();
        let encoded = made.map(|Numbers { r, s }| Sequence::default().word(&r).word(&s).finish());
        Ok(encoded.collect())
    }

    /// Signatures of digests e = SM3(Z ‖ M), in their order.
    pub(crate) fn sign_digests(&self, digests: &[Word]) -> Result<Vec<Numbers>, CryptoFault> {
        let nonces = self.nonces.draw(digests)?;
        let points = arithmetic::base_multiples(&nonces);
        let mut made = Vec::with_capacity(digests.len());
        for ((digest, nonce), point) in digests.iter().zip(nonces.iter()).zip(points.iter()) {
            let x = point.map(|point| point.x());
            let numbers = match x.and_then(|x| self.numbers(digest, nonce, &x)) {
                Some(numbers) => numbers,
                None => self.sign_again(digest)?,
            };
            made.push(numbers);
        }
        Ok(made)
    }

    /// After a nonce that the standard says to replace. Each fails with a probability of about 2^-250: a second failure
    /// is no accident.
    #[cold]
    fn sign_again(&self, digest: &Word) -> Result<Numbers, CryptoFault> {
        let nonces = self.nonces.draw(std::slice::from_ref(digest))?;
        let made = nonces.first().and_then(|nonce| self.sign_with(digest, nonce));
        made.ok_or(CryptoFault::Sm2Sign)
    }

    /// Steps A4 to A6 of the standard; `None` where it says to take another nonce.
    pub(super) fn sign_with(&self, digest: &Word, nonce: &Scalar) -> Option<Numbers> {
        let point = Zeroizing::new(arithmetic::base_multiple(nonce)?);
        self.numbers(digest, nonce, &point.x())
    }

    /// r = e + x, s = (1 + d)^-1 (k − r d) = (1 + d)^-1 (k + r) − r
    fn numbers(&self, digest: &Word, nonce: &Scalar, x: &Word) -> Option<Numbers> {
        let r = Scalar::from_bytes_reduced(digest).add(&Scalar::from_bytes_reduced(x));
        let sum = Zeroizing::new(nonce.add(&r));
        let s = self.inverse.mul(&sum).sub(&r);
        let useless = r.is_zero() | sum.is_zero() | s.is_zero();
        (!useless).then(|| Numbers {
            r: r.to_bytes(),
            s: s.to_bytes(),
        })
    }
}

/// `r` and `s`, both below n; the verdict refuses zeros. 64 bytes are raw, all else must be DER: a DER signature has 70
/// to 72 bytes, and would have 64 only if six leading bytes of its numbers were zero.
fn read(signature: &[u8]) -> Option<(Scalar, Scalar)> {
    let (r, s) = match signature.split_first_chunk::<WORD_BYTES>() {
        Some((r, s)) if s.len() == WORD_BYTES => (*r, s.try_into().ok()?),
        _ => {
            let mut elements = Elements::of_sequence(signature)?;
            let words = (elements.word()?, elements.word()?);
            elements.end()?;
            words
        }
    };
    Some((Scalar::from_bytes(&r)?, Scalar::from_bytes(&s)?))
}

/// e = SM3(Z ‖ M)
#[cfg(test)]
pub(super) fn digest(identity: &Word, signed: &[u8]) -> Word {
    sm3::digest(&[identity, signed])
}

/// Z = SM3(bits of the user id ‖ user id ‖ a ‖ b ‖ generator ‖ point)
pub(super) fn identity_hash(point: &PublicPoint) -> Word {
    const USER_ID_BITS: u16 = 128;
    const { assert!(USER_ID.len() == 16) }
    let curve: Vec<u8> = CURVE.iter().flatten().flat_map(|limb| limb.to_be_bytes()).collect();
    let [x, y] = point.coordinates();
    sm3::digest(&[&USER_ID_BITS.to_be_bytes(), USER_ID, &curve, &x, &y])
}
