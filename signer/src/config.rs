//! The configuration file: what may stand in it, its defaults and its bounds. Paths are relative to the file.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use operations::config::{ConfigFault, load, resolve};
use operations::endpoint::Endpoint;
use serde::Deserialize;
use zeroize::Zeroizing;

pub(crate) use crate::provider::entry::{self, KeyEntry, ProviderEntry};

use crate::audit::AuditEntry;
use crate::policy::CallerEntry;
use crate::replies::OUTSTANDING_MAX;

pub(crate) use self::tokens::TokenKeySource;
pub(crate) use self::tokens::{TokenKeyEntry, Tokens};

mod tokens;

const WORKERS_MAX: usize = 64;
const QUEUE_LIMIT: usize = 65_536;
const QUEUE_BYTES: RangeInclusive<usize> = 4 << 20..=1 << 30;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: Endpoint,
    /// Threads that use keys.
    #[serde(default = "default_workers")]
    pub workers: usize,
    /// Pieces of work that wait; what comes beyond is answered busy.
    #[serde(default = "default_queue_max")]
    pub queue_max: usize,
    /// Bytes of work that wait; what comes beyond is answered busy.
    #[serde(default = "default_queue_bytes_max")]
    pub queue_bytes_max: usize,
    pub operations: Operations,
    #[serde(default)]
    pub tokens: Tokens,
    /// Token keys with the number of their generation.
    #[serde(default)]
    pub token_key: Vec<TokenKeyEntry>,
    /// Devices that hold keys.
    #[serde(default)]
    pub provider: Vec<ProviderEntry>,
    /// The bank's own keys.
    #[serde(default)]
    pub key: Vec<KeyEntry>,
    /// Certificates of the network and of institutions.
    #[serde(default)]
    pub peer: Vec<PeerEntry>,
    /// Serial numbers that are no longer good, whatever their dates.
    #[serde(default)]
    pub revoked: Vec<String>,
    /// Lists of certificates that their issuers have revoked.
    #[serde(default)]
    pub revocation_list: Vec<RevocationListEntry>,
    /// Who may do what.
    #[serde(default)]
    pub caller: Vec<CallerEntry>,
    #[serde(default)]
    pub audit: AuditEntry,
    /// Where this was read from, to be read again.
    #[serde(skip)]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operations {
    pub address: SocketAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyUse {
    Sign,
    Decrypt,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerEntry {
    pub institution: String,
    #[serde(rename = "use")]
    pub usage: PeerUse,
    pub certificate: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationListEntry {
    /// X.509 CRL, PEM or DER.
    pub file: PathBuf,
    /// PEM, of whoever signs the list.
    pub issuer_certificate: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerUse {
    Verify,
    Encrypt,
}

impl KeyUse {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Decrypt => "decrypt",
        }
    }
}

impl Config {
    /// Reads a file, checks its bounds and makes every path in it absolute or relative to the working directory.
    pub fn load(path: &Path) -> Result<Self, ConfigFault> {
        let mut config: Self = load(path)?;
        config.check().map_err(|reason| ConfigFault::Refused {
            path: path.to_owned(),
            reason,
        })?;
        config.resolve_paths(path);
        path.clone_into(&mut config.file);
        Ok(config)
    }

    /// What is read at the start only and differs in `later`, by its key in the file.
    pub(crate) fn restart_settings_changed(&self, later: &Self) -> Vec<&'static str> {
        let settings = [
            ("listen", self.listen != later.listen),
            ("workers", self.workers != later.workers),
            ("queue_max", self.queue_max != later.queue_max),
            ("queue_bytes_max", self.queue_bytes_max != later.queue_bytes_max),
            (
                "operations.address",
                self.operations.address != later.operations.address,
            ),
            ("audit", self.audit != later.audit),
        ];
        settings
            .into_iter()
            .filter(|(_, changed)| *changed)
            .map(|(name, _)| name)
            .collect()
    }

    pub(crate) fn token_keys(&self) -> Vec<TokenKeySource<'_>> {
        tokens::sources(&self.tokens, &self.token_key).unwrap_or_default()
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=WORKERS_MAX).contains(&self.workers) {
            return Err("workers must lie in 1..=64".to_owned());
        }
        if !(1..=QUEUE_LIMIT).contains(&self.queue_max) {
            return Err("queue_max must lie in 1..=65536".to_owned());
        }
        if !QUEUE_BYTES.contains(&self.queue_bytes_max) {
            return Err("queue_bytes_max must lie in 4194304..=1073741824".to_owned());
        }
        self.audit.check()?;
        tokens::sources(&self.tokens, &self.token_key)?;
        entry::check(&self.provider, &self.key)
    }

    fn resolve_paths(&mut self, file: &Path) {
        let relative = |path: &mut PathBuf| *path = resolve(file, path);
        match &mut self.listen {
            Endpoint::Unix(path) => relative(path),
            Endpoint::Tcp(tls) => {
                relative(&mut tls.certificate);
                relative(&mut tls.private_key);
                relative(&mut tls.peer_ca);
            }
        }
        let token_keys = self.token_key.iter_mut().map(|entry| &mut entry.key_file);
        self.tokens.key_file.iter_mut().chain(token_keys).for_each(relative);
        self.audit.directory.iter_mut().for_each(relative);
        for key in &mut self.key {
            key.resolve_paths(file);
        }
        for provider in &mut self.provider {
            provider.resolve_paths(file);
        }
        for peer in &mut self.peer {
            relative(&mut peer.certificate);
        }
        for list in &mut self.revocation_list {
            relative(&mut list.file);
            relative(&mut list.issuer_certificate);
        }
    }
}

/// A secret from the environment, which only this module reads. `None` where there is none, or an empty one.
pub(crate) fn environment(variable: &str) -> Option<Zeroizing<Vec<u8>>> {
    let secret = std::env::var_os(variable)?.into_encoded_bytes();
    (!secret.is_empty()).then(|| Zeroizing::new(secret))
}

const fn default_workers() -> usize {
    2
}

/// Sixteen streams fill it.
const fn default_queue_max() -> usize {
    16 * OUTSTANDING_MAX
}

const fn default_queue_bytes_max() -> usize {
    64 << 20
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "listen = \"unix:run/s.sock\"\n[operations]\naddress = \"127.0.0.1:9102\"\n[tokens]\nkey_file = \"t\"\n\
         [audit]\nnone_not_for_production = true\n";

    fn read(text: &str) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("signer.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path).map_err(|fault| fault.to_string())
    }

    #[test]
    fn defaults_and_relative_paths() {
        let config = read(LEAST).unwrap();
        assert_eq!(
            (config.workers, config.queue_max, config.queue_bytes_max),
            (2, 16_384, 64 << 20)
        );
        assert!(config.key.is_empty() && config.peer.is_empty() && config.revoked.is_empty());
        let token_keys = config.token_keys();
        assert!(
            token_keys.len() == 1 && token_keys.iter().all(|key| key.key_file.is_absolute()),
            "{token_keys:?}"
        );
        assert!(config.listen.to_string().ends_with("/run/s.sock") && config.listen.to_string() != "unix:run/s.sock");
    }

    #[test]
    fn refusals_name_what_is_wrong() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let said = read(text).map_or_else(|fault| fault, |_| "read".to_owned());
            assert!(said.contains(expected), "{said}");
        }
        check(&format!("workers = 0\n{LEAST}"), "workers must lie in 1..=64");
        check(&format!("queue_max = 0\n{LEAST}"), "queue_max must lie in 1..=65536");
        check(
            &format!("queue_bytes_max = 0\n{LEAST}"),
            "queue_bytes_max must lie in 4194304",
        );
        check(&LEAST.replace("key_file", "issue = 1 #"), "there is no token key");
        check(&format!("worker = 2\n{LEAST}"), "unknown field `worker`");
        check(&format!("{LEAST}[[key]]\nuse = \"both\"\n"), "unknown variant `both`");
        check(
            &format!("{LEAST}[[peer]]\nuse = \"verify\"\ncertificate = \"c\"\n"),
            "missing field `institution`",
        );
    }
}
