use std::error::Error;

use purecrypto::ec::{Sm2PrivateKey, Sm2Signature};
use purecrypto::hash::sm3;
use purecrypto::rng::OsRng;

use crate::implementation::{Implementation, Made};
use crate::scenario::{Scenario, USER_ID};

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    let fault = |fault| format!("{fault:?}");
    let key: &'static Sm2PrivateKey = Box::leak(Box::new(Sm2PrivateKey::from_bytes(&scenario.secret).map_err(fault)?));
    let public: &'static _ = Box::leak(Box::new(key.public_key()));
    let id = USER_ID.as_bytes();
    let made = |signature: Sm2Signature| Made::Raw(signature.to_bytes());
    Ok(Implementation::new("purecrypto 0.10", "purecrypto", scenario)
        .verify_digest(|item| {
            Sm2Signature::from_bytes(&item.raw)
                .is_ok_and(|signature| public.verify_prehash(&item.digest, &signature).is_ok())
        })
        .verify_message(move |item| {
            Sm2Signature::from_bytes(&item.raw)
                .is_ok_and(|signature| public.verify(&item.message, &signature, id).is_ok())
        })
        .sign_digest(move |item| key.sign_prehash(&item.digest, &mut OsRng).ok().map(made))
        .sign_message(move |item| key.sign(&item.message, id, &mut OsRng).ok().map(made))
        .decrypt(|item| key.decrypt(&item.c1c3c2).ok())
        .hash(|message| sm3(message).as_ref().try_into().unwrap_or([0; 32])))
}
