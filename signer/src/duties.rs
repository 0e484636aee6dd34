//! What the signer does with one piece of work: from work and second to answer. No I/O, no clock, no queue.

use signer_crypto::{CryptoFault, FieldKey, TokenKey};
use signer_protocol::{Answer, Failure, KeyHealth, Sign, Signature, Tokenise, Work};

use crate::config::KeyUse;
use crate::key_ring::{KeyRing, OwnKey};
use crate::opening::{self, Opened};
use crate::sealing::{self, Unsealed};
use crate::suites::{contract_suite, crypto_kind, crypto_suite};

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
    pub(crate) fn perform(&self, work: &Work, now: i64) -> Answer {
        match work {
            Work::Open(open) => match opening::open(&self.ring, &self.token_key, open, now) {
                Ok(Opened { suite, tokens }) => Answer::Opened {
                    suite: contract_suite(suite),
                    tokens,
                },
                Err(rejection) => Answer::Rejected(rejection),
            },
            Work::Seal(seal) => match sealing::seal(&self.ring, seal, now) {
                Ok(sealed) => Answer::Sealed(sealed),
                Err(Unsealed::Rejected(rejection)) => Answer::Rejected(rejection),
                Err(Unsealed::NoCertificate) => no_key("no current certificate to encrypt for the receiver"),
                Err(Unsealed::Fault(fault)) => failed(&fault),
            },
            Work::Sign(sign) => self.sign(sign, now),
            Work::Tokenise(tokenise) => self.tokenise(tokenise),
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

    fn sign(&self, sign: &Sign, now: i64) -> Answer {
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
        match key.private.sign(&sign.signed) {
            Ok(bytes) => Answer::Signed(Signature { serial, bytes }),
            Err(fault) => failed(&fault),
        }
    }

    fn tokenise(&self, tokenise: &Tokenise) -> Answer {
        let kind = crypto_kind(tokenise.kind);
        let tokens = tokenise
            .plaintexts
            .iter()
            .map(|plaintext| self.token_key.token(kind, plaintext.as_bytes()));
        Answer::Tokens(tokens.collect())
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
        self.private
            .sign(SIGNED)
            .is_ok_and(|signature| self.certificate.verify(SIGNED, &signature).is_ok())
    }

    fn decrypts(&self) -> Option<bool> {
        const FIELD: &[u8] = b"health of a decrypting key";
        let field_key = FieldKey::generate(self.certificate.suite()).ok()?;
        let envelope = self.certificate.seal_envelope(&field_key).ok()?;
        let opened = self.private.open_envelope(&envelope).ok()?;
        let plaintext = opened.decrypt(&field_key.encrypt(FIELD)).ok()?;
        Some(plaintext.expose() == FIELD)
    }
}

fn no_key(text: &str) -> Answer {
    Answer::Failed(Failure::NoKey, text.to_owned())
}

/// The cause is for our log alone: what a caller sees never holds a source chain.
fn failed(fault: &CryptoFault) -> Answer {
    tracing::error!(%fault, source = ?std::error::Error::source(fault), "a key operation failed");
    Answer::Failed(Failure::Internal, "a key operation failed".to_owned())
}

fn rfc3339(second: i64) -> String {
    jiff::Timestamp::from_second(second).map_or_else(|_| second.to_string(), |timestamp| timestamp.to_string())
}
