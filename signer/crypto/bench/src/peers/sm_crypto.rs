use std::error::Error;

use sm_crypto::sm2::{Decrypt, Sign, Verify};
use sm_crypto::sm3::sm3_hash_raw;

use crate::implementation::{Implementation, Made};
use crate::scenario::{Scenario, word};

/// Whether it hashes first.
const DIGEST_GIVEN: bool = false;
const MESSAGE_GIVEN: bool = true;

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    let secret: &'static str = hex::encode(scenario.secret).leak();
    let public: &'static str = hex::encode([scenario.x, scenario.y].concat()).leak();
    Ok(Implementation::new("sm-crypto 0.1.9", "sm_crypto", scenario)
        .remark("decrypts without checking the hash")
        .verify_digest(|item| Verify::new(public).verify_der(&item.digest, &item.der, DIGEST_GIVEN))
        .verify_message(|item| Verify::new(public).verify_der(&item.message, &item.der, MESSAGE_GIVEN))
        .sign_digest(|item| Some(Made::Der(Sign::new(secret).sign_der(&item.digest, DIGEST_GIVEN))))
        .sign_message(|item| Some(Made::Der(Sign::new(secret).sign_der(&item.message, MESSAGE_GIVEN))))
        .decrypt(|item| Some(Decrypt::new(secret).decrypt(&item.c1c3c2_bare)))
        .hash(|message| word(&sm3_hash_bytes(message))))
}

fn sm3_hash_bytes(message: &[u8]) -> Vec<u8> {
    sm3_hash_raw(message)
}
