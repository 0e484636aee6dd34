//! The worked examples that the standards print (GB/T 32918.5 appendices, GB/T 32905), and the deterministic
//! nonce held against the `sm2` crate's own.

use proptest::prelude::*;
use sm2::dsa::signature::{Signer, Verifier};
use sm2::elliptic_curve::PrimeField;
use sm2::elliptic_curve::ops::Reduce;
use sm2::{NonZeroScalar, Scalar};

use super::encryption;
use super::key::SecretScalar;
use super::signature::{SigningKey, USER_ID, VerifyingKey, digest, identity_hash};

const SECRET: &str = "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8";
const NONCE: &str = "59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21";
const POINT: &str = "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020\
                     CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13";
const IDENTITY: &str = "B2E14C5C79C6DF5B85F4FE7ED8DB7A262B9DA7E07CCB0EA9F4747B8CCDA8A4F3";
const DIGEST: &str = "F0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640";
const SIGNATURE: &str = "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3\
                         B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA";
const SIGNED: &[u8] = b"message digest";
const ENCRYPTED: &[u8] = b"encryption standard";
const C1: &str = "04EBFC718E8D1798620432268E77FEB6415E2EDE0E073C0F4F640ECD2E149A73\
                  E858F9D81E5430A57B36DAAB8F950A3C64E6EE6A63094D99283AFF767E124DF0";
const C2: &str = "21886CA989CA9C7D58087307CA93092D651EFA";
const C3: &str = "59983C18F809E262923C53AEC295D30383B54E39D609D160AFCB1908D0BD8766";

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn secret() -> SecretScalar {
    SecretScalar::from_bytes(&bytes(SECRET)).unwrap()
}

fn nonce() -> NonZeroScalar {
    NonZeroScalar::try_from(bytes(NONCE).as_slice()).unwrap()
}

#[test]
fn the_signature_example() {
    let point = secret().public_point();
    assert_eq!(point.coordinates().concat(), bytes(POINT));
    let identity = identity_hash(&point);
    assert_eq!(identity.as_slice(), bytes(IDENTITY));
    let digest = digest(&identity, SIGNED);
    assert_eq!(digest.as_slice(), bytes(DIGEST));
    let (r, s) = SigningKey::new(secret())
        .unwrap()
        .sign_with(&Scalar::reduce(&digest), &nonce())
        .unwrap();
    assert_eq!([r.to_repr(), s.to_repr()].concat(), bytes(SIGNATURE));
    assert_eq!(VerifyingKey::new(&point).verify(SIGNED, &bytes(SIGNATURE)), Ok(()));
}

#[test]
fn the_encryption_example() {
    let raw = [bytes(C1), bytes(C3), bytes(C2)].concat();
    let opened = encryption::decrypt(&secret(), &raw, ENCRYPTED.len()).unwrap();
    assert_eq!(opened.as_slice(), ENCRYPTED);
    let made = encryption::encrypt_with(&secret().public_point(), &nonce(), ENCRYPTED).unwrap();
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
    assert!(encryption::encrypt_with(&secret().public_point(), &nonce(), b"").is_none());
    let raw = [bytes(C1), bytes(C3)].concat();
    assert!(encryption::decrypt(&secret(), &raw, 0).is_err());
}

proptest! {
    #[test]
    fn signatures_are_those_of_the_sm2_crate(secret: [u8; 32], signed: Vec<u8>) {
        let Some(scalar) = SecretScalar::from_bytes(&secret) else { return Ok(()) };
        let user_id = std::str::from_utf8(USER_ID).unwrap();
        let theirs = sm2::dsa::SigningKey::from_slice(user_id, &secret).unwrap();
        let verifying = VerifyingKey::new(&scalar.public_point());
        let made = SigningKey::new(scalar).unwrap().sign(&signed).unwrap();
        let expected: sm2::dsa::Signature = theirs.sign(&signed);
        let expected_der = expected.to_der();
        prop_assert_eq!(&made, expected_der.as_bytes());
        prop_assert_eq!(verifying.verify(&signed, &made), Ok(()));
        prop_assert!(theirs.verifying_key().verify(&signed, &expected).is_ok());
    }
}

#[test]
fn keys_that_cannot_sign() {
    let order_minus_one = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54122";
    assert!(SigningKey::new(SecretScalar::from_bytes(&bytes(order_minus_one)).unwrap()).is_none());
    assert!(SecretScalar::from_bytes(&[0; 32]).is_none());
    assert!(SecretScalar::from_bytes(&[0xFF; 32]).is_none());
}

/// r = e and s = −r d / (1 + d) make the computed point the identity; its x must not be taken for 0.
#[test]
fn a_signature_that_leads_to_the_identity_is_refused() {
    let scalar = nonce();
    let key = SecretScalar::from_bytes(&bytes(NONCE)).unwrap().public_point();
    let r = Scalar::reduce(&digest(&identity_hash(&key), SIGNED));
    let s = -(r * *scalar) * (*scalar + Scalar::ONE).invert().unwrap();
    let signature = [r.to_repr(), s.to_repr()].concat();
    assert!(VerifyingKey::new(&key).verify(SIGNED, &signature).is_err());
}
