use std::error::Error;

use smcrypto::sm2::{Decrypt, Sign, Verify};
use smcrypto::sm3::sm3_hash_raw;

use crate::implementation::{Implementation, Made};
use crate::scenario::{Scenario, word};

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    let secret: &'static str = hex::encode(scenario.secret).leak();
    let public: &'static str = hex::encode([scenario.x, scenario.y].concat()).leak();
    Ok(Implementation::new("smcrypto 0.3.1", "smcrypto", scenario)
        .remark("decrypts without checking the hash")
        .verify_digest(|item| Verify::new(public).verify_raw(&item.digest, &item.der))
        .verify_message(|item| Verify::new(public).verify(&item.message, &item.der))
        .sign_digest(|item| Some(Made::Der(Sign::new(secret).sign_raw(&item.digest))))
        .sign_message(|item| Some(Made::Der(Sign::new(secret).sign(&item.message))))
        .decrypt(|item| Some(Decrypt::new(secret).decrypt(&item.c1c3c2_bare)))
        .hash(|message| word(&sm3_hash_raw(message))))
}
