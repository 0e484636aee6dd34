//! Many operations at once, which is where the lanes of the processor pay. Every item has its own outcome: what is wrong
//! with one never touches another, and a batch of one is an ordinary call. What a private key does to many stands with it.

use crate::certificate::PublicKey;
use crate::sm::encryption;
use crate::sm::signature::{Signed, VerifyingKey};
use crate::{Certificate, CryptoFault, FieldKey, SignatureWrong, Suite, envelope};

/// A signature to verify: whether `signature` is one of exactly `signed` by the certificate's key. Stranger's input.
#[derive(Debug, Clone, Copy)]
pub struct Verification<'a> {
    pub certificate: &'a Certificate,
    pub signed: &'a [u8],
    pub signature: &'a [u8],
}

/// A field key to seal for the holder of a certificate's private key.
#[derive(Debug, Clone, Copy)]
pub struct Sealing<'a> {
    pub certificate: &'a Certificate,
    pub field_key: &'a FieldKey,
}

/// Verdicts in the order of the items, of either suite and of any keys.
pub fn verify_all(items: &[Verification<'_>]) -> Vec<Result<(), SignatureWrong>> {
    let of_sm = items.iter().filter_map(|item| match item.certificate.key() {
        PublicKey::Rsa(_) => None,
        PublicKey::Sm { verifying: key, .. } => Some(Signed {
            key,
            bytes: item.signed,
            signature: item.signature,
        }),
    });
    let mut of_sm = VerifyingKey::verify_all(&of_sm.collect::<Vec<_>>()).into_iter();
    let verdicts = items.iter().map(|item| match item.certificate.key() {
        PublicKey::Rsa(_) => item.certificate.verify(item.signed, item.signature),
        PublicKey::Sm { .. } => {
            let holds = of_sm.next().expect("there is a verdict for every item of the suite");
            if holds { Ok(()) } else { Err(SignatureWrong) }
        }
    });
    verdicts.collect()
}

/// Envelopes in the order of the items.
pub fn seal_all(items: &[Sealing<'_>]) -> Vec<Result<Vec<u8>, CryptoFault>> {
    let of_sm = items.iter().filter_map(|item| match item.certificate.key() {
        PublicKey::Sm { verifying, .. } if item.field_key.suite() == Suite::Sm => {
            Some((verifying.multiples(), envelope::write(item.field_key)))
        }
        PublicKey::Sm { .. } | PublicKey::Rsa(_) => None,
    });
    let of_sm = encryption::encrypt_all(&of_sm.collect::<Vec<_>>());
    // without randomness each finds out for itself
    let mut of_sm = of_sm.unwrap_or_default().into_iter();
    let envelopes = items.iter().map(|item| {
        let suites = (item.certificate.suite(), item.field_key.suite());
        let sealed = if suites == (Suite::Sm, Suite::Sm) {
            of_sm.next()
        } else {
            None
        };
        sealed.map_or_else(|| item.certificate.seal_envelope(item.field_key), Ok)
    });
    envelopes.collect()
}
