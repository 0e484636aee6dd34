//! A key for tests: the bank's SM2 test key, with a device around it that does what a test tells it to.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use signer_crypto::{Certificate, FieldKey, Passphrase, PrivateKey, Suite};

use crate::config::KeyUse;
use crate::held_key::{EnvelopeFailure, HeldKey, KeyFailure};
use crate::key_ring::KeyRing;

/// From 2020 on.
pub(crate) const OLDER: &str = "4000000111";
/// From 2026-11-20 on.
pub(crate) const NEWER: &str = "4B42";
/// 2026-12-01.
pub(crate) const LATE: i64 = 1_796_083_200;

/// What happens when the key is used, with all that it is used on at once.
type Device = Box<dyn Fn(&[&[u8]]) -> Result<(), KeyFailure> + Send + Sync>;

pub(crate) struct PretendedKey {
    inner: PrivateKey,
    device: Device,
    /// How many items each use was on.
    pub(crate) uses: Mutex<Vec<usize>>,
}

impl fmt::Debug for PretendedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PretendedKey")
    }
}

impl PretendedKey {
    /// Adds the key of one of the two certificates to a ring.
    pub(crate) fn add(
        ring: &mut KeyRing,
        usage: KeyUse,
        serial: &str,
        device: impl Fn(&[&[u8]]) -> Result<(), KeyFailure> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (certificate, key, passphrase): (&[u8], &[u8], &[u8]) = if serial == OLDER {
            (
                include_bytes!("../../fixtures/keys/bank-sign-sm.cert.pem"),
                include_bytes!("../../fixtures/keys/bank-sign-sm.key.pem"),
                include_bytes!("../../fixtures/keys/TEST-ONLY-passphrase.txt"),
            )
        } else {
            (
                include_bytes!("../crypto/known-answers/TEST-ONLY-sm.cert.pem"),
                include_bytes!("../crypto/known-answers/TEST-ONLY-sm.key.pem"),
                b"known-answers-TEST-ONLY",
            )
        };
        let passphrase = Passphrase::new(passphrase.trim_ascii_end().to_vec());
        let pretended = Arc::new(Self {
            inner: PrivateKey::from_pkcs8_pem(key, &passphrase).unwrap(),
            device: Box::new(device),
            uses: Mutex::default(),
        });
        let certificate = Certificate::from_pem(certificate).unwrap();
        assert_eq!(certificate.serial(), serial);
        ring.add_key(usage, certificate, Arc::<Self>::clone(&pretended))
            .unwrap();
        pretended
    }

    /// How many items each use was on, since this was last asked.
    pub(crate) fn uses(&self) -> Vec<usize> {
        std::mem::take(&mut self.uses.lock().unwrap())
    }

    fn used(&self, items: &[&[u8]]) -> Result<(), KeyFailure> {
        self.uses.lock().unwrap().push(items.len());
        (self.device)(items)
    }
}

impl HeldKey for PretendedKey {
    fn suite(&self) -> Suite {
        Suite::Sm
    }

    fn provider(&self) -> &'static str {
        "pretended"
    }

    fn sign(&self, signed: &[&[u8]], deadline: Instant) -> Vec<Result<Vec<u8>, KeyFailure>> {
        match self.used(signed) {
            Ok(()) => HeldKey::sign(&self.inner, signed, deadline),
            Err(failure) => signed.iter().map(|_| Err(failure.clone())).collect(),
        }
    }

    fn open_envelopes(&self, sealed: &[&[u8]], deadline: Instant) -> Vec<Result<FieldKey, EnvelopeFailure>> {
        match self.used(sealed) {
            Ok(()) => HeldKey::open_envelopes(&self.inner, sealed, deadline),
            Err(failure) => sealed.iter().map(|_| Err(failure.clone().into())).collect(),
        }
    }
}
