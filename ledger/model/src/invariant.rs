//! The register of invariants. One definition each; the engine, the tests, the metrics and the documents use these ids.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    L1,
    L2,
    L3,
    L4,
    L5,
    L6,
    C1,
    C2,
    C3,
    S1,
    S2,
}

impl Invariant {
    pub const ALL: [Self; 11] = [
        Self::L1,
        Self::L2,
        Self::L3,
        Self::L4,
        Self::L5,
        Self::L6,
        Self::C1,
        Self::C2,
        Self::C3,
        Self::S1,
        Self::S2,
    ];

    pub const fn rule(self) -> &'static str {
        match self {
            Self::L1 => "a posting debits and credits the same money",
            Self::L2 => "per shard and currency debits equal credits",
            Self::L3 => "no balance crosses its limit",
            Self::L4 => "a message id posts at most once",
            Self::L5 => "journal numbers per shard are gapless and hash-chained",
            Self::L6 => "nothing ships before it is committed, all that is committed ships in order",
            Self::C1 => "net positions per currency and batch sum to zero",
            Self::C2 => "every entry is in exactly one batch",
            Self::C3 => "stored nets equal nets recomputed",
            Self::S1 => "a key is used only as its policy allows",
            Self::S2 => "an answer leaves only after its posting is durable",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?} ({})", self.rule())
    }
}
