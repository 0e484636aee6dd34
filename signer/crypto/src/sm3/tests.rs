//! SM3 held against the standard's examples, the `sm3` and `hmac` crates, and lanes against single messages.

use hmac::{KeyInit, Mac};
use proptest::collection::vec;
use proptest::prelude::*;
use sm3::Digest as _;

use super::batch::{self, Start};
use super::lanes::Lanes;
use super::{Digest, Hmac, Prefixed, digest, digest_all, digest_all_parts};

/// Bytes that differ at every place and from seed to seed.
fn bytes(len: usize, seed: usize) -> Vec<u8> {
    (0..len)
        .map(|place| u8::try_from((place * 167 + seed * 59 + place / 251) % 256).unwrap())
        .collect()
}

fn by_the_crate(message: &[u8]) -> Digest {
    sm3::Sm3::digest(message).into()
}

/// GB/T 32905, appendices A.1 and A.2.
#[test]
fn examples_of_the_standard() {
    #[track_caller]
    fn check(message: &[u8], expected: &str) {
        assert_eq!(hex::encode(digest(&[message])), expected);
        let sixteen = vec![[message]; 16];
        assert!(
            digest_all_parts(&sixteen)
                .iter()
                .all(|digest| hex::encode(digest) == expected)
        );
    }
    check(
        b"abc",
        "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
    );
    check(
        &b"abcd".repeat(16),
        "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732",
    );
}

#[test]
fn every_length_singly() {
    for len in 0..=300 {
        let message = bytes(len, len);
        let expected = by_the_crate(&message);
        assert_eq!(digest(&[&message]), expected, "{len} bytes");
        let (head, tail) = message.split_at(len / 3);
        assert_eq!(digest(&[head, &[], tail]), expected, "{len} bytes in parts");
    }
}

#[test]
fn every_length_in_every_lane() {
    let messages: Vec<Vec<u8>> = (0..=300).map(|len| bytes(len, 7)).collect();
    let expected: Vec<Digest> = messages.iter().map(|message| by_the_crate(message)).collect();
    for shift in 0..16 {
        let parts: Vec<[&[u8]; 1]> = messages
            .iter()
            .skip(shift)
            .map(|message| [message.as_slice()])
            .collect();
        assert_eq!(digest_all_parts(&parts), expected[shift..], "from length {shift}");
    }
}

#[test]
fn batches_of_every_size() {
    for size in 0..=40 {
        let prefixes: Vec<Digest> = (0..size).map(|seed| by_the_crate(&bytes(9, seed))).collect();
        let bodies: Vec<Vec<u8>> = (0..size).map(|seed| bytes(seed * 7919 % 1500, seed)).collect();
        let messages: Vec<Prefixed<'_>> = prefixes
            .iter()
            .zip(&bodies)
            .map(|(prefix, body)| Prefixed { prefix, body })
            .collect();
        let expected: Vec<Digest> = prefixes
            .iter()
            .zip(&bodies)
            .map(|(prefix, body)| by_the_crate(&[prefix.as_slice(), body].concat()))
            .collect();
        assert_eq!(digest_all(&messages), expected, "{size} messages");
    }
}

#[test]
fn one_long_message_among_short_and_empty_ones() {
    for place in 0..20 {
        let bodies: Vec<Vec<u8>> = (0..20)
            .map(|seed| {
                if seed == place {
                    bytes(70_000, seed)
                } else {
                    bytes(seed % 3, seed)
                }
            })
            .collect();
        let parts: Vec<[&[u8]; 1]> = bodies.iter().map(|body| [body.as_slice()]).collect();
        let expected: Vec<Digest> = bodies.iter().map(|body| by_the_crate(body)).collect();
        assert_eq!(digest_all_parts(&parts), expected, "long at {place}");
    }
}

fn hmac_by_the_crate(key: &[u8], message: &[u8]) -> Digest {
    let mut mac = hmac::Hmac::<sm3::Sm3>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// GM/T 0042, appendix D.3; a key longer than a block is not among its examples: that answer is OpenSSL's.
#[test]
fn hmac_known_answers() {
    #[track_caller]
    fn check(key: &[u8], message: &[u8], expected: &str) {
        let keyed = Hmac::new(key);
        assert_eq!(hex::encode(keyed.mac(&[message])), expected);
        let sixteen = keyed.mac_all(&[[message]; 16]);
        assert!(sixteen.iter().all(|mac| hex::encode(mac) == expected));
    }
    let counted: Vec<u8> = (1..=37).collect();
    check(
        &counted[..32],
        &b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".repeat(2),
        "ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a",
    );
    check(
        &counted,
        &[0xCD; 50],
        "220bf579ded555393f0159f66c99877822a3ecf610d1552154b41d44b94db3ae",
    );
    check(
        &[0x0B; 32],
        b"Hi There",
        "c0ba18c68b90c88bc07de794bfc7d2c8d19ec31ed8773bc2b390c9604e0be11e",
    );
    check(
        b"Jefe",
        b"what do ya want for nothing?",
        "2e87f1d16862e6d964b50a5200bf2b10b764faa9680a296a2405f24bec39f882",
    );
    check(
        &[0xAA; 131],
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "b4fd844e13342002f0b2e0690ea7741f1497d993a70494cea601e657bedf67a0",
    );
}

#[test]
fn hmac_with_keys_of_every_length() {
    for len in 0..=150 {
        let (key, message) = (bytes(len, 3), bytes(len * 2, 5));
        let (head, tail) = message.split_at(len);
        let keyed = Hmac::new(&key);
        assert_eq!(keyed.mac(&[head, tail]), hmac_by_the_crate(&key, &message), "{len}");
        assert_eq!(keyed.mac(&[]), hmac_by_the_crate(&key, &[]), "{len}");
    }
}

proptest! {
    #[test]
    fn lanes_agree_with_single_messages(
        messages in vec((vec(any::<u8>(), 0..200), vec(any::<u8>(), 0..500)), 0..70),
        key in vec(any::<u8>(), 0..80),
    ) {
        let parts: Vec<[&[u8]; 2]> = messages.iter().map(|(head, tail)| [head.as_slice(), tail.as_slice()]).collect();
        let start = Start::OF_MESSAGE;
        let singly = batch::digest_all(&start, &parts, None);
        prop_assert_eq!(&batch::digest_all(&start, &parts, Lanes::detect()), &singly);
        for (parts, digest) in parts.iter().zip(&singly) {
            prop_assert_eq!(by_the_crate(&parts.concat()), *digest);
        }
        let keyed = Hmac::new(&key);
        let macs = keyed.mac_all(&parts);
        prop_assert_eq!(&macs, &keyed.mac_all_with(&parts, None));
        for (parts, mac) in parts.iter().zip(macs) {
            prop_assert_eq!(hmac_by_the_crate(&key, &parts.concat()), mac);
        }
    }

    #[test]
    fn parts_do_not_matter(pieces in vec(vec(any::<u8>(), 0..150), 0..12)) {
        let parts: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(digest(&parts), by_the_crate(&pieces.concat()));
    }
}
