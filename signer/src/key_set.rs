//! Everything that is reloaded as one: the bank's keys, the certificates, their revocations, the token keys, and who may do
//! what with them.
//!
//! A set is loaded and tried completely before it is used, and never changed afterwards; a new one takes its place from
//! one piece of work to the next. What is under way finishes with the set it began with.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use signer_crypto::Suite;
use signer_protocol::KeyHealth;
use thiserror::Error;

use crate::audit::{Audit, KeyNote, Seal};
use crate::config::Config;
use crate::health::{self, Found, Trial};
use crate::key_files::{self, KeyFileFault, Loaded};
use crate::key_ring::KeyRing;
use crate::policy::{Policy, PolicyFault, Surroundings};
use crate::provider::Providers;
use crate::revocation::{RevocationFault, RevocationList};
use crate::tokens::{TokenGeneration, TokenKeys};

/// How long one key may take to show that it works.
const TRIAL_LIMIT: Duration = Duration::from_secs(2);

/// Why a set of keys is not taken into use.
#[derive(Debug, Error)]
pub enum KeySetFault {
    #[error(transparent)]
    Files(#[from] KeyFileFault),
    #[error(transparent)]
    Revocation(#[from] RevocationFault),
    #[error("both generations of the token key are the same key")]
    TokenKeysAlike,
    #[error(transparent)]
    Policy(#[from] PolicyFault),
    #[error("the key of certificate {serial} does not {usage}")]
    KeyDoesNotWork { serial: String, usage: &'static str },
}

#[derive(Debug)]
pub(crate) struct KeySet {
    /// Counts the sets this process has used, from 1 on.
    pub(crate) generation: u64,
    pub(crate) ring: KeyRing,
    pub(crate) tokens: TokenKeys,
    pub(crate) policy: Policy,
    /// Where uses of the keys are noted.
    pub(crate) audit: Audit,
    pub(crate) providers: Providers,
    /// Keys whose device was away when this set was loaded: each with why.
    pub(crate) away: Vec<String>,
    pub(crate) lists: Vec<ListState>,
    /// How the keys that may be used did when the set was loaded.
    pub(crate) tried: Vec<KeyHealth>,
}

/// What a set is loaded with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loading<'p> {
    pub(crate) generation: u64,
    /// Unix time.
    pub(crate) now: i64,
    /// Providers of the set in use, which a new one goes on with where nothing has changed.
    pub(crate) running: &'p Providers,
    pub(crate) audit: &'p Audit,
}

/// A revocation list that was taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListState {
    /// As the configuration names it.
    pub(crate) file: String,
    /// When its issuer means to have replaced it, in Unix time.
    pub(crate) next_update: Option<i64>,
}

impl KeySet {
    /// Reads all files that the configuration names, and uses every private key once, both ways. A key whose device is
    /// away is taken all the same: a revocation must not wait for a device.
    pub(crate) fn load(config: &Config, loading: Loading<'_>) -> Result<Self, KeySetFault> {
        let Loading {
            generation,
            now,
            running,
            audit,
        } = loading;
        let policy = policy(config)?;
        let loaded = key_files::load(config, running)?;
        let Loaded {
            mut ring,
            providers,
            away,
        } = loaded;
        let tokens = token_keys(config)?;
        if tokens.are_the_same() {
            return Err(KeySetFault::TokenKeysAlike);
        }
        let mut lists = Vec::with_capacity(config.revocation_list.len());
        for entry in &config.revocation_list {
            let list = RevocationList::load(entry)?;
            let file = entry.file.display().to_string();
            let revoked = ring.revoke_listed(&list);
            tracing::info!(file, revoked, "revocation list taken up");
            lists.push(ListState {
                file,
                next_update: list.next_update(),
            });
        }
        Ok(Self {
            generation,
            tried: try_all(audit, &ring, now)?,
            ring,
            tokens,
            policy,
            audit: audit.clone(),
            providers,
            away,
            lists,
        })
    }

    /// A set of these alone, for tests of what is done with keys.
    #[cfg(test)]
    pub(crate) fn of(ring: KeyRing, tokens: TokenKeys) -> Self {
        Self {
            generation: 1,
            ring,
            tokens,
            policy: Policy::made(),
            audit: Audit::none(),
            providers: Providers::default(),
            away: Vec::new(),
            lists: Vec::new(),
            tried: Vec::new(),
        }
    }

    /// What was found of its keys when it was loaded.
    pub(crate) fn found(&self, at: Instant) -> Found {
        Found {
            at,
            generation: self.generation,
            keys: self.tried.clone(),
        }
    }

    /// Lists whose issuer should have replaced them by now. They are applied all the same.
    pub(crate) fn outdated_lists(&self, now: i64) -> impl Iterator<Item = &ListState> {
        let outdated = move |list: &&ListState| list.next_update.is_some_and(|next| next < now);
        self.lists.iter().filter(outdated)
    }
}

/// Every key of the bank's, whether it may be used now or not; what is told is of those that may.
fn try_all(audit: &Audit, ring: &KeyRing, now: i64) -> Result<Vec<KeyHealth>, KeySetFault> {
    let mut tried = Vec::new();
    for (usage, key) in ring.own() {
        let serial = key.certificate.serial();
        let trial = health::trial(audit, usage, key, Instant::now() + TRIAL_LIMIT);
        match trial {
            Trial::Works => {}
            Trial::Away => tracing::warn!(serial, "the device of a key cannot be reached"),
            Trial::Fails => {
                return Err(KeySetFault::KeyDoesNotWork {
                    serial: serial.to_owned(),
                    usage: usage.name(),
                });
            }
        }
        if ring.is_usable(&key.certificate, now) {
            tried.push(health::told(usage, key, trial));
        }
    }
    Ok(tried)
}

impl KeySet {
    /// The bank's keys, as records list them.
    pub(crate) fn key_notes(&self) -> BTreeSet<KeyNote> {
        let notes = self.ring.own().map(|(usage, key)| KeyNote {
            serial: key.certificate.serial().to_owned(),
            usage: usage.name().to_owned(),
            suite: key.certificate.suite().to_string(),
            provider: key.provider().to_owned(),
        });
        notes.collect()
    }

    pub(crate) fn caller_names(&self) -> Vec<String> {
        self.policy.names().map(str::to_owned).collect()
    }

    pub(crate) fn certificate_count(&self) -> u64 {
        u64::try_from(self.ring.counts().1).unwrap_or(u64::MAX)
    }

    /// Signs the head of the audit log with a current key of the bank's: SM2 where there is one.
    pub(crate) fn seal_log(&self, statement: &[u8], now: i64) -> Result<Seal, String> {
        let deadline = Instant::now() + TRIAL_LIMIT;
        let keys = [Suite::Sm, Suite::Rsa].map(|suite| self.ring.signing(suite, now));
        let mut failures = Vec::new();
        for key in keys.into_iter().flatten() {
            match key.seal_log(statement, deadline) {
                Ok(seal) => return Ok(seal),
                Err(failure) => failures.push(failure),
            }
        }
        failures
            .pop()
            .map_or(Err("no current key to sign with".to_owned()), Err)
    }
}

/// Users are looked up by the system's own rules, at the start and at every reload.
fn policy(config: &Config) -> Result<Policy, PolicyFault> {
    let user_named = |name: &str| Some(nix::unistd::User::from_name(name).ok()??.uid.as_raw());
    Policy::new(
        &config.caller,
        &Surroundings {
            listen: &config.listen,
            own_user: nix::unistd::geteuid().as_raw(),
            user_named: &user_named,
        },
    )
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
