//! The worked examples that the standards print (GB/T 32918.5 appendices, GB/T 32905), and what is
//! made held against the `sm2` crate.

use proptest::prelude::*;
use sm2::dsa::signature::Verifier;

use super::arithmetic::{Multiples, Scalar};
use super::encryption;
use super::key::{PublicPoint, SecretScalar};
use super::known_answer::{DIGEST, NONCE, SECRET, SIGNATURE};
use super::signature::{SigningKey, TableUse, USER_ID, VerifyingKey, digest, identity_hash};

const POINT: &str = "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020\
                     CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13";
const IDENTITY: &str = "B2E14C5C79C6DF5B85F4FE7ED8DB7A262B9DA7E07CCB0EA9F4747B8CCDA8A4F3";
const SIGNED: &[u8] = b"message digest";
const ENCRYPTED: &[u8] = b"encryption standard";
const C1: &str = "04EBFC718E8D1798620432268E77FEB6415E2EDE0E073C0F4F640ECD2E149A73\
                  E858F9D81E5430A57B36DAAB8F950A3C64E6EE6A63094D99283AFF767E124DF0";
const C2: &str = "21886CA989CA9C7D58087307CA93092D651EFA";
const C3: &str = "59983C18F809E262923C53AEC295D30383B54E39D609D160AFCB1908D0BD8766";

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn word(hex: &str) -> [u8; 32] {
    bytes(hex).try_into().unwrap()
}

fn secret() -> SecretScalar {
    SecretScalar::from_bytes(&word(SECRET)).unwrap()
}

fn public() -> PublicPoint {
    secret().public_point().unwrap()
}

fn receiver() -> Multiples {
    Multiples::Untabled(*public().affine())
}

fn nonce() -> Scalar {
    Scalar::from_bytes(&word(NONCE)).unwrap()
}

#[test]
fn the_signature_example() {
    let point = public();
    assert_eq!(point.coordinates().concat(), bytes(POINT));
    let identity = identity_hash(&point);
    assert_eq!(identity.as_slice(), bytes(IDENTITY));
    let digest = digest(&identity, SIGNED);
    assert_eq!(digest.as_slice(), bytes(DIGEST));
    let key = SigningKey::new(secret(), &point).unwrap();
    let made = key.sign_with(&digest, &nonce()).unwrap();
    assert_eq!([made.r, made.s].concat(), bytes(SIGNATURE));
    for table in [TableUse::Small, TableUse::Large, TableUse::None] {
        let key = VerifyingKey::new(&point, table);
        assert_eq!(key.verify(SIGNED, &bytes(SIGNATURE)), Ok(()));
    }
}

#[test]
fn the_encryption_example() {
    let raw = [bytes(C1), bytes(C3), bytes(C2)].concat();
    let opened = encryption::decrypt(&secret(), &raw, ENCRYPTED.len()).unwrap();
    assert_eq!(opened.as_slice(), ENCRYPTED);
    let made = encryption::encrypt_with(&receiver(), &nonce(), ENCRYPTED).unwrap();
    let c1 = bytes(C1);
    let expected = [
        &[0x30, 0x7C, 0x02, 0x20],
        &c1[..32],
        &[0x02, 0x21, 0x00],
        &c1[32..],
        &[0x04, 0x20],
        &bytes(C3),
        &[0x04, 0x13],
        &bytes(C2),
    ];
    assert_eq!(made, expected.concat());
}

#[test]
fn an_empty_text_is_not_encrypted() {
    assert!(encryption::encrypt_with(&receiver(), &nonce(), b"").is_none());
    let raw = [bytes(C1), bytes(C3)].concat();
    assert!(encryption::decrypt(&secret(), &raw, 0).is_err());
}

proptest! {
    /// One by one and in batches; every signature is another, since nonces are drawn.
    #[test]
    fn the_sm2_crate_verifies_what_is_made(secret: [u8; 32], signed: Vec<u8>, count in 1..20usize) {
        let Some(scalar) = SecretScalar::from_bytes(&secret) else { return Ok(()) };
        let point = scalar.public_point().unwrap();
        let user_id = std::str::from_utf8(USER_ID).unwrap();
        let theirs = sm2::dsa::SigningKey::from_slice(user_id, &secret).unwrap();
        let verifying = VerifyingKey::new(&point, TableUse::None);
        let made = SigningKey::new(scalar, &point).unwrap().sign_all(&vec![signed.as_slice(); count]).unwrap();
        let distinct: std::collections::BTreeSet<_> = made.iter().collect();
        prop_assert_eq!(distinct.len(), count);
        for made in &made {
            let parsed = sm2::dsa::Signature::from_der(made).unwrap();
            prop_assert!(theirs.verifying_key().verify(&signed, &parsed).is_ok());
            prop_assert_eq!(verifying.verify(&signed, made), Ok(()));
        }
    }
}

#[test]
fn keys_that_cannot_sign() {
    let order_minus_one = word("fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54122");
    assert!(SigningKey::new(SecretScalar::from_bytes(&order_minus_one).unwrap(), &public()).is_none());
    assert!(SecretScalar::from_bytes(&[0; 32]).is_none());
    assert!(SecretScalar::from_bytes(&[0xFF; 32]).is_none());
}

/// r = e and s = −r d / (1 + d) make the computed point the identity; its x must not be taken for 0.
#[test]
fn a_signature_that_leads_to_the_identity_is_refused() {
    let scalar = nonce();
    let point = SecretScalar::from_bytes(&word(NONCE)).unwrap().public_point().unwrap();
    let r = Scalar::from_bytes_reduced(&digest(&identity_hash(&point), SIGNED));
    let s = Scalar::ZERO
        .sub(&r.mul(&scalar))
        .mul(&scalar.add(&Scalar::ONE).invert());
    let signature = [r.to_bytes(), s.to_bytes()].concat();
    for table in [TableUse::Small, TableUse::Large, TableUse::None] {
        assert!(VerifyingKey::new(&point, table).verify(SIGNED, &signature).is_err());
    }
}

/// Batches of ciphertexts, good ones beside bad ones, give what each gives alone.
#[test]
fn ciphertexts_open_in_batches_as_they_do_alone() {
    for count in 0..=40usize {
        let made = (0..count).map(|at| {
            let plaintext = [u8::try_from(at).unwrap(); 19];
            let mut made = encryption::encrypt(&receiver(), &plaintext).unwrap();
            if at % 3 == 1 {
                let place = at * 7 % made.len();
                made[place] ^= 1;
            }
            made
        });
        let made: Vec<Vec<u8>> = made.collect();
        let made: Vec<&[u8]> = made.iter().map(Vec::as_slice).collect();
        for (at, opened) in encryption::decrypt_all(&secret(), &made, 19).into_iter().enumerate() {
            let alone = encryption::decrypt(&secret(), made[at], 19);
            assert_eq!(opened.is_ok(), at % 3 != 1, "{count} {at}");
            assert_eq!(opened, alone);
            assert!(opened.is_err() || opened.unwrap().iter().all(|byte| usize::from(*byte) == at));
        }
    }
}

/// Batches for receivers with tables of every kind open, and no two are alike.
#[test]
fn what_is_encrypted_for_many_opens() {
    let tables = [TableUse::Small, TableUse::Large, TableUse::None].map(|table| VerifyingKey::new(&public(), table));
    for (count, kinds) in [(1, 1), (2, 1), (8, 1), (23, 1), (70, 1), (9, 3)] {
        let items = (0..count).map(|at| {
            let plaintext = [u8::try_from(at).unwrap(); 19];
            (
                tables[at % kinds].multiples(),
                zeroize::Zeroizing::new(plaintext.to_vec()),
            )
        });
        let items: Vec<_> = items.collect();
        let made = encryption::encrypt_all(&items).unwrap();
        let distinct: std::collections::BTreeSet<_> = made.iter().map(|made| made[4..36].to_vec()).collect();
        assert_eq!((made.len(), distinct.len()), (count, count));
        for (made, (_, plaintext)) in made.iter().zip(&items) {
            assert_eq!(
                encryption::decrypt(&secret(), made, 19).unwrap().as_slice(),
                plaintext.as_slice()
            );
        }
    }
}
