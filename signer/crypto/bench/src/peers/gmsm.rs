use std::error::Error;

use gmsm::sm2::sm2_decrypt_c1c3c2;

use crate::implementation::Implementation;
use crate::scenario::Scenario;

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    let secret: &'static str = hex::encode(scenario.secret).leak();
    Ok(Implementation::new("gmsm 0.1.0", "gmsm", scenario)
        .remark("has no signatures and hashes text alone; decrypts without checking the hash")
        .decrypt(|item| Some(sm2_decrypt_c1c3c2(&hex::encode(&item.c1c3c2), secret).into_bytes())))
}
