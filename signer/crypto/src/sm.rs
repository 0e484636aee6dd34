//! SM2: signatures and encryption over the recommended curve, and their encodings.
//!
//! Multiples of known points, which are what signatures cost, are our own ([`arithmetic`]); all other arithmetic comes
//! from the `sm2` crate and is used in [`key`], [`signature`] and [`encryption`] alone. Nothing outside this module
//! names a type of either.

mod arithmetic;
pub(crate) mod der;
pub(crate) mod encryption;
pub(crate) mod key;
pub(crate) mod signature;
#[cfg(test)]
mod vectors;

/// Bytes of a coordinate, a scalar or an SM3 digest.
pub(crate) const WORD_BYTES: usize = 32;

/// A coordinate, scalar or digest, big-endian.
type Word = [u8; WORD_BYTES];
