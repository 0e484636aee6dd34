//! Keys and certificates made on the spot through OpenSSL: an RSA authority signs, as in the installation.

use std::sync::LazyLock;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{HasPublic, PKey, PKeyRef, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::{X509, X509Name};
use signer_crypto::{Certificate, Passphrase, PrivateKey, Suite};

pub(crate) const PASSPHRASE: &[u8] = b"made in a test";

/// What a random run starts from: `SEED` of the environment, or another each time. Printed, which shows when a test
/// fails.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("SEED").ok();
    let seed = given.map_or_else(rand::random, |text| text.parse().expect("SEED is a number"));
    eprintln!("SEED={seed}");
    seed
}

/// A private key of the bank with its certificate, and the same key for OpenSSL.
pub(crate) struct Pair {
    pub(crate) certificate: Certificate,
    pub(crate) private: PrivateKey,
    pub(crate) openssl: PKey<Private>,
}

impl Pair {
    pub(crate) fn new(openssl: PKey<Private>) -> Self {
        let certificate = Certificate::from_pem(&certificate_pem(&openssl, "4000000101")).unwrap();
        let private = PrivateKey::from_pkcs8_pem(&key_pem(&openssl), &Passphrase::new(PASSPHRASE.to_vec())).unwrap();
        assert!(private.matches(&certificate));
        Self {
            certificate,
            private,
            openssl,
        }
    }
}

static AUTHORITY: LazyLock<PKey<Private>> = LazyLock::new(|| rsa_key(2048));
static RSA: LazyLock<Pair> = LazyLock::new(|| Pair::new(rsa_key(2048)));
static SM: LazyLock<Pair> = LazyLock::new(|| Pair::new(sm_key()));

pub(crate) fn pair(suite: Suite) -> &'static Pair {
    match suite {
        Suite::Rsa => &RSA,
        Suite::Sm => &SM,
    }
}

pub(crate) fn rsa_key(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

pub(crate) fn sm_key() -> PKey<Private> {
    // Generated, the key counts as ECDSA on that curve; read back, as SM2.
    PKey::private_key_from_pkcs8(&PKey::ec_gen("SM2").unwrap().private_key_to_pkcs8().unwrap()).unwrap()
}

pub(crate) fn key_pem(key: &PKeyRef<Private>) -> Vec<u8> {
    key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), PASSPHRASE)
        .unwrap()
}

/// A certificate of `key` under `serial` (hexadecimal), valid 2020 to 2045.
pub(crate) fn certificate_pem<T: HasPublic>(key: &PKeyRef<T>, serial: &str) -> Vec<u8> {
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", "TEST ONLY").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder
        .set_serial_number(&BigNum::from_hex_str(serial).unwrap().to_asn1_integer().unwrap())
        .unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder
        .set_not_before(&Asn1Time::from_str("20200101000000Z").unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::from_str("20450101000000Z").unwrap())
        .unwrap();
    builder.set_pubkey(key).unwrap();
    builder.sign(&AUTHORITY, MessageDigest::sha256()).unwrap();
    builder.build().to_pem().unwrap()
}
