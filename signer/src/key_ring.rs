//! The keys that are loaded, and which of them may be used for what at a given second.
//!
//! Invariants (S1): a key is used only for what it was configured for; a signing or encrypting key is chosen by suite
//! among those that are current and not revoked, the newest first; a decrypting key is found by serial and must be
//! current and not revoked as well. Several keys may be current at once, which is how keys are changed without a day
//! on which everybody changes. No clock here: the second comes from the caller.
//!
//! A ring is never changed once it is in use. The one thing that moves in it is whether a key of the bank's answered
//! when it was last used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signer_crypto::{Certificate, Suite};
use thiserror::Error;

use crate::config::{KeyUse, PeerUse};
use crate::duties::Subject;
use crate::held_key::HeldKey;
use crate::revocation::RevocationList;

mod key_use;

pub(crate) use key_use::KeyInput;

/// Serial numbers find keys, so two certificates for one use cannot share one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("serial {serial} is already taken by another certificate for the same use")]
pub struct SerialTaken {
    pub serial: String,
}

#[derive(Debug)]
pub(crate) struct OwnKey {
    pub(crate) certificate: Certificate,
    /// Within reach of `key_use` alone.
    private: Arc<dyn HeldKey>,
    /// Whether its device answered when it was last used.
    reachable: AtomicBool,
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
    /// By the configuration, whoever issued them.
    revoked: BTreeSet<String>,
    /// By a list of their issuer's: serials with the name of the issuer. Only of certificates that are loaded.
    listed: BTreeMap<String, Vec<Vec<u8>>>,
}

impl KeyRing {
    pub(crate) fn new(revoked: impl IntoIterator<Item = String>) -> Self {
        Self {
            signing: BTreeMap::new(),
            decrypting: BTreeMap::new(),
            verifying: BTreeMap::new(),
            encrypting: BTreeMap::new(),
            revoked: revoked.into_iter().collect(),
            listed: BTreeMap::new(),
        }
    }

    pub(crate) fn add_key(
        &mut self,
        usage: KeyUse,
        certificate: Certificate,
        private: Arc<dyn HeldKey>,
    ) -> Result<(), SerialTaken> {
        let keys = match usage {
            KeyUse::Sign => &mut self.signing,
            KeyUse::Decrypt => &mut self.decrypting,
        };
        let serial = certificate.serial().to_owned();
        insert(
            keys,
            serial,
            OwnKey {
                certificate,
                private,
                reachable: AtomicBool::new(true),
            },
        )
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

    /// Takes up what an issuer's list says of certificates that are loaded; how many of them it revokes.
    pub(crate) fn revoke_listed(&mut self, list: &RevocationList) -> usize {
        let named = |(_, _, certificate): &(_, _, &Certificate)| {
            certificate.issuer() == list.issuer() && list.names(certificate.serial())
        };
        let named = self.certificates().filter(named);
        let serials: BTreeSet<String> = named
            .map(|(_, _, certificate)| certificate.serial().to_owned())
            .collect();
        let count = serials.len();
        for serial in serials {
            self.listed.entry(serial).or_default().push(list.issuer().to_vec());
        }
        count
    }

    /// Whoever's it is and whatever its state: the caller judges, in the order of the profile.
    pub(crate) fn verifying(&self, serial: &str) -> Option<&PeerKey> {
        self.verifying.get(serial)
    }

    pub(crate) fn is_revoked(&self, certificate: &Certificate) -> bool {
        let by_list = |issuers: &Vec<Vec<u8>>| issuers.iter().any(|issuer| issuer == certificate.issuer());
        self.revoked.contains(certificate.serial()) || self.listed.get(certificate.serial()).is_some_and(by_list)
    }

    pub(crate) fn decrypting(&self, serial: &str, now: i64) -> Option<&OwnKey> {
        self.decrypting
            .get(serial)
            .filter(|key| self.is_usable(&key.certificate, now))
    }

    /// Keys to sign with, the best first: those that answered when last used, of these the newest.
    pub(crate) fn signing(&self, suite: Suite, now: i64) -> Vec<&OwnKey> {
        let keys = self.signing.values().filter(|key| key.certificate.suite() == suite);
        let mut keys: Vec<&OwnKey> = keys.filter(|key| self.is_usable(&key.certificate, now)).collect();
        keys.sort_by_key(|key| std::cmp::Reverse((key.is_reachable(), key.certificate.not_before())));
        keys
    }

    /// Whether a serial is that of a key of the suite to sign with now.
    pub(crate) fn signs_as(&self, serial: &str, suite: Suite, now: i64) -> bool {
        let key = self.signing.get(serial);
        key.is_some_and(|key| key.certificate.suite() == suite && self.is_usable(&key.certificate, now))
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

    /// Every certificate, with its use and whose it is.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = (&'static str, Subject<'_>, &Certificate)> {
        let own = self
            .own()
            .map(|(usage, key)| (usage.name(), Subject::own(key), &key.certificate));
        let peers = |usage: &'static str, keys| {
            let keys: &BTreeMap<String, PeerKey> = keys;
            keys.values()
                .map(move |key| (usage, Subject::peer(key), &key.certificate))
        };
        own.chain(peers("verify", &self.verifying))
            .chain(peers("encrypt", &self.encrypting))
    }

    pub(crate) fn is_usable(&self, certificate: &Certificate, now: i64) -> bool {
        certificate.is_current(now) && !self.is_revoked(certificate)
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

impl OwnKey {
    /// After a use of the key, or a try: whether whatever holds it answered.
    pub(crate) fn answered(&self, reachable: bool) {
        self.reachable.store(reachable, Ordering::Relaxed);
    }

    pub(crate) fn is_reachable(&self) -> bool {
        self.reachable.load(Ordering::Relaxed)
    }
}

fn insert<T>(keys: &mut BTreeMap<String, T>, serial: String, key: T) -> Result<(), SerialTaken> {
    if keys.contains_key(&serial) {
        return Err(SerialTaken { serial });
    }
    keys.insert(serial, key);
    Ok(())
}

#[cfg(test)]
mod tests {
    use signer_crypto::{Passphrase, PrivateKey};

    use super::*;

    /// 2023, 2026-12-01, 2060.
    const EARLY: i64 = 1_672_531_200;
    const LATE: i64 = 1_796_083_200;
    const NEVER: i64 = 2_840_140_800;
    const NETWORK: &str = "G4000311000018";
    const OLDER: &str = "4000000111";
    const NEWER: &str = "4B42";

    /// Two SM keys: `OLDER` from 2020, `NEWER` from 2026-11-20 on.
    fn keys() -> [(Certificate, Arc<dyn HeldKey>); 2] {
        let pair = |certificate: &[u8], key: &[u8], passphrase: &[u8]| {
            let passphrase = Passphrase::new(passphrase.trim_ascii_end().to_vec());
            let private: Arc<dyn HeldKey> = Arc::new(PrivateKey::from_pkcs8_pem(key, &passphrase).unwrap());
            (Certificate::from_pem(certificate).unwrap(), private)
        };
        [
            pair(
                include_bytes!("../../fixtures/keys/bank-sign-sm.cert.pem"),
                include_bytes!("../../fixtures/keys/bank-sign-sm.key.pem"),
                include_bytes!("../../fixtures/keys/TEST-ONLY-passphrase.txt"),
            ),
            pair(
                include_bytes!("../crypto/known-answers/TEST-ONLY-sm.cert.pem"),
                include_bytes!("../crypto/known-answers/TEST-ONLY-sm.key.pem"),
                b"known-answers-TEST-ONLY",
            ),
        ]
    }

    fn ring(revoked: &[&str]) -> KeyRing {
        let mut ring = KeyRing::new(revoked.iter().map(ToString::to_string));
        for usage in [KeyUse::Sign, KeyUse::Decrypt] {
            for (certificate, private) in keys() {
                ring.add_key(usage, certificate, private).unwrap();
            }
        }
        for (certificate, _) in keys() {
            ring.add_peer(PeerUse::Encrypt, NETWORK, certificate).unwrap();
        }
        ring
    }

    #[test]
    fn the_newest_current_key_is_chosen() {
        #[track_caller]
        fn check(now: i64, revoked: &[&str], expected: Option<&str>) {
            let ring = ring(revoked);
            let signing = ring.signing(Suite::Sm, now);
            assert_eq!(signing.first().map(|key| key.certificate.serial()), expected);
            let encrypting = ring
                .encrypting(NETWORK, Suite::Sm, now)
                .map(|key| key.certificate.serial());
            assert_eq!(encrypting, expected);
        }
        check(EARLY, &[], Some(OLDER));
        check(LATE, &[], Some(NEWER));
        check(LATE, &[NEWER], Some(OLDER));
        check(EARLY, &[OLDER], None);
        check(NEVER, &[], None);
    }

    #[test]
    fn a_key_that_did_not_answer_is_tried_last() {
        let ring = ring(&[]);
        let serials = || -> Vec<&str> {
            let keys = ring.signing(Suite::Sm, LATE);
            keys.iter().map(|key| key.certificate.serial()).collect()
        };
        let newer = || {
            *ring
                .signing(Suite::Sm, LATE)
                .iter()
                .find(|key| key.certificate.serial() == NEWER)
                .unwrap()
        };
        assert_eq!(serials(), [NEWER, OLDER]);
        newer().answered(false);
        assert_eq!(serials(), [OLDER, NEWER]);
        newer().answered(true);
        assert_eq!(serials(), [NEWER, OLDER]);
    }

    #[test]
    fn suites_and_institutions_are_kept_apart() {
        let ring = ring(&[]);
        assert!(ring.signing(Suite::Rsa, LATE).is_empty());
        assert!(ring.encrypting(NETWORK, Suite::Rsa, LATE).is_none());
        assert!(ring.encrypting("Z2000133000019", Suite::Sm, LATE).is_none());
        assert!(
            ring.verifying(OLDER).is_none(),
            "a certificate to encrypt with does not verify"
        );
    }

    #[test]
    fn several_keys_decrypt_while_they_are_current() {
        #[track_caller]
        fn check(serial: &str, now: i64, revoked: &[&str], expected: bool) {
            assert_eq!(ring(revoked).decrypting(serial, now).is_some(), expected);
        }
        check(OLDER, LATE, &[], true);
        check(NEWER, LATE, &[], true);
        check(NEWER, EARLY, &[], false);
        check(OLDER, NEVER, &[], false);
        check(OLDER, LATE, &[OLDER], false);
        check("4b42", LATE, &[], false);
    }

    #[test]
    fn readiness_says_what_is_missing() {
        #[track_caller]
        fn check(ring: &KeyRing, now: i64, expected: Result<(), &str>) {
            assert_eq!(ring.readiness(now), expected.map_err(str::to_owned));
        }
        check(&KeyRing::new([]), LATE, Err("no key of the bank's is configured"));
        check(&ring(&[]), LATE, Ok(()));
        check(&ring(&[]), NEVER, Err("no current sm key to sign with"));
        let mut signing_alone = KeyRing::new([]);
        let [(certificate, private), _] = keys();
        signing_alone.add_key(KeyUse::Sign, certificate, private).unwrap();
        check(&signing_alone, LATE, Err("no current sm key to decrypt with"));
    }

    #[test]
    fn a_serial_stands_for_one_certificate_in_one_use() {
        let mut ring = ring(&[]);
        let [(certificate, private), _] = keys();
        assert_eq!(
            ring.add_key(KeyUse::Sign, certificate, private),
            Err(SerialTaken {
                serial: OLDER.to_owned()
            })
        );
        let [(certificate, _), _] = keys();
        assert_eq!(ring.add_peer(PeerUse::Verify, NETWORK, certificate), Ok(()));
    }
}
