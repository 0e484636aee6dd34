//! Opening messages: is each signed by whom it says, and what are the tokens of its encrypted fields. The decisions of
//! one message stand in the order the contract gives; the first that fails is its verdict.
//!
//! Two stages, so that nothing is decrypted for a stranger and deadlines can be looked at in between: [`verify_all`]
//! needs no private key, [`open_all`] does.

use std::time::Instant;

use signer_crypto::{FieldKind, Plaintext, Verification, verify_all as verify_signatures};
use signer_protocol::{Answer, Open, Rejection, Tokens};

use crate::audit::Use;
use crate::duties::{Finished, Subject};
use crate::envelopes::{Envelope, Unopened, open_envelopes};
use crate::job::By;
use crate::key_ring::{KeyRing, PeerKey};
use crate::key_set::KeySet;
use crate::suites::{contract_suite, crypto_kind};
use crate::tokens::TokenKeys;

/// What the first stage finds.
#[derive(Debug)]
pub(crate) enum Verdict<'k> {
    Finished(Finished<'k>),
    /// The signature held, and there is something to open.
    Encrypted(Verified<'k>),
}

/// A message whose signature held, by this key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verified<'k> {
    signer: &'k PeerKey,
}

/// Verdicts in the order of the messages. `now` is Unix time.
pub(crate) fn verify_all<'k>(keys: &'k KeySet, opens: &[&Open], now: i64) -> Vec<Verdict<'k>> {
    let signers: Vec<_> = opens.iter().map(|open| signer(&keys.ring, open, now)).collect();
    let held = signers.iter().zip(opens).filter_map(|(signer, open)| {
        let certificate = &signer.as_ref().ok()?.certificate;
        Some(Verification {
            certificate,
            signed: &open.signed,
            signature: &open.signature,
        })
    });
    let mut held = verify_signatures(&held.collect::<Vec<_>>()).into_iter();
    let verdicts = signers.into_iter().zip(opens).map(|(signer, open)| {
        let signer = match signer {
            Ok(signer) => signer,
            Err(rejected) => return Verdict::Finished(rejected),
        };
        let subject = Subject::peer(signer);
        match held.next() {
            Some(Ok(())) if has_encrypted(open) => Verdict::Encrypted(Verified { signer }),
            Some(Ok(())) => Verdict::Finished(subject.with(opened(signer, Tokens::default()))),
            Some(Err(_)) | None => Verdict::Finished(subject.with(Answer::Rejected(Rejection::SignatureWrong))),
        }
    });
    verdicts.collect()
}

/// Tokens of verified messages with something encrypted, in their order. Uses private keys.
pub(crate) fn open_all<'k>(
    keys: &'k KeySet,
    messages: &[(By<'_, Open>, Verified<'k>)],
    now: i64,
    deadline: Instant,
) -> Vec<Finished<'k>> {
    let envelopes = messages.iter().map(|(asked, _)| Envelope {
        serial: &asked.work.encryption_serial,
        sealed: &asked.work.envelope,
        caller: asked.caller.name(),
    });
    let envelopes: Vec<_> = envelopes.collect();
    let field_keys = open_envelopes(keys, Use::Open, &envelopes, now, deadline);
    let plaintexts = messages
        .iter()
        .zip(field_keys)
        .map(|((By { work: open, .. }, _), field_key)| {
            let field_key = field_key?;
            let plaintexts = open.fields.iter().map(|field| field_key.decrypt(&field.ciphertext));
            plaintexts
                .collect::<Result<Vec<_>, _>>()
                .map_err(|_| Unopened::Rejected(Rejection::FieldDoesNotOpen))
        });
    let plaintexts: Vec<_> = plaintexts.collect();
    let mut tokens = tokens(&keys.tokens, messages, &plaintexts).into_iter();
    let finished = messages.iter().zip(&plaintexts).map(|((_, verified), outcome)| {
        let answer = match outcome {
            Ok(_) => opened(
                verified.signer,
                tokens.next().expect("every opened message has its tokens"),
            ),
            Err(unopened) => unopened.answer(),
        };
        Subject::peer(verified.signer).with(answer)
    });
    finished.collect()
}

/// Tokens of each message that opened, all computed at once.
fn tokens(
    keys: &TokenKeys,
    messages: &[(By<'_, Open>, Verified<'_>)],
    plaintexts: &[Result<Vec<Plaintext>, Unopened>],
) -> Vec<Tokens> {
    let good = || {
        let pairs = messages.iter().zip(plaintexts);
        pairs.filter_map(|((asked, _), plaintexts)| Some((asked.work, plaintexts.as_ref().ok()?)))
    };
    let fields: Vec<(FieldKind, &[u8])> = good()
        .flat_map(|(open, plaintexts)| {
            let kinds = open.fields.iter().map(|field| crypto_kind(field.kind));
            kinds.zip(plaintexts.iter().map(Plaintext::expose))
        })
        .collect();
    let Tokens {
        tokens,
        other_generation,
    } = keys.tokens(&fields);
    let (mut tokens, mut other) = (tokens.into_iter(), other_generation.into_iter());
    let divided = good().map(|(open, _)| Tokens {
        tokens: tokens.by_ref().take(open.fields.len()).collect(),
        other_generation: other.by_ref().take(open.fields.len()).collect(),
    });
    divided.collect()
}

fn opened(signer: &PeerKey, tokens: Tokens) -> Answer {
    Answer::Opened {
        suite: contract_suite(signer.certificate.suite()),
        tokens,
    }
}

fn has_encrypted(open: &Open) -> bool {
    !(open.encryption_serial.is_empty() && open.envelope.is_empty() && open.fields.is_empty())
}

fn signer<'k>(ring: &'k KeyRing, open: &Open, now: i64) -> Result<&'k PeerKey, Finished<'k>> {
    let Some(peer) = ring.verifying(&open.signing_serial) else {
        return Err(Subject::UNKNOWN.with(Answer::Rejected(Rejection::SigningSerialUnknown)));
    };
    let rejected = |rejection| Err(Subject::peer(peer).with(Answer::Rejected(rejection)));
    if peer.institution != open.issuer {
        return rejected(Rejection::SerialOfAnotherInstitution);
    }
    if !peer.certificate.is_current(now) {
        return rejected(Rejection::CertificateOutOfDate);
    }
    if ring.is_revoked(&peer.certificate) {
        return rejected(Rejection::CertificateRevoked);
    }
    Ok(peer)
}

#[cfg(test)]
mod tests {
    use signer_crypto::Certificate;

    use super::*;
    use crate::config::PeerUse;
    use crate::tokens::tests::one;

    const NETWORK: &str = "G4000311000018";

    /// The other verdicts are seen through the whole process; this one needs a clock that can be set.
    #[test]
    fn a_certificate_is_good_from_its_first_to_its_last_second() {
        let pem = include_bytes!("../../fixtures/keys/network-sign-sm.cert.pem");
        let certificate = Certificate::from_pem(pem).unwrap();
        let (first, last) = (certificate.not_before(), certificate.not_after());
        let mut ring = KeyRing::new([]);
        ring.add_peer(PeerUse::Verify, NETWORK, certificate).unwrap();
        let keys = KeySet::of(ring, one());
        let message = Open {
            signed: Vec::new(),
            signature: Vec::new(),
            signing_serial: "4000000101".to_owned(),
            issuer: NETWORK.to_owned(),
            encryption_serial: String::new(),
            envelope: Vec::new(),
            fields: Vec::new(),
        };
        let check = |now: i64, expected: Rejection| {
            let verdict = verify_all(&keys, &[&message], now).pop().unwrap();
            let Verdict::Finished(Finished { answer, subject }) = verdict else {
                panic!("{now}: nothing is encrypted");
            };
            assert_eq!(answer, Answer::Rejected(expected), "{now}");
            assert_eq!((subject.serial, subject.institution), ("4000000101", NETWORK));
        };
        check(first - 1, Rejection::CertificateOutOfDate);
        check(first, Rejection::SignatureWrong);
        check(last, Rejection::SignatureWrong);
        check(last + 1, Rejection::CertificateOutOfDate);
    }
}
