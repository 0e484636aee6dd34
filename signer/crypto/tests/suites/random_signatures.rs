//! Signatures at random, by every implementation, as made and changed, in batches of every size and mixture: our
//! verdicts must be those of the oracles, and what we sign must hold for them.

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use signer_crypto::{Verification, verify_all};

use crate::forms::{contents, integer, minus, order, plus, sequence, word};
use crate::oracles::{Key, Maker};

/// What was compared, so that a run shows that it saw both outcomes.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) taken: u64,
    pub(crate) refused: u64,
    pub(crate) made: u64,
}

impl Tally {
    pub(crate) fn cases(&self) -> u64 {
        self.taken + self.refused + self.made
    }
}

/// Keys from `chance`, with the least and the greatest that can sign.
pub(crate) fn keys(chance: &mut ChaCha8Rng) -> Vec<Key> {
    let greatest = minus(&order(), &[2]);
    let edges = [word(&[1]), word(&[2]), greatest].map(|scalar| scalar.try_into().unwrap());
    let random = std::iter::repeat_with(|| {
        let mut scalar = chance.random::<[u8; 32]>();
        // below n
        scalar[0] &= 0x7F;
        scalar
    });
    edges
        .into_iter()
        .chain(random.take(13))
        .map(|scalar| Key::new(&scalar))
        .collect()
}

/// Compares until `cases` cases are through. Panics at a difference.
pub(crate) fn compare(cases: u64, seed: u64, report: &mut dyn FnMut(Tally)) -> Tally {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let keys = keys(&mut chance);
    let mut tally = Tally::default();
    while tally.cases() < cases {
        let size = batch_size(&mut chance);
        if chance.random_ratio(1, 4) {
            check_signing(&keys, size, &mut chance, &mut tally);
        } else {
            check_verifying(&keys, size, &mut chance, &mut tally);
        }
        report(tally);
    }
    tally
}

/// Small batches, batches around multiples of the lanes, and large ones.
pub(crate) fn batch_size(chance: &mut ChaCha8Rng) -> usize {
    match chance.random_range(0..4) {
        0 => chance.random_range(1..8),
        1 => [7, 8, 9, 15, 16, 17].choose(chance).copied().unwrap(),
        2 => chance.random_range(1..40),
        _ => chance.random_range(40..80),
    }
}

struct Item<'k> {
    key: &'k Key,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

fn check_verifying(keys: &[Key], size: usize, chance: &mut ChaCha8Rng, tally: &mut Tally) {
    // from one key to all of them
    let keys = &keys[..chance.random_range(1..=keys.len())];
    let items: Vec<Item<'_>> = (0..size).map(|_| item(keys, chance)).collect();
    let asked: Vec<Verification<'_>> = items
        .iter()
        .map(|item| Verification {
            certificate: &item.key.pair.certificate,
            signed: &item.signed,
            signature: &item.signature,
        })
        .collect();
    let verdicts = verify_all(&asked);
    assert_eq!(verdicts.len(), size);
    for (at, (item, verdict)) in items.iter().zip(&verdicts).enumerate() {
        let expected = item.key.verifies(&item.signed, &item.signature);
        let singly = item.key.pair.certificate.verify(&item.signed, &item.signature);
        let shown = || {
            let (signed, signature) = (hex::encode(&item.signed), hex::encode(&item.signature));
            format!("at {at} of {size}, signed {signed}, signature {signature}")
        };
        assert_eq!(singly.is_ok(), expected, "singly, {}", shown());
        assert_eq!(verdict.is_ok(), expected, "in a batch, {}", shown());
        if expected {
            tally.taken += 1;
        } else {
            tally.refused += 1;
        }
    }
}

fn check_signing(keys: &[Key], size: usize, chance: &mut ChaCha8Rng, tally: &mut Tally) {
    let key = keys.choose(chance).unwrap();
    let messages: Vec<Vec<u8>> = (0..size).map(|_| message(chance)).collect();
    let asked: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let made = key.pair.private.sign_all(&asked);
    assert_eq!(made.len(), size);
    for (at, (signed, signature)) in asked.iter().zip(made).enumerate() {
        let signature = signature.unwrap();
        let shown = || {
            format!(
                "at {at} of {size}, signed {}, {}",
                hex::encode(signed),
                hex::encode(&signature)
            )
        };
        assert!(key.verifies(signed, &signature), "{}", shown());
        assert_eq!(key.pair.certificate.verify(signed, &signature), Ok(()), "{}", shown());
        if chance.random_ratio(1, 50) {
            assert!(key.sm_crypto_verifies(signed, &signature), "sm-crypto, {}", shown());
        }
        tally.made += 1;
    }
}

fn message(chance: &mut ChaCha8Rng) -> Vec<u8> {
    // around the edges of the hash's blocks, where padding goes wrong
    let len = match chance.random_range(0..3) {
        0 => chance.random_range(0..3usize) * 64 + chance.random_range(0..64usize),
        1 => 64 * chance.random_range(0..6usize) + chance.random_range(22..26usize),
        _ => chance.random_range(0..1500),
    };
    let mut message = vec![0; len];
    chance.fill_bytes(&mut message);
    message
}

fn item<'k>(keys: &'k [Key], chance: &mut ChaCha8Rng) -> Item<'k> {
    let maker = match chance.random_range(0..50) {
        0..30 => Maker::Ours,
        30..44 => Maker::RustCrypto,
        44..49 => Maker::OpenSsl,
        _ => Maker::SmCrypto,
    };
    let key = keys.choose(chance).unwrap();
    let signed = message(chance);
    let der = key.sign(maker, &signed);
    let signature = if chance.random() { der } else { raw(&der) };
    let mut item = Item { key, signed, signature };
    if chance.random() {
        change(&mut item, keys, chance);
    }
    item
}

fn raw(der: &[u8]) -> Vec<u8> {
    contents(der).iter().flat_map(|content| word(content)).collect()
}

/// Changes something, so that the signature probably does not hold any more.
fn change<'k>(item: &mut Item<'k>, keys: &'k [Key], chance: &mut ChaCha8Rng) {
    match chance.random_range(0..8) {
        0 => item.key = keys.choose(chance).unwrap(),
        1 => change_bit(&mut item.signed, chance),
        2 | 3 => change_bit(&mut item.signature, chance),
        4 => {
            let at = chance.random_range(0..item.signature.len());
            item.signature[at] = chance.random();
        }
        5 => item.signature.truncate(chance.random_range(0..item.signature.len())),
        6 => item.signature.push(chance.random()),
        _ => change_numbers(item, chance),
    }
}

pub(crate) fn change_bit(bytes: &mut [u8], chance: &mut ChaCha8Rng) {
    if !bytes.is_empty() {
        bytes[chance.random_range(0..bytes.len())] ^= 1 << chance.random_range(0..8);
    }
}

/// Puts related or special numbers in place of r and s.
fn change_numbers(item: &mut Item<'_>, chance: &mut ChaCha8Rng) {
    let raw = if item.signature.len() == 64 {
        item.signature.clone()
    } else {
        raw(&item.signature)
    };
    let (r, s) = raw.split_at(32);
    let (zero, one) = (vec![0; 32], word(&[1]));
    let numbers = [
        r.to_vec(),
        s.to_vec(),
        minus(&order(), r),
        minus(&order(), s),
        plus(r, &order()),
        plus(s, &order()),
        order(),
        minus(&order(), &one),
        zero,
        one,
        vec![0xFF; 32],
    ];
    let (r, s) = (numbers.choose(chance).unwrap(), numbers.choose(chance).unwrap());
    item.signature = if r.len() == 32 && s.len() == 32 && chance.random() {
        [r.as_slice(), s].concat()
    } else {
        sequence(&[integer(r), integer(s)])
    };
}

#[test]
fn signatures_at_random() {
    let seed = crate::made::seed();
    let tally = compare(14_000, seed, &mut |_| {});
    assert!(
        tally.taken > 4000 && tally.refused > 4000 && tally.made > 1000,
        "seed {seed}: {tally:?}"
    );
}
