use std::error::Error;

use getrandom::SysRng;
use gmcrypto_core::sm2::{Sm2PrivateKey, Sm2PublicKey, decrypt, sign_with_id, verify_with_id};
use gmcrypto_core::sm3;

use crate::implementation::{Implementation, Made};
use crate::scenario::{Scenario, USER_ID};

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    let key = Sm2PrivateKey::from_bytes_be(&scenario.secret).into_option();
    let key: &'static Sm2PrivateKey = Box::leak(Box::new(key.ok_or("the key is not taken")?));
    let public = Sm2PublicKey::from_sec1_bytes(&scenario.point()).ok_or("the public key is not taken")?;
    let id = USER_ID.as_bytes();
    Ok(Implementation::new("gmcrypto-core 1.17", "gmcrypto_core", scenario)
        .verify_message(move |item| verify_with_id(&public, id, &item.message, &item.der))
        .sign_message(move |item| sign_with_id(key, id, &item.message, &mut SysRng).ok().map(Made::Der))
        .decrypt(|item| decrypt(key, &item.der).ok())
        .hash(sm3::hash))
}
