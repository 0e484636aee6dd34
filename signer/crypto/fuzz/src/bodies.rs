//! What each fuzz target does with its bytes. A body panics where the crate breaks a promise: it must give a verdict for
//! any bytes, the same one alone and in a batch, and take nothing that OpenSSL refuses.
//!
//! Compiled into the fuzz targets and into the suites, which replay the corpus.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a body ends by panicking"
)]

use std::sync::LazyLock;

use openssl::base64::encode_block;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Padding;
use openssl::symm::{Cipher, decrypt, encrypt};
use signer_crypto::{Certificate, FieldKey, Passphrase, PrivateKey, Suite, TokenKey, Verification, verify_all};

use crate::openssl_sm2;

pub const PASSPHRASE: &[u8] = b"known-answers-TEST-ONLY";
/// What every signature of the corpus is of.
const SIGNED: &[u8] = b"message";
const FIELD: &[u8] = b"6222021234567890123";

/// A pair of the keys that the self-test uses.
struct Pair {
    certificate: Certificate,
    private: PrivateKey,
    openssl: PKey<Private>,
}

impl Pair {
    fn new(certificate: &[u8], key: &[u8]) -> Self {
        let passphrase = Passphrase::new(PASSPHRASE.to_vec());
        Self {
            certificate: Certificate::from_pem(certificate).unwrap(),
            private: PrivateKey::from_pkcs8_pem(key, &passphrase).unwrap(),
            openssl: PKey::private_key_from_pem_passphrase(key, PASSPHRASE).unwrap(),
        }
    }
}

static SM: LazyLock<Pair> = LazyLock::new(|| {
    Pair::new(
        include_bytes!("../../known-answers/TEST-ONLY-sm.cert.pem"),
        include_bytes!("../../known-answers/TEST-ONLY-sm.key.pem"),
    )
});

static RSA: LazyLock<Pair> = LazyLock::new(|| {
    Pair::new(
        include_bytes!("../../known-answers/TEST-ONLY-rsa.cert.pem"),
        include_bytes!("../../known-answers/TEST-ONLY-rsa.key.pem"),
    )
});

/// What a target does with its bytes.
pub type Body = fn(&[u8]);

/// By the names of the targets.
pub const ALL: [(&str, Body); 10] = [
    ("signature", signature),
    ("envelope", envelope),
    ("rsa_envelope", rsa_envelope),
    ("certificate_pem", certificate_pem),
    ("certificate_der", certificate_der),
    ("private_key", private_key),
    ("field_key", field_key),
    ("token_key", token_key),
    ("differential", differential),
    ("batch", batch),
];

/// A signature of either suite, of `SIGNED`.
pub fn signature(bytes: &[u8]) {
    for pair in [&*SM, &*RSA] {
        let singly = pair.certificate.verify(SIGNED, bytes);
        let item = Verification {
            certificate: &pair.certificate,
            signed: SIGNED,
            signature: bytes,
        };
        assert_eq!(verify_all(&[item, item]), [singly, singly]);
    }
    if bytes.len() != 64 {
        let ours = SM.certificate.verify(SIGNED, bytes).is_ok();
        assert_eq!(ours, openssl_sm2::verifies(&SM.openssl, SIGNED, bytes));
    }
}

/// An SM2 envelope. What opens, OpenSSL opens to the same; it reads more forms of a ciphertext than we take.
pub fn envelope(bytes: &[u8]) {
    let opened = SM.private.open_envelope(bytes).ok().map(|key| key.encrypt(FIELD));
    let in_batch = SM.private.open_envelopes(&[bytes, bytes]);
    for again in in_batch {
        assert_eq!(again.ok().map(|key| key.encrypt(FIELD)), opened);
    }
    let (Some(opened), Some(0x30)) = (opened, bytes.first()) else {
        return;
    };
    let plaintext = openssl_sm2::decrypt(&SM.openssl, bytes).unwrap();
    let key = plaintext.strip_prefix(b"02|").unwrap();
    assert_eq!(FieldKey::from_bytes(Suite::Sm, key).unwrap().encrypt(FIELD), opened);
}

/// The block inside an RSA envelope, padding and all: a key comes out whatever it holds, and is the one inside only
/// where the structure is right.
pub fn rsa_envelope(bytes: &[u8]) {
    let _ = RSA.private.open_envelope(bytes).and_then(|key| key.decrypt(bytes));
    let rsa = RSA.openssl.rsa().unwrap();
    let len = usize::try_from(rsa.size()).unwrap();
    // below the modulus, and as long as it
    let mut padded = vec![0; len];
    for (to, from) in padded.iter_mut().skip(1).zip(bytes) {
        *to = *from;
    }
    let mut sealed = vec![0; len];
    rsa.public_encrypt(&padded, &mut sealed, Padding::NONE).unwrap();
    let opened = RSA.private.open_envelope(&sealed).unwrap();
    let key = padded.split_off(len - 32);
    let field = FieldKey::from_bytes(Suite::Rsa, &key).unwrap().encrypt(FIELD);
    let filling = &padded[2..padded.len() - 4];
    let right = padded[1] == 2 && filling.iter().all(|byte| *byte != 0) && padded.ends_with(b"\x0001|");
    let plaintext = opened.decrypt(&field);
    assert_eq!(plaintext.is_ok_and(|plaintext| plaintext.expose() == FIELD), right);
}

/// A certificate's file.
pub fn certificate_pem(bytes: &[u8]) {
    let Ok(certificate) = Certificate::from_pem(bytes) else {
        return;
    };
    let serial = certificate.serial();
    assert!((1..=40).contains(&serial.len()) && !serial.starts_with('0'), "{serial}");
    assert!(
        serial.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F')),
        "{serial}"
    );
    let _ = certificate.is_current(0);
    let verdicts = [&[][..], &[0; 64], &[1; 64], &[1; 256]].map(|signature| certificate.verify(SIGNED, signature));
    assert!(verdicts.iter().all(Result::is_err));
    let key = FieldKey::from_bytes(certificate.suite(), &vec![7; certificate.suite().field_key_bytes()]).unwrap();
    let _ = certificate.seal_envelope(&key);
    for pair in [&*SM, &*RSA] {
        let _ = pair.private.matches(&certificate);
    }
}

/// The DER inside a certificate's file.
pub fn certificate_der(bytes: &[u8]) {
    certificate_pem(&pem("CERTIFICATE", bytes));
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let text = encode_block(der);
    let lines = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap());
    let lines = lines.collect::<Vec<_>>().join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n").into_bytes()
}

/// The PKCS#8 structure inside an encrypted file. The file around it is not fuzzed: it names the number of rounds that
/// make a key of the passphrase, and a change of one bit there makes the file take hours.
pub fn private_key(bytes: &[u8]) {
    let file = encrypted(bytes);
    let Ok(key) = PrivateKey::from_pkcs8_pem(&file, &Passphrase::new(PASSPHRASE.to_vec())) else {
        return;
    };
    // a key that contradicts itself may fail to sign, and must not panic
    let _ = key.sign(SIGNED);
    for pair in [&*SM, &*RSA] {
        let _ = key.matches(&pair.certificate);
    }
    let _ = key.open_envelope(bytes).and_then(|key| key.decrypt(bytes));
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x84], len.as_slice(), content].concat()
}

/// A key's file around any bytes, under `PASSPHRASE`: PBES2 of one round of PBKDF2 with HMAC-SHA-1, and AES-256-CBC.
pub fn encrypted(inside: &[u8]) -> Vec<u8> {
    const PBES2: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 5, 13];
    const PBKDF2: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 5, 12];
    const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42];
    const SALT: &[u8] = b"saltsalt";
    const IV: &[u8] = b"0123456789abcdef";
    let mut key = [0; 32];
    pbkdf2_hmac(PASSPHRASE, SALT, 1, openssl::hash::MessageDigest::sha1(), &mut key).unwrap();
    let sealed = encrypt(Cipher::aes_256_cbc(), &key, Some(IV), inside).unwrap();
    let sequence = |parts: &[Vec<u8>]| element(0x30, &parts.concat());
    let rounds = sequence(&[element(0x04, SALT), element(0x02, &[1])]);
    let derivation = sequence(&[element(0x06, PBKDF2), rounds]);
    let scheme = sequence(&[element(0x06, AES_256_CBC), element(0x04, IV)]);
    let algorithm = sequence(&[element(0x06, PBES2), sequence(&[derivation, scheme])]);
    let der = sequence(&[algorithm, element(0x04, &sealed)]);
    pem("ENCRYPTED PRIVATE KEY", &der)
}

/// An encrypted field of either suite: what opens is what OpenSSL opens. And any bytes as a plaintext come back.
pub fn field_key(bytes: &[u8]) {
    for (suite, cipher) in [(Suite::Rsa, Cipher::aes_256_ecb()), (Suite::Sm, Cipher::sm4_ecb())] {
        let inside = vec![0x42; suite.field_key_bytes()];
        let key = FieldKey::from_bytes(suite, &inside).unwrap();
        let ours = key.decrypt(bytes).ok().map(|plaintext| plaintext.expose().to_vec());
        assert_eq!(ours, decrypt(cipher, &inside, None, bytes).ok());
        let sealed = key.encrypt(bytes);
        assert_eq!(sealed, encrypt(cipher, &inside, None, bytes).unwrap());
        assert_eq!(key.decrypt(&sealed).unwrap().expose(), bytes);
        let made = FieldKey::from_bytes(suite, bytes).is_some();
        assert_eq!(made, bytes.len() == suite.field_key_bytes());
    }
}

/// A token key's text.
pub fn token_key(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let right = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    assert_eq!(TokenKey::from_hex(text).is_some(), right);
}

/// The first byte tells where the message ends and the signature, in DER, begins; ours and OpenSSL's verdict on any two
/// must be one.
pub fn differential(bytes: &[u8]) {
    let Some((at, rest)) = bytes.split_first() else { return };
    let (signed, signature) = rest.split_at(usize::from(*at).min(rest.len()));
    // raw, which OpenSSL does not read
    if signature.len() == 64 {
        return;
    }
    let ours = SM.certificate.verify(signed, signature).is_ok();
    assert_eq!(ours, openssl_sm2::verifies(&SM.openssl, signed, signature));
}

/// Many signatures at once: every two bytes take a good one, of either suite and form, and change a bit of it, or none.
/// The batch must give what each gives alone.
pub fn batch(bytes: &[u8]) {
    static MADE: LazyLock<[(&'static Pair, Vec<u8>); 3]> = LazyLock::new(|| {
        let sm = SM.private.sign(SIGNED).unwrap();
        let raw = raw(&sm);
        [(&SM, sm), (&SM, raw), (&RSA, RSA.private.sign(SIGNED).unwrap())]
    });
    let (steps, _) = bytes.as_chunks::<2>();
    let changed = steps.iter().take(80).map(|[which, place]| {
        // RSA, which has no lanes, seldom
        let made = match which & 0x0F {
            0..=6 => 0,
            7..=13 => 1,
            _ => 2,
        };
        let (pair, mut signature) = MADE[made].clone();
        let bit = which >> 4;
        if let Some(byte) = signature.get_mut(usize::from(*place)).filter(|_| bit < 8) {
            *byte ^= 1 << bit;
        }
        (pair, signature)
    });
    let changed: Vec<(&Pair, Vec<u8>)> = changed.collect();
    let items: Vec<Verification<'_>> = changed
        .iter()
        .map(|(pair, signature)| Verification {
            certificate: &pair.certificate,
            signed: SIGNED,
            signature,
        })
        .collect();
    let singly: Vec<_> = items
        .iter()
        .map(|item| item.certificate.verify(item.signed, item.signature))
        .collect();
    assert_eq!(verify_all(&items), singly);
}

/// r ‖ s of a signature in DER.
fn raw(der: &[u8]) -> Vec<u8> {
    let r_bytes = usize::from(der[3]);
    let word = |bytes: &[u8]| {
        openssl::bn::BigNum::from_slice(bytes)
            .unwrap()
            .to_vec_padded(32)
            .unwrap()
    };
    [word(&der[4..4 + r_bytes]), word(&der[6 + r_bytes..])].concat()
}
