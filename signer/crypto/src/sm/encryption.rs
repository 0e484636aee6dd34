//! SM2 encryption (GB/T 32918.4): `C1` a point, `C3` a hash that authenticates, `C2` the masked plaintext.
//!
//! Made as ASN.1 `SEQUENCE { x, y, C3, C2 }` (GM/T 0009). Opened from that, strictly, or from raw `C1‖C3‖C2` with or
//! without the byte 04 before `C1`. The opener knows the plaintext's length, so the length of a ciphertext decides
//! which form it is, and no content has to be guessed at.

use sm2::elliptic_curve::Group;
use sm2::elliptic_curve::point::AffineCoordinates;
use sm2::elliptic_curve::subtle::ConstantTimeEq;
use sm2::{AffinePoint, FieldBytes, NonZeroScalar, ProjectivePoint};
use sm3::{Digest, Sm3};
use zeroize::{Zeroize, Zeroizing};

use super::arithmetic::Affine;
use super::der::{Elements, Sequence};
use super::key::{PublicPoint, SecretScalar};
use super::{WORD_BYTES, Word};
use crate::{CryptoFault, DoesNotOpen};

const UNCOMPRESSED: u8 = 0x04;

/// Encrypts up to some kilobytes, at least one byte.
pub(crate) fn encrypt(receiver: &PublicPoint, plaintext: &[u8]) -> Result<Vec<u8>, CryptoFault> {
    loop {
        let nonce = random_scalar()?;
        if let Some(ciphertext) = encrypt_with(receiver, &nonce, plaintext) {
            return Ok(ciphertext);
        }
    }
}

/// Opens a ciphertext whose plaintext has `plaintext_bytes`.
pub(crate) fn decrypt(
    secret: &SecretScalar,
    ciphertext: &[u8],
    plaintext_bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
    let ciphertext = Ciphertext::read(ciphertext, plaintext_bytes).ok_or(DoesNotOpen)?;
    let point = AffinePoint::from_coordinates(&ciphertext.x.into(), &ciphertext.y.into());
    // Checked to be on the curve, whose order is prime: every such point is in the group.
    let point = Option::<AffinePoint>::from(point).ok_or(DoesNotOpen)?;
    let shared = SharedPoint::new((ProjectivePoint::from(point) * **secret.expose()).to_affine());
    let mut plaintext = Zeroizing::new(ciphertext.masked.to_vec());
    let masked = shared.mask(&mut plaintext);
    let same = shared.hash(&plaintext).as_slice().ct_eq(ciphertext.hash);
    if masked && bool::from(same) {
        Ok(plaintext)
    } else {
        Err(DoesNotOpen)
    }
}

/// `None` where the standard says to take another nonce.
pub(super) fn encrypt_with(receiver: &PublicPoint, nonce: &NonZeroScalar, plaintext: &[u8]) -> Option<Vec<u8>> {
    let point = ProjectivePoint::mul_by_generator(nonce).to_affine();
    let shared = SharedPoint::new((ProjectivePoint::from(*receiver.expose()) * **nonce).to_affine());
    let mut masked = Zeroizing::new(plaintext.to_vec());
    if !shared.mask(&mut masked) {
        return None;
    }
    let hash = shared.hash(plaintext);
    let encoded = Sequence::default()
        .word(&point.x().into())
        .word(&point.y().into())
        .octets(&hash)
        .octets(&masked);
    Some(encoded.finish())
}

/// x, y, C3 and C2 of a ciphertext whose `C1` is on the curve, for a device to decrypt.
pub(crate) fn device_parts(ciphertext: &[u8], plaintext_bytes: usize) -> Option<(Word, Word, Word, Vec<u8>)> {
    let Ciphertext { x, y, hash, masked } = Ciphertext::read(ciphertext, plaintext_bytes)?;
    Affine::from_coordinates(&x, &y)?;
    Some((x, y, *hash, masked.to_vec()))
}

/// A ciphertext taken apart, nothing of it checked but its form.
struct Ciphertext<'a> {
    x: Word,
    y: Word,
    hash: &'a Word,
    masked: &'a [u8],
}

impl<'a> Ciphertext<'a> {
    fn read(bytes: &'a [u8], plaintext_bytes: usize) -> Option<Self> {
        let raw_bytes = 3 * WORD_BYTES + plaintext_bytes;
        let raw = if bytes.len() == raw_bytes {
            Some(bytes)
        } else {
            bytes.strip_prefix(&[UNCOMPRESSED])
        };
        let ciphertext = match raw {
            Some(raw) if raw.len() == raw_bytes => Self::from_raw(raw)?,
            _ => Self::from_der(bytes)?,
        };
        (ciphertext.masked.len() == plaintext_bytes).then_some(ciphertext)
    }

    fn from_raw(raw: &'a [u8]) -> Option<Self> {
        let (x, rest) = raw.split_first_chunk()?;
        let (y, rest) = rest.split_first_chunk()?;
        let (hash, masked) = rest.split_first_chunk()?;
        Some(Self {
            x: *x,
            y: *y,
            hash,
            masked,
        })
    }

    fn from_der(encoded: &'a [u8]) -> Option<Self> {
        let mut elements = Elements::of_sequence(encoded)?;
        let (x, y) = (elements.word()?, elements.word()?);
        let (hash, masked) = (elements.octets()?.try_into().ok()?, elements.octets()?);
        elements.end()?;
        Some(Self { x, y, hash, masked })
    }
}

/// The point that both sides compute; from it come mask and hash. Wiped when dropped.
struct SharedPoint {
    x: Zeroizing<Word>,
    y: Zeroizing<Word>,
}

impl SharedPoint {
    fn new(mut point: AffinePoint) -> Self {
        let shared = Self {
            x: Zeroizing::new(point.x().into()),
            y: Zeroizing::new(point.y().into()),
        };
        point.zeroize();
        shared
    }

    /// Puts the mask SM3(x ‖ y ‖ 1) ‖ SM3(x ‖ y ‖ 2) ‖ … over `bytes`, or takes it off. False when the mask was all
    /// zero, which the standard rules out (and which an empty text has).
    fn mask(&self, bytes: &mut [u8]) -> bool {
        let mut any = 0;
        for (block, counter) in bytes.chunks_mut(WORD_BYTES).zip(1u32..) {
            let hash = Sm3::new_with_prefix(self.x.as_slice()).chain_update(self.y.as_slice());
            let mut mask: FieldBytes = hash.chain_update(counter.to_be_bytes()).finalize();
            for (byte, mask) in block.iter_mut().zip(&mask) {
                *byte ^= mask;
                any |= mask;
            }
            mask.zeroize();
        }
        any != 0
    }

    /// C3 = SM3(x ‖ M ‖ y)
    fn hash(&self, plaintext: &[u8]) -> Word {
        let hash = Sm3::new_with_prefix(self.x.as_slice()).chain_update(plaintext);
        hash.chain_update(self.y.as_slice()).finalize().into()
    }
}

fn random_scalar() -> Result<Zeroizing<NonZeroScalar>, CryptoFault> {
    let mut bytes = Zeroizing::new([0; WORD_BYTES]);
    loop {
        getrandom::fill(bytes.as_mut_slice()).map_err(CryptoFault::Randomness)?;
        if let Some(scalar) = NonZeroScalar::from_repr((*bytes).into()).into_option() {
            return Ok(Zeroizing::new(scalar));
        }
    }
}
