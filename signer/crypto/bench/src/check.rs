//! Whether an ability is right, before it is measured: against what OpenSSL made and by what OpenSSL says.

use openssl::bn::BigNum;
use openssl::ecdsa::EcdsaSig;

use crate::implementation::{Ability, Made, Work};
use crate::scenario::{ITEMS, Scenario, Signed, Word};

/// What is wrong with it. Panics are the caller's to catch.
pub(crate) fn check(ability: &Ability, scenario: &Scenario) -> Result<(), &'static str> {
    let signed = scenario.signed.chunks(ability.batch);
    match &ability.work {
        Work::Verify(verify) => {
            let accepted: Vec<bool> = signed.flat_map(verify).collect();
            expect(
                accepted.len() == ITEMS && accepted.iter().all(|verdict| *verdict),
                "refuses a good signature",
            )?;
            let forged = forged(&scenario.signed);
            let accepted: Vec<bool> = forged.chunks(ability.batch).flat_map(verify).collect();
            expect(
                accepted.len() == ITEMS && !accepted.contains(&true),
                "takes a forged signature",
            )
        }
        Work::Sign(sign) => {
            let made: Vec<Option<Made>> = signed.flat_map(sign).collect();
            let right = |(made, item): (&Option<Made>, &Signed)| {
                let der = made.as_ref().and_then(der);
                der.is_some_and(|der| scenario.verifies(&item.digest, &der))
            };
            let all = made.iter().zip(&scenario.signed).all(right);
            expect(made.len() == ITEMS && all, "makes a signature that OpenSSL refuses")
        }
        Work::Decrypt(decrypt) => {
            let opened: Vec<Option<Vec<u8>>> = scenario.sealed.chunks(ability.batch).flat_map(decrypt).collect();
            let mut expected = scenario.sealed.iter().map(|item| Some(item.plaintext.to_vec()));
            expect(
                opened.len() == ITEMS && opened.into_iter().all(|opened| Some(opened) == expected.next()),
                "decrypts wrongly",
            )
        }
        Work::Hash(hash) => {
            let hashed: Vec<Word> = signed.flat_map(hash).collect();
            expect(hashed == scenario.digests_of_messages, "hashes wrongly")
        }
    }
}

fn expect(right: bool, fault: &'static str) -> Result<(), &'static str> {
    if right { Ok(()) } else { Err(fault) }
}

/// Each message and digest with the signature of the next one.
fn forged(signed: &[Signed]) -> Vec<Signed> {
    let next = signed.iter().cycle().skip(1);
    signed
        .iter()
        .zip(next)
        .map(|(item, next)| Signed {
            message: item.message.clone(),
            with_identity: item.with_identity.clone(),
            digest: item.digest,
            der: next.der.clone(),
            raw: next.raw,
        })
        .collect()
}

fn der(made: &Made) -> Option<Vec<u8>> {
    match made {
        Made::Der(der) => Some(der.clone()),
        Made::Raw(raw) => {
            let (r, s) = raw.split_at_checked(raw.len() / 2)?;
            let signature = EcdsaSig::from_private_components(BigNum::from_slice(r).ok()?, BigNum::from_slice(s).ok()?);
            signature.ok()?.to_der().ok()
        }
    }
}
