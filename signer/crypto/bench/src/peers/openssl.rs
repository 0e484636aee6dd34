use std::error::Error;

use openssl::encrypt::Decrypter;
use openssl::error::ErrorStack;
use openssl::hash::{MessageDigest, hash};
use openssl::pkey_ctx::PkeyCtx;

use crate::implementation::{Implementation, Made};
use crate::scenario::{Scenario, Word, word};

fn sm3(bytes: &[u8]) -> Word {
    hash(MessageDigest::sm3(), bytes).map_or([0; 32], |digest| word(&digest))
}

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    let sign = |digest: &Word| -> Result<Vec<u8>, ErrorStack> {
        let mut context = PkeyCtx::new(&scenario.openssl)?;
        context.sign_init()?;
        let mut der = Vec::new();
        context.sign_to_vec(digest, &mut der)?;
        Ok(der)
    };
    let decrypt = |ciphertext: &[u8]| -> Result<Vec<u8>, ErrorStack> {
        let decrypter = Decrypter::new(&scenario.openssl)?;
        let mut plaintext = vec![0; decrypter.decrypt_len(ciphertext)?];
        let written = decrypter.decrypt(ciphertext, &mut plaintext)?;
        plaintext.truncate(written);
        Ok(plaintext)
    };
    let version = openssl::version::version();
    let name = version.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Ok(Implementation::new(name, "openssl", scenario)
        .remark("hashes and verifies in two calls, the identity's hash made beforehand")
        .verify_digest(|item| scenario.verifies(&item.digest, &item.der))
        .verify_message(|item| scenario.verifies(&sm3(&item.with_identity), &item.der))
        .sign_digest(move |item| sign(&item.digest).ok().map(Made::Der))
        .sign_message(move |item| sign(&sm3(&item.with_identity)).ok().map(Made::Der))
        .decrypt(move |item| decrypt(&item.der).ok())
        .hash(sm3))
}
