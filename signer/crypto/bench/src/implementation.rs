//! What an implementation can do, as the bench sees it.

use crate::scenario::{Scenario, Sealed, Signed, Word};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    VerifyDigest,
    VerifyMessage,
    SignDigest,
    SignMessage,
    Decrypt,
    Hash,
}

impl Operation {
    pub(crate) const ALL: [Self; 6] = [
        Self::VerifyDigest,
        Self::VerifyMessage,
        Self::SignDigest,
        Self::SignMessage,
        Self::Decrypt,
        Self::Hash,
    ];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::VerifyDigest => "verify digest",
            Self::VerifyMessage => "verify 1 KiB",
            Self::SignDigest => "sign digest",
            Self::SignMessage => "sign 1 KiB",
            Self::Decrypt => "decrypt 16 B",
            Self::Hash => "SM3 1 KiB",
        }
    }

    /// Its part of the keys in the JSON object.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::VerifyDigest => "sm2_verify",
            Self::VerifyMessage => "sm2_verify_hashed",
            Self::SignDigest => "sm2_sign_digest",
            Self::SignMessage => "sm2_sign",
            Self::Decrypt => "sm2_decrypt",
            Self::Hash => "sm3_1k",
        }
    }
}

/// A signature as it was made.
pub(crate) enum Made {
    Der(Vec<u8>),
    /// `r‖s`
    Raw(Vec<u8>),
}

/// From some items to as many results.
type OfEach<Item, Result> = Box<dyn Fn(&[Item]) -> Vec<Result>>;

/// `None` and `false`: it failed.
pub(crate) enum Work {
    Verify(OfEach<Signed, bool>),
    Sign(OfEach<Signed, Option<Made>>),
    Decrypt(OfEach<Sealed, Option<Vec<u8>>>),
    Hash(OfEach<Signed, Word>),
}

pub(crate) struct Ability {
    pub(crate) operation: Operation,
    /// Items given at a time.
    pub(crate) batch: usize,
    pub(crate) work: Work,
}

/// Ours in one way of using it, or somebody else's.
pub(crate) struct Implementation {
    pub(crate) name: String,
    /// Begins its keys in the JSON object; ours have names of their own.
    pub(crate) key: &'static str,
    pub(crate) scenario: &'static Scenario,
    pub(crate) abilities: Vec<Ability>,
    pub(crate) remarks: Vec<&'static str>,
}

/// How many items others are given at a time. They work one by one; a few a call keep the clock out of it.
const SINGLY: usize = 8;

impl Implementation {
    pub(crate) fn new(name: impl Into<String>, key: &'static str, scenario: &'static Scenario) -> Self {
        Self {
            name: name.into(),
            key,
            scenario,
            abilities: Vec::new(),
            remarks: Vec::new(),
        }
    }

    pub(crate) fn remark(mut self, remark: &'static str) -> Self {
        self.remarks.push(remark);
        self
    }

    /// With an ability to work on `batch` items at a time.
    pub(crate) fn batched(mut self, operation: Operation, batch: usize, work: Work) -> Self {
        self.abilities.push(Ability { operation, batch, work });
        self
    }

    fn singly(self, operation: Operation, work: Work) -> Self {
        self.batched(operation, SINGLY, work)
    }

    pub(crate) fn verify_digest(self, verify: impl Fn(&Signed) -> bool + 'static) -> Self {
        let work = move |items: &[Signed]| items.iter().map(&verify).collect();
        self.singly(Operation::VerifyDigest, Work::Verify(Box::new(work)))
    }

    pub(crate) fn verify_message(self, verify: impl Fn(&Signed) -> bool + 'static) -> Self {
        let work = move |items: &[Signed]| items.iter().map(&verify).collect();
        self.singly(Operation::VerifyMessage, Work::Verify(Box::new(work)))
    }

    pub(crate) fn sign_digest(self, sign: impl Fn(&Signed) -> Option<Made> + 'static) -> Self {
        let work = move |items: &[Signed]| items.iter().map(&sign).collect();
        self.singly(Operation::SignDigest, Work::Sign(Box::new(work)))
    }

    pub(crate) fn sign_message(self, sign: impl Fn(&Signed) -> Option<Made> + 'static) -> Self {
        let work = move |items: &[Signed]| items.iter().map(&sign).collect();
        self.singly(Operation::SignMessage, Work::Sign(Box::new(work)))
    }

    pub(crate) fn decrypt(self, decrypt: impl Fn(&Sealed) -> Option<Vec<u8>> + 'static) -> Self {
        let work = move |items: &[Sealed]| items.iter().map(&decrypt).collect();
        self.singly(Operation::Decrypt, Work::Decrypt(Box::new(work)))
    }

    pub(crate) fn hash(self, hash: impl Fn(&[u8]) -> Word + 'static) -> Self {
        let work = move |items: &[Signed]| items.iter().map(|item| hash(&item.message)).collect();
        self.singly(Operation::Hash, Work::Hash(Box::new(work)))
    }
}
