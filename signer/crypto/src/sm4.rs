//! SM4 (GB/T 32907), one block at a time, in constant time.
//!
//! The S-box is not indexed: which line of the processor's cache a secret byte would touch can be seen by others on the
//! machine. Sixteen rows are read under masks made of a byte's high half, and the row that is left under masks made of
//! its low half. That costs about a microsecond a block, which a message with a few short fields can bear.

use std::hint::black_box;

use zeroize::{Zeroize, ZeroizeOnDrop};

pub(crate) const BLOCK_BYTES: usize = 16;
pub(crate) const KEY_BYTES: usize = 16;
const ROUNDS: usize = 32;
const ROW: usize = 16;

/// The S-box, a row for each high half.
#[rustfmt::skip]
const SUBSTITUTES: [[u8; ROW]; ROW] = [
    [0xD6, 0x90, 0xE9, 0xFE, 0xCC, 0xE1, 0x3D, 0xB7, 0x16, 0xB6, 0x14, 0xC2, 0x28, 0xFB, 0x2C, 0x05],
    [0x2B, 0x67, 0x9A, 0x76, 0x2A, 0xBE, 0x04, 0xC3, 0xAA, 0x44, 0x13, 0x26, 0x49, 0x86, 0x06, 0x99],
    [0x9C, 0x42, 0x50, 0xF4, 0x91, 0xEF, 0x98, 0x7A, 0x33, 0x54, 0x0B, 0x43, 0xED, 0xCF, 0xAC, 0x62],
    [0xE4, 0xB3, 0x1C, 0xA9, 0xC9, 0x08, 0xE8, 0x95, 0x80, 0xDF, 0x94, 0xFA, 0x75, 0x8F, 0x3F, 0xA6],
    [0x47, 0x07, 0xA7, 0xFC, 0xF3, 0x73, 0x17, 0xBA, 0x83, 0x59, 0x3C, 0x19, 0xE6, 0x85, 0x4F, 0xA8],
    [0x68, 0x6B, 0x81, 0xB2, 0x71, 0x64, 0xDA, 0x8B, 0xF8, 0xEB, 0x0F, 0x4B, 0x70, 0x56, 0x9D, 0x35],
    [0x1E, 0x24, 0x0E, 0x5E, 0x63, 0x58, 0xD1, 0xA2, 0x25, 0x22, 0x7C, 0x3B, 0x01, 0x21, 0x78, 0x87],
    [0xD4, 0x00, 0x46, 0x57, 0x9F, 0xD3, 0x27, 0x52, 0x4C, 0x36, 0x02, 0xE7, 0xA0, 0xC4, 0xC8, 0x9E],
    [0xEA, 0xBF, 0x8A, 0xD2, 0x40, 0xC7, 0x38, 0xB5, 0xA3, 0xF7, 0xF2, 0xCE, 0xF9, 0x61, 0x15, 0xA1],
    [0xE0, 0xAE, 0x5D, 0xA4, 0x9B, 0x34, 0x1A, 0x55, 0xAD, 0x93, 0x32, 0x30, 0xF5, 0x8C, 0xB1, 0xE3],
    [0x1D, 0xF6, 0xE2, 0x2E, 0x82, 0x66, 0xCA, 0x60, 0xC0, 0x29, 0x23, 0xAB, 0x0D, 0x53, 0x4E, 0x6F],
    [0xD5, 0xDB, 0x37, 0x45, 0xDE, 0xFD, 0x8E, 0x2F, 0x03, 0xFF, 0x6A, 0x72, 0x6D, 0x6C, 0x5B, 0x51],
    [0x8D, 0x1B, 0xAF, 0x92, 0xBB, 0xDD, 0xBC, 0x7F, 0x11, 0xD9, 0x5C, 0x41, 0x1F, 0x10, 0x5A, 0xD8],
    [0x0A, 0xC1, 0x31, 0x88, 0xA5, 0xCD, 0x7B, 0xBD, 0x2D, 0x74, 0xD0, 0x12, 0xB8, 0xE5, 0xB4, 0xB0],
    [0x89, 0x69, 0x97, 0x4A, 0x0C, 0x96, 0x77, 0x7E, 0x65, 0xB9, 0xF1, 0x09, 0xC5, 0x6E, 0xC6, 0x84],
    [0x18, 0xF0, 0x7D, 0xEC, 0x3A, 0xDC, 0x4D, 0x20, 0x79, 0xEE, 0x5F, 0x3E, 0xD7, 0xCB, 0x39, 0x48],
];
/// FK of the standard.
const FAMILY_KEY: [u32; 4] = [0xA3B1_BAC6, 0x56AA_3350, 0x677D_9197, 0xB270_22DC];

/// The round keys of one key. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Sm4 {
    round_keys: [u32; ROUNDS],
}

/// CK of the standard: byte j of word i is 7·(4i + j) mod 256.
fn constant_key(round: u32) -> u32 {
    (0..4).fold(0, |word, place| (word << 8) | (7 * (4 * round + place) % 256))
}

/// All ones where both halves are the same, else zero, for each of the sixteen that `half` may be.
fn masks(half: u8) -> [u8; ROW] {
    let mut masks = [0; ROW];
    for (value, mask) in (0u8..).zip(&mut masks) {
        let difference = half ^ value;
        // below 16, so that taking one off sets the top bit of zero alone
        *mask = 0u8.wrapping_sub(difference.wrapping_sub(1) >> 7);
    }
    masks
}

/// τ of the standard: the S-box over four bytes.
fn substituted(word: u32) -> u32 {
    let bytes = word.to_be_bytes();
    // behind the barrier the compiler cannot know that all but one mask are zero, and branch on it
    let masks = black_box(bytes.map(|byte| [masks(byte >> 4), masks(byte & 0xF)]));
    let substitutes = masks.map(|[high, low]| {
        let mut row = [0; ROW];
        for (entries, mask) in SUBSTITUTES.iter().zip(high) {
            for (place, entry) in row.iter_mut().zip(entries) {
                *place |= entry & mask;
            }
        }
        row.iter().zip(low).fold(0, |found, (entry, mask)| found | entry & mask)
    });
    u32::from_be_bytes(substitutes)
}

impl Sm4 {
    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> Self {
        let mut cipher = Self {
            round_keys: [0; ROUNDS],
        };
        let [mut a, mut b, mut c, mut d] = words(key);
        let [fa, fb, fc, fd] = FAMILY_KEY;
        (a, b, c, d) = (a ^ fa, b ^ fb, c ^ fc, d ^ fd);
        for (round, place) in (0..).zip(&mut cipher.round_keys) {
            let mixed = substituted(b ^ c ^ d ^ constant_key(round));
            let next = a ^ mixed ^ mixed.rotate_left(13) ^ mixed.rotate_left(23);
            *place = next;
            (a, b, c, d) = (b, c, d, next);
        }
        cipher
    }

    pub(crate) fn encrypt(&self, block: &mut [u8; BLOCK_BYTES]) {
        transform(block, self.round_keys.iter());
    }

    pub(crate) fn decrypt(&self, block: &mut [u8; BLOCK_BYTES]) {
        transform(block, self.round_keys.iter().rev());
    }
}

fn transform<'a>(block: &mut [u8; BLOCK_BYTES], round_keys: impl Iterator<Item = &'a u32>) {
    let [mut a, mut b, mut c, mut d] = words(block);
    for key in round_keys {
        let mixed = substituted(b ^ c ^ d ^ key);
        let mixed =
            mixed ^ mixed.rotate_left(2) ^ mixed.rotate_left(10) ^ mixed.rotate_left(18) ^ mixed.rotate_left(24);
        (a, b, c, d) = (b, c, d, a ^ mixed);
    }
    for (bytes, word) in block.as_chunks_mut().0.iter_mut().zip([d, c, b, a]) {
        *bytes = word.to_be_bytes();
    }
}

fn words(bytes: &[u8; BLOCK_BYTES]) -> [u32; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sm4::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

    use super::*;

    /// GB/T 32907, appendix A.1 and A.2: one block under itself, once and a million times.
    #[test]
    fn the_examples_of_the_standard() {
        let key = [
            0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0xFE, 0xDC, 0xBA, 0x98, 0x76, 0x54, 0x32, 0x10,
        ];
        let cipher = Sm4::new(&key);
        let mut block = key;
        cipher.encrypt(&mut block);
        assert_eq!(hex::encode(block), "681edf34d206965e86b3e94f536e4246");
        cipher.decrypt(&mut block);
        assert_eq!(block, key);
        for _ in 0..1_000_000 {
            cipher.encrypt(&mut block);
        }
        assert_eq!(hex::encode(block), "595298c7c6fd271f0402f804c33d3f66");
    }

    #[test]
    fn every_byte_has_its_substitute() {
        for byte in 0..=255u8 {
            let expected = SUBSTITUTES[usize::from(byte >> 4)][usize::from(byte & 0xF)];
            let word = u32::from_be_bytes([byte, 0, 0xFF, byte]);
            assert_eq!(substituted(word).to_be_bytes(), [expected, 0xD6, 0x48, expected]);
        }
    }

    proptest! {
        #[test]
        fn blocks_are_those_of_the_sm4_crate(key: [u8; KEY_BYTES], block: [u8; BLOCK_BYTES]) {
            let (ours, oracle) = (Sm4::new(&key), sm4::Sm4::new(&key.into()));
            let (mut left, mut right) = (block, block.into());
            ours.encrypt(&mut left);
            oracle.encrypt_block(&mut right);
            prop_assert_eq!(left.as_slice(), right.as_slice());
            ours.decrypt(&mut left);
            prop_assert_eq!(left, block);
            let mut opened = block.into();
            oracle.decrypt_block(&mut opened);
            let mut left = block;
            ours.decrypt(&mut left);
            prop_assert_eq!(left.as_slice(), opened.as_slice());
        }
    }
}
