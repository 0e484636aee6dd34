//! Tokens: their definition held against OpenSSL's HMAC, their domains, and the key's text form.

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use proptest::collection::vec;
use proptest::prelude::*;
use signer_crypto::{FieldKind, TokenKey};

const KEY_HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn openssl_hmac_sm3(message: &[u8]) -> Vec<u8> {
    let key = PKey::hmac(&hex::decode(KEY_HEX).unwrap()).unwrap();
    let mut signer = Signer::new(MessageDigest::sm3(), &key).unwrap();
    signer.sign_oneshot_to_vec(message).unwrap()
}

proptest! {
    #[test]
    fn a_token_is_hmac_sm3_of_label_and_plaintext(plaintext in vec(any::<u8>(), 0..200)) {
        let key = TokenKey::from_hex(KEY_HEX).unwrap();
        let labels = [
            (FieldKind::AccountNumber, "account-number"),
            (FieldKind::Name, "name"),
            (FieldKind::DocumentNumber, "document-number"),
            (FieldKind::Mobile, "mobile"),
        ];
        for (kind, label) in labels {
            let expected = openssl_hmac_sm3(&[label.as_bytes(), &[0], &plaintext].concat());
            let token = key.token(kind, &plaintext);
            prop_assert_eq!(token.as_slice(), expected.as_slice());
        }
    }

    #[test]
    fn tokens_of_many_are_those_of_each(plaintexts in vec((0..4usize, vec(any::<u8>(), 0..100)), 0..40)) {
        let key = TokenKey::from_hex(KEY_HEX).unwrap();
        let plaintexts: Vec<(FieldKind, &[u8])> = plaintexts
            .iter()
            .map(|(kind, plaintext)| (FieldKind::ALL[*kind], plaintext.as_slice()))
            .collect();
        let expected: Vec<[u8; 32]> = plaintexts
            .iter()
            .map(|(kind, plaintext)| key.token(*kind, plaintext))
            .collect();
        prop_assert_eq!(key.tokens(&plaintexts), expected);
    }
}

#[test]
fn kinds_do_not_share_tokens() {
    let key = TokenKey::from_hex(KEY_HEX).unwrap();
    let tokens: std::collections::BTreeSet<_> = FieldKind::ALL
        .iter()
        .map(|kind| key.token(*kind, b"13800138000"))
        .collect();
    assert_eq!(tokens.len(), FieldKind::ALL.len());
}

#[test]
fn key_text() {
    #[track_caller]
    fn check(text: &str, expected: bool) {
        assert_eq!(TokenKey::from_hex(text).is_some(), expected, "{text:?}");
    }
    check(KEY_HEX, true);
    check(&KEY_HEX.to_uppercase(), true);
    check("", false);
    check(&KEY_HEX[1..], false);
    check(&KEY_HEX[2..], false);
    check(&format!("{KEY_HEX}0"), false);
    check(&format!("{KEY_HEX}00"), false);
    check(&KEY_HEX.replace('f', "g"), false);
    check(&KEY_HEX.replace("00", "é"), false);
}

#[test]
fn debug_prints_nothing_of_it() {
    assert_eq!(format!("{:?}", TokenKey::from_hex(KEY_HEX).unwrap()), "TokenKey(…)");
}
