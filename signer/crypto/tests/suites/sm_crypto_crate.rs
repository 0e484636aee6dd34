//! SM2 held against the `sm-crypto` crate, on valid input only: it panics on short input and does not check the hash of
//! a ciphertext, so it sees nothing else.

use openssl::pkey::{PKeyRef, Private};
use proptest::collection::vec;
use proptest::prelude::*;
use signer_crypto::{FieldKey, Suite};
use sm_crypto::sm2;

use crate::made::pair;

/// The secret scalar: the octet string after the version of the `ECPrivateKey` inside PKCS#8.
fn scalar_hex(key: &PKeyRef<Private>) -> String {
    let der = key.private_key_to_pkcs8().unwrap();
    let mark = [0x02, 0x01, 0x01, 0x04, 0x20];
    let at = der.windows(mark.len()).position(|window| window == mark).unwrap() + mark.len();
    hex::encode(&der[at..at + 32])
}

/// x and y, without the byte 04.
fn point_hex(key: &PKeyRef<Private>) -> String {
    let der = key.public_key_to_der().unwrap();
    hex::encode(&der[der.len() - 64..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn signatures(signed in vec(any::<u8>(), 0..1500)) {
        let pair = pair(Suite::Sm);
        let (scalar, point) = (scalar_hex(&pair.openssl), point_hex(&pair.openssl));
        let ours = pair.private.sign(&signed).unwrap();
        prop_assert!(sm2::Verify::new(&point).verify_der(&signed, &ours, true));
        let theirs = sm2::Sign::new(&scalar).sign_der(&signed, true);
        prop_assert_eq!(pair.certificate.verify(&signed, &theirs), Ok(()));
    }

    #[test]
    fn envelopes_in_every_form(key: [u8; 16]) {
        let pair = pair(Suite::Sm);
        let (scalar, point) = (scalar_hex(&pair.openssl), point_hex(&pair.openssl));
        let plaintext = [b"02|", key.as_slice()].concat();
        let field_key = FieldKey::from_bytes(Suite::Sm, &key).unwrap();

        let ours = pair.certificate.seal_envelope(&field_key).unwrap();
        prop_assert_eq!(sm2::Decrypt::new(&scalar).decrypt_asna1(&ours), plaintext.as_slice());

        let encrypting = sm2::Encrypt::new(&point);
        let raw = encrypting.encrypt(&plaintext);
        let with_prefix = [&[0x04], raw.as_slice()].concat();
        for theirs in [encrypting.encrypt_asna1(&plaintext), raw, with_prefix] {
            let opened = pair.private.open_envelope(&theirs).unwrap();
            prop_assert_eq!(opened.encrypt(b"a field"), field_key.encrypt(b"a field"));
        }
    }
}
