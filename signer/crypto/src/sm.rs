//! SM2: signatures and encryption over the recommended curve, and their encodings.
//!
//! All arithmetic is our own ([`arithmetic`]); nothing outside this module names a type of it but `inside`.

pub(crate) mod arithmetic;
#[cfg(test)]
mod crafted;
pub(crate) mod der;
pub(crate) mod encryption;
pub(crate) mod key;
pub(crate) mod known_answer;
mod nonce;
pub(crate) mod signature;
#[cfg(test)]
mod vectors;

/// Bytes of a coordinate, a scalar or an SM3 digest.
pub(crate) const WORD_BYTES: usize = 32;

/// A coordinate, scalar or digest, big-endian.
pub(crate) type Word = [u8; WORD_BYTES];
