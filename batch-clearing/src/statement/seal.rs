//! The encryption of detail files: a 16-byte IV, then CBC with PKCS#7 padding, under the key of the day. A key of 16
//! bytes is for SM4, one of 32 for AES-256.
//!
//! CBC does not say whether a file is authentic. That the network wrote it follows from who could put it there and from
//! the lines agreeing with our own journal, not from here.

use aes::Aes256;
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use sm4::Sm4;
use zeroize::Zeroizing;

const IV_BYTES: usize = 16;
const BLOCK_BYTES: usize = 16;

/// The key of one day.
pub enum DayKey {
    Sm4(Zeroizing<[u8; 16]>),
    Aes256(Zeroizing<[u8; 32]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    #[error("a key is 16 bytes (SM4) or 32 bytes (AES-256), this file has {0}")]
    KeyLength(usize),
    #[error("cut short: an IV and whole blocks of 16 bytes are due, this file has {0} bytes")]
    Length(usize),
    #[error("does not decrypt: another key, or damaged")]
    DoesNotDecrypt,
}

impl DayKey {
    pub fn new(bytes: &[u8]) -> Result<Self, SealFault> {
        if let Ok(key) = bytes.try_into() {
            return Ok(Self::Sm4(Zeroizing::new(key)));
        }
        let key = bytes.try_into().map_err(|_| SealFault::KeyLength(bytes.len()))?;
        Ok(Self::Aes256(Zeroizing::new(key)))
    }

    /// Decrypts a whole file in place of its ciphertext.
    pub fn open(&self, mut sealed: Vec<u8>) -> Result<Vec<u8>, SealFault> {
        let length = sealed.len();
        let wrong_length = SealFault::Length(length);
        let (iv, ciphertext) = sealed.split_first_chunk_mut::<IV_BYTES>().ok_or(wrong_length)?;
        if ciphertext.is_empty() || ciphertext.len() % BLOCK_BYTES != 0 {
            return Err(wrong_length);
        }
        let iv = &*iv;
        let plain = match self {
            Self::Sm4(key) => Decryptor::<Sm4>::new((&**key).into(), iv.into()).decrypt_padded::<Pkcs7>(ciphertext),
            Self::Aes256(key) => {
                Decryptor::<Aes256>::new((&**key).into(), iv.into()).decrypt_padded::<Pkcs7>(ciphertext)
            }
        };
        let plain_bytes = plain.map_err(|_| SealFault::DoesNotDecrypt)?.len();
        sealed.truncate(IV_BYTES + plain_bytes);
        sealed.drain(..IV_BYTES);
        Ok(sealed)
    }
}

impl std::fmt::Debug for DayKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DayKey(…)")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use cbc::cipher::BlockModeEncrypt;

    use super::*;

    pub(in crate::statement) fn seal(key: &[u8], plain: &[u8]) -> Vec<u8> {
        let iv = [3; IV_BYTES];
        [iv.to_vec(), encrypted(key, iv, plain)].concat()
    }

    fn encrypted(key: &[u8], iv: [u8; IV_BYTES], plain: &[u8]) -> Vec<u8> {
        let mut buffer = [plain, &[0; BLOCK_BYTES]].concat();
        let length = plain.len();
        let body = if key.len() == 16 {
            let cipher = cbc::Encryptor::<Sm4>::new_from_slices(key, &iv).unwrap();
            cipher.encrypt_padded::<Pkcs7>(&mut buffer, length)
        } else {
            let cipher = cbc::Encryptor::<Aes256>::new_from_slices(key, &iv).unwrap();
            cipher.encrypt_padded::<Pkcs7>(&mut buffer, length)
        };
        body.unwrap().to_vec()
    }

    fn check(key: &[u8], sealed: &[u8], expected: Result<&[u8], SealFault>) {
        let opened = DayKey::new(key).and_then(|key| key.open(sealed.to_vec()));
        assert_eq!(opened.as_deref(), expected.as_ref().copied());
    }

    #[test]
    fn both_ciphers_and_every_way_to_fail() {
        for key in [&[1_u8; 16][..], &[1; 32]] {
            let sealed = seal(key, b"what the network says");
            check(key, &sealed, Ok(b"what the network says"));
            let other = vec![2; key.len()];
            check(&other, &sealed, Err(SealFault::DoesNotDecrypt));
            check(
                key,
                &sealed[..sealed.len() - 1],
                Err(SealFault::Length(sealed.len() - 1)),
            );
            check(key, &sealed[..sealed.len() - 16], Err(SealFault::DoesNotDecrypt));
            check(key, &sealed[..16], Err(SealFault::Length(16)));
            check(key, &[], Err(SealFault::Length(0)));
        }
        check(&[1; 15], &[0; 32], Err(SealFault::KeyLength(15)));
        check(&[], &[0; 32], Err(SealFault::KeyLength(0)));
    }

    #[test]
    fn a_known_answer_of_each_cipher() {
        // GB/T 32907-2016 example 1 and FIPS 197 appendix C.3, as first CBC block under a zero IV
        let sm4 = [
            0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10,
        ];
        let first = [
            0x68, 0x1e, 0xdf, 0x34, 0xd2, 0x06, 0x96, 0x5e, 0x86, 0xb3, 0xe9, 0x4f, 0x53, 0x6e, 0x42, 0x46,
        ];
        assert_eq!(encrypted(&sm4, [0; IV_BYTES], &sm4)[..16], first);
        let aes: [u8; 32] = std::array::from_fn(|place| u8::try_from(place).unwrap());
        let plain: [u8; 16] = std::array::from_fn(|place| u8::try_from(place * 0x11).unwrap());
        let first = [
            0x8e, 0xa2, 0xb7, 0xca, 0x51, 0x67, 0x45, 0xbf, 0xea, 0xfc, 0x49, 0x90, 0x4b, 0x49, 0x60, 0x89,
        ];
        assert_eq!(encrypted(&aes, [0; IV_BYTES], &plain)[..16], first);
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", DayKey::new(&[0x55; 16]).unwrap()), "DayKey(…)");
    }
}
