//! SM2 held against OpenSSL, both ways. OpenSSL 3.0 to 3.6 take an empty user id unless told otherwise, and the
//! `openssl` crate cannot tell it: hence the one foreign call here.
#![expect(
    unsafe_code,
    reason = "EVP_PKEY_CTX_set1_id is not wrapped by the openssl crate; tests only"
)]

use std::ffi::{c_int, c_void};

use foreign_types::ForeignTypeRef;
use openssl::encrypt::{Decrypter, Encrypter};
use openssl::md::Md;
use openssl::md_ctx::MdCtx;
use openssl::pkey::{PKeyRef, Private};
use openssl::pkey_ctx::PkeyCtxRef;
use proptest::prelude::*;
use signer_crypto::{FieldKey, Suite};

use crate::made::{Pair, pair, sm_key};

const USER_ID: &[u8; 16] = b"1234567812345678";

unsafe extern "C" {
    fn EVP_PKEY_CTX_set1_id(ctx: *mut c_void, id: *const c_void, len: c_int) -> c_int;
}

fn set_user_id(context: &PkeyCtxRef<Private>) {
    // SAFETY: `context` is a live key context of OpenSSL, which copies the 16 bytes of the user id.
    let done = unsafe { EVP_PKEY_CTX_set1_id(context.as_ptr().cast(), USER_ID.as_ptr().cast(), 16) };
    assert_eq!(done, 1);
}

fn openssl_sign(key: &PKeyRef<Private>, signed: &[u8]) -> Vec<u8> {
    let mut context = MdCtx::new().unwrap();
    set_user_id(context.digest_sign_init(Some(Md::sm3()), key).unwrap());
    context.digest_sign_update(signed).unwrap();
    let mut signature = Vec::new();
    context.digest_sign_final_to_vec(&mut signature).unwrap();
    signature
}

fn openssl_verifies(key: &PKeyRef<Private>, signed: &[u8], signature: &[u8]) -> bool {
    let mut context = MdCtx::new().unwrap();
    set_user_id(context.digest_verify_init(Some(Md::sm3()), key).unwrap());
    context.digest_verify_update(signed).unwrap();
    context.digest_verify_final(signature).unwrap_or(false)
}

fn openssl_encrypt(key: &PKeyRef<Private>, plaintext: &[u8]) -> Vec<u8> {
    let encrypter = Encrypter::new(key).unwrap();
    let mut out = vec![0; encrypter.encrypt_len(plaintext).unwrap()];
    let written = encrypter.encrypt(plaintext, &mut out).unwrap();
    out.truncate(written);
    out
}

fn openssl_decrypt(key: &PKeyRef<Private>, ciphertext: &[u8]) -> Vec<u8> {
    let decrypter = Decrypter::new(key).unwrap();
    let mut out = vec![0; decrypter.decrypt_len(ciphertext).unwrap()];
    let written = decrypter.decrypt(ciphertext, &mut out).unwrap();
    out.truncate(written);
    out
}

/// Signs, verifies, seals and opens across the two implementations with one key.
fn check_both_ways(pair: &Pair, signed: &[u8], key: [u8; 16]) {
    let ours = pair.private.sign(signed).unwrap();
    assert!(
        openssl_verifies(&pair.openssl, signed, &ours),
        "OpenSSL refuses our signature"
    );
    let theirs = openssl_sign(&pair.openssl, signed);
    assert_eq!(
        pair.certificate.verify(signed, &theirs),
        Ok(()),
        "we refuse OpenSSL's signature"
    );

    let field_key = FieldKey::from_bytes(Suite::Sm, &key).unwrap();
    let ours = pair.certificate.seal_envelope(&field_key).unwrap();
    assert_eq!(openssl_decrypt(&pair.openssl, &ours), [b"02|", key.as_slice()].concat());
    let theirs = openssl_encrypt(&pair.openssl, &[b"02|", key.as_slice()].concat());
    let opened = pair.private.open_envelope(&theirs).unwrap();
    assert_eq!(
        opened.encrypt(b"6222021234567890123"),
        field_key.encrypt(b"6222021234567890123")
    );
}

proptest! {
    #[test]
    fn one_key_many_messages(signed in proptest::collection::vec(any::<u8>(), 0..3000), key: [u8; 16]) {
        check_both_ways(pair(Suite::Sm), &signed, key);
    }
}

#[test]
fn many_keys() {
    for turn in 0..40u8 {
        check_both_ways(&Pair::new(sm_key()), &[turn; 100], [turn; 16]);
    }
}

#[test]
fn a_user_id_that_differs_does_not_verify() {
    let pair = pair(Suite::Sm);
    let mut context = MdCtx::new().unwrap();
    context.digest_sign_init(Some(Md::sm3()), &pair.openssl).unwrap();
    context.digest_sign_update(b"signed under the empty user id").unwrap();
    let mut signature = Vec::new();
    context.digest_sign_final_to_vec(&mut signature).unwrap();
    assert!(
        pair.certificate
            .verify(b"signed under the empty user id", &signature)
            .is_err()
    );
}
