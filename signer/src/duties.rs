//! What the signer does with work: from works and second to answers, one batched stage at a time. No I/O, no clock, no
//! queue; each item has its own outcome, and a batch of one is an ordinary call.
//!
//! `opening` verifies and opens, `sealing` encrypts again, `signing` signs; what they have in common stands here.

use signer_protocol::{Answer, Failure, Tokenise, Tokens};

use crate::held_key::KeyFailure;
use crate::key_ring::{OwnKey, PeerKey};
use crate::suites::crypto_kind;
use crate::tokens::TokenKeys;

/// Whose key a piece of work was about, in names of our own configuration; nothing a stranger wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subject<'k> {
    pub(crate) serial: &'k str,
    pub(crate) institution: &'k str,
}

/// What came of one piece of work.
#[derive(Debug)]
pub(crate) struct Finished<'k> {
    pub(crate) answer: Answer,
    pub(crate) subject: Subject<'k>,
}

impl<'k> Subject<'k> {
    /// Work that is about no key of anybody's.
    pub(crate) const NONE: Subject<'static> = Subject {
        serial: "",
        institution: "",
    };
    /// A serial number that is none of ours to know.
    pub(crate) const UNKNOWN: Subject<'static> = Subject {
        serial: "unknown",
        institution: "unknown",
    };

    pub(crate) fn own(key: &'k OwnKey) -> Self {
        Self {
            serial: key.certificate.serial(),
            institution: "own",
        }
    }

    pub(crate) fn peer(key: &'k PeerKey) -> Self {
        Self {
            serial: key.certificate.serial(),
            institution: &key.institution,
        }
    }

    pub(crate) const fn with(self, answer: Answer) -> Finished<'k> {
        Finished { answer, subject: self }
    }
}

/// Tokens of some of the plaintexts.
pub(crate) fn tokens(keys: &TokenKeys, tokenise: &Tokenise, plaintexts: &[String]) -> Tokens {
    let kind = crypto_kind(tokenise.kind);
    let fields: Vec<_> = plaintexts.iter().map(|text| (kind, text.as_bytes())).collect();
    keys.tokens(&fields)
}

pub(crate) fn no_key(text: &str) -> Answer {
    Answer::Failed(Failure::NoKey, text.to_owned())
}

/// After a panic, which the hook has reported.
pub(crate) fn defect() -> Answer {
    Answer::Failed(Failure::Internal, "a defect".to_owned())
}

/// The cause is for our log alone: what a caller sees never holds a source chain.
pub(crate) fn failed(failure: &KeyFailure) -> Answer {
    tracing::error!(%failure, "a key was not used");
    match failure {
        KeyFailure::Unavailable(_) => Answer::Failed(Failure::KeyUnavailable, "the key cannot be reached".to_owned()),
        KeyFailure::Failed(_) => Answer::Failed(Failure::Internal, "a key operation failed".to_owned()),
    }
}

/// As many outcomes as there were items, whatever a key's holder returned.
pub(crate) fn complete<T>(count: usize, outcomes: Vec<T>, missing: impl Fn(KeyFailure) -> T) -> Vec<T> {
    let missing = || missing(KeyFailure::Failed("the key gave too few outcomes".to_owned()));
    outcomes
        .into_iter()
        .chain(std::iter::repeat_with(missing))
        .take(count)
        .collect()
}
