//! Keys and certificates from files, at start and at every reload.
//!
//! A file with a secret in it (private key, passphrase, token key) must be readable by its owner alone; one that others
//! could have read is refused, and there is no switch to have it otherwise.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use signer_crypto::{Certificate, CertificateFault, KeyFault, Passphrase, PrivateKey, TokenKey};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::config::{Config, KeyEntry, PeerEntry};
use crate::key_ring::{KeyRing, SerialTaken};

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
    #[error("certificate {path} cannot be added")]
    SerialTaken { path: PathBuf, source: SerialTaken },
}

/// Every key and certificate the configuration names.
pub(crate) fn load(config: &Config) -> Result<KeyRing, KeyFileFault> {
    let mut ring = KeyRing::new(config.revoked.iter().map(|serial| serial.to_ascii_uppercase()));
    for entry in &config.key {
        add_key(&mut ring, entry)?;
    }
    for entry in &config.peer {
        add_peer(&mut ring, entry)?;
    }
    Ok(ring)
}

fn add_key(ring: &mut KeyRing, entry: &KeyEntry) -> Result<(), KeyFileFault> {
    let certificate = certificate(&entry.certificate)?;
    let passphrase = read_secret(&entry.passphrase_file)?;
    let passphrase = Passphrase::new(passphrase.trim_ascii_end().to_vec());
    let pem = read_secret(&entry.private_key)?;
    let private = PrivateKey::from_pkcs8_pem(&pem, &passphrase).map_err(|source| KeyFileFault::PrivateKey {
        path: entry.private_key.clone(),
        source,
    })?;
    if !private.matches(&certificate) {
        let (private_key, certificate) = (entry.private_key.clone(), entry.certificate.clone());
        return Err(KeyFileFault::Mismatch {
            private_key,
            certificate,
        });
    }
    ring.add_key(entry.usage, certificate, Arc::new(private))
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
    let pem = read(path, |_| Ok(()))?;
    Certificate::from_pem(&pem).map_err(|source| KeyFileFault::Certificate {
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

fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileFault> {
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
