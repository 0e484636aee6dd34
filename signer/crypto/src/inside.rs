//! What benches, fuzz targets and long runs need of the inside, behind the feature `inside`. Nobody else turns it on;
//! nothing here is kept stable.

mod sm2;

use crate::sm3;
pub use sm2::{PrivateKey, PublicKey, TableSize, lanes_available, verify_digests, verify_digests_portable};

/// Whether batches of hashes run in lanes on this processor.
pub fn sm3_lanes_available() -> bool {
    sm3::lanes_available()
}

/// The digest of one message, by the portable path.
pub fn sm3(message: &[u8]) -> [u8; 32] {
    sm3::digest(&[message])
}

/// Digests in the order of the messages; in lanes where the processor has them.
pub fn sm3_all(messages: &[&[u8]]) -> Vec<[u8; 32]> {
    let parts: Vec<[&[u8]; 1]> = messages.iter().map(|message| [*message]).collect();
    sm3::digest_all_parts(&parts)
}
