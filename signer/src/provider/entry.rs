//! Configuration of key providers: the `[[provider]]` tables, and where the key of a `[[key]]` table is held.
//!
//! The tables as they are written become types in which a key is held in one place and a secret comes from one source.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use operations::config::resolve;
use serde::Deserialize;

use crate::config::KeyUse;

const SESSIONS_MAX: usize = 64;
const CALL_MS_MAX: u64 = 60_000;
/// Bytes of `CKA_ID` that are accepted.
const ID_BYTES_MAX: usize = 255;

/// Where a passphrase, PIN or password is read from, at start and at each reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that only its owner may read.
    File(PathBuf),
    /// The name of an environment variable.
    Environment(String),
}

/// A bank's own key as configured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "KeyTable")]
pub struct KeyEntry {
    pub usage: KeyUse,
    pub certificate: PathBuf,
    pub held: Held,
}

/// Where a private key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// In a file of encrypted PKCS#8, and then in this process's memory.
    File {
        private_key: PathBuf,
        passphrase: SecretSource,
    },
    /// In a PKCS#11 token.
    Object { provider: String, object: ObjectName },
    /// In a GM/T 0018 device.
    Index {
        provider: String,
        index: u32,
        password: SecretSource,
    },
}

/// What a PKCS#11 token calls a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectName {
    Label(String),
    Id(Vec<u8>),
}

/// A device, or a library that plays one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ProviderEntry {
    Pkcs11(Pkcs11Entry),
    Sdf(SdfEntry),
}

/// How many sessions a provider has and how long one answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    pub sessions: usize,
    pub call_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Pkcs11Table")]
pub struct Pkcs11Entry {
    pub name: String,
    pub module: PathBuf,
    pub token: Token,
    pub pin: SecretSource,
    pub limits: SessionLimits,
    /// Whether envelopes may be opened by a module that takes the padding off itself.
    pub padding_in_module: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    Label(String),
    Slot(u64),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "SdfTable")]
pub struct SdfEntry {
    pub name: String,
    pub module: PathBuf,
    pub limits: SessionLimits,
    pub internal_decrypt: InternalDecrypt,
}

/// The arguments of `SDF_InternalDecrypt_ECC` after the session. The edition of 2012 lacks the function, so those who
/// had it before the next edition made their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InternalDecrypt {
    #[default]
    Index,
    IndexAlgorithm,
    AlgorithmIndex,
}

impl ProviderEntry {
    pub fn name(&self) -> &str {
        match self {
            Self::Pkcs11(entry) => &entry.name,
            Self::Sdf(entry) => &entry.name,
        }
    }

    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Pkcs11(_) => "pkcs11",
            Self::Sdf(_) => "sdf",
        }
    }

    pub(crate) fn resolve_paths(&mut self, file: &Path) {
        match self {
            Self::Pkcs11(entry) => {
                entry.module = resolve(file, &entry.module);
                entry.pin.resolve_path(file);
            }
            Self::Sdf(entry) => entry.module = resolve(file, &entry.module),
        }
    }
}

impl KeyEntry {
    pub(crate) fn resolve_paths(&mut self, file: &Path) {
        self.certificate = resolve(file, &self.certificate);
        match &mut self.held {
            Held::File {
                private_key,
                passphrase,
            } => {
                *private_key = resolve(file, private_key);
                passphrase.resolve_path(file);
            }
            Held::Index { password, .. } => password.resolve_path(file),
            Held::Object { .. } => (),
        }
    }

    /// The provider that must be among `providers`, and of the kind that the key is written for.
    fn check_provider(&self, providers: &[ProviderEntry]) -> Result<(), String> {
        let (name, kind) = match &self.held {
            Held::File { .. } => return Ok(()),
            Held::Object { provider, .. } => (provider, "pkcs11"),
            Held::Index { provider, .. } => (provider, "sdf"),
        };
        match providers.iter().find(|entry| entry.name() == name) {
            None => Err(format!("a key names the provider {name}, which there is not")),
            Some(entry) if entry.kind() != kind => Err(format!(
                "a key of provider {name} is written for kind {kind}, the provider is {}",
                entry.kind()
            )),
            Some(_) => Ok(()),
        }
    }
}

/// Relations between the tables.
pub(crate) fn check(providers: &[ProviderEntry], keys: &[KeyEntry]) -> Result<(), String> {
    for (place, entry) in providers.iter().enumerate() {
        let taken = providers
            .iter()
            .take(place)
            .any(|earlier| earlier.name() == entry.name());
        if taken || entry.name().is_empty() {
            return Err(format!("provider name {:?} is empty or taken", entry.name()));
        }
    }
    keys.iter().try_for_each(|key| key.check_provider(providers))
}

impl SecretSource {
    fn one_of(what: &str, file: Option<PathBuf>, variable: Option<String>) -> Result<Self, String> {
        match (file, variable) {
            (Some(file), None) => Ok(Self::File(file)),
            (None, Some(variable)) => Ok(Self::Environment(variable)),
            _ => Err(format!("exactly one of {what}_file and {what}_env must be there")),
        }
    }

    fn resolve_path(&mut self, file: &Path) {
        if let Self::File(path) = self {
            *path = resolve(file, path);
        }
    }
}

impl SessionLimits {
    fn checked(sessions: usize, call_ms: u64) -> Result<Self, String> {
        if !(1..=SESSIONS_MAX).contains(&sessions) {
            return Err(format!("sessions must lie in 1..={SESSIONS_MAX}"));
        }
        if !(1..=CALL_MS_MAX).contains(&call_ms) {
            return Err(format!("call_ms must lie in 1..={CALL_MS_MAX}"));
        }
        Ok(Self { sessions, call_ms })
    }
}

/// A `[[key]]` table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyTable {
    #[serde(rename = "use")]
    usage: KeyUse,
    certificate: PathBuf,
    private_key: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
    passphrase_env: Option<String>,
    provider: Option<String>,
    label: Option<String>,
    id: Option<String>,
    index: Option<u32>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
}

impl TryFrom<KeyTable> for KeyEntry {
    type Error = String;

    fn try_from(table: KeyTable) -> Result<Self, String> {
        let of_file = table.private_key.is_some() || table.passphrase_file.is_some() || table.passphrase_env.is_some();
        let of_object = table.label.is_some() || table.id.is_some();
        let of_index = table.index.is_some() || table.password_file.is_some() || table.password_env.is_some();
        let held = match table.provider {
            None if of_object || of_index => return Err("a key in a device names its provider".to_owned()),
            None => Held::File {
                private_key: table.private_key.ok_or("a key has either private_key or provider")?,
                passphrase: SecretSource::one_of("passphrase", table.passphrase_file, table.passphrase_env)?,
            },
            Some(_) if of_file => return Err("a key in a device has neither private_key nor passphrase".to_owned()),
            Some(_) if of_object == of_index => {
                return Err("a key in a device is named by label or id (pkcs11), or by index (sdf)".to_owned());
            }
            Some(provider) if of_object => Held::Object {
                provider,
                object: object_name(table.label, table.id)?,
            },
            Some(provider) => Held::Index {
                provider,
                index: table.index.ok_or("a key of an sdf device has an index")?,
                password: SecretSource::one_of("password", table.password_file, table.password_env)?,
            },
        };
        let (usage, certificate) = (table.usage, table.certificate);
        Ok(Self {
            usage,
            certificate,
            held,
        })
    }
}

fn object_name(label: Option<String>, id: Option<String>) -> Result<ObjectName, String> {
    match (label, id) {
        (Some(label), None) if !label.is_empty() => Ok(ObjectName::Label(label)),
        (None, Some(digits)) => bytes_of_hex(&digits)
            .filter(|id| (1..=ID_BYTES_MAX).contains(&id.len()))
            .map(ObjectName::Id)
            .ok_or_else(|| "id must be an even number of hexadecimal digits".to_owned()),
        _ => Err("exactly one of label and id must be there, and not empty".to_owned()),
    }
}

fn bytes_of_hex(digits: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = digits
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()))
        .collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pkcs11Table {
    name: String,
    module: PathBuf,
    token_label: Option<String>,
    slot: Option<u64>,
    pin_file: Option<PathBuf>,
    pin_env: Option<String>,
    #[serde(default = "default_sessions")]
    sessions: usize,
    #[serde(default = "default_call_ms")]
    call_ms: u64,
    #[serde(default)]
    padding_in_module: bool,
}

impl TryFrom<Pkcs11Table> for Pkcs11Entry {
    type Error = String;

    fn try_from(table: Pkcs11Table) -> Result<Self, String> {
        let token = match (table.token_label, table.slot) {
            (Some(label), None) => Token::Label(label),
            (None, Some(slot)) => Token::Slot(slot),
            _ => return Err("exactly one of token_label and slot must be there".to_owned()),
        };
        Ok(Self {
            token,
            name: table.name,
            module: table.module,
            pin: SecretSource::one_of("pin", table.pin_file, table.pin_env)?,
            limits: SessionLimits::checked(table.sessions, table.call_ms)?,
            padding_in_module: table.padding_in_module,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SdfTable {
    name: String,
    module: PathBuf,
    #[serde(default = "default_sessions")]
    sessions: usize,
    #[serde(default = "default_call_ms")]
    call_ms: u64,
    #[serde(default)]
    internal_decrypt: InternalDecrypt,
}

impl TryFrom<SdfTable> for SdfEntry {
    type Error = String;

    fn try_from(table: SdfTable) -> Result<Self, String> {
        Ok(Self {
            name: table.name,
            module: table.module,
            limits: SessionLimits::checked(table.sessions, table.call_ms)?,
            internal_decrypt: table.internal_decrypt,
        })
    }
}

const fn default_sessions() -> usize {
    4
}

const fn default_call_ms() -> u64 {
    500
}
