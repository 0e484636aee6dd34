//! RSA for signatures and envelopes: PKCS#1 v1.5, through OpenSSL.
//!
//! Taking the padding off an envelope is where PKCS#1 v1.5 leaks. Here the structure is known completely beforehand
//! (`00 02`, non-zero filling, `00`, prefix, 32 bytes of key), so one pass without a secret-dependent branch compares
//! all of it. An envelope that does not hold yields a stand-in key, derived from the ciphertext under a secret of
//! ours: the fields are then decrypted with it like any others, take the same time, and do not open. Error and
//! duration are the same whatever was wrong. Only a ciphertext of the wrong length, or not below the modulus, is
//! refused at once: both are visible to everybody.

use openssl::encrypt::Encrypter;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, PKeyRef, Private, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl::sign::{Signer, Verifier};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::sm3::Hmac;
use crate::{CryptoFault, DoesNotOpen, FieldKey, SignatureWrong, Suite, envelope};

/// Bits of modulus that are accepted: the profile's least, and a bound on what one operation may cost.
pub(crate) const MODULUS_BITS: std::ops::RangeInclusive<u32> = 2048..=4096;

const KEY_BYTES: usize = Suite::Rsa.field_key_bytes();

/// Bits of public exponent that are accepted: 3 and above, since under 1 every number is its own signature; and a bound
/// on what one verification may cost.
const EXPONENT_BITS: std::ops::RangeInclusive<i32> = 2..=32;

pub(crate) fn acceptable<T: openssl::pkey::HasPublic>(key: &PKeyRef<T>) -> bool {
    let Ok(rsa) = key.rsa() else { return false };
    let odd = rsa.n().is_bit_set(0) && rsa.e().is_bit_set(0);
    key.id() == Id::RSA && odd && MODULUS_BITS.contains(&key.bits()) && EXPONENT_BITS.contains(&rsa.e().num_bits())
}

pub(crate) fn verify(key: &PKeyRef<Public>, signed: &[u8], signature: &[u8]) -> Result<(), SignatureWrong> {
    let holds = Verifier::new(MessageDigest::sha256(), key)
        .and_then(|mut verifier| verifier.verify_oneshot(signature, signed))
        .unwrap_or(false);
    if holds { Ok(()) } else { Err(SignatureWrong) }
}

pub(crate) fn seal_envelope(key: &PKeyRef<Public>, field_key: &FieldKey) -> Result<Vec<u8>, CryptoFault> {
    let sealed = || -> Result<Vec<u8>, ErrorStack> {
        let mut encrypter = Encrypter::new(key)?;
        encrypter.set_rsa_padding(Padding::PKCS1)?;
        let plaintext = envelope::write(field_key);
        let mut out = vec![0; encrypter.encrypt_len(&plaintext)?];
        let written = encrypter.encrypt(&plaintext, &mut out)?;
        out.truncate(written);
        Ok(out)
    };
    sealed().map_err(CryptoFault::OpenSsl)
}

/// A private key of the bank with the secret that its stand-in keys come from.
pub(crate) struct RsaPrivateKey {
    key: PKey<Private>,
    stand_ins: Hmac,
}

impl RsaPrivateKey {
    pub(crate) fn new(key: PKey<Private>) -> Result<Self, CryptoFault> {
        let der = Zeroizing::new(key.private_key_to_pkcs8().map_err(CryptoFault::OpenSsl)?);
        let stand_ins = Hmac::new(&der);
        Ok(Self { key, stand_ins })
    }

    pub(crate) fn key(&self) -> &PKeyRef<Private> {
        &self.key
    }

    pub(crate) fn sign(&self, signed: &[u8]) -> Result<Vec<u8>, CryptoFault> {
        Signer::new(MessageDigest::sha256(), &self.key)
            .and_then(|mut signer| signer.sign_oneshot_to_vec(signed))
            .map_err(CryptoFault::OpenSsl)
    }

    pub(crate) fn open_envelope(&self, sealed: &[u8]) -> Result<FieldKey, DoesNotOpen> {
        if sealed.len() != self.key.size() {
            return Err(DoesNotOpen);
        }
        let padded = self.decrypt_raw(sealed).map_err(|_| DoesNotOpen)?;
        let stand_in = Zeroizing::new(self.stand_ins.mac(&[sealed]));
        unwrap(&padded, &stand_in)
    }

    /// The bare RSA operation (OpenSSL blinds it): as many bytes as the modulus has.
    fn decrypt_raw(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
        let mut context = PkeyCtx::new(&self.key)?;
        context.decrypt_init()?;
        context.set_rsa_padding(Padding::NONE)?;
        let mut padded = Zeroizing::new(vec![0; self.key.size()]);
        let written = context.decrypt(sealed, Some(&mut padded))?;
        padded.truncate(written);
        Ok(padded)
    }
}

/// EMSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 9.2) in as many bytes as the modulus has: what a device that knows
/// the bare operation alone is given to sign.
pub(crate) fn signature_block(modulus_bytes: usize, signed: &[u8]) -> Vec<u8> {
    /// DER of a `DigestInfo` of SHA-256 up to the digest itself.
    const DIGEST_INFO: [u8; 19] = [
        0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04,
        0x20,
    ];
    let digest = openssl::sha::sha256(signed);
    let filling = modulus_bytes.saturating_sub(DIGEST_INFO.len() + digest.len() + 3);
    let mut block = vec![0x00, 0x01];
    block.resize(block.len() + filling, 0xFF);
    block.push(0x00);
    block.extend_from_slice(&DIGEST_INFO);
    block.extend_from_slice(&digest);
    block
}

/// The key inside, or `stand_in` marked as not genuine. Public lengths aside, nothing here branches or indexes by what
/// `padded` holds.
pub(crate) fn unwrap(padded: &[u8], stand_in: &[u8; KEY_BYTES]) -> Result<FieldKey, DoesNotOpen> {
    let (head, key) = padded.split_last_chunk::<KEY_BYTES>().ok_or(DoesNotOpen)?;
    let (head, prefix) = head
        .split_last_chunk::<{ envelope::PREFIX_BYTES }>()
        .ok_or(DoesNotOpen)?;
    let [leading, block_type, filling @ .., separator] = head else {
        return Err(DoesNotOpen);
    };
    let mut genuine = leading.ct_eq(&0x00) & block_type.ct_eq(&0x02) & separator.ct_eq(&0x00);
    genuine &= prefix.ct_eq(envelope::prefix(Suite::Rsa));
    for byte in filling {
        genuine &= !byte.ct_eq(&0x00);
    }
    let mut chosen = Zeroizing::new([0; KEY_BYTES]);
    for (chosen, (inside, stand_in)) in chosen.iter_mut().zip(key.iter().zip(stand_in)) {
        *chosen = u8::conditional_select(stand_in, inside, genuine);
    }
    Ok(FieldKey::from_rsa_envelope(chosen, genuine))
}
