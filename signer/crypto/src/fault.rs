//! The errors of the crate's operations. Those that a stranger's bytes can cause carry no cause on purpose.

use openssl::error::ErrorStack;
use thiserror::Error;

/// The signature is not one of these bytes by this key: malformed, out of range or simply another.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[error("the signature does not hold")]
pub struct SignatureWrong;

/// An envelope or a field does not open. One error for every cause: telling causes apart is what decryption oracles
/// are made of.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[error("the ciphertext does not open")]
pub struct DoesNotOpen;

/// An operation with our own input failed. Ours to repair; nothing a message can cause.
#[derive(Debug, Error)]
pub enum CryptoFault {
    #[error("the operating system gave no randomness")]
    Randomness(#[source] getrandom::Error),
    #[error("an RSA or AES operation failed")]
    OpenSsl(#[source] ErrorStack),
    #[error("an SM2 signature could not be made")]
    Sm2Sign,
    #[error("the field key belongs to the other suite")]
    SuiteDiffers,
}
