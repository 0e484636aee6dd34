//! SM3 of messages of every length, singly and in lanes, held against OpenSSL and RustCrypto.

use openssl::hash::{MessageDigest, hash};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use signer_crypto::inside;
use sm3::{Digest, Sm3};

use crate::random_signatures::Tally;

/// Compares until `cases` cases are through. Panics at a difference.
pub(crate) fn compare(cases: u64, seed: u64, report: &mut dyn FnMut(Tally)) -> Tally {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut tally = Tally::default();
    while tally.cases() < cases {
        let size = chance.random_range(0..40);
        let messages: Vec<Vec<u8>> = (0..size).map(|_| message(&mut chance)).collect();
        let asked: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let batch = inside::sm3_all(&asked);
        assert_eq!(batch.len(), size);
        for (at, (message, ours)) in asked.iter().zip(batch).enumerate() {
            let shown = || format!("at {at} of {size}, {}", hex::encode(message));
            let openssl = hash(MessageDigest::sm3(), message).unwrap();
            let rust_crypto: [u8; 32] = Sm3::digest(message).into();
            assert_eq!(*openssl, rust_crypto, "the oracles differ");
            assert_eq!(ours, rust_crypto, "in lanes, {}", shown());
            assert_eq!(inside::sm3(message), rust_crypto, "singly, {}", shown());
            tally.made += 1;
        }
        report(tally);
    }
    tally
}

/// Short, around the edges of blocks, or long.
fn message(chance: &mut ChaCha8Rng) -> Vec<u8> {
    let len = match chance.random_range(0..8) {
        0..4 => chance.random_range(0..260),
        4..6 => 64 * chance.random_range(0..20) + chance.random_range(54..66),
        6 => chance.random_range(0..3000),
        _ => chance.random_range(0..20_000),
    };
    let mut message = vec![0; len];
    chance.fill_bytes(&mut message);
    message
}
