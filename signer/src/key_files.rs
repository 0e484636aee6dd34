//! Keys and certificates from files and from the providers of keys, at start and at every reload.
//!
//! A file with a secret in it (private key, passphrase, token key) must be readable by its owner alone; one that others
//! could have read is refused, and there is no switch to have it otherwise.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use signer_crypto::{Certificate, CertificateFault, KeyFault, TokenKey};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::config::{Config, KeyEntry, PeerEntry, environment};
use crate::key_ring::{KeyRing, SerialTaken};
use crate::provider::entry::SecretSource;
use crate::provider::{ProviderFault, Providers};

/// Larger than any key or certificate; keeps a wrong path from filling memory.
const FILE_BYTES_MAX: u64 = 64 * 1024;
const OTHERS: u32 = 0o077;

#[derive(Debug, Error)]
pub enum KeyFileFault {
    #[error("{path} cannot be read")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge { path: PathBuf },
    #[error("{path} holds a secret and may be read by others (mode {mode:04o}); make it 0600")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("certificate {path} is refused")]
    Certificate { path: PathBuf, source: CertificateFault },
    #[error("private key {path} is refused")]
    PrivateKey { path: PathBuf, source: KeyFault },
    #[error("private key {private_key} is not the one of certificate {certificate}")]
    Mismatch { private_key: PathBuf, certificate: PathBuf },
    #[error("{path} is not a token key: 64 hexadecimal digits")]
    TokenKey { path: PathBuf },
    #[error("the environment variable {variable} holds no secret")]
    Environment { variable: String },
    #[error("provider {provider} cannot be used")]
    Provider { provider: String, source: ProviderFault },
    #[error("the key of certificate {certificate} cannot be used in provider {provider}")]
    DeviceKey {
        provider: String,
        certificate: PathBuf,
        source: ProviderFault,
    },
    #[error("certificate {path} cannot be added")]
    SerialTaken { path: PathBuf, source: SerialTaken },
}

/// Every key and certificate the configuration names.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) ring: KeyRing,
    pub(crate) providers: Providers,
    /// Keys whose device is away: each with why. They are in the ring all the same.
    pub(crate) away: Vec<String>,
}

/// Loads everything anew, but for providers of `running` that are configured as before and work.
pub(crate) fn load(config: &Config, running: &Providers) -> Result<Loaded, KeyFileFault> {
    let mut loaded = Loaded {
        ring: KeyRing::new(config.revoked.iter().map(|serial| serial.to_ascii_uppercase())),
        providers: Providers::open(&config.provider, running)?,
        away: Vec::new(),
    };
    for entry in &config.key {
        add_key(&mut loaded, entry)?;
    }
    for entry in &config.peer {
        add_peer(&mut loaded.ring, entry)?;
    }
    Ok(loaded)
}

fn add_key(loaded: &mut Loaded, entry: &KeyEntry) -> Result<(), KeyFileFault> {
    let pem = read(&entry.certificate, |_| Ok(()))?;
    let certificate = certificate_of(&pem, &entry.certificate)?;
    let taken = loaded.providers.take(entry, &certificate, &pem)?;
    if let Some(reason) = taken.away {
        loaded.away.push(format!("key {}: {reason}", certificate.serial()));
    }
    loaded
        .ring
        .add_key(entry.usage, certificate, taken.key)
        .map_err(|source| KeyFileFault::SerialTaken {
            path: entry.certificate.clone(),
            source,
        })
}

fn add_peer(ring: &mut KeyRing, entry: &PeerEntry) -> Result<(), KeyFileFault> {
    ring.add_peer(entry.usage, &entry.institution, certificate(&entry.certificate)?)
        .map_err(|source| KeyFileFault::SerialTaken {
            path: entry.certificate.clone(),
            source,
        })
}

fn certificate(path: &Path) -> Result<Certificate, KeyFileFault> {
    certificate_of(&read(path, |_| Ok(()))?, path)
}

fn certificate_of(pem: &[u8], path: &Path) -> Result<Certificate, KeyFileFault> {
    Certificate::from_pem(pem).map_err(|source| KeyFileFault::Certificate {
        path: path.to_owned(),
        source,
    })
}

pub(crate) fn token_key(path: &Path) -> Result<TokenKey, KeyFileFault> {
    let text = read_secret(path)?;
    let digits = std::str::from_utf8(text.trim_ascii()).ok();
    digits
        .and_then(TokenKey::from_hex)
        .ok_or_else(|| KeyFileFault::TokenKey { path: path.to_owned() })
}

/// A passphrase, PIN or password; white space at the end is not part of it.
pub(crate) fn secret(source: &SecretSource) -> Result<Zeroizing<Vec<u8>>, KeyFileFault> {
    let mut secret = match source {
        SecretSource::File(path) => read_secret(path)?,
        SecretSource::Environment(variable) => environment(variable).ok_or_else(|| KeyFileFault::Environment {
            variable: variable.clone(),
        })?,
    };
    let bytes = secret.trim_ascii_end().len();
    secret.truncate(bytes);
    Ok(secret)
}

pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileFault> {
    read(path, |mode| {
        let exposed = || KeyFileFault::Exposed {
            path: path.to_owned(),
            mode,
        };
        if mode & OTHERS == 0 { Ok(()) } else { Err(exposed()) }
    })
}

/// The content of a file whose permission bits `allowed` accepts; judged on the open file, so it cannot be exchanged.
fn read(
    path: &Path,
    allowed: impl FnOnce(u32) -> Result<(), KeyFileFault>,
) -> Result<Zeroizing<Vec<u8>>, KeyFileFault> {
    let fault = |source| KeyFileFault::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(fault)?;
    let metadata = file.metadata().map_err(fault)?;
    allowed(metadata.mode() & 0o7777)?;
    if metadata.len() > FILE_BYTES_MAX {
        return Err(KeyFileFault::TooLarge { path: path.to_owned() });
    }
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(
        usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX),
    ));
    file.take(FILE_BYTES_MAX).read_to_end(&mut content).map_err(fault)?;
    Ok(content)
}
