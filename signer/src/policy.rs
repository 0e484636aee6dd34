//! Who may have the signer do what: the `[[caller]]` tables of the configuration.
//!
//! Invariants (S1): a caller is who the kernel or mutual TLS says it is, never who it says it is; the first table in the
//! order of the file that recognises it decides, alone; what is not allowed is refused. The right to see a plaintext
//! comes with no other right. Without any table the user that the signer runs as may do everything but that, over a
//! Unix socket; over TCP nobody is served until somebody is named.
//!
//! Pure: users are looked up by whoever builds a policy, so that a test can say who exists.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use operations::endpoint::{Audience, Endpoint};
use operations::peer::{Fingerprint, PeerIdentity};
use serde::Deserialize;
use signer_protocol::FieldKind;
use thiserror::Error;

const CALLERS_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 64;
/// Who the records of the audit log say it was when nobody asked: the signer's own trials of its keys, a signal.
pub(crate) const THE_SIGNER: &str = "signer";
/// Who it was when no table recognises the peer.
pub(crate) const UNKNOWN: &str = "unknown";
/// The one caller of a configuration without tables.
const OWNER: &str = "owner";

/// One `[[caller]]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerEntry {
    /// As logs, metrics and audit records call it.
    pub name: String,
    pub unix_user: Option<UnixUser>,
    /// SHA-256 of its certificate in DER.
    pub certificate_sha256: Option<String>,
    /// A DNS name of its certificate.
    pub certificate_name: Option<String>,
    pub may: Vec<Right>,
    /// Serials of the private keys it may have used; all when absent.
    pub keys: Option<Vec<String>>,
    /// Kinds of the fields it may see; needed by the right to reveal, and refused without it.
    #[serde(default)]
    pub reveal_kinds: Vec<RevealKind>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum UnixUser {
    Number(u32),
    Name(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    Open,
    Seal,
    Sign,
    Tokenise,
    Reveal,
    Health,
    Administer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevealKind {
    AccountNumber,
    Name,
    DocumentNumber,
    Mobile,
}

/// Why the tables are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyFault {
    #[error("over TCP nobody is served without [[caller]] tables that say who may do what")]
    NobodyOverTcp,
    #[error("there are more than {CALLERS_MAX} callers")]
    TooMany,
    #[error(
        "a caller's name is 1 to {NAME_BYTES_MAX} of a-z A-Z 0-9 . _ - and neither \"{THE_SIGNER}\" nor \"{UNKNOWN}\""
    )]
    Name,
    #[error("caller {0} stands there twice")]
    Twice(String),
    #[error("caller {0}: name exactly one of unix_user, certificate_sha256, certificate_name")]
    Recognition(String),
    #[error("caller {caller}: there is no user {user}")]
    NoSuchUser { caller: String, user: String },
    #[error("caller {caller}: {rule}")]
    Fingerprint { caller: String, rule: &'static str },
    #[error("caller {0}: a Unix socket knows users, a TCP endpoint certificates")]
    OtherEndpoint(String),
    #[error("caller {0}: the right to reveal needs reveal_kinds, and reveal_kinds needs the right to reveal")]
    RevealKinds(String),
}

/// What the caller may not do. The text names the right and never a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error)]
pub(crate) enum Forbidden {
    #[error("the caller has not the right to {0}")]
    Right(Right),
    #[error("the caller has not the right to {0} with this key")]
    Key(Right),
    #[error("the caller has not the right to {} fields of this kind", Right::Reveal)]
    Kind,
    /// What looks like a seal of the audit log.
    #[error("what is to be signed is reserved for the audit log")]
    LogAlone,
}

/// All callers, in the order of the file.
#[derive(Debug)]
pub(crate) struct Policy {
    callers: Vec<(Mark, Arc<Caller>)>,
    audience: Audience,
}

/// By what a caller is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mark {
    User(u32),
    Fingerprint(Fingerprint),
    /// In lower case.
    DnsName(String),
}

/// One caller and what it may do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    name: Arc<str>,
    rights: BTreeSet<Right>,
    keys: Option<BTreeSet<String>>,
    reveal_kinds: BTreeSet<RevealKind>,
}

/// What the tables are read against.
pub(crate) struct Surroundings<'a> {
    pub(crate) listen: &'a Endpoint,
    /// The user that this process runs as.
    pub(crate) own_user: u32,
    /// The number of a user.
    pub(crate) user_named: &'a dyn Fn(&str) -> Option<u32>,
}

impl Policy {
    pub(crate) fn new(entries: &[CallerEntry], around: &Surroundings<'_>) -> Result<Self, PolicyFault> {
        if entries.len() > CALLERS_MAX {
            return Err(PolicyFault::TooMany);
        }
        let mut callers: Vec<(Mark, Arc<Caller>)> = Vec::with_capacity(entries.len().max(1));
        for entry in entries {
            let caller = Caller::new(entry)?;
            if callers.iter().any(|(_, earlier)| earlier.name == caller.name) {
                return Err(PolicyFault::Twice(entry.name.clone()));
            }
            callers.push((entry.mark(around)?, Arc::new(caller)));
        }
        if callers.is_empty() {
            match around.listen {
                Endpoint::Unix(_) => callers.push((Mark::User(around.own_user), Arc::new(Caller::owner()))),
                Endpoint::Tcp(_) => return Err(PolicyFault::NobodyOverTcp),
            }
        }
        let is_own = |mark: &Mark| *mark == Mark::User(around.own_user);
        let audience = if callers.iter().all(|(mark, _)| is_own(mark)) {
            Audience::Owner
        } else {
            Audience::Everybody
        };
        Ok(Self { callers, audience })
    }

    /// None: nobody it knows.
    pub(crate) fn caller(&self, peer: &PeerIdentity) -> Option<&Arc<Caller>> {
        let found = self.callers.iter().find(|(mark, _)| mark.is_of(peer));
        found.map(|(_, caller)| caller)
    }

    /// For whom the file system has to open the socket.
    pub(crate) const fn audience(&self) -> Audience {
        self.audience
    }

    /// For the record of a start or a change.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.callers.iter().map(|(_, caller)| &*caller.name)
    }
}

impl Caller {
    fn new(entry: &CallerEntry) -> Result<Self, PolicyFault> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_name = (1..=NAME_BYTES_MAX).contains(&entry.name.len()) && entry.name.bytes().all(plain);
        if !is_name || [THE_SIGNER, UNKNOWN].contains(&&*entry.name) {
            return Err(PolicyFault::Name);
        }
        let rights: BTreeSet<Right> = entry.may.iter().copied().collect();
        if rights.contains(&Right::Reveal) == entry.reveal_kinds.is_empty() {
            return Err(PolicyFault::RevealKinds(entry.name.clone()));
        }
        let serial = |serial: &String| serial.to_ascii_uppercase().trim_start_matches('0').to_owned();
        Ok(Self {
            name: entry.name.as_str().into(),
            rights,
            keys: entry.keys.as_ref().map(|keys| keys.iter().map(serial).collect()),
            reveal_kinds: entry.reveal_kinds.iter().copied().collect(),
        })
    }

    pub(crate) fn owner() -> Self {
        Self {
            name: OWNER.into(),
            rights: Right::ALL.into_iter().filter(|right| *right != Right::Reveal).collect(),
            keys: None,
            reveal_kinds: BTreeSet::new(),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn may(&self, right: Right) -> Result<(), Forbidden> {
        if self.rights.contains(&right) {
            Ok(())
        } else {
            Err(Forbidden::Right(right))
        }
    }

    /// Whether it may use that right with that private key. The right itself is judged by [`may`](Self::may).
    pub(crate) fn may_use(&self, serial: &str, right: Right) -> Result<(), Forbidden> {
        if self.keys.as_ref().is_none_or(|keys| keys.contains(serial)) {
            Ok(())
        } else {
            Err(Forbidden::Key(right))
        }
    }

    /// The keys it is limited to, where it is.
    pub(crate) const fn keys(&self) -> Option<&BTreeSet<String>> {
        self.keys.as_ref()
    }

    pub(crate) const fn is_limited_to_keys(&self) -> bool {
        self.keys.is_some()
    }

    pub(crate) fn may_reveal(&self, kind: FieldKind) -> Result<(), Forbidden> {
        self.may(Right::Reveal)?;
        if self.reveal_kinds.contains(&kind.into()) {
            Ok(())
        } else {
            Err(Forbidden::Kind)
        }
    }
}

impl CallerEntry {
    fn mark(&self, around: &Surroundings<'_>) -> Result<Mark, PolicyFault> {
        let caller = || self.name.clone();
        let mark = match (&self.unix_user, &self.certificate_sha256, &self.certificate_name) {
            (Some(UnixUser::Number(number)), None, None) => Mark::User(*number),
            (Some(UnixUser::Name(user)), None, None) => {
                let number = (around.user_named)(user).ok_or_else(|| PolicyFault::NoSuchUser {
                    caller: caller(),
                    user: user.clone(),
                });
                Mark::User(number?)
            }
            (None, Some(fingerprint), None) => {
                let refused = |rule| PolicyFault::Fingerprint { caller: caller(), rule };
                Mark::Fingerprint(fingerprint.parse().map_err(refused)?)
            }
            (None, None, Some(name)) if !name.is_empty() => Mark::DnsName(name.to_ascii_lowercase()),
            _ => return Err(PolicyFault::Recognition(caller())),
        };
        match (around.listen, &mark) {
            (Endpoint::Unix(_), Mark::User(_)) | (Endpoint::Tcp(_), Mark::Fingerprint(_) | Mark::DnsName(_)) => {
                Ok(mark)
            }
            (Endpoint::Unix(_) | Endpoint::Tcp(_), _) => Err(PolicyFault::OtherEndpoint(caller())),
        }
    }
}

impl Mark {
    fn is_of(&self, peer: &PeerIdentity) -> bool {
        match (self, peer) {
            (Self::User(user), PeerIdentity::Unix(peer)) => peer.user == *user,
            (Self::Fingerprint(fingerprint), PeerIdentity::Tls(peer)) => peer.fingerprint == *fingerprint,
            (Self::DnsName(name), PeerIdentity::Tls(peer)) => peer.dns_names.contains(name),
            (Self::User(_), PeerIdentity::Tls(_))
            | (Self::Fingerprint(_) | Self::DnsName(_), PeerIdentity::Unix(_)) => false,
        }
    }
}

impl Right {
    pub(crate) const ALL: [Self; 7] = [
        Self::Open,
        Self::Seal,
        Self::Sign,
        Self::Tokenise,
        Self::Reveal,
        Self::Health,
        Self::Administer,
    ];

    /// As the configuration writes it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Seal => "seal",
            Self::Sign => "sign",
            Self::Tokenise => "tokenise",
            Self::Reveal => "reveal",
            Self::Health => "health",
            Self::Administer => "administer",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
impl Policy {
    /// Of nobody, for tests of what comes after it.
    pub(crate) const fn made() -> Self {
        Self {
            callers: Vec::new(),
            audience: Audience::Owner,
        }
    }
}

impl From<FieldKind> for RevealKind {
    fn from(kind: FieldKind) -> Self {
        match kind {
            FieldKind::AccountNumber => Self::AccountNumber,
            FieldKind::Name => Self::Name,
            FieldKind::DocumentNumber => Self::DocumentNumber,
            FieldKind::Mobile => Self::Mobile,
        }
    }
}

impl RevealKind {
    /// As the configuration and the audit log write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AccountNumber => "account_number",
            Self::Name => "name",
            Self::DocumentNumber => "document_number",
            Self::Mobile => "mobile",
        }
    }
}

#[cfg(test)]
mod tests;
