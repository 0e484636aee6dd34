//! Seals: signatures by a key of the bank's over the head of the log.
//!
//! What is signed is a text that begins like nothing else. Callers with the right to sign may choose what is signed, so the
//! signer signs nothing that begins so for anybody but its own log.

use signer_crypto::Certificate;
use thiserror::Error;

use super::digest::Digest;
use super::line::Head;

const BEGINNING: &[u8] = b"signer audit seal 1\n";
/// A seal covers at most as many records that came since the last one.
pub(crate) const RECORDS_MAX: u64 = 256;

/// A signature over a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Serial of the certificate.
    pub key: String,
    pub suite: String,
    pub signature: Vec<u8>,
}

/// Signs a statement with the bank's current key; or says why not. May block, for a second or two.
pub type Sealer = Box<dyn Fn(&[u8]) -> Result<Seal, String> + Send>;

/// Why a seal does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealFault {
    #[error("the seal is not over the head before it")]
    AnotherHead,
    #[error("the signature of the seal is wrong")]
    SignatureWrong,
    #[error("the certificate of the seal was not valid at its time")]
    OutOfDate,
}

/// Whether these bytes are what the log alone may have signed.
pub fn is_reserved(signed: &[u8]) -> bool {
    signed.starts_with(BEGINNING)
}

/// What is signed: which log, and which head.
pub(crate) fn statement(log: &str, head: Head) -> Vec<u8> {
    let Head { seq, hash } = head;
    [BEGINNING, format!("log {log}\nseq {seq}\nhead {hash}\n").as_bytes()].concat()
}

/// A seal as it stands in the log.
pub(crate) struct WrittenSeal<'a> {
    pub(crate) log: &'a str,
    /// Before the record of the seal.
    pub(crate) before: Head,
    pub(crate) head: Digest,
    pub(crate) signature: &'a str,
    /// Unix time.
    pub(crate) made: i64,
}

impl WrittenSeal<'_> {
    /// That it is over the head it stands behind.
    pub(crate) fn check_head(&self) -> Result<(), SealFault> {
        if self.head == self.before.hash {
            Ok(())
        } else {
            Err(SealFault::AnotherHead)
        }
    }

    pub(crate) fn check(&self, certificate: &Certificate) -> Result<(), SealFault> {
        self.check_head()?;
        let signature = hex::decode(self.signature).map_err(|_| SealFault::SignatureWrong)?;
        certificate
            .verify(&statement(self.log, self.before), &signature)
            .map_err(|_| SealFault::SignatureWrong)?;
        if certificate.is_current(self.made) {
            Ok(())
        } else {
            Err(SealFault::OutOfDate)
        }
    }
}
