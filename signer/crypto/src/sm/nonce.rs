//! The nonces of signatures: secret, uniform, and never the same for two digests.
//!
//! ```text
//!   K = SM3("signer-crypto SM2 nonces" ‖ d)                     once for each key
//!   z = 32 bytes of the operating system's generator             for each signature
//!   k = SM3(K ‖ z ‖ e ‖ 0) ‖ SM3(K ‖ z ‖ e ‖ 1)  mod n           e is the digest that is signed
//! ```
//!
//! SM3 under a secret prefix, with input of one length, is a pseudorandom function: nobody who lacks d can tell k from
//! 512 random bits, whatever z is. A generator that is broken, repeats itself or is known thus costs nothing: k is then
//! a fixed function of key and digest, as with RFC 6979, and two digests have unrelated nonces. A good generator makes k
//! fresh each time, so that a fault injected into one of two signatures of one message leads nowhere. 512 bits reduced
//! modulo n are uniform but for 2^-256. RFC 6979 itself takes some twenty compressions; this takes four.
//!
//! Nothing is kept from one call to the next: no pool that a fork could share. What is drawn is wiped by its owner.

use zeroize::Zeroizing;

use super::arithmetic::Scalar;
use super::key::SecretScalar;
use super::{WORD_BYTES, Word};
use crate::CryptoFault;
use crate::sm3;

const LABEL: &[u8] = b"signer-crypto SM2 nonces";

/// What the nonces of one signing key are derived under.
pub(crate) struct NonceKey(Box<Zeroizing<Word>>);

impl NonceKey {
    pub(crate) fn new(scalar: &SecretScalar) -> Self {
        let bytes = scalar.to_bytes();
        Self(Box::new(Zeroizing::new(sm3::digest(&[LABEL, bytes.as_slice()]))))
    }

    /// A nonce for each digest, none of them zero.
    pub(crate) fn draw(&self, digests: &[Word]) -> Result<Zeroizing<Vec<Scalar>>, CryptoFault> {
        let mut random = Zeroizing::new(vec![0; digests.len() * WORD_BYTES]);
        getrandom::fill(&mut random).map_err(CryptoFault::Randomness)?;
        let (random, _) = random.as_chunks();
        Ok(self.derive(digests, random))
    }

    /// The nonce that follows from key and digest alone, as RFC 6979 has it: the same each time.
    pub(crate) fn fixed(&self, digest: &Word) -> Zeroizing<Vec<Scalar>> {
        self.derive(std::slice::from_ref(digest), &[[0; WORD_BYTES]])
    }

    /// The nonces that follow from so much randomness.
    fn derive(&self, digests: &[Word], random: &[Word]) -> Zeroizing<Vec<Scalar>> {
        let of_digest = digests
            .iter()
            .zip(random)
            .flat_map(|(digest, random)| [[0u8], [1]].map(|half| (digest, random, half)));
        let inputs: Vec<(&Word, &Word, [u8; 1])> = of_digest.collect();
        let parts = inputs
            .iter()
            .map(|(digest, random, half)| [self.0.as_slice(), random.as_slice(), digest.as_slice(), half.as_slice()]);
        let halves = Zeroizing::new(sm3::digest_all_parts(&parts.collect::<Vec<_>>()));
        let (pairs, _) = halves.as_chunks::<2>();
        let nonces = pairs.iter().map(|[high, low]| {
            let nonce = Scalar::from_wide_bytes(high, low);
            // one in 2^256: any other will do
            if nonce.is_zero() { Scalar::ONE } else { nonce }
        });
        let mut all = Zeroizing::new(Vec::with_capacity(digests.len()));
        all.extend(nonces);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> NonceKey {
        NonceKey::new(&SecretScalar::from_bytes(&[byte; 32]).unwrap())
    }

    /// What the construction says, computed from its parts.
    #[test]
    fn a_nonce_is_what_the_construction_says() {
        let prefix = sm3::digest(&[LABEL, &[7; 32]]);
        let half = |half: u8| sm3::digest(&[&prefix, &[9; 32], &[5; 32], &[half]]);
        let expected = Scalar::from_wide_bytes(&half(0), &half(1));
        assert!(*key(7).derive(&[[5; 32]], &[[9; 32]]) == [expected]);
    }

    /// A generator that always says the same gives each digest and each key a nonce of its own.
    #[test]
    fn a_stuck_generator_repeats_no_nonce() {
        let digests: Vec<Word> = (0..=255u8).map(|byte| [byte; 32]).collect();
        let stuck = vec![[0; 32]; digests.len()];
        let mut seen = std::collections::BTreeSet::new();
        for byte in [1, 2, 3] {
            for nonce in key(byte).derive(&digests, &stuck).iter() {
                assert!(seen.insert(nonce.to_bytes()));
            }
        }
    }

    /// A working one gives one digest another nonce each time, however many are drawn at once.
    #[test]
    fn nonces_of_one_digest_differ() {
        let drawn = key(1).draw(&[[4; 32]; 100]).unwrap();
        let distinct: std::collections::BTreeSet<Word> = drawn.iter().map(|nonce| nonce.to_bytes()).collect();
        assert_eq!(distinct.len(), 100);
    }
}
