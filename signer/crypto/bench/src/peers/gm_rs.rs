use std::error::Error;

use gm_rs::sm2::key::{CompressModle, gen_keypair};
use gm_rs::sm3::sm3_hash;

use crate::implementation::{Implementation, Made};
use crate::scenario::{Scenario, word};

/// Takes no key but its own: it has a scenario of its own, with that key.
pub(super) fn ready(_: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    let (public, private) = gen_keypair(CompressModle::Uncompressed).map_err(|fault| format!("{fault:?}"))?;
    let scenario = Scenario::of_secret(word(&private.d.to_bytes_be()))?;
    let private: &'static _ = Box::leak(Box::new(private));
    Ok(Implementation::new("gm-rs 0.8.0", "gm_rs", scenario)
        .verify_message(move |item| public.verify(None, &item.message, &item.raw).is_ok())
        .sign_message(|item| private.sign(None, &item.message).ok().map(Made::Raw))
        .decrypt(|item| private.decrypt(&item.c1c2c3).ok())
        .hash(sm3_hash))
}
