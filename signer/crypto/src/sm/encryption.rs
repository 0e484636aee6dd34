//! SM2 encryption (GB/T 32918.4): `C1` a point, `C3` a hash that authenticates, `C2` the masked plaintext.
//!
//! Made as ASN.1 `SEQUENCE { x, y, C3, C2 }` (GM/T 0009). Opened from that, strictly, or from raw `C1‖C3‖C2` with or
//! without the byte 04 before `C1`. The opener knows the plaintext's length, so the length of a ciphertext decides
//! which form it is, and no content has to be guessed at.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::arithmetic::{self, Affine, Multiples, Scalar};
use super::der::{Elements, Sequence};
use super::key::SecretScalar;
use super::{WORD_BYTES, Word};
use crate::{CryptoFault, DoesNotOpen, sm3};

const UNCOMPRESSED: u8 = 0x04;

/// Encrypts up to some kilobytes, at least one byte, for the holder of the key to a public point.
pub(crate) fn encrypt(receiver: &Multiples, plaintext: &[u8]) -> Result<Vec<u8>, CryptoFault> {
    loop {
        let nonce = random_scalar()?;
        if let Some(ciphertext) = encrypt_with(receiver, &nonce, plaintext) {
            return Ok(ciphertext);
        }
    }
}

/// Encrypts for many, in their order.
pub(crate) fn encrypt_all(items: &[(&Multiples, Zeroizing<Vec<u8>>)]) -> Result<Vec<Vec<u8>>, CryptoFault> {
    let mut nonces = Zeroizing::new(Vec::with_capacity(items.len()));
    for _ in items {
        nonces.push(*random_scalar()?);
    }
    let receivers: Vec<&Multiples> = items.iter().map(|(receiver, _)| *receiver).collect();
    let points = arithmetic::base_multiples(&nonces);
    let shared = arithmetic::multiples_each(&receivers, &nonces);
    let sealed = items.iter().zip(points.iter().zip(shared.iter()));
    let sealed = sealed.map(|((receiver, plaintext), (point, shared))| {
        let sealed = point.as_ref().zip(shared.as_ref());
        match sealed.and_then(|(point, shared)| assemble(point, shared, plaintext)) {
            Some(ciphertext) => Ok(ciphertext),
            None => encrypt(receiver, plaintext),
        }
    });
    sealed.collect()
}

/// Opens a ciphertext whose plaintext has `plaintext_bytes`.
pub(crate) fn decrypt(
    secret: &SecretScalar,
    ciphertext: &[u8],
    plaintext_bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
    let (ciphertext, point) = Ciphertext::with_point(ciphertext, plaintext_bytes).ok_or(DoesNotOpen)?;
    let shared = arithmetic::multiple(&Multiples::Untabled(point), secret.expose()).map(Zeroizing::new);
    ciphertext.open(shared.as_deref())
}

/// Opens many, each with its own outcome, in their order.
pub(crate) fn decrypt_all(
    secret: &SecretScalar,
    ciphertexts: &[&[u8]],
    plaintext_bytes: usize,
) -> Vec<Result<Zeroizing<Vec<u8>>, DoesNotOpen>> {
    let read = ciphertexts
        .iter()
        .map(|bytes| Ciphertext::with_point(bytes, plaintext_bytes));
    let read: Vec<Option<(Ciphertext<'_>, Affine)>> = read.collect();
    let points: Vec<Affine> = read.iter().flatten().map(|(_, point)| *point).collect();
    let shared = arithmetic::multiples(&points, secret.expose());
    let mut shared = shared.iter();
    let opened = read.iter().map(|read| {
        let (ciphertext, _) = read.as_ref().ok_or(DoesNotOpen)?;
        let shared = shared.next().expect("there is a multiple for every point");
        ciphertext.open(shared.as_ref())
    });
    opened.collect()
}

/// `None` where the standard says to take another nonce.
pub(super) fn encrypt_with(receiver: &Multiples, nonce: &Scalar, plaintext: &[u8]) -> Option<Vec<u8>> {
    let point = arithmetic::base_multiple(nonce)?;
    let shared = Zeroizing::new(arithmetic::multiple(receiver, nonce)?);
    assemble(&point, &shared, plaintext)
}

/// The ciphertext from C1 and the point that both sides compute.
fn assemble(point: &Affine, shared: &Affine, plaintext: &[u8]) -> Option<Vec<u8>> {
    let [x, y] = point.coordinates();
    let shared = SharedPoint::new(shared);
    let mut masked = Zeroizing::new(plaintext.to_vec());
    if !shared.mask(&mut masked) {
        return None;
    }
    let hash = shared.hash(plaintext);
    let encoded = Sequence::default().word(&x).word(&y).octets(&hash).octets(&masked);
    Some(encoded.finish())
}

/// x, y, C3 and C2 of a ciphertext whose `C1` is on the curve, for a device to decrypt.
pub(crate) fn device_parts(ciphertext: &[u8], plaintext_bytes: usize) -> Option<(Word, Word, Word, Vec<u8>)> {
    let (Ciphertext { x, y, hash, masked }, _) = Ciphertext::with_point(ciphertext, plaintext_bytes)?;
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
    /// With its C1, which is on the curve. The curve's order is prime, so every such point is in the group.
    fn with_point(bytes: &'a [u8], plaintext_bytes: usize) -> Option<(Self, Affine)> {
        let ciphertext = Self::read(bytes, plaintext_bytes)?;
        let point = Affine::from_coordinates(&ciphertext.x, &ciphertext.y)?;
        Some((ciphertext, point))
    }

    /// What is inside, given the point that both sides compute.
    fn open(&self, shared: Option<&Affine>) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
        let shared = SharedPoint::new(shared.ok_or(DoesNotOpen)?);
        let mut plaintext = Zeroizing::new(self.masked.to_vec());
        let masked = shared.mask(&mut plaintext);
        let same = shared.hash(&plaintext).as_slice().ct_eq(self.hash);
        if masked && bool::from(same) {
            Ok(plaintext)
        } else {
            Err(DoesNotOpen)
        }
    }

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
    fn new(point: &Affine) -> Self {
        let [x, y] = point.coordinates().map(Zeroizing::new);
        Self { x, y }
    }

    /// Puts the mask SM3(x ‖ y ‖ 1) ‖ SM3(x ‖ y ‖ 2) ‖ … over `bytes`, or takes it off. False when the mask was all
    /// zero, which the standard rules out (and which an empty text has).
    fn mask(&self, bytes: &mut [u8]) -> bool {
        let mut any = 0;
        for (block, counter) in bytes.chunks_mut(WORD_BYTES).zip(1u32..) {
            let parts: [&[u8]; 3] = [self.x.as_slice(), self.y.as_slice(), &counter.to_be_bytes()];
            let mask = Zeroizing::new(sm3::digest(&parts));
            for (byte, mask) in block.iter_mut().zip(mask.iter()) {
                *byte ^= mask;
                any |= mask;
            }
        }
        any != 0
    }

    /// C3 = SM3(x ‖ M ‖ y)
    fn hash(&self, plaintext: &[u8]) -> Word {
        sm3::digest(&[self.x.as_slice(), plaintext, self.y.as_slice()])
    }
}

/// Secret, not zero, uniform but for 2^-256.
fn random_scalar() -> Result<Zeroizing<Scalar>, CryptoFault> {
    let mut bytes = Zeroizing::new([[0; WORD_BYTES]; 2]);
    loop {
        getrandom::fill(bytes.as_flattened_mut()).map_err(CryptoFault::Randomness)?;
        let [high, low] = &*bytes;
        let scalar = Zeroizing::new(Scalar::from_wide_bytes(high, low));
        if !scalar.is_zero() {
            return Ok(scalar);
        }
    }
}
