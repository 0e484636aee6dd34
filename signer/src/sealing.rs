//! Sealing: the fields of requests, opened with our keys and encrypted again under new keys for the receivers of the
//! answers. A plaintext lives from one line to the next and never leaves.

use std::time::Instant;

use signer_crypto::{FieldKey, Sealing, seal_all as seal_field_keys};
use signer_protocol::{Answer, Failure, Rejection, Seal, Sealed};

use crate::audit::Use;
use crate::duties::{Finished, Subject, failed, no_key};
use crate::envelopes::{Envelope, Unopened, open_envelopes};
use crate::held_key::KeyFailure;
use crate::job::By;
use crate::key_ring::{KeyRing, PeerKey};
use crate::key_set::KeySet;

/// Fields encrypted under a key that has yet to be sealed.
struct Encrypted<'k> {
    receiver: &'k PeerKey,
    field_key: FieldKey,
    fields: Vec<Vec<u8>>,
}

/// Answers in the order of the requests. Uses private keys.
pub(crate) fn seal_all<'k>(keys: &'k KeySet, seals: &[By<'_, Seal>], now: i64, deadline: Instant) -> Vec<Finished<'k>> {
    let ring = &keys.ring;
    let envelopes = seals.iter().map(|asked| Envelope {
        serial: &asked.work.encryption_serial,
        sealed: &asked.work.envelope,
        caller: asked.caller.name(),
    });
    let theirs = open_envelopes(keys, Use::Seal, &envelopes.collect::<Vec<_>>(), now, deadline);
    let seals = seals.iter().map(|asked| asked.work);
    let encrypted: Vec<Result<Encrypted<'k>, Answer>> = seals
        .clone()
        .zip(theirs)
        .map(|(seal, theirs)| encrypt_again(ring, seal, theirs, now))
        .collect();
    let good = encrypted.iter().flatten().map(|encrypted| Sealing {
        certificate: &encrypted.receiver.certificate,
        field_key: &encrypted.field_key,
    });
    let mut envelopes = seal_field_keys(&good.collect::<Vec<_>>()).into_iter();
    let finished = seals.zip(encrypted).map(|(seal, encrypted)| match encrypted {
        Err(answer) => subject(ring, seal, now).with(answer),
        Ok(encrypted) => {
            let envelope = envelopes.next().expect("every field key has its envelope");
            let answer = match envelope {
                Ok(envelope) => Answer::Sealed(Sealed {
                    fields: encrypted.fields,
                    envelope,
                    encryption_serial: encrypted.receiver.certificate.serial().to_owned(),
                }),
                Err(fault) => failed(&KeyFailure::Failed(fault.to_string())),
            };
            Subject::peer(encrypted.receiver).with(answer)
        }
    });
    finished.collect()
}

fn encrypt_again<'k>(
    ring: &'k KeyRing,
    seal: &Seal,
    theirs: Result<FieldKey, Unopened>,
    now: i64,
) -> Result<Encrypted<'k>, Answer> {
    let theirs = theirs.map_err(|unopened| unopened.answer())?;
    let receiver = ring
        .encrypting(&seal.receiver, theirs.suite(), now)
        .ok_or_else(|| no_key("no current certificate to encrypt for the receiver"))?;
    let field_key = FieldKey::generate(theirs.suite()).map_err(|fault| {
        tracing::error!(%fault, "no field key was made");
        Answer::Failed(Failure::Internal, "a key operation failed".to_owned())
    })?;
    let fields = seal.fields.iter().map(|field| {
        let plaintext = theirs
            .decrypt(field)
            .map_err(|_| Answer::Rejected(Rejection::FieldDoesNotOpen))?;
        Ok(field_key.encrypt(plaintext.expose()))
    });
    Ok(Encrypted {
        fields: fields.collect::<Result<_, Answer>>()?,
        receiver,
        field_key,
    })
}

/// Of a request that was not sealed: the certificate that it would have been sealed for.
fn subject<'k>(ring: &'k KeyRing, seal: &Seal, now: i64) -> Subject<'k> {
    let ours = ring.decrypting(&seal.encryption_serial, now);
    let theirs = ours.and_then(|key| ring.encrypting(&seal.receiver, key.certificate.suite(), now));
    theirs.map_or(Subject::UNKNOWN, Subject::peer)
}
