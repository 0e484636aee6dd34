//! PKCS#7 padding to 16-byte blocks, taken off without a branch that depends on what the padding holds.

use subtle::{Choice, ConstantTimeEq, ConstantTimeGreater};

use crate::DoesNotOpen;

pub(crate) const BLOCK_BYTES: usize = 16;

/// Appends 1 to 16 bytes, each the count of bytes appended.
pub(crate) fn pad(bytes: &mut Vec<u8>) {
    let missing = BLOCK_BYTES - bytes.len() % BLOCK_BYTES;
    bytes.resize(bytes.len() + missing, u8::try_from(missing).unwrap_or(0));
}

/// The length without padding, given that `genuine` holds as well; both failures are one.
pub(crate) fn unpadded_len(bytes: &[u8], genuine: Choice) -> Result<usize, DoesNotOpen> {
    let Some((_, last)) = bytes.split_last_chunk::<BLOCK_BYTES>() else {
        return Err(DoesNotOpen);
    };
    let [.., count] = *last;
    let mut good = genuine & count.ct_gt(&0) & !count.ct_gt(&16);
    for (place, byte) in (1u8..=16).rev().zip(last) {
        // `place` counts from the end: the last byte has place 1. Bytes beyond the count may be anything.
        good &= byte.ct_eq(&count) | place.ct_gt(&count);
    }
    if bool::from(good) {
        Ok(bytes.len() - usize::from(count))
    } else {
        Err(DoesNotOpen)
    }
}
