//! Revealing: the plaintext of one field, for a caller whose policy has said yes. The one place where a plaintext leaves,
//! and only once the record of it is on the disk.

use std::sync::Arc;
use std::time::Instant;

use signer_crypto::Plaintext;
use signer_protocol::{Answer, Failure, Rejection, Reveal, Revealed};

use crate::audit::{Digest, Event, Use};
use crate::duties::{Finished, Subject};
use crate::envelopes::{Envelope, Unopened, open_envelopes};
use crate::job::By;
use crate::key_set::KeySet;
use crate::policy::RevealKind;

/// Uses a private key, and waits for the audit log.
pub(crate) fn reveal<'k>(keys: &'k KeySet, asked: By<'_, Reveal>, now: i64, deadline: Instant) -> Finished<'k> {
    let By { work: reveal, caller } = asked;
    let Some(key) = keys.ring.decrypting(&reveal.encryption_serial, now) else {
        return Subject::UNKNOWN.with(Answer::Rejected(Rejection::EncryptionSerialUnknown));
    };
    let outcome = open_field(keys, reveal, caller.name(), now, deadline);
    let event = Event::Reveal {
        caller: caller.name().to_string(),
        key: key.certificate.serial().to_owned(),
        field: RevealKind::from(reveal.field.kind).name().to_owned(),
        purpose: reveal.purpose.clone(),
        digest: Digest::of(&reveal.field.ciphertext),
        outcome: if outcome.is_ok() { "revealed" } else { "does_not_open" }.to_owned(),
    };
    let answer = match (keys.audit.record(event, deadline), outcome) {
        (Ok(()), Ok(plaintext)) => Answer::Revealed(Revealed(plaintext.expose().to_vec())),
        (Ok(()), Err(unopened)) => unopened.answer(),
        (Err(unwritable), _) => {
            tracing::error!(%unwritable, "nothing is revealed without a record");
            let text = "the reveal cannot be recorded".to_owned();
            Answer::Failed(Failure::KeyUnavailable, text)
        }
    };
    Subject::own(key).with(answer)
}

fn open_field(
    keys: &KeySet,
    reveal: &Reveal,
    caller: &Arc<str>,
    now: i64,
    deadline: Instant,
) -> Result<Plaintext, Unopened> {
    let envelope = Envelope {
        serial: &reveal.encryption_serial,
        sealed: &reveal.envelope,
        caller,
    };
    let opened = open_envelopes(keys, Use::Reveal, &[envelope], now, deadline).pop();
    let field_key = opened.expect("one envelope has one outcome")?;
    field_key
        .decrypt(&reveal.field.ciphertext)
        .map_err(|_| Unopened::Rejected(Rejection::FieldDoesNotOpen))
}
