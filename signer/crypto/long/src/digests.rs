//! Digests, scalars and raw signatures at random, through the crate's inside: lanes, scalar path and the oracle must
//! agree on verdicts, on what is signed and on what is decrypted, for tables of every size and plaintexts of any length.

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use signer_crypto::inside::{self, PrivateKey, PublicKey, TableSize};
use sm2::SecretKey;
use sm2::dsa::signature::hazmat::PrehashVerifier;
use sm2::elliptic_curve::sec1::ToSec1Point;
use sm2::{dsa, pke};

use crate::forms::{contents, minus, order, plus, word};
use crate::random_signatures::{Tally, batch_size, change_bit};

const USER_ID: &str = "1234567812345678";

struct Key {
    private: PrivateKey,
    /// Small table, large table, no table.
    public: [PublicKey; 3],
    verifying: dsa::VerifyingKey,
    decrypting: pke::DecryptingKey,
    encrypting: pke::EncryptingKey,
}

impl Key {
    fn new(scalar: &[u8; 32]) -> Self {
        let secret = SecretKey::from_slice(scalar).unwrap();
        let point = secret.public_key().to_sec1_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        let (x, y) = (x.try_into().unwrap(), y.try_into().unwrap());
        let public = [
            PublicKey::new(x, y, TableSize::Small).unwrap(),
            PublicKey::new(x, y, TableSize::Large).unwrap(),
            PublicKey::untabled(x, y).unwrap(),
        ];
        Self {
            private: PrivateKey::from_bytes(scalar).unwrap(),
            public,
            verifying: dsa::VerifyingKey::new(USER_ID, secret.public_key()).unwrap(),
            encrypting: pke::EncryptingKey::new_with_mode(secret.public_key(), pke::Mode::C1C3C2),
            decrypting: pke::DecryptingKey::new_with_mode(secret.to_nonzero_scalar(), pke::Mode::C1C3C2),
        }
    }

    fn oracle_verifies(&self, e: &[u8; 32], r_s: &[u8; 64]) -> bool {
        dsa::Signature::from_slice(r_s).is_ok_and(|signature| self.verifying.verify_prehash(e, &signature).is_ok())
    }
}

/// Compares until `cases` cases are through. Panics at a difference.
pub(crate) fn compare(cases: u64, seed: u64, report: &mut dyn FnMut(Tally)) -> Tally {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let edges = [word(&[1]), word(&[2]), minus(&order(), &[2])].map(|scalar| scalar.try_into().unwrap());
    let random = std::iter::repeat_with(|| number(&mut chance)).filter(|scalar| below_last(scalar));
    let keys: Vec<Key> = edges
        .into_iter()
        .chain(random.take(5))
        .map(|scalar| Key::new(&scalar))
        .collect();
    let mut tally = Tally::default();
    while tally.cases() < cases {
        let size = batch_size(&mut chance);
        match chance.random_range(0..4) {
            0 | 1 => check_verdicts(&keys, size, &mut chance, &mut tally),
            2 => check_signing(keys.choose(&mut chance).unwrap(), size, &mut chance, &mut tally),
            _ => check_decrypting(keys.choose(&mut chance).unwrap(), size, &mut chance, &mut tally),
        }
        report(tally);
    }
    tally
}

/// Not zero and below n − 1.
fn below_last(scalar: &[u8; 32]) -> bool {
    *scalar != [0; 32] && scalar.as_slice() < minus(&order(), &[1]).as_slice()
}

/// A number of 256 bits, one of four with long runs of zeros or ones.
fn number(chance: &mut ChaCha8Rng) -> [u8; 32] {
    let mut number: [u8; 32] = chance.random();
    if chance.random_ratio(1, 4) {
        let (from, to) = (chance.random_range(0..32), chance.random_range(0..=32));
        let filling = if chance.random() { 0 } else { 0xFF };
        number[from.min(to)..from.max(to)].fill(filling);
    }
    number
}

fn check_verdicts(keys: &[Key], size: usize, chance: &mut ChaCha8Rng, tally: &mut Tally) {
    let made: Vec<(&Key, &PublicKey, [u8; 32], [u8; 64])> = (0..size)
        .map(|_| {
            let key = keys.choose(chance).unwrap();
            let (e, r_s) = signed(key, chance);
            (key, key.public.choose(chance).unwrap(), e, r_s)
        })
        .collect();
    let asked: Vec<_> = made.iter().map(|(_, public, e, r_s)| (*public, e, r_s)).collect();
    let (lanes, portable) = (inside::verify_digests(&asked), inside::verify_digests_portable(&asked));
    for (at, (key, public, e, r_s)) in made.iter().enumerate() {
        let expected = key.oracle_verifies(e, r_s);
        let shown = || format!("at {at} of {size}, e {}, r_s {}", hex::encode(e), hex::encode(r_s));
        assert_eq!(lanes[at], expected, "batch, {}", shown());
        assert_eq!(portable[at], expected, "scalar path, {}", shown());
        assert_eq!(public.verify_digest(e, r_s), expected, "singly, {}", shown());
        if expected {
            tally.taken += 1;
        } else {
            tally.refused += 1;
        }
    }
}

/// A digest and a signature of it, changed in half of all cases.
fn signed(key: &Key, chance: &mut ChaCha8Rng) -> ([u8; 32], [u8; 64]) {
    let mut e = number(chance);
    let mut r_s = key.private.sign_digest(&e);
    match chance.random_range(0..8) {
        0 => change_bit(&mut e, chance),
        1 => change_bit(&mut r_s, chance),
        2 => r_s.rotate_left(32),
        3 => {
            let numbers = [
                word(&[]),
                word(&[1]),
                order(),
                minus(&order(), &[1]),
                minus(&order(), &r_s[..32]),
            ];
            let at = 32 * chance.random_range(0..2);
            r_s[at..at + 32].copy_from_slice(numbers.choose(chance).unwrap());
        }
        _ => {
            // a digest plus n is the same digest
            let lifted = plus(&e, &order());
            if let Ok(lifted) = <[u8; 32]>::try_from(lifted.as_slice()) {
                e = lifted;
            }
        }
    }
    (e, r_s)
}

fn check_signing(key: &Key, size: usize, chance: &mut ChaCha8Rng, tally: &mut Tally) {
    let digests: Vec<[u8; 32]> = (0..size).map(|_| number(chance)).collect();
    let paths = [
        key.private.sign_digests(&digests),
        key.private.sign_digests_portable(&digests),
    ];
    for made in paths {
        assert_eq!(made.len(), size);
        for (e, r_s) in digests.iter().zip(&made) {
            assert!(
                key.oracle_verifies(e, r_s),
                "e {}, r_s {}",
                hex::encode(e),
                hex::encode(r_s)
            );
            tally.made += 1;
        }
    }
}

fn check_decrypting(key: &Key, size: usize, chance: &mut ChaCha8Rng, tally: &mut Tally) {
    let len = [1, 16, 19, 31, 32, 33, 64, 97, 200].choose(chance).copied().unwrap();
    let made: Vec<(Vec<u8>, Option<Vec<u8>>)> = (0..size).map(|_| ciphertext(key, len, chance)).collect();
    let asked: Vec<&[u8]> = made.iter().map(|(ciphertext, _)| ciphertext.as_slice()).collect();
    let (lanes, portable) = (
        key.private.decrypt_all(&asked, len),
        key.private.decrypt_portable(&asked, len),
    );
    for (at, (ciphertext, expected)) in made.iter().enumerate() {
        let shown = hex::encode(ciphertext);
        assert_eq!(lanes[at], *expected, "batch, at {at} of {size}, {shown}");
        assert_eq!(portable[at], *expected, "scalar path, {shown}");
        assert_eq!(key.private.decrypt(ciphertext, len), *expected, "singly, {shown}");
        if expected.is_some() {
            tally.taken += 1;
        } else {
            tally.refused += 1;
        }
    }
}

/// A ciphertext of `len` bytes and what the oracle makes of it. One of four begins with zero bytes.
fn ciphertext(key: &Key, len: usize, chance: &mut ChaCha8Rng) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut plaintext = vec![0; len];
    let zeros = if chance.random_ratio(1, 4) {
        chance.random_range(0..=len)
    } else {
        0
    };
    chance.fill_bytes(&mut plaintext[zeros..]);
    let der = if chance.random() {
        key.public.choose(chance).unwrap().encrypt(&plaintext)
    } else {
        key.encrypting.encrypt_der(chance, &plaintext).unwrap()
    };
    let mut bytes = der;
    if chance.random() {
        change_bit(&mut bytes, chance);
    }
    let opened = key
        .decrypting
        .decrypt_der(&bytes)
        .ok()
        .filter(|opened| opened.len() == len);
    if opened.is_some() && len < 100 && chance.random() {
        let [x, y, hash, masked] = contents(&bytes).try_into().unwrap();
        bytes = [word(&x), word(&y), hash, masked].concat();
    }
    (bytes, opened)
}
