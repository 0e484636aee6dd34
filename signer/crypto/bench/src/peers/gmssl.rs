use std::error::Error;

use gmssl_rs::{Sm2Key, Sm2Signer, Sm2Verifier, Sm3};

use crate::implementation::{Implementation, Made};
use crate::scenario::{KeyForm, Scenario, USER_ID};

/// id-ecPublicKey, and the curve named twice.
const FORM: KeyForm = KeyForm {
    algorithm: &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01],
    curve_inside: true,
};

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    let key: &'static Sm2Key = Box::leak(Box::new(Sm2Key::from_private_key_der(&scenario.pkcs8(&FORM))?));
    let verify = |message: &[u8], der: &[u8]| {
        let mut verifier = Sm2Verifier::new(key, Some(USER_ID))?;
        verifier.update(message)?;
        verifier.finish(der)
    };
    Ok(Implementation::new("GmSSL 3.1.1", "gmssl", scenario)
        .remark("built from the sources in crate gmssl-rs-sys, which has no decryption")
        .verify_message(move |item| verify(&item.message, &item.der).unwrap_or(false))
        .sign_message(|item| Sm2Signer::sign(key, Some(USER_ID), &item.message).ok().map(Made::Der))
        .hash(Sm3::digest))
}
