//! One SM2 key as this crate and three independent implementations have it, and what each makes of an input: OpenSSL,
//! RustCrypto's `sm2`, and, on valid input only, `sm-crypto` (it panics on short input and does not check the hash of a
//! ciphertext).

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use rand_chacha::ChaCha8Rng;
use sm2::dsa::signature::{Signer, Verifier};
use sm2::elliptic_curve::sec1::ToSec1Point;
use sm2::{PublicKey, SecretKey, dsa, pke};

use crate::forms::{integer, sequence};
use crate::made::Pair;
use crate::openssl_sm2;

const USER_ID: &str = "1234567812345678";

/// One key, as every implementation has it.
pub(crate) struct Key {
    pub(crate) pair: Pair,
    signing: dsa::SigningKey,
    encrypting: pke::EncryptingKey,
    decrypting: pke::DecryptingKey,
    scalar_hex: String,
    point_hex: String,
}

/// Who makes a signature or a ciphertext.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Maker {
    Ours,
    OpenSsl,
    RustCrypto,
    SmCrypto,
}

impl Key {
    /// From a secret scalar in 1..n−1, big-endian.
    pub(crate) fn new(scalar: &[u8; 32]) -> Self {
        let secret = SecretKey::from_slice(scalar).unwrap();
        let public: PublicKey = secret.public_key();
        let point = public.to_sec1_point(false);
        Self {
            pair: Pair::new(openssl_key(scalar)),
            signing: dsa::SigningKey::new(USER_ID, &secret).unwrap(),
            encrypting: pke::EncryptingKey::new_with_mode(public, pke::Mode::C1C3C2),
            decrypting: pke::DecryptingKey::new_with_mode(secret.to_nonzero_scalar(), pke::Mode::C1C3C2),
            scalar_hex: hex::encode(scalar),
            point_hex: hex::encode(&point.as_bytes()[1..]),
        }
    }

    /// A signature in DER.
    pub(crate) fn sign(&self, maker: Maker, signed: &[u8]) -> Vec<u8> {
        match maker {
            Maker::Ours => self.pair.private.sign(signed).unwrap(),
            Maker::OpenSsl => openssl_sm2::sign(&self.pair.openssl, signed),
            Maker::RustCrypto => {
                let signature: dsa::Signature = self.signing.sign(signed);
                signature.to_der().to_vec()
            }
            Maker::SmCrypto => sm_crypto::sm2::Sign::new(&self.scalar_hex).sign_der(signed, true),
        }
    }

    /// Whether OpenSSL and RustCrypto take a signature, which they must agree on. They read DER alone, so a raw one is
    /// put into it.
    pub(crate) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        let der = match signature.split_at_checked(32) {
            Some((r, s)) if s.len() == 32 => sequence(&[integer(r), integer(s)]),
            _ => signature.to_vec(),
        };
        let openssl = openssl_sm2::verifies(&self.pair.openssl, signed, &der);
        let rust_crypto = dsa::Signature::from_der(&der)
            .is_ok_and(|signature| self.signing.verifying_key().verify(signed, &signature).is_ok());
        assert_eq!(openssl, rust_crypto, "the oracles differ: {}", hex::encode(signature));
        openssl
    }

    /// Whether `sm-crypto` takes a signature known to hold.
    pub(crate) fn sm_crypto_verifies(&self, signed: &[u8], der: &[u8]) -> bool {
        sm_crypto::sm2::Verify::new(&self.point_hex).verify_der(signed, der, true)
    }

    /// A ciphertext in DER, but of `Ours`, which seals envelopes and nothing else.
    pub(crate) fn encrypt(&self, maker: Maker, plaintext: &[u8], chance: &mut ChaCha8Rng) -> Vec<u8> {
        match maker {
            Maker::OpenSsl | Maker::Ours => openssl_sm2::encrypt(&self.pair.openssl, plaintext),
            Maker::RustCrypto => self.encrypting.encrypt_der(chance, plaintext).unwrap(),
            Maker::SmCrypto => sm_crypto::sm2::Encrypt::new(&self.point_hex).encrypt_asna1(plaintext),
        }
    }

    pub(crate) fn openssl_decrypts(&self, der: &[u8]) -> Option<Vec<u8>> {
        openssl_sm2::decrypt(&self.pair.openssl, der)
    }

    pub(crate) fn rust_crypto_decrypts(&self, der: &[u8]) -> Option<Vec<u8>> {
        self.decrypting.decrypt_der(der).ok()
    }

    /// What RustCrypto makes of `04 ‖ C1 ‖ C3 ‖ C2`.
    pub(crate) fn rust_crypto_decrypts_raw(&self, raw: &[u8]) -> Option<Vec<u8>> {
        self.decrypting.decrypt(raw).ok()
    }

    /// Of a ciphertext known to be good.
    pub(crate) fn sm_crypto_decrypts(&self, der: &[u8]) -> Vec<u8> {
        sm_crypto::sm2::Decrypt::new(&self.scalar_hex).decrypt_asna1(der)
    }
}

/// x ‖ y of the key with this scalar.
pub(crate) fn point_of(scalar: [u8; 32]) -> Vec<u8> {
    let secret = SecretKey::from_slice(&scalar).unwrap();
    secret.public_key().to_sec1_point(false).as_bytes()[1..].to_vec()
}

fn openssl_key(scalar: &[u8; 32]) -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::SM2).unwrap();
    let number = BigNum::from_slice(scalar).unwrap();
    let mut point = EcPoint::new(&group).unwrap();
    point
        .mul_generator2(&group, &number, &mut BigNumContext::new().unwrap())
        .unwrap();
    let key = EcKey::from_private_components(&group, &number, &point).unwrap();
    // Built, the key counts as ECDSA on that curve; read back, as SM2.
    let der = PKey::from_ec_key(key).unwrap().private_key_to_pkcs8().unwrap();
    PKey::private_key_from_pkcs8(&der).unwrap()
}
