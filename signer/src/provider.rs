//! Where private keys are held: in this process's memory, in a PKCS#11 token, in a GM/T 0018 device. One conformance
//! suite (`provider/conformance`) holds for all.
//!
//! ```text
//!  key_files ──▶ Providers ──▶ software                       PrivateKey
//!                         ├──▶ device_key ──▶ device (pool) ──▶ pkcs11, sdf      counterpart: what is known outside
//!                         └──▶ metrics
//! ```
//!
//! What is wrong with a configuration (a module that is none, a secret or key that a device refuses) ends a start or a
//! reload. A device that is away does not: its keys are loaded and unavailable, and come with it.

#[cfg(test)]
mod conformance;
mod counterpart;
mod device;
mod device_key;
pub(crate) mod entry;
pub(crate) mod metrics;
mod pkcs11;
mod sdf;
mod software;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use signer_crypto::{Certificate, Suite};
use thiserror::Error;

use crate::held_key::HeldKey;
use crate::key_files::{KeyFileFault, secret};
use counterpart::Counterpart;
use device::{Device, DeviceFault, Pool, PoolOptions};
use device_key::DeviceKey;
use entry::{Held, KeyEntry, ObjectName, ProviderEntry};
use metrics::ProviderState;
use pkcs11::{Pkcs11Device, Pkcs11Key};
use sdf::{SdfDevice, SdfKey};

/// The metric label of keys in memory.
const SOFTWARE: &str = "software";

/// Why a provider, or a key of its, cannot be used as it is configured.
#[derive(Debug, Error)]
pub enum ProviderFault {
    #[error("{path} cannot be loaded: {reason}")]
    Module { path: PathBuf, reason: String },
    #[error("{path} lacks functions of GM/T 0018: {missing}")]
    Functions { path: PathBuf, missing: String },
    #[error("session threads cannot be started")]
    Threads(#[source] io::Error),
    #[error("PKCS#11 defines no SM2: a key in a token has an RSA certificate")]
    Sm2InToken,
    #[error("no randomness for the key")]
    Randomness(#[source] signer_crypto::CryptoFault),
    /// Said by the device, or of it.
    #[error("{0}")]
    Key(String),
}

/// The device providers of a configuration, with their pools of sessions, and how many keys are held where.
#[derive(Debug, Default)]
pub(crate) struct Providers {
    pools: BTreeMap<String, (ProviderEntry, AnyPool)>,
    keys: BTreeMap<(String, &'static str), usize>,
}

#[derive(Clone)]
enum AnyPool {
    Pkcs11(Arc<Pool<Pkcs11Device>>),
    Sdf(Arc<Pool<SdfDevice>>),
}

/// A key taken from its provider.
pub(crate) struct Taken {
    pub(crate) key: Arc<dyn HeldKey>,
    /// Why it cannot be used at present.
    pub(crate) away: Option<String>,
}

impl Providers {
    /// Loads the modules and starts the sessions. A provider that is configured as in `running`, and works, is taken
    /// over from there with its sessions.
    pub(crate) fn open(entries: &[ProviderEntry], running: &Self) -> Result<Self, KeyFileFault> {
        let mut opened = Self::default();
        for entry in entries {
            let pool = match running.pools.get(entry.name()) {
                Some((same, pool)) if same == entry && !pool.is_refused() => pool.clone(),
                _ => start(entry)?,
            };
            opened.pools.insert(entry.name().to_owned(), (entry.clone(), pool));
        }
        Ok(opened)
    }

    /// The key of an entry, if it is the certificate's. `certificate_pem` is what `certificate` was read from: a key in
    /// a device keeps one of its own to verify with.
    pub(crate) fn take(
        &mut self,
        entry: &KeyEntry,
        certificate: &Certificate,
        certificate_pem: &[u8],
    ) -> Result<Taken, KeyFileFault> {
        let provider = match &entry.held {
            Held::File {
                private_key,
                passphrase,
            } => {
                let key = software::load(private_key, passphrase, certificate, &entry.certificate)?;
                self.count(SOFTWARE, SOFTWARE);
                return Ok(Taken {
                    key: Arc::new(key),
                    away: None,
                });
            }
            Held::Object { provider, .. } | Held::Index { provider, .. } => provider,
        };
        let own = Certificate::from_pem(certificate_pem).map_err(|source| KeyFileFault::Certificate {
            path: entry.certificate.clone(),
            source,
        })?;
        let pool = self.pools.get(provider).map(|(_, pool)| pool.clone());
        let pool = pool.ok_or_else(|| ProviderFault::Key("there is no such provider".to_owned()));
        let taken = pool.and_then(|pool| pool.take(entry, own));
        let taken = taken.map_err(|source| KeyFileFault::DeviceKey {
            provider: provider.clone(),
            certificate: entry.certificate.clone(),
            source,
        })?;
        self.count(provider, taken.key.provider());
        Ok(taken)
    }

    fn count(&mut self, provider: &str, kind: &'static str) {
        *self.keys.entry((provider.to_owned(), kind)).or_default() += 1;
    }

    /// Of every device provider, for metrics and health.
    pub(crate) fn states(&self) -> Vec<ProviderState> {
        let pools = self.pools.values();
        pools.map(|(_, pool)| pool.state()).collect()
    }

    /// Ends all sessions. For the end of the process: libraries do not like to be left in the middle of a call.
    pub(crate) fn close(&self) {
        for (_, pool) in self.pools.values() {
            match pool {
                AnyPool::Pkcs11(pool) => pool.close(),
                AnyPool::Sdf(pool) => pool.close(),
            }
        }
    }

    /// Keys held by each provider: name, kind, count.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&str, &'static str, usize)> {
        let keys = self.keys.iter();
        keys.map(|((name, kind), count)| (name.as_str(), *kind, *count))
    }

    /// Says what guards the keys; loudly, if it is nothing but this process.
    pub(crate) fn log(&self) {
        for (provider, kind, keys) in self.keys() {
            if kind == SOFTWARE {
                tracing::warn!(
                    provider,
                    keys,
                    "software keys lie in this process's memory: not for production unless an HSM guards them"
                );
            } else {
                tracing::info!(provider, kind, keys, "keys in a device");
            }
        }
    }
}

fn start(entry: &ProviderEntry) -> Result<AnyPool, KeyFileFault> {
    let started = match entry {
        ProviderEntry::Pkcs11(pkcs11) => {
            let pin = secret(&pkcs11.pin)?;
            let options = PoolOptions::new(&pkcs11.name, entry.kind(), pkcs11.limits);
            Pkcs11Device::load(pkcs11, pin).and_then(|device| pool(device, options).map(AnyPool::Pkcs11))
        }
        ProviderEntry::Sdf(sdf) => {
            let options = PoolOptions::new(&sdf.name, entry.kind(), sdf.limits);
            SdfDevice::load(sdf).and_then(|device| pool(device, options).map(AnyPool::Sdf))
        }
    };
    started.map_err(|source| KeyFileFault::Provider {
        provider: entry.name().to_owned(),
        source,
    })
}

fn pool<D: Device>(device: D, options: PoolOptions) -> Result<Arc<Pool<D>>, ProviderFault> {
    Pool::start(device, options)
        .map(Arc::new)
        .map_err(ProviderFault::Threads)
}

impl AnyPool {
    fn is_refused(&self) -> bool {
        match self {
            Self::Pkcs11(pool) => pool.is_refused(),
            Self::Sdf(pool) => pool.is_refused(),
        }
    }

    fn state(&self) -> ProviderState {
        match self {
            Self::Pkcs11(pool) => pool.state(),
            Self::Sdf(pool) => pool.state(),
        }
    }

    fn take(&self, entry: &KeyEntry, own: Certificate) -> Result<Taken, ProviderFault> {
        let suite = own.suite();
        let counterpart = Counterpart::new(entry.usage, own).map_err(ProviderFault::Randomness)?;
        match (self, &entry.held) {
            (Self::Pkcs11(_), Held::Object { .. }) if suite == Suite::Sm => Err(ProviderFault::Sm2InToken),
            (Self::Pkcs11(pool), Held::Object { object, .. }) => {
                let key = pkcs11_key(counterpart, object);
                judged(DeviceKey::new(Arc::clone(pool), key, suite))
            }
            (Self::Sdf(pool), Held::Index { index, password, .. }) => {
                let password = secret(password).map_err(|fault| ProviderFault::Key(fault.to_string()))?;
                let key = SdfKey::new(counterpart, *index, password);
                judged(DeviceKey::new(Arc::clone(pool), key, suite))
            }
            (Self::Pkcs11(_) | Self::Sdf(_), _) => {
                Err(ProviderFault::Key("the provider is of another kind".to_owned()))
            }
        }
    }
}

fn pkcs11_key(counterpart: Counterpart, object: &ObjectName) -> Pkcs11Key {
    Pkcs11Key {
        counterpart,
        object: object.clone(),
    }
}

/// A key that its device has shown, or one whose device is away.
fn judged<D: Device>(key: DeviceKey<D>) -> Result<Taken, ProviderFault> {
    let away = match key.check() {
        Ok(()) => None,
        Err(fault @ (DeviceFault::Away(_) | DeviceFault::NoAnswer | DeviceFault::Busy | DeviceFault::LeftAlone(_))) => {
            Some(fault.to_string())
        }
        Err(fault @ (DeviceFault::Unusable(_) | DeviceFault::Failed(_) | DeviceFault::InputRefused)) => {
            return Err(ProviderFault::Key(fault.to_string()));
        }
    };
    Ok(Taken {
        key: Arc::new(key),
        away,
    })
}

impl fmt::Debug for AnyPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pkcs11(pool) => pool.fmt(f),
            Self::Sdf(pool) => pool.fmt(f),
        }
    }
}
