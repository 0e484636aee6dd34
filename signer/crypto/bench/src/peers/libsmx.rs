use std::error::Error;

use libsmx::sm2::{PrivateKey, decrypt, sign, sign_message, verify, verify_message};
use libsmx::sm3::Sm3Hasher;
use rand_core_06::OsRng;

use crate::implementation::{Implementation, Made};
use crate::scenario::{Scenario, USER_ID};

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    let key = PrivateKey::from_bytes(&scenario.secret).map_err(|fault| format!("{fault:?}"))?;
    let key: &'static PrivateKey = Box::leak(Box::new(key));
    let public = scenario.point();
    let id = USER_ID.as_bytes();
    Ok(Implementation::new("libsmx 0.3.0", "libsmx", scenario)
        .verify_digest(move |item| verify(&item.digest, &public, &item.raw).is_ok())
        .verify_message(move |item| verify_message(&item.message, id, &public, &item.raw).is_ok())
        .sign_digest(|item| Some(Made::Raw(sign(&item.digest, key, &mut OsRng).to_vec())))
        .sign_message(move |item| {
            let signature = sign_message(&item.message, id, key, &mut OsRng);
            Some(Made::Raw(signature.to_vec()))
        })
        .decrypt(|item| decrypt(key, &item.c1c3c2).ok())
        .hash(Sm3Hasher::digest))
}
