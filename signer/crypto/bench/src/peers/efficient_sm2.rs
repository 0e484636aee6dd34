use std::error::Error;

use efficient_sm2::{KeyPair, PublicKey, SecureRandom, Signature};

use crate::implementation::{Implementation, Made};
use crate::scenario::Scenario;

struct OfTheSystem;

impl SecureRandom for OfTheSystem {
    fn fill(&mut self, dest: &mut [u8]) {
        getrandom::fill(dest).expect("the system has randomness");
    }
}

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    let fault = |_| "the key is not taken";
    let pair: &'static KeyPair = Box::leak(Box::new(KeyPair::new(&scenario.secret).map_err(fault)?));
    let public: &'static PublicKey = Box::leak(Box::new(PublicKey::new(&scenario.x, &scenario.y)));
    let made = |signature: Signature| Made::Raw([signature.r(), signature.s()].concat());
    Ok(Implementation::new("efficient-sm2 0.2.5", "efficient_sm2", scenario)
        .remark("hashes with libsm; has no decryption")
        .verify_digest(|item| {
            Signature::from_slice(&item.raw)
                .is_ok_and(|signature| signature.verify_digest(public, &item.digest).is_ok())
        })
        .verify_message(|item| {
            Signature::from_slice(&item.raw).is_ok_and(|signature| signature.verify(public, &item.message).is_ok())
        })
        .sign_digest(move |item| pair.sign_digest(&mut OfTheSystem, &item.digest).ok().map(made))
        .sign_message(move |item| pair.sign(&item.message).ok().map(made)))
}
