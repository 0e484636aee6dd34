use std::error::Error;

use libsm::sm2::encrypt::DecryptCtx;
use libsm::sm2::signature::{SigCtx, Signature};
use libsm::sm3::hash::Sm3Hash;

use crate::implementation::{Implementation, Made};
use crate::scenario::{PLAINTEXT_BYTES, Scenario, word};

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    let context: &'static SigCtx = Box::leak(Box::new(SigCtx::new()));
    let fault = |fault| format!("{fault}");
    let secret = context.load_seckey(&scenario.secret).map_err(fault)?;
    let public = context.load_pubkey(&scenario.point()).map_err(fault)?;
    let decrypting = DecryptCtx::new(PLAINTEXT_BYTES, secret.clone());
    let made = |signature: &Signature| {
        let (r, s) = (signature.get_r().to_bytes_be(), signature.get_s().to_bytes_be());
        Made::Raw([word(&r), word(&s)].concat())
    };
    let read = |raw: &[u8; 64]| {
        let (r, s) = raw.split_at(32);
        Signature::new(r, s)
    };
    let (secret_too, public_too, public_three) = (secret.clone(), public, public);
    Ok(Implementation::new("libsm 0.6.1", "libsm", scenario)
        .verify_digest(move |item| {
            context
                .verify_raw(&item.digest, &public, &read(&item.raw))
                .unwrap_or(false)
        })
        .verify_message(move |item| {
            context
                .verify(&item.message, &public_too, &read(&item.raw))
                .unwrap_or(false)
        })
        .sign_digest(move |item| context.sign_raw(&item.digest, &secret).ok().as_ref().map(made))
        .sign_message(move |item| {
            let signature = context.sign(&item.message, &secret_too, &public_three);
            signature.ok().as_ref().map(made)
        })
        .decrypt(move |item| decrypting.decrypt(&item.c1c2c3).ok())
        .hash(|message| Sm3Hash::new(message).get_hash()))
}
