//! What is signed, verified, opened and hashed: one key, messages of 1 KiB, and everything that OpenSSL makes of them.

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcGroupRef, EcKey, EcPoint};
use openssl::encrypt::Encrypter;
use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::pkey_ctx::PkeyCtx;

/// As many as the largest batch.
pub(crate) const ITEMS: usize = 64;
pub(crate) const MESSAGE_BYTES: usize = 1024;
pub(crate) const PLAINTEXT_BYTES: usize = 16;
pub(crate) const USER_ID: &str = "1234567812345678";
const WORD_BYTES: usize = 32;

pub(crate) type Word = [u8; WORD_BYTES];

/// A key pair and its items. Lives as long as the process, so that implementations can borrow from it.
pub(crate) struct Scenario {
    pub(crate) openssl: PKey<Private>,
    pub(crate) secret: Word,
    pub(crate) x: Word,
    pub(crate) y: Word,
    pub(crate) signed: Vec<Signed>,
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) digests_of_messages: Vec<Word>,
}

/// How a private key is written.
pub(crate) struct KeyForm {
    /// The algorithm's object identifier, its contents.
    pub(crate) algorithm: &'static [u8],
    /// Whether the curve is named in the key as well.
    pub(crate) curve_inside: bool,
}

/// A message with OpenSSL's signature of it.
pub(crate) struct Signed {
    pub(crate) message: Vec<u8>,
    /// Hash of the identity and message, whose SM3 is the digest.
    pub(crate) with_identity: Vec<u8>,
    pub(crate) digest: Word,
    pub(crate) der: Vec<u8>,
    /// `r‖s`
    pub(crate) raw: [u8; 2 * WORD_BYTES],
}

/// A plaintext with OpenSSL's ciphertext of it.
pub(crate) struct Sealed {
    pub(crate) plaintext: [u8; PLAINTEXT_BYTES],
    pub(crate) der: Vec<u8>,
    /// C1 without the byte 04, C3, C2.
    pub(crate) c1c3c2_bare: Vec<u8>,
    /// C1 with the byte 04, C3, C2.
    pub(crate) c1c3c2: Vec<u8>,
    /// C1 with the byte 04, C2, C3.
    pub(crate) c1c2c3: Vec<u8>,
}

impl Scenario {
    pub(crate) fn generate() -> Result<&'static Self, ErrorStack> {
        let group = EcGroup::from_curve_name(Nid::SM2)?;
        let key = EcKey::generate(&group)?;
        Self::of_secret(word(&key.private_key().to_vec()))
    }

    /// With a given key: for implementations that take none but their own.
    pub(crate) fn of_secret(secret: Word) -> Result<&'static Self, ErrorStack> {
        let group = EcGroup::from_curve_name(Nid::SM2)?;
        let mut context = BigNumContext::new()?;
        let number = BigNum::from_slice(&secret)?;
        let mut point = EcPoint::new(&group)?;
        point.mul_generator2(&group, &number, &mut context)?;
        let key = EcKey::from_private_components(&group, &number, &point)?;
        // Made from components, the key counts as ECDSA on that curve; read back, as SM2.
        let openssl = PKey::private_key_from_pkcs8(&PKey::from_ec_key(key)?.private_key_to_pkcs8()?)?;
        let [x, y] = coordinates(&group, &point)?;
        let identity = identity_hash(&group, [x, y])?;
        let signed: Vec<Signed> = (0..ITEMS)
            .map(|seed| sign(&openssl, &identity, seed))
            .collect::<Result<_, _>>()?;
        let digests_of_messages = signed.iter().map(|item| sm3(&item.message)).collect::<Result<_, _>>()?;
        let sealed = (0..ITEMS).map(|seed| seal(&openssl, seed)).collect::<Result<_, _>>()?;
        Ok(Box::leak(Box::new(Self {
            openssl,
            secret,
            x,
            y,
            signed,
            sealed,
            digests_of_messages,
        })))
    }

    /// `04‖x‖y`
    pub(crate) fn point(&self) -> [u8; 1 + 2 * WORD_BYTES] {
        let mut point = [4; 1 + 2 * WORD_BYTES];
        for (place, byte) in point.iter_mut().skip(1).zip(self.x.iter().chain(&self.y)) {
            *place = *byte;
        }
        point
    }

    /// PKCS#8 in a form that OpenSSL does not write: it calls every key of the curve one of ECDSA.
    pub(crate) fn pkcs8(&self, form: &KeyForm) -> Vec<u8> {
        const CURVE: [u8; 8] = [0x2A, 0x81, 0x1C, 0xCF, 0x55, 0x01, 0x82, 0x2D];
        let curve = element(0x06, &CURVE);
        let point = element(0x03, &[[0].as_slice(), &self.point()].concat());
        let named = if form.curve_inside {
            element(0xA0, &curve)
        } else {
            Vec::new()
        };
        let key = [
            element(0x02, &[1]),
            element(0x04, &self.secret),
            named,
            element(0xA1, &point),
        ];
        let whole = [
            element(0x02, &[0]),
            element(0x30, &[element(0x06, form.algorithm), curve].concat()),
            element(0x04, &element(0x30, &key.concat())),
        ];
        element(0x30, &whole.concat())
    }

    pub(crate) fn verifies(&self, digest: &Word, der: &[u8]) -> bool {
        let verdict = || -> Result<bool, ErrorStack> {
            let mut context = PkeyCtx::new(&self.openssl)?;
            context.verify_init()?;
            context.verify(digest, der)
        };
        verdict().unwrap_or(false)
    }
}

/// Bytes that are no two alike from seed to seed.
fn bytes(len: usize, seed: usize) -> Vec<u8> {
    let place = |place: usize| (place * 167 + seed * 59 + place / 251) % 256;
    (0..len)
        .map(|number| u8::try_from(place(number)).expect("a remainder by 256"))
        .collect()
}

/// Of DER, with fewer than 256 bytes of content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = u8::try_from(content.len()).expect("keys are short");
    let head = if len < 0x80 {
        vec![tag, len]
    } else {
        vec![tag, 0x81, len]
    };
    [head.as_slice(), content].concat()
}

fn sm3(bytes: &[u8]) -> Result<Word, ErrorStack> {
    hash(MessageDigest::sm3(), bytes).map(|digest| word(&digest))
}

/// Left-padded.
pub(crate) fn word(bytes: &[u8]) -> Word {
    let mut word = [0; WORD_BYTES];
    for (place, byte) in word.iter_mut().rev().zip(bytes.iter().rev()) {
        *place = *byte;
    }
    word
}

fn coordinates(group: &EcGroupRef, point: &openssl::ec::EcPointRef) -> Result<[Word; 2], ErrorStack> {
    let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
    point.affine_coordinates(group, &mut x, &mut y, &mut *BigNumContext::new()?)?;
    Ok([word(&x.to_vec()), word(&y.to_vec())])
}

/// Z of GB/T 32918.2 under the usual user id.
fn identity_hash(group: &EcGroupRef, public: [Word; 2]) -> Result<Word, ErrorStack> {
    let (mut p, mut a, mut b) = (BigNum::new()?, BigNum::new()?, BigNum::new()?);
    group.components_gfp(&mut p, &mut a, &mut b, &mut *BigNumContext::new()?)?;
    let curve = [word(&a.to_vec()), word(&b.to_vec())];
    let generator = group.generator_opt().expect("a named curve has one");
    let generator = coordinates(group, generator)?;
    let words = [curve, generator, public].concat().concat();
    sm3(&[&[0x00, 0x80], USER_ID.as_bytes(), &words].concat())
}

fn sign(key: &PKey<Private>, identity: &Word, seed: usize) -> Result<Signed, ErrorStack> {
    let message = bytes(MESSAGE_BYTES, seed);
    let with_identity = [identity.as_slice(), &message].concat();
    let digest = sm3(&with_identity)?;
    let mut context = PkeyCtx::new(key)?;
    context.sign_init()?;
    let mut der = Vec::new();
    context.sign_to_vec(&digest, &mut der)?;
    let signature = openssl::ecdsa::EcdsaSig::from_der(&der)?;
    let mut raw = [0; 2 * WORD_BYTES];
    let (r, s) = raw.split_at_mut(WORD_BYTES);
    r.copy_from_slice(&word(&signature.r().to_vec()));
    s.copy_from_slice(&word(&signature.s().to_vec()));
    Ok(Signed {
        message,
        with_identity,
        digest,
        der,
        raw,
    })
}

fn seal(key: &PKey<Private>, seed: usize) -> Result<Sealed, ErrorStack> {
    // Digits: some lose leading zeros, some read text alone, and that is not what is measured.
    let plaintext: Vec<u8> = bytes(PLAINTEXT_BYTES, seed)
        .iter()
        .map(|byte| b'0' + byte % 10)
        .collect();
    let encrypter = Encrypter::new(key)?;
    let mut der = vec![0; encrypter.encrypt_len(&plaintext)?];
    let written = encrypter.encrypt(&plaintext, &mut der)?;
    der.truncate(written);
    let (point, hash, masked) = parts(&der).expect("OpenSSL writes SEQUENCE { x, y, hash, masked }");
    let tag = [4].as_slice();
    Ok(Sealed {
        plaintext: plaintext.try_into().expect("as many bytes as asked for"),
        c1c3c2_bare: [point.as_slice(), hash, masked].concat(),
        c1c3c2: [tag, &point, hash, masked].concat(),
        c1c2c3: [tag, &point, masked, hash].concat(),
        der,
    })
}

/// Point, hash and masked plaintext of a ciphertext, all of whose lengths are below 128.
fn parts(der: &[u8]) -> Option<(Vec<u8>, &[u8], &[u8])> {
    let mut rest = match der {
        [0x30, len, rest @ ..] if usize::from(*len) == rest.len() => rest,
        _ => return None,
    };
    let mut next = || {
        let [_, len, after @ ..] = rest else { return None };
        let (content, after) = after.split_at_checked(usize::from(*len))?;
        rest = after;
        Some(content)
    };
    let point = [word(next()?), word(next()?)].concat();
    Some((point, next()?, next()?))
}
