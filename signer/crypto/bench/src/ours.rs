//! Ours: in lanes by batches of several sizes, and singly by the portable path.
//!
//! The public face of the crate works on certificates and containers; what is compared here is the arithmetic beneath,
//! with the message hashed where the operation says so.

use signer_crypto::inside::{self, PrivateKey, PublicKey, TableSize};

use crate::implementation::{Implementation, Made, Operation, Work};
use crate::scenario::{PLAINTEXT_BYTES, Scenario, Sealed, Signed, Word};

pub(crate) const BATCHES: [usize; 6] = [64, 16, 8, 4, 2, 1];

struct Keys {
    private: PrivateKey,
    public: PublicKey,
}

/// In lanes where the processor has them, for each size of batch; singly and portably.
pub(crate) struct Ours {
    pub(crate) batched: Vec<Implementation>,
    pub(crate) singly: Implementation,
}

impl Ours {
    /// `None` when it does not take the key.
    pub(crate) fn ready(scenario: &'static Scenario) -> Option<Self> {
        let keys: &'static Keys = Box::leak(Box::new(Keys {
            private: PrivateKey::from_bytes(&scenario.secret)?,
            public: PublicKey::new(&scenario.x, &scenario.y, TableSize::Large)?,
        }));
        Some(Self {
            batched: BATCHES
                .into_iter()
                .map(|batch| batched(keys, scenario, batch))
                .collect(),
            singly: singly(keys, scenario),
        })
    }
}

fn digests(items: &[Signed]) -> Vec<Word> {
    let messages: Vec<&[u8]> = items.iter().map(|item| item.with_identity.as_slice()).collect();
    inside::sm3_all(&messages)
}

fn verify(keys: &Keys, items: &[Signed], digests: &[Word]) -> Vec<bool> {
    let claims: Vec<(&PublicKey, &Word, &[u8; 64])> = items
        .iter()
        .zip(digests)
        .map(|(item, digest)| (&keys.public, digest, &item.raw))
        .collect();
    inside::verify_digests(&claims)
}

fn given(items: &[Signed]) -> Vec<Word> {
    items.iter().map(|item| item.digest).collect()
}

fn sign(keys: &Keys, digests: &[Word]) -> Vec<Option<Made>> {
    let signatures = keys.private.sign_digests(digests);
    signatures
        .into_iter()
        .map(|raw| Some(Made::Raw(raw.to_vec())))
        .collect()
}

fn decrypt(keys: &Keys, items: &[Sealed]) -> Vec<Option<Vec<u8>>> {
    let ciphertexts: Vec<&[u8]> = items.iter().map(|item| item.der.as_slice()).collect();
    keys.private.decrypt_all(&ciphertexts, PLAINTEXT_BYTES)
}

fn hash(items: &[Signed]) -> Vec<Word> {
    let messages: Vec<&[u8]> = items.iter().map(|item| item.message.as_slice()).collect();
    inside::sm3_all(&messages)
}

fn batched(keys: &'static Keys, scenario: &'static Scenario, batch: usize) -> Implementation {
    let works = [
        (
            Operation::VerifyDigest,
            Work::Verify(Box::new(|items| verify(keys, items, &given(items)))),
        ),
        (
            Operation::VerifyMessage,
            Work::Verify(Box::new(|items| verify(keys, items, &digests(items)))),
        ),
        (
            Operation::SignDigest,
            Work::Sign(Box::new(|items| sign(keys, &given(items)))),
        ),
        (
            Operation::SignMessage,
            Work::Sign(Box::new(|items| sign(keys, &digests(items)))),
        ),
        (
            Operation::Decrypt,
            Work::Decrypt(Box::new(|items| decrypt(keys, items))),
        ),
        (Operation::Hash, Work::Hash(Box::new(hash))),
    ];
    let name = format!("ours, lanes, batch of {batch}");
    let ours = Implementation::new(name, "", scenario);
    works
        .into_iter()
        .fold(ours, |ours, (operation, work)| ours.batched(operation, batch, work))
}

fn singly(keys: &'static Keys, scenario: &'static Scenario) -> Implementation {
    Implementation::new("ours, singly, portable", "", scenario)
        .verify_digest(|item| keys.public.verify_digest(&item.digest, &item.raw))
        .verify_message(|item| keys.public.verify_digest(&inside::sm3(&item.with_identity), &item.raw))
        .sign_digest(|item| Some(Made::Raw(keys.private.sign_digest(&item.digest).to_vec())))
        .sign_message(|item| {
            let signature = keys.private.sign_digest(&inside::sm3(&item.with_identity));
            Some(Made::Raw(signature.to_vec()))
        })
        .decrypt(|item| keys.private.decrypt(&item.der, PLAINTEXT_BYTES))
        .hash(inside::sm3)
}
