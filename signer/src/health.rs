//! Whether the bank's keys work: each is used both ways, a signature verified, an envelope opened.
//!
//! The board keeps what was found last and who waits to hear. However many ask at once, the keys are tried once.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use signer_crypto::{FieldKey, Suite};
use signer_protocol::KeyHealth;
use tokio::sync::oneshot;

use crate::audit::{Audit, Use};
use crate::config::KeyUse;
use crate::held_key::{EnvelopeFailure, KeyFailure};
use crate::key_ring::{KeyInput, KeyRing, OwnKey};
use crate::metrics::DONE;
use crate::policy::THE_SIGNER;
use crate::suites::contract_suite;

/// What is found counts for this long; those who ask earlier hear it again.
pub(crate) const FRESH: Duration = Duration::from_secs(1);
/// A process that has tried its keys no more recently than this is not ready.
pub(crate) const STALE: Duration = Duration::from_secs(35);

/// Those who wait to hear.
const WAITING_MAX: usize = 1024;

/// What came of using a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trial {
    Works,
    /// Its device cannot be reached.
    Away,
    /// It was used, and what came out is wrong.
    Fails,
}

impl Trial {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Works => DONE,
            Self::Away => "key_unavailable",
            Self::Fails => "internal",
        }
    }
}

/// Uses one key both ways and remembers whether its device answered.
pub(crate) fn trial(audit: &Audit, usage: KeyUse, key: &OwnKey, deadline: Instant) -> Trial {
    let trial = match usage {
        KeyUse::Sign => signs(audit, key, deadline),
        KeyUse::Decrypt => decrypts(audit, key, deadline),
    };
    key.answered(trial != Trial::Away);
    trial
}

fn signs(audit: &Audit, key: &OwnKey, deadline: Instant) -> Trial {
    const SIGNED: &[u8] = b"health of a signing key";
    let input = KeyInput {
        bytes: SIGNED,
        caller: &THE_SIGNER.into(),
    };
    match key.sign(audit, Use::Health, &[input], deadline).pop() {
        Some(Ok(signature)) => judged(key.certificate.verify(SIGNED, &signature).is_ok()),
        Some(Err(KeyFailure::Unavailable(_))) => Trial::Away,
        Some(Err(KeyFailure::Failed(_))) | None => Trial::Fails,
    }
}

fn decrypts(audit: &Audit, key: &OwnKey, deadline: Instant) -> Trial {
    const FIELD: &[u8] = b"health of a decrypting key";
    let Ok(field_key) = FieldKey::generate(key.certificate.suite()) else {
        return Trial::Fails;
    };
    let Ok(envelope) = key.certificate.seal_envelope(&field_key) else {
        return Trial::Fails;
    };
    let input = KeyInput {
        bytes: &envelope,
        caller: &THE_SIGNER.into(),
    };
    match key.open_envelopes(audit, Use::Health, &[input], deadline).pop() {
        Some(Ok(opened)) => {
            let plaintext = opened.decrypt(&field_key.encrypt(FIELD));
            judged(plaintext.is_ok_and(|plaintext| plaintext.expose() == FIELD))
        }
        Some(Err(EnvelopeFailure::Key(KeyFailure::Unavailable(_)))) => Trial::Away,
        Some(Err(EnvelopeFailure::Key(KeyFailure::Failed(_)) | EnvelopeFailure::DoesNotOpen)) | None => Trial::Fails,
    }
}

const fn judged(right: bool) -> Trial {
    if right { Trial::Works } else { Trial::Fails }
}

/// What is told of a key.
pub(crate) fn told(usage: KeyUse, key: &OwnKey, trial: Trial) -> KeyHealth {
    KeyHealth {
        serial: key.certificate.serial().to_owned(),
        suite: contract_suite(key.certificate.suite()),
        usage: usage.name().to_owned(),
        not_after: rfc3339(key.certificate.not_after()),
        works: trial == Trial::Works,
        provider: key.provider().to_owned(),
    }
}

fn rfc3339(second: i64) -> String {
    jiff::Timestamp::from_second(second).map_or_else(|_| second.to_string(), |timestamp| timestamp.to_string())
}

/// What was found when all current keys were tried.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// When the trial began.
    pub(crate) at: Instant,
    /// Of the set of keys that was tried.
    pub(crate) generation: u64,
    pub(crate) keys: Vec<KeyHealth>,
}

#[derive(Debug, Default)]
pub(crate) struct HealthBoard(Mutex<Board>);

#[derive(Debug, Default)]
struct Board {
    last: Option<Found>,
    waiting: Vec<oneshot::Sender<Vec<KeyHealth>>>,
    /// A trial is queued or under way.
    due: bool,
}

/// What one who asks gets.
#[derive(Debug)]
pub(crate) enum Told {
    Now(Vec<KeyHealth>),
    Later(oneshot::Receiver<Vec<KeyHealth>>),
    /// Too many wait.
    Busy,
    /// As `Later`; whoever gets this has to see to it that the keys are tried.
    LaterIfTried(oneshot::Receiver<Vec<KeyHealth>>),
}

impl HealthBoard {
    /// `generation` is that of the keys in use.
    pub(crate) fn ask(&self, generation: u64, now: Instant) -> Told {
        let mut board = self.board();
        let fresh = |found: &&Found| found.generation == generation && now.duration_since(found.at) < FRESH;
        if let Some(found) = board.last.as_ref().filter(fresh) {
            return Told::Now(found.keys.clone());
        }
        if board.waiting.len() >= WAITING_MAX {
            return Told::Busy;
        }
        let (asker, answer) = oneshot::channel();
        board.waiting.push(asker);
        if std::mem::replace(&mut board.due, true) {
            Told::Later(answer)
        } else {
            Told::LaterIfTried(answer)
        }
    }

    /// The keys were tried.
    pub(crate) fn found(&self, found: Found) {
        let keys = found.keys.clone();
        let waiting = {
            let mut board = self.board();
            board.last = Some(found);
            board.due = false;
            std::mem::take(&mut board.waiting)
        };
        for asker in waiting {
            let _asker_has_gone = asker.send(keys.clone());
        }
    }

    /// The keys could not be tried; whoever waits hears nothing.
    pub(crate) fn given_up(&self) {
        let mut board = self.board();
        board.due = false;
        board.waiting.clear();
    }

    /// Whether the keys in use were seen to work lately: of every suite one to sign and one to decrypt with.
    pub(crate) fn readiness(&self, ring: &KeyRing, now: Instant) -> Result<(), String> {
        let board = self.board();
        let Some(found) = &board.last else {
            return Err("the keys have not been tried yet".to_owned());
        };
        if now.duration_since(found.at) > STALE {
            return Err(format!("the keys were last tried more than {} s ago", STALE.as_secs()));
        }
        let suites: BTreeSet<Suite> = ring.own().map(|(_, key)| key.certificate.suite()).collect();
        for suite in suites {
            for usage in [KeyUse::Sign, KeyUse::Decrypt] {
                let fits = |key: &&KeyHealth| key.suite == contract_suite(suite) && key.usage == usage.name();
                if !found.keys.iter().filter(fits).any(|key| key.works) {
                    return Err(format!("no {suite} key to {} with works", usage.name()));
                }
            }
        }
        Ok(())
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
