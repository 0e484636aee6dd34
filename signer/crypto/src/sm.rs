//! SM2: signatures and encryption over the recommended curve, and their encodings.
//!
//! Field and group arithmetic come from the `sm2` crate and are used in [`key`], [`table`], [`signature`] and
//! [`encryption`] alone; nothing outside this module names a type of that crate's curve.

pub(crate) mod der;
pub(crate) mod encryption;
pub(crate) mod key;
pub(crate) mod signature;
mod table;
#[cfg(test)]
mod vectors;

/// Bytes of a coordinate, a scalar or an SM3 digest.
const WORD_BYTES: usize = 32;

/// A coordinate, scalar or digest, big-endian.
type Word = [u8; WORD_BYTES];
