//! A private key of the bank's, wherever it is held: in this process's memory or in a device.
//!
//! Calls are made by worker threads and may block, but never beyond their deadline. Items of one call share nothing but
//! the key: each has its own outcome. Which sessions a device has, how a lost one is replaced and when a device that
//! stalls is no longer asked, is the provider's own affair behind this trait.

use std::fmt;
use std::time::Instant;

use signer_crypto::{DoesNotOpen, FieldKey, PrivateKey, Suite};
use thiserror::Error;

/// A key that signs and opens. One conformance suite holds for every implementation.
pub(crate) trait HeldKey: fmt::Debug + Send + Sync {
    #[cfg_attr(not(test), expect(dead_code, reason = "the conformance suite asks"))]
    fn suite(&self) -> Suite;

    /// The provider, as configuration, metrics and audit call it.
    fn provider(&self) -> &'static str;

    /// Signatures in the order of the messages: PKCS#1 v1.5 with SHA-256, or SM2 with SM3 as DER.
    fn sign(&self, signed: &[&[u8]], deadline: Instant) -> Vec<Result<Vec<u8>, KeyFailure>>;

    /// Field keys in the order of the envelopes. Stranger's input.
    fn open_envelopes(&self, sealed: &[&[u8]], deadline: Instant) -> Vec<Result<FieldKey, EnvelopeFailure>>;
}

/// The key was not used, or what it made is not known to be right. Nothing a message can cause.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum KeyFailure {
    /// The device is away, stalls or is busy; another signer may do it.
    #[error("the key cannot be reached: {0}")]
    Unavailable(String),
    #[error("a key operation failed: {0}")]
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum EnvelopeFailure {
    /// The message's fault.
    #[error("the envelope does not open")]
    DoesNotOpen,
    #[error(transparent)]
    Key(#[from] KeyFailure),
}

impl From<DoesNotOpen> for EnvelopeFailure {
    fn from(_: DoesNotOpen) -> Self {
        Self::DoesNotOpen
    }
}

/// A software key: nothing to wait for.
impl HeldKey for PrivateKey {
    fn suite(&self) -> Suite {
        self.suite()
    }

    fn provider(&self) -> &'static str {
        "software"
    }

    fn sign(&self, signed: &[&[u8]], _: Instant) -> Vec<Result<Vec<u8>, KeyFailure>> {
        let signatures = self.sign_all(signed).into_iter();
        let failed = |fault: signer_crypto::CryptoFault| KeyFailure::Failed(fault.to_string());
        signatures.map(|signature| signature.map_err(failed)).collect()
    }

    fn open_envelopes(&self, sealed: &[&[u8]], _: Instant) -> Vec<Result<FieldKey, EnvelopeFailure>> {
        let opened = self.open_envelopes(sealed).into_iter();
        opened.map(|opened| opened.map_err(EnvelopeFailure::from)).collect()
    }
}
