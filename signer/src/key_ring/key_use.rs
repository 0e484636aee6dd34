//! The one place where a private key of the bank's is used: noted in the audit log first, then done. Nobody else can reach
//! what holds the key.

use std::sync::Arc;
use std::time::Instant;

use signer_crypto::FieldKey;

use super::OwnKey;
use crate::audit::{Audit, Digest, Seal, Unwritable, Use};
use crate::held_key::{EnvelopeFailure, KeyFailure};

/// What a key is to be used on, and who asks for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyInput<'w> {
    /// What is signed, or an envelope that is opened.
    pub(crate) bytes: &'w [u8],
    /// As the audit log calls it.
    pub(crate) caller: &'w Arc<str>,
}

impl OwnKey {
    /// Signatures in the order of the inputs; as many, unless the key's holder gave too few.
    pub(crate) fn sign(
        &self,
        audit: &Audit,
        operation: Use,
        inputs: &[KeyInput<'_>],
        deadline: Instant,
    ) -> Vec<Result<Vec<u8>, KeyFailure>> {
        if let Err(unwritable) = self.note(audit, operation, inputs, deadline) {
            let refused = || Err(unaudited(&unwritable));
            return inputs.iter().map(|_| refused()).collect();
        }
        self.private.sign(&bytes(inputs), deadline)
    }

    /// Field keys in the order of the envelopes, likewise.
    pub(crate) fn open_envelopes(
        &self,
        audit: &Audit,
        operation: Use,
        inputs: &[KeyInput<'_>],
        deadline: Instant,
    ) -> Vec<Result<FieldKey, EnvelopeFailure>> {
        if let Err(unwritable) = self.note(audit, operation, inputs, deadline) {
            let refused = || Err(EnvelopeFailure::Key(unaudited(&unwritable)));
            return inputs.iter().map(|_| refused()).collect();
        }
        self.private.open_envelopes(&bytes(inputs), deadline)
    }

    /// Seals the audit log. The seal is its own record.
    pub(crate) fn seal_log(&self, statement: &[u8], deadline: Instant) -> Result<Seal, String> {
        let signature = self.private.sign(&[statement], deadline).pop();
        let signature = signature.ok_or_else(|| "the key gave no signature".to_owned())?;
        Ok(Seal {
            key: self.certificate.serial().to_owned(),
            suite: self.certificate.suite().to_string(),
            signature: signature.map_err(|failure| failure.to_string())?,
        })
    }

    /// Where the key is held.
    pub(crate) fn provider(&self) -> &'static str {
        self.private.provider()
    }

    fn note(
        &self,
        audit: &Audit,
        operation: Use,
        inputs: &[KeyInput<'_>],
        deadline: Instant,
    ) -> Result<(), Unwritable> {
        if audit.is_none() {
            return Ok(());
        }
        let uses = inputs
            .iter()
            .map(|input| (Arc::clone(input.caller), Digest::of(input.bytes)));
        let uses: Vec<_> = uses.collect();
        audit.note_uses(operation, &self.certificate.serial().into(), &uses, deadline)
    }
}

fn bytes<'w>(inputs: &[KeyInput<'w>]) -> Vec<&'w [u8]> {
    inputs.iter().map(|input| input.bytes).collect()
}

fn unaudited(unwritable: &Unwritable) -> KeyFailure {
    KeyFailure::Unavailable(unwritable.to_string())
}
