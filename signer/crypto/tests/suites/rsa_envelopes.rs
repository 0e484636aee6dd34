//! RSA envelopes whose padding deviates in every place: each is taken, does its work, and opens nothing.

use openssl::rsa::Padding;
use signer_crypto::{FieldKey, Suite};

use crate::made::pair;

const KEY: [u8; 32] = [0x5A; 32];
const MODULUS_BYTES: usize = 256;

/// `00 02 filling 00 01| key`, as long as the modulus.
fn padded() -> Vec<u8> {
    let inside = [b"01|", KEY.as_slice()].concat();
    let filling = vec![0x77; MODULUS_BYTES - 3 - inside.len()];
    [&[0x00, 0x02], filling.as_slice(), &[0x00], &inside].concat()
}

/// The bare RSA operation over `padded`.
fn encrypt_raw(padded: &[u8]) -> Vec<u8> {
    let rsa = pair(Suite::Rsa).openssl.rsa().unwrap();
    let mut out = vec![0; MODULUS_BYTES];
    rsa.public_encrypt(padded, &mut out, Padding::NONE).unwrap();
    out
}

fn opens(envelope: &[u8]) -> bool {
    let field = FieldKey::from_bytes(Suite::Rsa, &KEY)
        .unwrap()
        .encrypt(b"6222021234567890123");
    let opened = pair(Suite::Rsa)
        .private
        .open_envelope(envelope)
        .and_then(|key| key.decrypt(&field));
    opened.is_ok_and(|plaintext| plaintext.expose() == b"6222021234567890123")
}

#[test]
fn the_structure_itself_opens() {
    assert!(opens(&encrypt_raw(&padded())));
}

#[test]
fn every_deviation_of_the_structure_yields_a_key_that_opens_nothing() {
    let separator = MODULUS_BYTES - 36;
    let places = [
        1,
        2,
        3,
        100,
        separator - 1,
        separator,
        separator + 1,
        separator + 2,
        separator + 3,
    ];
    for place in places {
        for value in [0x00, 0x01, 0x02, 0x31, 0xFF] {
            let mut changed = padded();
            changed[place] = value;
            let harmless = changed == padded() || (2..separator).contains(&place) && value != 0;
            let envelope = encrypt_raw(&changed);
            assert!(
                pair(Suite::Rsa).private.open_envelope(&envelope).is_ok(),
                "place {place}, value {value:#04x}"
            );
            assert_eq!(opens(&envelope), harmless, "place {place}, value {value:#04x}");
        }
    }
}

#[test]
fn a_stand_in_key_opens_nothing_at_all_not_even_by_luck() {
    let mut changed = padded();
    changed[1] = 0x01;
    let key = pair(Suite::Rsa).private.open_envelope(&encrypt_raw(&changed)).unwrap();
    // One in 256 random blocks has good padding.
    for turn in 0..5000u32 {
        let block = [turn.to_be_bytes(); 4].concat();
        assert!(key.decrypt(&block).is_err());
    }
}

#[test]
fn a_stand_in_key_is_the_same_each_time() {
    let mut changed = padded();
    changed[1] = 0x01;
    let envelope = encrypt_raw(&changed);
    let encrypted = || {
        pair(Suite::Rsa)
            .private
            .open_envelope(&envelope)
            .unwrap()
            .encrypt(b"field")
    };
    assert_eq!(encrypted(), encrypted());
}

#[test]
fn visible_deviations_are_refused_at_once() {
    let private = &pair(Suite::Rsa).private;
    for envelope in [vec![], vec![0], vec![0x55; 255], vec![0x55; 257], vec![0xFF; 256]] {
        assert!(private.open_envelope(&envelope).is_err(), "{} bytes", envelope.len());
    }
    assert!(!opens(&vec![0; 256]));
}
