//! Sealing: the fields of a request, opened with our key and encrypted again under a new key for the receiver of the
//! answer. A plaintext lives from one line to the next and never leaves.

use std::time::Instant;

use signer_crypto::{CryptoFault, FieldKey};
use signer_protocol::{Rejection, Seal, Sealed};

use crate::key_ring::KeyRing;
use crate::opening::{Unopened, open_envelope};

/// Why fields were not sealed.
#[derive(Debug)]
pub(crate) enum Unsealed {
    Unopened(Unopened),
    /// The receiver has no current encryption certificate of the request's suite.
    NoCertificate,
    Fault(CryptoFault),
}

pub(crate) fn seal(ring: &KeyRing, seal: &Seal, now: i64, deadline: Instant) -> Result<Sealed, Unsealed> {
    let theirs =
        open_envelope(ring, &seal.encryption_serial, &seal.envelope, now, deadline).map_err(Unsealed::Unopened)?;
    let receiver = ring
        .encrypting(&seal.receiver, theirs.suite(), now)
        .ok_or(Unsealed::NoCertificate)?;
    let ours = FieldKey::generate(theirs.suite()).map_err(Unsealed::Fault)?;
    let fields = seal.fields.iter().map(|field| {
        let plaintext = theirs
            .decrypt(field)
            .map_err(|_| Unsealed::Unopened(Rejection::FieldDoesNotOpen.into()))?;
        Ok(ours.encrypt(plaintext.expose()))
    });
    Ok(Sealed {
        fields: fields.collect::<Result<_, Unsealed>>()?,
        envelope: receiver.certificate.seal_envelope(&ours).map_err(Unsealed::Fault)?,
        encryption_serial: receiver.certificate.serial().to_owned(),
    })
}
