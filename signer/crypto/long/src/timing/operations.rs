//! The operations that touch a secret, each with its two classes of input.
//!
//! Objects of both classes come from pools of the same size, so that the class does not show in the caches.

use std::hint::black_box;
use std::rc::Rc;

use openssl::rsa::Padding;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use signer_crypto::inside::{PrivateKey, TableSize};
use signer_crypto::{FieldKey, FieldKind, Suite, TokenKey};

use crate::made::pair;
use crate::statistics::Class;

/// Work on a prepared input; what it returns is dropped outside the timed part.
type Work = Box<dyn FnOnce() -> Box<dyn std::any::Any>>;

pub(super) struct Operation {
    pub(super) name: &'static str,
    /// A control, whose difference has to be found.
    pub(super) leaks: bool,
    pub(super) prepare: Box<dyn FnMut(Class, &mut ChaCha8Rng) -> Work>,
}

/// Objects of a class.
const POOL: usize = 32;
/// Items of a batch: as many as there are lanes.
const BATCH: usize = 8;
const PLAINTEXT_BYTES: usize = 19;
const FIELD: &[u8] = b"6222021234567890123";

fn operation<W, R>(name: &'static str, mut prepare: impl FnMut(Class, &mut ChaCha8Rng) -> W + 'static) -> Operation
where
    W: FnOnce() -> R + 'static,
    R: 'static,
{
    let prepare = move |class, chance: &mut ChaCha8Rng| {
        let work = prepare(class, chance);
        Box::new(move || Box::new(work()) as Box<dyn std::any::Any>) as Work
    };
    Operation {
        name,
        leaks: false,
        prepare: Box::new(prepare),
    }
}

pub(super) fn all() -> Vec<Operation> {
    let mut all = controls();
    all.extend(signing());
    all.extend(decrypting());
    all.extend(rsa_envelopes());
    all.extend(fields_and_tokens());
    all
}

/// A comparison that ends at the first difference, and a branch on a bit.
fn controls() -> Vec<Operation> {
    let early = operation(
        "CONTROL comparison that ends early: first | last byte",
        |class, chance| {
            let secret: [u8; 64] = chance.random();
            let mut guess = secret;
            guess[if class == Class::Fixed { 0 } else { 63 }] ^= 1;
            move || {
                let same = |a: &[u8; 64], b: &[u8; 64]| a.iter().zip(b).all(|(a, b)| black_box(a) == black_box(b));
                (0..16).filter(|_| same(black_box(&secret), black_box(&guess))).count()
            }
        },
    );
    let branch = operation(
        "CONTROL double and add: scalar with 8 | 32 ones of 64",
        |class, chance| {
            let scalar: u64 = if class == Class::Fixed {
                0x0101_0101_0101_0101
            } else {
                chance.random()
            };
            move || {
                let mut sum = 1u64;
                for bit in 0..64 {
                    sum = black_box(sum.wrapping_mul(sum));
                    if black_box(scalar) >> bit & 1 == 1 {
                        sum = black_box(sum.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(7) % 0xFFFF_FFFB);
                    }
                }
                sum
            }
        },
    );
    [early, branch]
        .map(|control| Operation { leaks: true, ..control })
        .into()
}

/// Keys of one scalar with few ones, and keys of scalars at random.
fn pools(chance: &mut ChaCha8Rng) -> [Vec<Rc<PrivateKey>>; 2] {
    let mut few = [0; 32];
    few[31] = 2;
    let fixed = (0..POOL).map(|_| Rc::new(PrivateKey::from_bytes(&few).unwrap()));
    let varied = (0..POOL).map(|_| {
        let mut scalar: [u8; 32] = chance.random();
        scalar[0] &= 0x7F;
        Rc::new(PrivateKey::from_bytes(&scalar).unwrap())
    });
    [fixed.collect(), varied.collect()]
}

fn of(class: Class, pools: &[Vec<Rc<PrivateKey>>; 2], chance: &mut ChaCha8Rng) -> Rc<PrivateKey> {
    let [fixed, varied] = pools;
    let pool = if class == Class::Fixed { fixed } else { varied };
    Rc::clone(pool.choose(chance).unwrap())
}

fn chance() -> ChaCha8Rng {
    rand::make_rng()
}

fn signing() -> Vec<Operation> {
    let keys = Rc::new(pools(&mut chance()));
    let own = Rc::clone(&keys);
    let single_key = operation("SM2 sign, scalar path: small key | any key", move |class, chance| {
        let (key, e): (_, [u8; 32]) = (of(class, &own, chance), chance.random());
        move || key.sign_digest(&e)
    });
    let own = Rc::clone(&keys);
    let single_digest = operation("SM2 sign, scalar path: digest 0 | any digest", move |class, chance| {
        let key = of(Class::Varied, &own, chance);
        let any: [u8; 32] = chance.random();
        let e = if class == Class::Fixed { [0; 32] } else { any };
        move || key.sign_digest(&e)
    });
    let own = Rc::clone(&keys);
    let batch_key = operation("SM2 sign, batch of 8: small key | any key", move |class, chance| {
        let (key, e): (_, [[u8; 32]; BATCH]) = (of(class, &own, chance), chance.random());
        move || key.sign_digests(&e)
    });
    let batch_digest = operation("SM2 sign, batch of 8: digests 0 | any digests", move |class, chance| {
        let key = of(Class::Varied, &keys, chance);
        let any: [[u8; 32]; BATCH] = chance.random();
        let e = if class == Class::Fixed { [[0; 32]; BATCH] } else { any };
        move || key.sign_digests(&e)
    });
    vec![single_key, single_digest, batch_key, batch_digest]
}

/// A ciphertext for `key`, of a plaintext at random.
fn ciphertext(key: &PrivateKey, chance: &mut ChaCha8Rng) -> Vec<u8> {
    let plaintext: [u8; PLAINTEXT_BYTES] = chance.random();
    key.public(TableSize::Small).encrypt(&plaintext)
}

fn decrypting() -> Vec<Operation> {
    let mut start = chance();
    let keys = Rc::new(pools(&mut start));
    let own: PrivateKey = PrivateKey::from_bytes(&[0x42; 32]).unwrap();
    let own = Rc::new(own);
    let made: Rc<Vec<Vec<u8>>> = Rc::new((0..POOL).map(|_| ciphertext(&own, &mut start)).collect());
    // Neither opens: that one opens is told to everybody anyway, and takes a place for the plaintext.
    let tampered = |mut ciphertext: Vec<u8>, class| {
        let in_text = ciphertext.len() - 1;
        // the text's 19 bytes and their head come after the hash
        let in_hash = ciphertext.len() - PLAINTEXT_BYTES - 2 - 16;
        ciphertext[if class == Class::Fixed { in_text } else { in_hash }] ^= 1;
        ciphertext
    };
    let ciphertexts = Rc::clone(&made);
    let single_key = operation("SM2 decrypt, scalar path: small key | any key", {
        let keys = Rc::clone(&keys);
        move |class, chance| {
            let (key, ciphertext) = (of(class, &keys, chance), ciphertexts.choose(chance).unwrap().clone());
            move || key.decrypt(&ciphertext, PLAINTEXT_BYTES)
        }
    });
    let ciphertexts = Rc::clone(&made);
    let key = Rc::clone(&own);
    let single_point = operation(
        "SM2 decrypt, scalar path: one point | any point",
        move |class, chance| {
            let (any, key) = (ciphertexts.choose(chance).unwrap().clone(), Rc::clone(&key));
            let ciphertext = if class == Class::Fixed {
                ciphertexts[0].clone()
            } else {
                any
            };
            move || key.decrypt(&ciphertext, PLAINTEXT_BYTES)
        },
    );
    let ciphertexts = Rc::clone(&made);
    let key = Rc::clone(&own);
    let single_hash = operation("SM2 decrypt, scalar path: C2 wrong | C3 wrong", move |class, chance| {
        let (ciphertext, key) = (ciphertexts.choose(chance).unwrap().clone(), Rc::clone(&key));
        let ciphertext = tampered(ciphertext, class);
        move || key.decrypt(&ciphertext, PLAINTEXT_BYTES)
    });
    let ciphertexts = Rc::clone(&made);
    let batch_key = operation("SM2 decrypt, batch of 8: small key | any key", move |class, chance| {
        let key = of(class, &keys, chance);
        let batch: Vec<Vec<u8>> = (0..BATCH)
            .map(|_| ciphertexts.choose(chance).unwrap().clone())
            .collect();
        move || {
            let asked: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
            key.decrypt_all(&asked, PLAINTEXT_BYTES)
        }
    });
    let batch_hash = operation("SM2 decrypt, batch of 8: C2 wrong | C3 wrong", move |class, chance| {
        let key = Rc::clone(&own);
        let pick = |_| tampered(made.choose(chance).unwrap().clone(), class);
        let batch: Vec<Vec<u8>> = (0..BATCH).map(pick).collect();
        move || {
            let asked: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
            key.decrypt_all(&asked, PLAINTEXT_BYTES)
        }
    });
    vec![single_key, single_point, single_hash, batch_key, batch_hash]
}

/// Bytes of the modulus, and the place of the byte 00 before the contents.
const MODULUS_BYTES: usize = 256;
const SEPARATOR: usize = MODULUS_BYTES - 36;

/// A padded block with another key at random inside, spoilt at a place or not.
fn rsa_envelope(spoilt: Option<(usize, u8)>, chance: &mut ChaCha8Rng) -> Vec<u8> {
    let mut padded: Vec<u8> = (0..MODULUS_BYTES).map(|_| chance.random_range(1..=255)).collect();
    padded[..2].copy_from_slice(&[0, 2]);
    padded[SEPARATOR..SEPARATOR + 4].copy_from_slice(b"\x0001|");
    chance.fill_bytes(&mut padded[SEPARATOR + 4..]);
    if let Some((place, value)) = spoilt {
        padded[place] = value;
    }
    let mut sealed = vec![0; MODULUS_BYTES];
    let rsa = pair(Suite::Rsa).openssl.rsa().unwrap();
    rsa.public_encrypt(&padded, &mut sealed, Padding::NONE).unwrap();
    sealed
}

/// Envelopes as a padding oracle would be asked: nothing opens, whether the padding is right or wrong.
fn rsa_envelopes() -> Vec<Operation> {
    let spoilt = [
        ("RSA envelope and field: padding right | block type 1", (1, 1)),
        ("RSA envelope and field: padding right | zero in filling", (9, 0)),
        (
            "RSA envelope and field: padding right | no zero at the end",
            (SEPARATOR, 7),
        ),
        (
            "RSA envelope and field: padding right | other prefix",
            (SEPARATOR + 2, b'2'),
        ),
        ("RSA envelope and field: padding right | first byte 1", (0, 1)),
    ];
    let of_another_key = FieldKey::from_bytes(Suite::Rsa, &[0x17; 32]).unwrap().encrypt(FIELD);
    let operations = spoilt.map(|(name, place)| {
        // made beforehand, as one takes longer than the operation itself
        let mut start = chance();
        let [fixed, varied]: [Vec<Vec<u8>>; 2] =
            [None, Some(place)].map(|spoilt| (0..16 * POOL).map(|_| rsa_envelope(spoilt, &mut start)).collect());
        let field = of_another_key.clone();
        operation(name, move |class, chance| {
            let pool = if class == Class::Fixed { &fixed } else { &varied };
            let (sealed, field) = (pool.choose(chance).unwrap().clone(), field.clone());
            move || {
                pair(Suite::Rsa)
                    .private
                    .open_envelope(&sealed)
                    .and_then(|key| key.decrypt(&field))
                    .is_err()
            }
        })
    });
    operations.into()
}

fn fields_and_tokens() -> Vec<Operation> {
    let mut all = Vec::new();
    for (suite, padding, contents) in [
        (
            Suite::Rsa,
            "AES field: padding of 0 | of 5 that breaks early",
            "AES field: one text | any text",
        ),
        (
            Suite::Sm,
            "SM4 field: padding of 0 | of 5 that breaks early",
            "SM4 field: one text | any text",
        ),
    ] {
        let inside = vec![0x42; suite.field_key_bytes()];
        let key = Rc::new(FieldKey::from_bytes(suite, &inside).unwrap());
        let whole_blocks = Rc::clone(&key);
        all.push(operation(padding, move |class, chance| {
            let mut text: [u8; 32] = chance.random();
            if class == Class::Fixed {
                text[31] = 0;
            } else {
                text[27..].copy_from_slice(&[4, 5, 5, 5, 5]);
            }
            // the block of padding that comes with it is cut off again
            let mut sealed = whole_blocks.encrypt(&text);
            sealed.truncate(32);
            let key = Rc::clone(&whole_blocks);
            move || key.decrypt(&sealed).is_err()
        }));
        all.push(operation(contents, move |class, chance| {
            let any: [u8; 19] = chance.random();
            let sealed = key.encrypt(if class == Class::Fixed { FIELD } else { &any });
            let key = Rc::clone(&key);
            move || key.decrypt(&sealed)
        }));
    }
    let key = Rc::new(TokenKey::from_hex(&"5a".repeat(TokenKey::BYTES)).unwrap());
    all.push(operation("token: one text | any text", move |class, chance| {
        let any: [u8; 19] = chance.random();
        let text = if class == Class::Fixed {
            FIELD.try_into().unwrap()
        } else {
            any
        };
        let key = Rc::clone(&key);
        move || key.token(FieldKind::AccountNumber, &text)
    }));
    all
}
