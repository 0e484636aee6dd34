//! Fields: padding in every length, held against OpenSSL's own padding, and everything that must not open.

use openssl::symm::{Cipher, decrypt, encrypt};
use proptest::collection::vec;
use proptest::prelude::*;
use signer_crypto::{FieldKey, Suite};

fn key(suite: Suite) -> (FieldKey, Vec<u8>, Cipher) {
    let bytes: Vec<u8> = (1..).take(suite.field_key_bytes()).collect();
    let cipher = match suite {
        Suite::Rsa => Cipher::aes_256_ecb(),
        Suite::Sm => Cipher::sm4_ecb(),
    };
    (FieldKey::from_bytes(suite, &bytes).unwrap(), bytes, cipher)
}

proptest! {
    #[test]
    fn both_ways_with_openssl(plaintext in vec(any::<u8>(), 0..200)) {
        for suite in Suite::ALL {
            let (ours, bytes, cipher) = key(suite);
            let sealed = ours.encrypt(&plaintext);
            prop_assert_eq!(&decrypt(cipher, &bytes, None, &sealed).unwrap(), &plaintext);
            let sealed = encrypt(cipher, &bytes, None, &plaintext).unwrap();
            let opened = ours.decrypt(&sealed).unwrap();
            prop_assert_eq!(opened.expose(), plaintext.as_slice());
        }
    }
}

/// Whether blocks that decrypt to `padded` open, and to what length.
#[track_caller]
fn check(padded: &[u8], expected: Option<usize>) {
    for suite in Suite::ALL {
        let (ours, bytes, cipher) = key(suite);
        let mut crypter = openssl::symm::Crypter::new(cipher, openssl::symm::Mode::Encrypt, &bytes, None).unwrap();
        crypter.pad(false);
        let mut sealed = vec![0; padded.len() + 16];
        let written = crypter.update(padded, &mut sealed).unwrap();
        let opened = ours
            .decrypt(&sealed[..written])
            .ok()
            .map(|plaintext| plaintext.expose().len());
        assert_eq!(opened, expected, "{suite} {padded:02x?}");
    }
}

#[test]
fn paddings() {
    for count in 1..=16u8 {
        let mut padded = vec![0xAA; 32];
        padded[32 - usize::from(count)..].fill(count);
        check(&padded, Some(32 - usize::from(count)));
        if count > 1 {
            padded[32 - usize::from(count)] ^= 1;
            check(&padded, None);
        }
    }
    check(&[16; 16], Some(0));
    check(&[0; 16], None);
    check(&[17; 32], None);
    check(&[255; 32], None);
    check(&[&[0xAA; 15][..], &[0]].concat(), None);
}

#[test]
fn lengths_that_are_no_whole_blocks() {
    for suite in Suite::ALL {
        for len in [0, 1, 15, 17, 31, 33] {
            assert!(key(suite).0.decrypt(&vec![0; len]).is_err(), "{suite} {len}");
        }
    }
}

#[test]
fn key_lengths() {
    for suite in Suite::ALL {
        for len in [0, 1, 15, 16, 17, 31, 32, 33] {
            let made = FieldKey::from_bytes(suite, &vec![1; len]).is_some();
            assert_eq!(made, len == suite.field_key_bytes(), "{suite} {len}");
        }
    }
}

#[test]
fn generated_keys_differ() {
    for suite in Suite::ALL {
        let one = FieldKey::generate(suite).unwrap().encrypt(b"field");
        assert_ne!(one, FieldKey::generate(suite).unwrap().encrypt(b"field"));
    }
}

#[test]
fn debug_prints_nothing_of_it() {
    let (key, _, _) = key(Suite::Sm);
    let sealed = key.encrypt(b"6222021234567890123");
    assert_eq!(format!("{key:?}"), "FieldKey(sm, …)");
    assert_eq!(format!("{:?}", key.decrypt(&sealed).unwrap()), "Plaintext(…)");
}
