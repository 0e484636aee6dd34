//! The keys that are loaded, and which of them may be used for what at a given second.
//!
//! Invariants (S1): a key is used only for what it was configured for; a signing or encrypting key is chosen by suite
//! among those that are current and not revoked, the newest first; a decrypting key is found by serial and must be
//! current and not revoked as well. Several keys may be current at once, which is how keys are changed without a day
//! on which everybody changes. No clock here: the second comes from the caller.

use std::collections::{BTreeMap, BTreeSet};

use signer_crypto::{Certificate, PrivateKey, Suite};
use thiserror::Error;

use crate::config::{KeyUse, PeerUse};

/// Serial numbers find keys, so two certificates for one use cannot share one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("serial {serial} is already taken by another certificate for the same use")]
pub struct SerialTaken {
    pub serial: String,
}

#[derive(Debug)]
pub(crate) struct OwnKey {
    pub(crate) certificate: Certificate,
    pub(crate) private: PrivateKey,
}

/// A certificate of the network or of an institution.
#[derive(Debug)]
pub(crate) struct PeerKey {
    pub(crate) institution: String,
    pub(crate) certificate: Certificate,
}

/// By serial, everywhere.
#[derive(Debug)]
pub(crate) struct KeyRing {
    signing: BTreeMap<String, OwnKey>,
    decrypting: BTreeMap<String, OwnKey>,
    verifying: BTreeMap<String, PeerKey>,
    encrypting: BTreeMap<String, PeerKey>,
    revoked: BTreeSet<String>,
}

impl KeyRing {
    pub(crate) fn new(revoked: impl IntoIterator<Item = String>) -> Self {
        Self {
            signing: BTreeMap::new(),
            decrypting: BTreeMap::new(),
            verifying: BTreeMap::new(),
            encrypting: BTreeMap::new(),
            revoked: revoked.into_iter().collect(),
        }
    }

    pub(crate) fn add_key(
        &mut self,
        usage: KeyUse,
        certificate: Certificate,
        private: PrivateKey,
    ) -> Result<(), SerialTaken> {
        let keys = match usage {
            KeyUse::Sign => &mut self.signing,
            KeyUse::Decrypt => &mut self.decrypting,
        };
        let serial = certificate.serial().to_owned();
        insert(keys, serial, OwnKey { certificate, private })
    }

    pub(crate) fn add_peer(
        &mut self,
        usage: PeerUse,
        institution: &str,
        certificate: Certificate,
    ) -> Result<(), SerialTaken> {
        let keys = match usage {
            PeerUse::Verify => &mut self.verifying,
            PeerUse::Encrypt => &mut self.encrypting,
        };
        let serial = certificate.serial().to_owned();
        insert(
            keys,
            serial,
            PeerKey {
                institution: institution.to_owned(),
                certificate,
            },
        )
    }

    /// Whoever's it is and whatever its state: the caller judges, in the order of the profile.
    pub(crate) fn verifying(&self, serial: &str) -> Option<&PeerKey> {
        self.verifying.get(serial)
    }

    pub(crate) fn is_revoked(&self, serial: &str) -> bool {
        self.revoked.contains(serial)
    }

    pub(crate) fn decrypting(&self, serial: &str, now: i64) -> Option<&OwnKey> {
        self.decrypting
            .get(serial)
            .filter(|key| self.is_usable(&key.certificate, now))
    }

    pub(crate) fn signing(&self, suite: Suite, now: i64) -> Option<&OwnKey> {
        let keys = self.signing.values().filter(|key| key.certificate.suite() == suite);
        keys.filter(|key| self.is_usable(&key.certificate, now))
            .max_by_key(|key| key.certificate.not_before())
    }

    pub(crate) fn encrypting(&self, institution: &str, suite: Suite, now: i64) -> Option<&PeerKey> {
        let keys = self.encrypting.values().filter(|key| key.institution == institution);
        keys.filter(|key| key.certificate.suite() == suite && self.is_usable(&key.certificate, now))
            .max_by_key(|key| key.certificate.not_before())
    }

    /// The bank's own keys with their use.
    pub(crate) fn own(&self) -> impl Iterator<Item = (KeyUse, &OwnKey)> {
        let signing = self.signing.values().map(|key| (KeyUse::Sign, key));
        signing.chain(self.decrypting.values().map(|key| (KeyUse::Decrypt, key)))
    }

    pub(crate) fn is_usable(&self, certificate: &Certificate, now: i64) -> bool {
        certificate.is_current(now) && !self.is_revoked(certificate.serial())
    }

    /// What is missing for a bank to be served: in every suite it has keys of, one to sign and one to decrypt with.
    pub(crate) fn readiness(&self, now: i64) -> Result<(), String> {
        let suites: BTreeSet<Suite> = self.own().map(|(_, key)| key.certificate.suite()).collect();
        if suites.is_empty() {
            return Err("no key of the bank's is configured".to_owned());
        }
        for suite in suites {
            for usage in [KeyUse::Sign, KeyUse::Decrypt] {
                let mut fitting = self
                    .own()
                    .filter(|(of, key)| *of == usage && key.certificate.suite() == suite);
                if !fitting.any(|(_, key)| self.is_usable(&key.certificate, now)) {
                    return Err(format!("no current {suite} key to {} with", usage.name()));
                }
            }
        }
        Ok(())
    }

    /// For the log line at start: keys of the bank's and certificates of others.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.own().count(), self.verifying.len() + self.encrypting.len())
    }
}

fn insert<T>(keys: &mut BTreeMap<String, T>, serial: String, key: T) -> Result<(), SerialTaken> {
    if keys.contains_key(&serial) {
        return Err(SerialTaken { serial });
    }
    keys.insert(serial, key);
    Ok(())
}
