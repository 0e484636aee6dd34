//! What a signer with keys in hardware needs of this crate: the input a device is given, and what its output is worth.
//!
//! A device computes `r, s` or a bare RSA power; hashing, forms and judgement stay here, so that a key in a device and
//! a key in memory accept and make exactly the same bytes. Nothing a device returns is believed: a signature is verified
//! with the certificate before it leaves, and what it decrypted is taken apart like any stranger's input.
//!
//! What it does not do: talk to a device. SM2 ciphertexts are authenticated by the device itself, which alone knows the
//! shared point.

use std::fmt;

use openssl::pkey::{PKeyRef, Public};
use zeroize::Zeroizing;

use crate::certificate::PublicKey;
use crate::sm::WORD_BYTES;
use crate::sm::der::Sequence;
use crate::sm::encryption::device_parts;
use crate::sm::key::PublicPoint;
use crate::sm::signature::VerifyingKey;
use crate::sm3::Hmac;
use crate::{Certificate, CryptoFault, DoesNotOpen, FieldKey, SignatureWrong, Suite, envelope, rsa};

/// The public half of a key that lies in a device, by suite.
#[derive(Debug)]
pub enum PublicHalf<'a> {
    Rsa(RsaHalf<'a>),
    Sm(Sm2Half<'a>),
}

impl Certificate {
    /// For work with the device that holds the private half.
    pub fn public_half(&self) -> PublicHalf<'_> {
        match self.key() {
            PublicKey::Rsa(key) => PublicHalf::Rsa(RsaHalf(key)),
            PublicKey::Sm { point, verifying } => PublicHalf::Sm(Sm2Half { point, verifying }),
        }
    }
}

pub struct Sm2Half<'a> {
    point: &'a PublicPoint,
    verifying: &'a VerifyingKey,
}

impl Sm2Half<'_> {
    /// e = SM3(Z ‖ M) of a message under this key, which the device signs as it stands.
    pub fn digest(&self, signed: &[u8]) -> [u8; 32] {
        self.verifying.digest(signed)
    }

    /// x and y of the public point.
    pub fn coordinates(&self) -> [[u8; 32]; 2] {
        self.point.coordinates()
    }

    /// The DER form of what the device computed, if it is a signature of exactly these bytes.
    pub fn signature(&self, signed: &[u8], r: &[u8; 32], s: &[u8; 32]) -> Result<Vec<u8>, SignatureWrong> {
        let signature = Sequence::default().word(r).word(s).finish();
        self.verifying.verify(signed, &signature).map(|()| signature)
    }
}

impl fmt::Debug for Sm2Half<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sm2Half")
    }
}

/// An SM2 envelope taken apart for a device: `C1` is on the curve, the lengths are those of a field key's envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sm2Envelope {
    /// C1
    pub x: [u8; WORD_BYTES],
    pub y: [u8; WORD_BYTES],
    /// C3
    pub hash: [u8; WORD_BYTES],
    /// C2
    pub masked: Vec<u8>,
}

impl Sm2Envelope {
    /// Of an envelope in any form that a software key opens. Stranger's input.
    pub fn read(sealed: &[u8]) -> Result<Self, DoesNotOpen> {
        let (x, y, hash, masked) = device_parts(sealed, envelope::plaintext_bytes(Suite::Sm)).ok_or(DoesNotOpen)?;
        Ok(Self { x, y, hash, masked })
    }

    /// The field key in what the device decrypted.
    pub fn field_key(plaintext: &[u8]) -> Result<FieldKey, DoesNotOpen> {
        envelope::read(Suite::Sm, plaintext)
    }
}

pub struct RsaHalf<'a>(&'a PKeyRef<Public>);

impl RsaHalf<'_> {
    /// The bytes of one RSA number of this key.
    pub fn modulus_bytes(&self) -> usize {
        self.0.size()
    }

    /// Modulus and public exponent without leading zeros.
    pub fn numbers(&self) -> [Vec<u8>; 2] {
        let key = self.0.rsa().expect("an RSA certificate holds an RSA key");
        [key.n().to_vec(), key.e().to_vec()]
    }

    /// The padded digest that a bare private operation makes a signature of (PKCS#1 v1.5 with SHA-256).
    pub fn signature_block(&self, signed: &[u8]) -> Vec<u8> {
        rsa::signature_block(self.modulus_bytes(), signed)
    }

    /// What the device computed, if it is a signature of exactly these bytes.
    pub fn signature(&self, signed: &[u8], signature: Vec<u8>) -> Result<Vec<u8>, SignatureWrong> {
        rsa::verify(self.0, signed, &signature).map(|()| signature)
    }

    /// Whether the device may be asked at all: as long as the modulus and below it. Both are visible to everybody.
    pub fn takes(&self, sealed: &[u8]) -> Result<(), DoesNotOpen> {
        let [modulus, _] = self.numbers();
        let fits = sealed.len() == modulus.len() && *sealed < *modulus;
        fits.then_some(()).ok_or(DoesNotOpen)
    }
}

impl fmt::Debug for RsaHalf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaHalf")
    }
}

/// The secret that the stand-in keys of RSA envelopes come from (see the module `rsa`): a key in a device cannot lend
/// its own bytes for it, so each process draws one.
pub struct StandIns(Hmac);

impl StandIns {
    pub fn generate() -> Result<Self, CryptoFault> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice()).map_err(CryptoFault::Randomness)?;
        Ok(Self(Hmac::new(secret.as_slice())))
    }

    /// The field key in the bare RSA decryption `padded` of `sealed`, or a stand-in that opens nothing. Without a
    /// branch on what `padded` holds; one of another length than the modulus is the device's fault and opens nothing.
    pub fn field_key(&self, sealed: &[u8], padded: &[u8]) -> Result<FieldKey, DoesNotOpen> {
        if padded.len() != sealed.len() {
            return Err(DoesNotOpen);
        }
        rsa::unwrap(padded, &self.stand_in(sealed))
    }

    /// The same for a device that takes the padding off itself: `None` where it found none.
    pub fn field_key_unpadded(&self, sealed: &[u8], plaintext: Option<&[u8]>) -> Result<FieldKey, DoesNotOpen> {
        let mut padded = Zeroizing::new(vec![0xFF; sealed.len()]);
        let plaintext = plaintext.filter(|plaintext| plaintext.len() == envelope::plaintext_bytes(Suite::Rsa));
        if let Some(plaintext) = plaintext
            && let Some((head, tail)) = padded.split_at_mut_checked(sealed.len() - plaintext.len())
            && let [leading, block_type, .., separator] = head
        {
            (*leading, *block_type, *separator) = (0x00, 0x02, 0x00);
            tail.copy_from_slice(plaintext);
        }
        rsa::unwrap(&padded, &self.stand_in(sealed))
    }

    fn stand_in(&self, sealed: &[u8]) -> Zeroizing<[u8; Suite::Rsa.field_key_bytes()]> {
        Zeroizing::new(self.0.mac(&[sealed]))
    }
}

impl fmt::Debug for StandIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StandIns(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA: &[u8] = include_bytes!("../known-answers/TEST-ONLY-rsa.cert.pem");

    fn opens(key: &FieldKey, sealed_field: &[u8]) -> bool {
        key.decrypt(sealed_field).is_ok()
    }

    /// A module that takes the padding off tells good from bad; what leaves here does not.
    #[test]
    fn an_unpadded_plaintext_is_judged_like_a_padded_one() {
        #[track_caller]
        fn check(key: Result<FieldKey, DoesNotOpen>, field: &[u8], expected: bool) {
            assert_eq!(opens(&key.unwrap(), field), expected);
        }
        let field_key = FieldKey::generate(Suite::Rsa).unwrap();
        let (plaintext, field) = (envelope::write(&field_key), field_key.encrypt(b"a field"));
        let (stand_ins, sealed) = (StandIns::generate().unwrap(), [7; 256]);
        let judged = |plaintext: Option<&[u8]>| stand_ins.field_key_unpadded(&sealed, plaintext);
        check(judged(Some(&plaintext)), &field, true);
        check(judged(None), &field, false);
        check(judged(Some(&plaintext[1..])), &field, false);
        check(judged(Some(&[plaintext.as_slice(), &[0]].concat())), &field, false);
        check(judged(Some(&[b"02|", field_key.expose()].concat())), &field, false);
    }

    #[test]
    fn a_device_is_asked_only_for_numbers_below_the_modulus() {
        let certificate = Certificate::from_pem(RSA).unwrap();
        let PublicHalf::Rsa(half) = certificate.public_half() else {
            panic!("an RSA certificate")
        };
        let [modulus, exponent] = half.numbers();
        assert_eq!(exponent, [1, 0, 1]);
        let mut below = modulus.clone();
        *below.last_mut().unwrap() -= 1;
        assert_eq!(half.takes(&below), Ok(()));
        assert_eq!(half.takes(&modulus), Err(DoesNotOpen));
        assert_eq!(half.takes(&below[1..]), Err(DoesNotOpen));
        assert_eq!(half.takes(&[&[0], below.as_slice()].concat()), Err(DoesNotOpen));
        assert_eq!(half.takes(&[]), Err(DoesNotOpen));
    }

    /// The bare power of a signature, by the public exponent, is the block that was signed.
    #[test]
    fn the_signature_block_is_what_a_signature_holds() {
        let certificate = Certificate::from_pem(RSA).unwrap();
        let pem = include_bytes!("../known-answers/TEST-ONLY-rsa.key.pem");
        let private =
            crate::PrivateKey::from_pkcs8_pem(pem, &crate::Passphrase::new(b"known-answers-TEST-ONLY".to_vec()));
        let signature = private.unwrap().sign(b"signed").unwrap();
        let PublicHalf::Rsa(half) = certificate.public_half() else {
            panic!("an RSA certificate")
        };
        let mut opened = vec![0; half.modulus_bytes()];
        let rsa = half.0.rsa().unwrap();
        rsa.public_decrypt(&signature, &mut opened, openssl::rsa::Padding::NONE)
            .unwrap();
        assert_eq!(half.signature_block(b"signed"), opened);
    }

    #[test]
    fn an_sm2_envelope_off_the_curve_never_reaches_a_device() {
        let certificate = Certificate::from_pem(include_bytes!("../known-answers/TEST-ONLY-sm.cert.pem")).unwrap();
        let sealed = certificate
            .seal_envelope(&FieldKey::generate(Suite::Sm).unwrap())
            .unwrap();
        let envelope = Sm2Envelope::read(&sealed).unwrap();
        let raw = |x: &[u8; 32], y: &[u8; 32]| [x, y, &envelope.hash, envelope.masked.as_slice()].concat();
        assert_eq!(Sm2Envelope::read(&raw(&envelope.x, &envelope.y)), Ok(envelope.clone()));
        assert_eq!(Sm2Envelope::read(&raw(&envelope.y, &envelope.x)), Err(DoesNotOpen));
        assert_eq!(Sm2Envelope::read(&raw(&[0; 32], &[0; 32])), Err(DoesNotOpen));
        assert_eq!(Sm2Envelope::read(&raw(&[0xFF; 32], &envelope.y)), Err(DoesNotOpen));
        assert_eq!(Sm2Envelope::read(&sealed[..sealed.len() - 1]), Err(DoesNotOpen));
    }
}
