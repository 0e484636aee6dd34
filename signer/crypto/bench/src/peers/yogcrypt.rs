use std::error::Error;

use yogcrypt::sm3::sm3_enc;

use crate::implementation::Implementation;
use crate::scenario::Scenario;

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    Ok(Implementation::new("yogcrypt 0.0.0", "yogcrypt", scenario)
        .remark("signs under one user id of its own making, which nobody else verifies; has no decryption")
        .hash(|message| {
            let words = sm3_enc(message).map(u32::to_be_bytes);
            words.concat().try_into().unwrap_or([0; 32])
        }))
}
