use std::error::Error;

use gm_crypto::sm2::{Sm2Decryptor, Sm2KeyPair, Sm2Signer, Sm2Verifier};
use gm_crypto::sm3::Sm3Hasher;

use crate::implementation::{Implementation, Made};
use crate::scenario::{Scenario, USER_ID, word};

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    let pair = Sm2KeyPair::from_private_key(&scenario.secret)?;
    let signer = Sm2Signer::new(&pair)?;
    let verifier = Sm2Verifier::new(&scenario.point(), USER_ID)?;
    let decryptor = Sm2Decryptor::new(pair);
    Ok(Implementation::new("gm-crypto 0.3.13", "gm_crypto", scenario)
        .remark("a face of RustCrypto sm2 0.13")
        .verify_message(move |item| verifier.verify(&item.message, &item.raw).is_ok())
        .sign_message(move |item| signer.sign(&item.message).ok().map(Made::Raw))
        .decrypt(move |item| decryptor.decrypt(&item.c1c3c2).ok())
        .hash(|message| Sm3Hasher::hash(message).map_or([0; 32], |digest| word(&digest))))
}
