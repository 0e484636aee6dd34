//! What must hold for every message, key and field of either suite.

use proptest::collection::vec;
use proptest::prelude::*;
use signer_crypto::{FieldKey, Suite};

use crate::made::pair;

fn suite() -> impl Strategy<Value = Suite> {
    prop_oneof![Just(Suite::Rsa), Just(Suite::Sm)]
}

proptest! {
    #[test]
    fn what_is_signed_verifies(suite in suite(), signed in vec(any::<u8>(), 0..2000)) {
        let signature = pair(suite).private.sign(&signed).unwrap();
        prop_assert_eq!(pair(suite).certificate.verify(&signed, &signature), Ok(()));
    }

    /// SM2 nonces are drawn.
    #[test]
    fn signing_again_gives_the_same_bytes_with_rsa_only(suite in suite(), signed in vec(any::<u8>(), 0..200)) {
        let (first, second) = (pair(suite).private.sign(&signed).unwrap(), pair(suite).private.sign(&signed).unwrap());
        prop_assert_eq!(first == second, suite == Suite::Rsa);
    }

    #[test]
    fn reproducible_signatures_are_the_same_bytes_and_hold(suite in suite(), signed in vec(any::<u8>(), 0..200)) {
        let sign = || pair(suite).private.sign_reproducibly(&signed).unwrap();
        prop_assert_eq!(sign(), sign());
        prop_assert_eq!(pair(suite).certificate.verify(&signed, &sign()), Ok(()));
    }

    #[test]
    fn a_changed_bit_of_the_message_does_not_verify(
        suite in suite(), mut signed in vec(any::<u8>(), 1..2000), place: prop::sample::Index, bit in 0..8u32,
    ) {
        let signature = pair(suite).private.sign(&signed).unwrap();
        *place.get_mut(&mut signed) ^= 1 << bit;
        prop_assert!(pair(suite).certificate.verify(&signed, &signature).is_err());
    }

    #[test]
    fn a_changed_bit_of_the_signature_does_not_verify(
        suite in suite(), signed in vec(any::<u8>(), 0..200), place: prop::sample::Index, bit in 0..8u32,
    ) {
        let mut signature = pair(suite).private.sign(&signed).unwrap();
        *place.get_mut(&mut signature) ^= 1 << bit;
        prop_assert!(pair(suite).certificate.verify(&signed, &signature).is_err());
    }

    #[test]
    fn a_sealed_field_opens(suite in suite(), plaintext in vec(any::<u8>(), 0..300)) {
        let key = FieldKey::generate(suite).unwrap();
        let envelope = pair(suite).certificate.seal_envelope(&key).unwrap();
        let field = key.encrypt(&plaintext);
        prop_assert!(field.len() > plaintext.len() && field.len().is_multiple_of(16));
        let opened = pair(suite).private.open_envelope(&envelope).unwrap();
        let opened = opened.decrypt(&field).unwrap();
        prop_assert_eq!(opened.expose(), plaintext.as_slice());
    }

    #[test]
    fn a_changed_bit_of_the_envelope_opens_nothing(suite in suite(), place: prop::sample::Index, bit in 0..8u32) {
        let key = FieldKey::generate(suite).unwrap();
        let mut envelope = pair(suite).certificate.seal_envelope(&key).unwrap();
        let field = key.encrypt(b"6222021234567890123");
        *place.get_mut(&mut envelope) ^= 1 << bit;
        let opened = pair(suite).private.open_envelope(&envelope).and_then(|key| key.decrypt(&field));
        prop_assert!(opened.is_err());
    }

    #[test]
    fn no_bytes_panic(suite in suite(), bytes in vec(any::<u8>(), 0..400)) {
        let pair = pair(suite);
        prop_assert!(pair.certificate.verify(b"message", &bytes).is_err());
        prop_assert!(pair.private.open_envelope(&bytes).and_then(|key| key.decrypt(&[0; 16])).is_err());
        let _ = FieldKey::from_bytes(suite, &vec![7; suite.field_key_bytes()]).unwrap().decrypt(&bytes);
    }
}
