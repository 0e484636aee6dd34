//! Everything that is reloaded as one: the bank's keys, certificates and revocations, and the token keys.
//!
//! A set is loaded and tried completely before it is used, and never changed afterwards; a new one takes its place from
//! one piece of work to the next. What is under way finishes with the set it began with.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::config::Config;
use crate::health::{self, Trial};
use crate::key_files::{self, KeyFileFault, Loaded};
use crate::key_ring::KeyRing;
use crate::provider::Providers;
use crate::tokens::{TokenGeneration, TokenKeys};

/// How long one key may take to show that it works.
const TRIAL_LIMIT: Duration = Duration::from_secs(2);

/// Why a set of keys is not taken into use.
#[derive(Debug, Error)]
pub enum KeySetFault {
    #[error(transparent)]
    Files(#[from] KeyFileFault),
    #[error("both generations of the token key are the same key")]
    TokenKeysAlike,
    #[error("the key of certificate {serial} does not {usage}")]
    KeyDoesNotWork { serial: String, usage: &'static str },
}

#[derive(Debug)]
pub(crate) struct KeySet {
    /// Counts the sets this process has used, from 1 on.
    pub(crate) generation: u64,
    pub(crate) ring: KeyRing,
    pub(crate) tokens: TokenKeys,
    pub(crate) providers: Providers,
    /// Keys whose device was away when this set was loaded: each with why.
    pub(crate) away: Vec<String>,
}

impl KeySet {
    /// Reads all files that the configuration names, and uses every private key once, both ways. A key whose device is
    /// away is taken all the same: a revocation must not wait for a device.
    pub(crate) fn load(config: &Config, generation: u64, running: &Providers) -> Result<Self, KeySetFault> {
        let Loaded { ring, providers, away } = key_files::load(config, running)?;
        let tokens = token_keys(config)?;
        if tokens.are_the_same() {
            return Err(KeySetFault::TokenKeysAlike);
        }
        for (usage, key) in ring.own() {
            let serial = key.certificate.serial();
            match health::trial(usage, key, Instant::now() + TRIAL_LIMIT) {
                Trial::Works => {}
                Trial::Away => tracing::warn!(serial, "the device of a key cannot be reached"),
                Trial::Fails => {
                    return Err(KeySetFault::KeyDoesNotWork {
                        serial: serial.to_owned(),
                        usage: usage.name(),
                    });
                }
            }
        }
        Ok(Self {
            generation,
            ring,
            tokens,
            providers,
            away,
        })
    }
}

impl KeySet {
    /// What holds the keys, and which cannot be used at present.
    pub(crate) fn log_providers(&self) {
        self.providers.log();
        for reason in &self.away {
            tracing::error!(reason, "the device of a key is away");
        }
    }
}

fn token_keys(config: &Config) -> Result<TokenKeys, KeyFileFault> {
    let mut issued = None;
    let mut other = None;
    for source in config.token_keys() {
        let loaded = TokenGeneration {
            generation: source.generation,
            key: key_files::token_key(source.key_file)?,
        };
        let place = if source.issued { &mut issued } else { &mut other };
        *place = Some(loaded);
    }
    Ok(TokenKeys {
        issued: issued.expect("a checked configuration has one issued generation"),
        other,
    })
}

/// The set in use.
#[derive(Debug)]
pub(crate) struct CurrentKeys(RwLock<Arc<KeySet>>);

impl CurrentKeys {
    pub(crate) fn new(keys: KeySet) -> Self {
        Self(RwLock::new(Arc::new(keys)))
    }

    pub(crate) fn now(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The set before comes back.
    pub(crate) fn exchange(&self, keys: KeySet) -> Arc<KeySet> {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, Arc::new(keys))
    }
}
