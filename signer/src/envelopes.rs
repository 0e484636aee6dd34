//! Digital envelopes that were sealed for keys of ours: each is opened by the key it names, many by one key at once.

use std::sync::Arc;
use std::time::Instant;

use signer_crypto::{FieldKey, Suite};
use signer_protocol::{Answer, Rejection};

use crate::audit::Use;
use crate::duties::{complete, failed};
use crate::held_key::{EnvelopeFailure, KeyFailure};
use crate::key_ring::{KeyInput, KeyRing};
use crate::key_set::KeySet;

/// An envelope as a message carries it. Stranger's input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envelope<'w> {
    /// `NcrptnSN`.
    pub(crate) serial: &'w str,
    pub(crate) sealed: &'w [u8],
    /// As the audit log calls it.
    pub(crate) caller: &'w Arc<str>,
}

/// Why there is no field key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unopened {
    Rejected(Rejection),
    Key(KeyFailure),
}

impl Unopened {
    pub(crate) fn answer(&self) -> Answer {
        match self {
            Self::Rejected(rejection) => Answer::Rejected(*rejection),
            Self::Key(failure) => failed(failure),
        }
    }
}

/// Field keys in the order of the envelopes.
pub(crate) fn open_envelopes(
    keys: &KeySet,
    operation: Use,
    envelopes: &[Envelope<'_>],
    now: i64,
    deadline: Instant,
) -> Vec<Result<FieldKey, Unopened>> {
    let mut by_key: Vec<(usize, &Envelope<'_>)> = envelopes.iter().enumerate().collect();
    by_key.sort_by_key(|(_, envelope)| envelope.serial);
    let mut opened = Vec::with_capacity(envelopes.len());
    for group in by_key.chunk_by(|(_, one), (_, other)| one.serial == other.serial) {
        let serial = group.first().map_or("", |(_, envelope)| envelope.serial);
        let inputs = group.iter().map(|(_, envelope)| KeyInput {
            bytes: envelope.sealed,
            caller: envelope.caller,
        });
        let inputs: Vec<_> = inputs.collect();
        let places = group.iter().map(|(place, _)| *place);
        opened.extend(places.zip(open_with(keys, operation, (serial, &inputs), now, deadline)));
    }
    opened.sort_by_key(|(place, _)| *place);
    opened.into_iter().map(|(_, outcome)| outcome).collect()
}

fn open_with(
    keys: &KeySet,
    operation: Use,
    (serial, inputs): (&str, &[KeyInput<'_>]),
    now: i64,
    deadline: Instant,
) -> Vec<Result<FieldKey, Unopened>> {
    let Some(key) = keys.ring.decrypting(serial, now) else {
        let unknown = || Err(Unopened::Rejected(Rejection::EncryptionSerialUnknown));
        return inputs.iter().map(|_| unknown()).collect();
    };
    let opened = key.open_envelopes(&keys.audit, operation, inputs, deadline);
    let opened = complete(inputs.len(), opened, |failure| Err(failure.into()));
    let away = |outcome: &Result<_, _>| matches!(outcome, Err(EnvelopeFailure::Key(KeyFailure::Unavailable(_))));
    key.answered(!opened.iter().any(away));
    let outcomes = opened.into_iter().map(|outcome| {
        outcome.map_err(|failure| match failure {
            EnvelopeFailure::DoesNotOpen => Unopened::Rejected(Rejection::FieldDoesNotOpen),
            EnvelopeFailure::Key(failure) => Unopened::Key(failure),
        })
    });
    outcomes.collect()
}

/// How much of a worker's turn it takes to open an envelope for this key: an RSA operation is tens of SM2 ones.
pub(crate) fn cost(ring: &KeyRing, serial: &str, now: i64) -> usize {
    match ring.decrypting(serial, now).map(|key| key.certificate.suite()) {
        None => 0,
        Some(Suite::Sm) => 1,
        Some(Suite::Rsa) => 8,
    }
}
