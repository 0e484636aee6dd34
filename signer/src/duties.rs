//! What the signer does with one piece of work: from work and second to answer. No I/O, no clock, no queue.

use std::time::{Duration, Instant};

use signer_crypto::{FieldKey, TokenKey};
use signer_protocol::{Answer, Failure, KeyHealth, Sign, Signature, Tokenise, Tokens, Work};

use crate::config::KeyUse;
use crate::held_key::KeyFailure;
use crate::key_ring::{KeyRing, OwnKey};
use crate::opening::{self, Opened, Unopened};
use crate::sealing::{self, Unsealed};
use crate::suites::{contract_suite, crypto_kind, crypto_suite};

const HEALTH_LIMIT: Duration = Duration::from_secs(2);

/// The keys, and all that is done with them.
#[derive(Debug)]
pub(crate) struct Duties {
    ring: KeyRing,
    token_key: TokenKey,
}

impl Duties {
    pub(crate) const fn new(ring: KeyRing, token_key: TokenKey) -> Self {
        Self { ring, token_key }
    }

    pub(crate) const fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Any bytes in `work` give an answer. `now` is Unix time.
    pub(crate) fn perform(&self, work: &Work, now: i64, deadline: Instant) -> Answer {
        match work {
            Work::Open(open) => match opening::open(&self.ring, &self.token_key, open, now, deadline) {
                Ok(Opened { suite, tokens }) => Answer::Opened {
                    suite: contract_suite(suite),
                    tokens: Tokens {
                        tokens,
                        ..Tokens::default()
                    },
                },
                Err(unopened) => unopened_answer(unopened),
            },
            Work::Seal(seal) => match sealing::seal(&self.ring, seal, now, deadline) {
                Ok(sealed) => Answer::Sealed(sealed),
                Err(Unsealed::Unopened(unopened)) => unopened_answer(unopened),
                Err(Unsealed::NoCertificate) => no_key("no current certificate to encrypt for the receiver"),
                Err(Unsealed::Fault(fault)) => failed(&KeyFailure::Failed(fault.to_string())),
            },
            Work::Sign(sign) => self.sign(sign, now, deadline),
            Work::Tokenise(tokenise) => self.tokenise(tokenise),
            Work::Reveal(_) => Answer::Failed(Failure::NotAllowed, "no caller may reveal".to_owned()),
        }
    }

    /// Uses every current key of the bank's both ways.
    pub(crate) fn health(&self, now: i64) -> Vec<KeyHealth> {
        let usable = self
            .ring
            .own()
            .filter(|(_, key)| self.ring.is_usable(&key.certificate, now));
        let health = usable.map(|(usage, key)| KeyHealth {
            serial: key.certificate.serial().to_owned(),
            suite: contract_suite(key.certificate.suite()),
            usage: usage.name().to_owned(),
            not_after: rfc3339(key.certificate.not_after()),
            works: key.works(usage),
        });
        health.collect()
    }

    fn sign(&self, sign: &Sign, now: i64, deadline: Instant) -> Answer {
        let Some(key) = self.ring.signing(crypto_suite(sign.suite), now) else {
            return no_key("no current key of the suite to sign with");
        };
        let serial = key.certificate.serial().to_owned();
        if sign.signed.is_empty() {
            return Answer::Signed(Signature {
                serial,
                bytes: Vec::new(),
            });
        }
        match sign_one(key, &sign.signed, deadline) {
            Ok(bytes) => Answer::Signed(Signature { serial, bytes }),
            Err(failure) => failed(&failure),
        }
    }

    fn tokenise(&self, tokenise: &Tokenise) -> Answer {
        let kind = crypto_kind(tokenise.kind);
        let tokens = tokenise
            .plaintexts
            .iter()
            .map(|plaintext| self.token_key.token(kind, plaintext.as_bytes()));
        Answer::Tokens(Tokens {
            tokens: tokens.collect(),
            ..Tokens::default()
        })
    }
}

impl OwnKey {
    fn works(&self, usage: KeyUse) -> bool {
        match usage {
            KeyUse::Sign => self.signs(),
            KeyUse::Decrypt => self.decrypts().unwrap_or(false),
        }
    }

    fn signs(&self) -> bool {
        const SIGNED: &[u8] = b"health of a signing key";
        sign_one(self, SIGNED, Instant::now() + HEALTH_LIMIT)
            .is_ok_and(|signature| self.certificate.verify(SIGNED, &signature).is_ok())
    }

    fn decrypts(&self) -> Option<bool> {
        const FIELD: &[u8] = b"health of a decrypting key";
        let field_key = FieldKey::generate(self.certificate.suite()).ok()?;
        let envelope = self.certificate.seal_envelope(&field_key).ok()?;
        let opened = self
            .private
            .open_envelopes(&[&envelope], Instant::now() + HEALTH_LIMIT)
            .pop()?
            .ok()?;
        let plaintext = opened.decrypt(&field_key.encrypt(FIELD)).ok()?;
        Some(plaintext.expose() == FIELD)
    }
}

fn no_key(text: &str) -> Answer {
    Answer::Failed(Failure::NoKey, text.to_owned())
}

/// The cause is for our log alone: what a caller sees never holds a source chain.
fn failed(failure: &KeyFailure) -> Answer {
    tracing::error!(%failure, "a key was not used");
    match failure {
        KeyFailure::Unavailable(_) => Answer::Failed(Failure::KeyUnavailable, "the key cannot be reached".to_owned()),
        KeyFailure::Failed(_) => Answer::Failed(Failure::Internal, "a key operation failed".to_owned()),
    }
}

fn unopened_answer(unopened: Unopened) -> Answer {
    match unopened {
        Unopened::Rejected(rejection) => Answer::Rejected(rejection),
        Unopened::Key(failure) => failed(&failure),
    }
}

fn sign_one(key: &OwnKey, signed: &[u8], deadline: Instant) -> Result<Vec<u8>, KeyFailure> {
    let signature = key.private.sign(&[signed], deadline).pop();
    signature.expect("one message has one outcome")
}

fn rfc3339(second: i64) -> String {
    jiff::Timestamp::from_second(second).map_or_else(|_| second.to_string(), |timestamp| timestamp.to_string())
}
