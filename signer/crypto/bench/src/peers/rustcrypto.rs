use std::error::Error;

use sm2::dsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use sm2::dsa::signature::{Signer, Verifier};
use sm2::dsa::{Signature, SigningKey};
use sm2::pke::{DecryptingKey, Mode};
use sm2::{NonZeroScalar, SecretKey};
use sm3::{Digest, Sm3};

use crate::implementation::{Implementation, Made};
use crate::scenario::{Scenario, USER_ID};

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    let secret = SecretKey::from_slice(&scenario.secret)?;
    let key: &'static SigningKey = Box::leak(Box::new(SigningKey::new(USER_ID, &secret)?));
    let public = key.verifying_key();
    let scalar = NonZeroScalar::try_from(scenario.secret.as_slice())?;
    let decrypting = DecryptingKey::new_with_mode(scalar, Mode::C1C3C2);
    let made = |signature: Signature| Made::Raw(signature.to_bytes().to_vec());
    Ok(Implementation::new("RustCrypto sm2 0.14", "rustcrypto", scenario)
        .verify_digest(|item| {
            Signature::from_slice(&item.raw)
                .is_ok_and(|signature| public.verify_prehash(&item.digest, &signature).is_ok())
        })
        .verify_message(|item| {
            Signature::from_slice(&item.raw).is_ok_and(|signature| public.verify(&item.message, &signature).is_ok())
        })
        .sign_digest(move |item| key.sign_prehash(&item.digest).ok().map(made))
        .sign_message(move |item| key.try_sign(&item.message).ok().map(made))
        .decrypt(move |item| decrypting.decrypt(&item.c1c3c2).ok())
        .hash(|message| Sm3::digest(message).into()))
}
