use std::error::Error;

use gm_sm2::key::{Sm2Model, Sm2PrivateKey, Sm2PublicKey};
use gm_sm3::sm3_hash;

use crate::implementation::{Implementation, Made};
use crate::scenario::Scenario;

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    let fault = |fault| format!("{fault:?}");
    let private: &'static Sm2PrivateKey = Box::leak(Box::new(Sm2PrivateKey::new(&scenario.secret).map_err(fault)?));
    let public = Sm2PublicKey::new(&scenario.point()).map_err(fault)?;
    Ok(Implementation::new("gm-sm2 0.13.0", "gm_sm2", scenario)
        .verify_message(move |item| public.verify(None, &item.message, &item.raw).is_ok())
        .sign_message(|item| private.sign(None, &item.message).ok().map(Made::Raw))
        .decrypt(|item| private.decrypt(&item.c1c3c2, false, Sm2Model::C1C3C2).ok())
        .hash(sm3_hash))
}
