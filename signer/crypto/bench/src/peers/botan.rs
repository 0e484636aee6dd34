use std::cell::RefCell;
use std::error::Error;

use botan::{
    Decryptor, EncryptionParams, HashAlgorithm, HashFunction, Privkey, Pubkey, RandomNumberGenerator, SignatureParams,
    Signer, Verifier, Version,
};

use crate::implementation::{Implementation, Made};
use crate::scenario::{KeyForm, Scenario, USER_ID, word};

/// Botan has an identifier of its own for keys of SM2.
const FORM: KeyForm = KeyForm {
    algorithm: &[0x2A, 0x81, 0x1C, 0xCF, 0x55, 0x01, 0x82, 0x2D, 0x01],
    curve_inside: false,
};

pub(super) fn ready(scenario: &'static Scenario) -> Result<Implementation, Box<dyn Error>> {
    // Operations of Botan 2 refer to their key, which the crate does not keep alive for them.
    let private: &'static Privkey = Box::leak(Box::new(Privkey::load_der(&scenario.pkcs8(&FORM))?));
    let public: &'static Pubkey = Box::leak(Box::new(private.pubkey()?));
    let params = || SignatureParams::Sm2 {
        user_id: USER_ID.to_owned(),
        hash: Some(HashAlgorithm::Sm3),
    };
    let rng = RefCell::new(RandomNumberGenerator::new_userspace()?);
    let signer = RefCell::new(Signer::new(private, params())?);
    let verifier = RefCell::new(Verifier::new(public, params())?);
    let decryptor = RefCell::new(Decryptor::new(private, EncryptionParams::Sm2(HashAlgorithm::Sm3))?);
    let hash = RefCell::new(HashFunction::new(HashAlgorithm::Sm3)?);
    let version = Version::current()?;
    let name = format!("Botan {}.{}.{}", version.major, version.minor, version.patch);
    Ok(Implementation::new(name, "botan", scenario)
        .verify_message(move |item| {
            let mut verifier = verifier.borrow_mut();
            verifier.update(&item.message).is_ok() && verifier.finish(&item.raw).unwrap_or(false)
        })
        .sign_message(move |item| {
            let mut signer = signer.borrow_mut();
            signer.update(&item.message).ok()?;
            signer.finish(&mut rng.borrow_mut()).ok().map(Made::Raw)
        })
        .decrypt(move |item| decryptor.borrow_mut().decrypt(&item.der).ok())
        .hash(move |message| {
            let mut hash = hash.borrow_mut();
            hash.update(message)
                .and_then(|()| hash.finish())
                .map_or([0; 32], |digest| word(&digest))
        }))
}
