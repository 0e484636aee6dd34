//! SM2 signatures with SM3 (GB/T 32918.2) under the user id of the profile.
//!
//! A signature is accepted as strict DER or as raw `r‖s`, and made as DER. `r` and `s` must lie in 1..n, `r + s` must
//! not be n, and the computed point must not be the identity.

use rfc6979::KGenerator;
use sm2::elliptic_curve::ops::Reduce;
use sm2::elliptic_curve::{Curve, PrimeField};
use sm2::{FieldBytes, Scalar, Sm2, U256};
use sm3::{Digest, Sm3};
use zeroize::{Zeroize, Zeroizing};

use super::arithmetic::{self, Affine, Claim, Table, TableSize};
use super::der::{Elements, Sequence};
use super::key::{PublicPoint, SecretScalar};
use super::{WORD_BYTES, Word};
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

/// What verifying by one key needs, computed once: the hash of the identity and the table of the point.
pub(crate) struct VerifyingKey {
    identity: Word,
    table: Table,
}

impl VerifyingKey {
    pub(crate) fn new(point: &PublicPoint) -> Self {
        let [x, y] = point.coordinates();
        let point_checked = Affine::from_coordinates(&x, &y).expect("a public point is on the curve");
        Self {
            identity: identity_hash(point),
            table: Table::new(&point_checked, TableSize::Small),
        }
    }

    /// e = SM3(Z ‖ M) of a message under this key.
    pub(crate) fn digest(&self, signed: &[u8]) -> Word {
        digest(&self.identity, signed).into()
    }

    pub(crate) fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), SignatureWrong> {
        let (r, s) = read(signature).ok_or(SignatureWrong)?;
        let e = arithmetic::Scalar::from_bytes_reduced(&digest(&self.identity, signed).into());
        let key = &self.table;
        if (Claim { key, e, r, s }).holds(&arithmetic::BASE_POINT) {
            Ok(())
        } else {
            Err(SignatureWrong)
        }
    }
}

/// The bank's signing key. What is secret in it is wiped when dropped.
pub(crate) struct SigningKey {
    identity: Word,
    scalar: SecretScalar,
    /// 1 / (1 + d)
    inverse: Box<Zeroizing<Scalar>>,
}

impl SigningKey {
    /// `None` for d = n − 1, which cannot sign.
    pub(crate) fn new(scalar: SecretScalar) -> Option<Self> {
        let inverse = (**scalar.expose() + Scalar::ONE).invert().into_option()?;
        let identity = identity_hash(&scalar.public_point());
        Some(Self {
            identity,
            scalar,
            inverse: Box::new(Zeroizing::new(inverse)),
        })
    }

    pub(crate) fn scalar(&self) -> &SecretScalar {
        &self.scalar
    }

    /// A DER signature. The nonce follows from key and message (RFC 6979 with SM3), so no weak generator can give the
    /// key away.
    pub(crate) fn sign(&self, signed: &[u8]) -> Result<Vec<u8>, CryptoFault> {
        let digest = Scalar::reduce(&digest(&self.identity, signed));
        let secret = Zeroizing::new(<[u8; WORD_BYTES]>::from(self.scalar.expose().to_repr()));
        let mut nonces = KGenerator::<Sm3, U256>::new(secret.as_slice(), &digest.to_repr(), &[], &Sm2::ORDER);
        let mut nonce_bytes = FieldBytes::default();
        // Each turn fails with a probability of about 2^-255; a second failure is no accident.
        for _ in 0..2 {
            nonces.fill_next_k(&mut nonce_bytes);
            let nonce = Scalar::from_repr(nonce_bytes).into_option().map(Zeroizing::new);
            nonce_bytes.zeroize();
            if let Some((r, s)) = nonce.and_then(|nonce| self.sign_with(&digest, &nonce)) {
                return Ok(Sequence::default()
                    .word(&r.to_repr().into())
                    .word(&s.to_repr().into())
                    .finish());
            }
        }
        Err(CryptoFault::Sm2Sign)
    }

    /// Steps A4 to A6 of the standard; `None` where it says to take another nonce.
    pub(super) fn sign_with(&self, digest: &Scalar, nonce: &Scalar) -> Option<(Scalar, Scalar)> {
        let mut k = arithmetic::Scalar::from_bytes(&nonce.to_repr().into())?;
        let x = arithmetic::base_multiple_x(&k);
        k.zeroize();
        let r = *digest + Scalar::reduce(&FieldBytes::from(x?));
        // (1 + d)^-1 (k − r d) = (1 + d)^-1 (k + r) − r
        let sum = Zeroizing::new(*nonce + r);
        let s = **self.inverse * *sum - r;
        let useless = r.is_zero() | sum.is_zero() | s.is_zero();
        (!bool::from(useless)).then_some((r, s))
    }
}

/// `r` and `s`, both below n; the verdict refuses zeros. 64 bytes are raw, all else must be DER: a DER signature has 70
/// to 72 bytes, and would have 64 only if six leading bytes of its numbers were zero.
fn read(signature: &[u8]) -> Option<(arithmetic::Scalar, arithmetic::Scalar)> {
    let (r, s) = match signature.split_first_chunk::<WORD_BYTES>() {
        Some((r, s)) if s.len() == WORD_BYTES => (*r, s.try_into().ok()?),
        _ => {
            let mut elements = Elements::of_sequence(signature)?;
            let words = (elements.word()?, elements.word()?);
            elements.end()?;
            words
        }
    };
    Some((arithmetic::Scalar::from_bytes(&r)?, arithmetic::Scalar::from_bytes(&s)?))
}

/// e = SM3(Z ‖ M)
pub(super) fn digest(identity: &Word, signed: &[u8]) -> FieldBytes {
    Sm3::new_with_prefix(identity).chain_update(signed).finalize()
}

/// Z = SM3(bits of the user id ‖ user id ‖ a ‖ b ‖ generator ‖ point)
pub(super) fn identity_hash(point: &PublicPoint) -> Word {
    const USER_ID_BITS: u16 = 128;
    const { assert!(USER_ID.len() == 16) }
    let mut hash = Sm3::new_with_prefix(USER_ID_BITS.to_be_bytes()).chain_update(USER_ID);
    for limb in CURVE.iter().flatten() {
        hash.update(limb.to_be_bytes());
    }
    hash.chain_update(point.coordinates().as_flattened()).finalize().into()
}
