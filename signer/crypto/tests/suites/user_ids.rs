//! The user id that a signature is made under.

use openssl::md::Md;
use openssl::md_ctx::MdCtx;
use signer_crypto::Suite;

use crate::made::pair;

/// OpenSSL takes the empty one unless told otherwise.
#[test]
fn a_user_id_that_differs_does_not_verify() {
    let pair = pair(Suite::Sm);
    let mut context = MdCtx::new().unwrap();
    context.digest_sign_init(Some(Md::sm3()), &pair.openssl).unwrap();
    context.digest_sign_update(b"signed under the empty user id").unwrap();
    let mut signature = Vec::new();
    context.digest_sign_final_to_vec(&mut signature).unwrap();
    let verdict = pair.certificate.verify(b"signed under the empty user id", &signature);
    assert!(verdict.is_err());
}
