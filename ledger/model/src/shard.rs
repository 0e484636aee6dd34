//! Which shard an account lives in.

use crate::{AccountToken, AgreementNumber, TransferKey};

/// How many shards the ledger was created with; 1 to 64. Fixed for the life of a ledger's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardCount(u8);

/// A shard that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(u8);

impl ShardId {
    pub const fn number(self) -> u8 {
        self.0
    }

    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl std::fmt::Display for ShardId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl ShardCount {
    pub const MAX: u8 = 64;

    pub const fn new(count: u8) -> Option<Self> {
        if count == 0 || count > Self::MAX {
            None
        } else {
            Some(Self(count))
        }
    }

    pub const fn count(self) -> u8 {
        self.0
    }

    pub fn shard(self, number: u8) -> Option<ShardId> {
        (number < self.0).then_some(ShardId(number))
    }

    pub fn all(self) -> impl Iterator<Item = ShardId> {
        (0..self.0).map(ShardId)
    }

    /// Home of an account.
    pub fn of_account(self, token: AccountToken) -> ShardId {
        self.of_digest(&token.bytes())
    }

    /// Home of an agreement, where its number is one this bank issued for a shard that exists.
    pub fn of_agreement(self, number: &AgreementNumber) -> Option<ShardId> {
        self.shard(number.shard_tag()?)
    }

    /// Where the refusal of a transfer is recorded that names no account of ours.
    pub fn of_stray(self, key: &TransferKey) -> ShardId {
        self.of_digest(&key.digest())
    }

    fn of_digest(self, digest: &[u8; 32]) -> ShardId {
        let leading = digest.first_chunk().expect("8 of 32 bytes");
        let place = u64::from_be_bytes(*leading) % u64::from(self.0);
        ShardId(u8::try_from(place).expect("a remainder of a u8"))
    }
}
