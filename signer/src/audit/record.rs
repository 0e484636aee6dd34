//! What the audit log says: one record for each event, one JSON object for each record.
//!
//! The fields stand in the order of these declarations. Names of fields and kinds are a format: [`FORMAT`] counts its
//! versions, and a field is added, never renamed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::digest::Digest;

pub(crate) const FORMAT: u32 = 1;

/// One line without its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// From 1 on, without a gap, across the files of a log.
    pub seq: u64,
    pub time: Moment,
    #[serde(flatten)]
    pub event: Event,
    /// The hash of the record before; zeros before the first.
    pub prev: Digest,
}

/// Milliseconds of Unix time, written `2026-11-20T08:15:30.123Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment(Timestamp);

/// A key of the bank's, as it was loaded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyNote {
    pub serial: String,
    #[serde(rename = "use")]
    pub usage: String,
    pub suite: String,
    pub provider: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The first record of every file.
    File {
        /// Which log this is, chosen by chance when it began.
        log: String,
        format: u32,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        previous_file: Option<String>,
    },
    /// A process came up with these keys.
    Start {
        version: String,
        keys: Vec<KeyNote>,
        certificates: u64,
        callers: Vec<String>,
    },
    /// A process ended as asked. Missing before a `start`: it was killed, or its machine was.
    Stop {},
    /// What was found behind the last whole record at a start, and where it is kept.
    Torn {
        bytes: u64,
        digest: Digest,
        kept_in: String,
    },
    /// The log could not be written for a while; no key was used meanwhile.
    Resumed { since: Moment, reason: String },
    /// Uses of one private key for one caller, one digest for each: of the bytes signed, or of the envelope opened.
    KeyUse {
        operation: String,
        key: String,
        caller: String,
        from: Moment,
        to: Moment,
        count: u64,
        digests: Vec<Digest>,
    },
    /// A plaintext that is about to be given out, or would have been (`outcome`); the digest is of its ciphertext.
    Reveal {
        caller: String,
        key: String,
        field: String,
        purpose: String,
        digest: Digest,
        outcome: String,
    },
    /// Keys, certificates, revocations, token keys and callers were read anew, `by` a caller or the signal.
    Keys {
        by: String,
        taken: bool,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        refusal: Option<String>,
        generation: u64,
        added: Vec<KeyNote>,
        removed: Vec<KeyNote>,
        certificates: u64,
        callers: Vec<String>,
    },
    /// A caller asked for what its policy does not allow.
    Refused {
        caller: String,
        peer: String,
        right: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        key: Option<String>,
    },
    /// As many refusals again that came too fast to be recorded one by one, by caller.
    RefusedMore {
        from: Moment,
        to: Moment,
        count: u64,
        callers: BTreeMap<String, u64>,
    },
    /// A signature over the head before this record.
    Seal {
        key: String,
        suite: String,
        head: Digest,
        /// Hexadecimal; of [the statement](super::seal::statement).
        signature: String,
    },
    /// No key could sign the head.
    Unsealed { reason: String },
}

impl Event {
    /// As the record names it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Start { .. } => "start",
            Self::Stop {} => "stop",
            Self::Torn { .. } => "torn",
            Self::Resumed { .. } => "resumed",
            Self::KeyUse { .. } => "key_use",
            Self::Reveal { .. } => "reveal",
            Self::Keys { .. } => "keys",
            Self::Refused { .. } => "refused",
            Self::RefusedMore { .. } => "refused_more",
            Self::Seal { .. } => "seal",
            Self::Unsealed { .. } => "unsealed",
        }
    }

    /// The private key it is about, where it is about one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::KeyUse { key, .. } | Self::Reveal { key, .. } | Self::Seal { key, .. } => Some(key),
            Self::Refused { key, .. } => key.as_deref(),
            Self::File { .. }
            | Self::Start { .. }
            | Self::Stop {}
            | Self::Torn { .. }
            | Self::Resumed { .. }
            | Self::Keys { .. }
            | Self::RefusedMore { .. }
            | Self::Unsealed { .. } => None,
        }
    }

    /// Who asked, where somebody did.
    pub fn caller(&self) -> Option<&str> {
        match self {
            Self::KeyUse { caller, .. } | Self::Reveal { caller, .. } | Self::Refused { caller, .. } => Some(caller),
            Self::Keys { by, .. } => Some(by),
            Self::File { .. }
            | Self::Start { .. }
            | Self::Stop {}
            | Self::Torn { .. }
            | Self::Resumed { .. }
            | Self::RefusedMore { .. }
            | Self::Seal { .. }
            | Self::Unsealed { .. } => None,
        }
    }
}

impl Moment {
    /// A clock before 1970 counts as 1970.
    pub fn of(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let milliseconds = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Self(Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX))
    }

    pub fn unix_seconds(self) -> i64 {
        self.0.as_second()
    }

    /// Days since 1970, UTC.
    pub(crate) fn day(self) -> i64 {
        self.0.as_second().div_euclid(24 * 60 * 60)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

impl TryFrom<String> for Moment {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl std::str::FromStr for Moment {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
