//! SM3 (GB/T 32905): of one message, of many side by side, and HMAC over it.
//!
//! Sixteen messages at once take 512-bit registers, one message a lane ([`lanes`]), where the processor has them; one
//! message, and every message elsewhere, takes ordinary ones ([`single`]). Both run the same rounds ([`rounds`]).
//! Messages of one batch may have any lengths: a lane that has ended takes the next message, the longest go first,
//! and the last few are finished singly.
//!
//! Time depends on lengths alone. States and blocks put together here are wiped; what a compression leaves in
//! registers and on the stack is not.

mod batch;
mod feed;
mod hmac;
mod lanes;
mod rounds;
mod single;
#[cfg(test)]
mod tests;

pub(crate) use hmac::Hmac;

use batch::Start;
use lanes::Lanes;

/// Bytes of a digest.
pub(crate) const DIGEST_BYTES: usize = 32;
const BLOCK_BYTES: usize = 64;

pub(crate) type Digest = [u8; DIGEST_BYTES];
type Block = [u8; BLOCK_BYTES];
/// The chaining value between two blocks.
type State = [u32; 8];

const INITIAL: State = [
    0x7380_166F,
    0x4914_B2B9,
    0x1724_42D7,
    0xDA8A_0600,
    0xA96F_30BC,
    0x1631_38AA,
    0xE38D_EE4D,
    0xB0FB_0E4E,
];

/// A message behind 32 bytes that are hashed with it, as the hash of an identity is.
#[derive(Clone, Copy)]
pub(crate) struct Prefixed<'a> {
    pub(crate) prefix: &'a Digest,
    pub(crate) body: &'a [u8],
}

/// Digests in the order of the messages, which may have any lengths.
pub(crate) fn digest_all(messages: &[Prefixed<'_>]) -> Vec<Digest> {
    let parts: Vec<[&[u8]; 2]> = messages
        .iter()
        .map(|message| [message.prefix.as_slice(), message.body])
        .collect();
    digest_all_parts(&parts)
}

/// Digests in the order of the messages, each the parts of its array one after another.
pub(crate) fn digest_all_parts<const PARTS: usize>(messages: &[[&[u8]; PARTS]]) -> Vec<Digest> {
    batch::digest_all(&Start::OF_MESSAGE, messages, Lanes::detect())
}

/// The digest of the parts one after another, singly.
pub(crate) fn digest(parts: &[&[u8]]) -> Digest {
    batch::digest(&Start::OF_MESSAGE, parts)
}

/// Whether batches run in lanes on this processor.
#[cfg(any(test, feature = "inside"))]
pub(crate) fn lanes_available() -> bool {
    Lanes::detect().is_some()
}

fn to_bytes(state: &State) -> Digest {
    let mut digest = [0; DIGEST_BYTES];
    for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    digest
}
