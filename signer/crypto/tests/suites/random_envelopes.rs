//! Envelopes at random, by every implementation, in every form, as made and changed, in batches of every size: what we
//! open must be what the oracles open, and what we seal must open for them.

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use signer_crypto::{DoesNotOpen, FieldKey, Sealing, Suite, seal_all};

use crate::forms::{OCTET_STRING, contents, element, integer, sequence, word};
use crate::oracles::{Key, Maker};
use crate::random_signatures::{Tally, batch_size, change_bit, keys};

const FIELD: &[u8] = b"6222021234567890123";
/// Bytes of C1 and C3, and of an envelope's plaintext.
const POINT_BYTES: usize = 64;
const HASH_BYTES: usize = 32;
const PLAINTEXT_BYTES: usize = 19;

/// Compares until `cases` cases are through. Panics at a difference.
pub(crate) fn compare(cases: u64, seed: u64, report: &mut dyn FnMut(Tally)) -> Tally {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let keys = keys(&mut chance);
    let mut tally = Tally::default();
    while tally.cases() < cases {
        let size = batch_size(&mut chance);
        if chance.random_ratio(1, 4) {
            check_sealing(&keys, size, &mut chance, &mut tally);
        } else {
            check_opening(&keys, size, &mut chance, &mut tally);
        }
        report(tally);
    }
    tally
}

fn check_opening(keys: &[Key], size: usize, chance: &mut ChaCha8Rng, tally: &mut Tally) {
    let key = keys.choose(chance).unwrap();
    let envelopes: Vec<Vec<u8>> = (0..size).map(|_| envelope(key, keys, chance)).collect();
    let asked: Vec<&[u8]> = envelopes.iter().map(Vec::as_slice).collect();
    let opened = key.pair.private.open_envelopes(&asked);
    assert_eq!(opened.len(), size);
    for (at, (envelope, opened)) in asked.iter().zip(opened).enumerate() {
        let expected = expected(key, envelope).map(|bytes| of_key(&bytes)).ok_or(DoesNotOpen);
        let singly = key.pair.private.open_envelope(envelope).map(|key| key.encrypt(FIELD));
        let shown = hex::encode(envelope);
        assert_eq!(singly, expected, "singly, {shown}");
        assert_eq!(
            opened.map(|key| key.encrypt(FIELD)),
            expected,
            "at {at} of {size}, {shown}"
        );
        if expected.is_ok() {
            tally.taken += 1;
        } else {
            tally.refused += 1;
        }
    }
}

fn check_sealing(keys: &[Key], size: usize, chance: &mut ChaCha8Rng, tally: &mut Tally) {
    let inside: Vec<[u8; 16]> = (0..size).map(|_| chance.random()).collect();
    let field_keys: Vec<FieldKey> = inside
        .iter()
        .map(|key| FieldKey::from_bytes(Suite::Sm, key).unwrap())
        .collect();
    let receivers: Vec<&Key> = (0..size).map(|_| keys.choose(chance).unwrap()).collect();
    let asked: Vec<Sealing<'_>> = receivers
        .iter()
        .zip(&field_keys)
        .map(|(receiver, field_key)| Sealing {
            certificate: &receiver.pair.certificate,
            field_key,
        })
        .collect();
    let sealed = seal_all(&asked);
    assert_eq!(sealed.len(), size);
    for ((receiver, inside), sealed) in receivers.iter().zip(&inside).zip(sealed) {
        let sealed = sealed.unwrap();
        let plaintext = Some([b"02|", inside.as_slice()].concat());
        let shown = hex::encode(&sealed);
        assert_eq!(receiver.openssl_decrypts(&sealed), plaintext, "OpenSSL, {shown}");
        assert_eq!(receiver.rust_crypto_decrypts(&sealed), plaintext, "RustCrypto, {shown}");
        if chance.random_ratio(1, 50) {
            assert_eq!(
                Some(receiver.sm_crypto_decrypts(&sealed)),
                plaintext,
                "sm-crypto, {shown}"
            );
        }
        tally.made += 1;
    }
}

fn of_key(key: &[u8]) -> Vec<u8> {
    FieldKey::from_bytes(Suite::Sm, key).unwrap().encrypt(FIELD)
}

/// The field key that the oracles find. The length decides the form, as the profile has it.
fn expected(key: &Key, envelope: &[u8]) -> Option<Vec<u8>> {
    let raw_bytes = POINT_BYTES + HASH_BYTES + PLAINTEXT_BYTES;
    let raw = match envelope {
        [4, raw @ ..] | raw if raw.len() == raw_bytes => Some(raw),
        _ => None,
    };
    let plaintext = if let Some(raw) = raw {
        let plaintext = key.rust_crypto_decrypts_raw(&[&[4], raw].concat());
        assert_eq!(
            key.openssl_decrypts(&der(raw)),
            plaintext,
            "the oracles differ: {}",
            hex::encode(raw)
        );
        plaintext
    } else {
        let plaintext = key.rust_crypto_decrypts(envelope);
        // OpenSSL reads more than DER
        if plaintext.is_some() {
            let openssl = key.openssl_decrypts(envelope);
            assert_eq!(openssl, plaintext, "the oracles differ: {}", hex::encode(envelope));
        }
        plaintext
    };
    let inside = plaintext?.strip_prefix(b"02|")?.to_vec();
    (inside.len() == 16).then_some(inside)
}

fn der(raw: &[u8]) -> Vec<u8> {
    let (point, rest) = raw.split_at(POINT_BYTES);
    let (x, y) = point.split_at(POINT_BYTES / 2);
    let (hash, masked) = rest.split_at(HASH_BYTES);
    let (hash, masked) = (element(OCTET_STRING, hash), element(OCTET_STRING, masked));
    sequence(&[integer(x), integer(y), hash, masked])
}

fn raw(der: &[u8]) -> Vec<u8> {
    let [x, y, hash, masked] = contents(der).try_into().unwrap();
    [word(&x), word(&y), hash, masked].concat()
}

fn envelope(key: &Key, keys: &[Key], chance: &mut ChaCha8Rng) -> Vec<u8> {
    // now and then for somebody else
    let receiver = if chance.random_ratio(1, 20) {
        keys.choose(chance).unwrap()
    } else {
        key
    };
    let der = encrypted(receiver, chance);
    let mut envelope = match chance.random_range(0..3) {
        0 => der,
        1 => raw(&der),
        _ => [&[4], raw(&der).as_slice()].concat(),
    };
    if chance.random() {
        return envelope;
    }
    match chance.random_range(0..5) {
        0..3 => change_bit(&mut envelope, chance),
        3 => envelope.truncate(chance.random_range(0..envelope.len())),
        _ => envelope.push(chance.random()),
    }
    envelope
}

fn encrypted(receiver: &Key, chance: &mut ChaCha8Rng) -> Vec<u8> {
    let maker = match chance.random_range(0..50) {
        0..25 => Maker::Ours,
        25..40 => Maker::RustCrypto,
        40..49 => Maker::OpenSsl,
        _ => Maker::SmCrypto,
    };
    let inside: [u8; 16] = chance.random();
    if matches!(maker, Maker::Ours) {
        let key = FieldKey::from_bytes(Suite::Sm, &inside).unwrap();
        return receiver.pair.certificate.seal_envelope(&key).unwrap();
    }
    // now and then with the other suite's prefix, or a byte too few or too many
    let plaintext = match chance.random_range(0..20) {
        0 => [b"01|", inside.as_slice()].concat(),
        1 => [b"02|", &inside[1..]].concat(),
        2 => [b"02|", inside.as_slice(), &[0]].concat(),
        _ => [b"02|", inside.as_slice()].concat(),
    };
    receiver.encrypt(maker, &plaintext, chance)
}

#[test]
fn envelopes_at_random() {
    let seed = crate::made::seed();
    let tally = compare(7_000, seed, &mut |_| {});
    assert!(
        tally.taken > 2000 && tally.refused > 2000 && tally.made > 500,
        "seed {seed}: {tally:?}"
    );
}
