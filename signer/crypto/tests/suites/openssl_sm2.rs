//! SM2 by OpenSSL, under the user id of the profile. OpenSSL 3.0 to 3.6 take an empty user id unless told otherwise, and
//! the `openssl` crate cannot tell it: hence the one foreign call here.
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

const USER_ID: &[u8; 16] = b"1234567812345678";

unsafe extern "C" {
    fn EVP_PKEY_CTX_set1_id(ctx: *mut c_void, id: *const c_void, len: c_int) -> c_int;
}

fn set_user_id(context: &PkeyCtxRef<Private>) {
    // SAFETY: `context` is a live key context of OpenSSL, which copies the 16 bytes of the user id.
    let done = unsafe { EVP_PKEY_CTX_set1_id(context.as_ptr().cast(), USER_ID.as_ptr().cast(), 16) };
    assert_eq!(done, 1);
}

pub(crate) fn sign(key: &PKeyRef<Private>, signed: &[u8]) -> Vec<u8> {
    let mut context = MdCtx::new().unwrap();
    set_user_id(context.digest_sign_init(Some(Md::sm3()), key).unwrap());
    context.digest_sign_update(signed).unwrap();
    let mut signature = Vec::new();
    context.digest_sign_final_to_vec(&mut signature).unwrap();
    signature
}

/// `signature` is DER.
pub(crate) fn verifies(key: &PKeyRef<Private>, signed: &[u8], signature: &[u8]) -> bool {
    let mut context = MdCtx::new().unwrap();
    set_user_id(context.digest_verify_init(Some(Md::sm3()), key).unwrap());
    context.digest_verify_update(signed).unwrap();
    context.digest_verify_final(signature).unwrap_or(false)
}

pub(crate) fn encrypt(key: &PKeyRef<Private>, plaintext: &[u8]) -> Vec<u8> {
    let encrypter = Encrypter::new(key).unwrap();
    let mut out = vec![0; encrypter.encrypt_len(plaintext).unwrap()];
    let written = encrypter.encrypt(plaintext, &mut out).unwrap();
    out.truncate(written);
    out
}

/// `ciphertext` is DER, not strictly so.
pub(crate) fn decrypt(key: &PKeyRef<Private>, ciphertext: &[u8]) -> Option<Vec<u8>> {
    let decrypter = Decrypter::new(key).unwrap();
    let mut out = vec![0; decrypter.decrypt_len(ciphertext).ok()?];
    let written = decrypter.decrypt(ciphertext, &mut out).ok()?;
    out.truncate(written);
    Some(out)
}
