//! Releasing: the first records of a shard leave its store, once they are proved to be in an archive and nothing the ledger
//! still does needs them.
//!
//! ```text
//!   records 1 … N  │ N+1 …                  base: (N, hash of record N), who released it, why and when
//!   in the archive │ in the store
//! ```
//!
//! * An order names the last record of a whole archive by number and hash. The hash is compared with the store's own record
//!   ([`prove`]), and so with everything before it; without that there is no [`Surveyed`], and without one no release.
//! * The store decides how far it goes: never beyond what was proved, nor beyond what is kept for something else
//!   ([`KeptFor`]), and by whole pieces, as it keeps them.
//! * The base is durable before the first record is removed. Whatever was interrupted after that is finished later.
//! * What a survey finds stays true while the ledger goes on: what is kept for something else is let go, or lies behind.

use std::fmt;

use ledger_journal::{ChainHash, ChainPosition};
use ledger_model::{BusinessDate, ChinaTime, Operator, Reason, ShardId};
use ledger_protocol::JournalBase;

use super::{Reader, StoreFault};

/// Where the journal in a store begins: after this record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    pub position: ChainPosition,
    /// `None` where nothing was ever released.
    pub by: Option<ReleasedBy>,
}

/// Who released records, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasedBy {
    pub operator: Operator,
    pub reason: Reason,
    pub at: ChinaTime,
}

/// An order to release a shard's records.
#[derive(Debug, Clone)]
pub struct Release {
    pub surveyed: Surveyed,
    /// Number of the last record that Kafka has acknowledged; `None` where nothing is shipped.
    pub shipped: Option<u64>,
    pub by: ReleasedBy,
    pub mode: ReleaseMode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseMode {
    /// Only say what would be released.
    Rehearse,
    Release,
}

/// What a release came to, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// Where the journal began before.
    pub before: u64,
    /// Where it begins now.
    pub base: ChainPosition,
    /// Why not further; `None` where it went as far as it was ordered.
    pub kept_for: Option<KeptFor>,
}

/// Why records that are archived stay in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptFor {
    /// Orders of that day may still come again, and are answered from these records.
    Repeats { of: BusinessDate, until: BusinessDate },
    /// What was taken in for another shard is not at rest.
    Hop { answered: ChinaTime },
    /// A start may need them.
    Recovery,
    /// Kafka has only come so far.
    Shipping { shipped: u64 },
    /// They lie in one piece with records up to this one, and a piece goes wholly or not at all.
    Piece { through: u64 },
    /// They lie in the piece that is being written.
    LastPiece,
}

#[derive(Debug, thiserror::Error)]
pub enum ReleaseFault {
    #[error(transparent)]
    Store(#[from] StoreFault),
    #[error("the archive is not of this shard's journal: record {0} is another")]
    OtherJournal(u64),
    #[error("the shard has come to record {0} only")]
    NotSoFar(u64),
    #[error("this store does not release records")]
    NotOffered,
}

/// What a reader has found out for a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surveyed {
    through: ChainPosition,
    repeats: Option<Repeats>,
    recovery: u64,
}

/// Of idempotency records: nothing after record `after` may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeats {
    pub after: u64,
    /// Day of the last of those that lie in the piece after that record, and the first day on which it is forgotten.
    pub of: BusinessDate,
    pub until: BusinessDate,
}

impl Base {
    /// Of a shard of which nothing was released.
    pub const fn start(shard: ShardId) -> Self {
        Self {
            position: ChainPosition::start(shard),
            by: None,
        }
    }

    /// As others are told; `None` where nothing was released.
    pub fn told(&self) -> Option<JournalBase> {
        let by = self.by.as_ref()?;
        Some(JournalBase {
            sequence: self.position.sequence,
            head: self.position.head.0,
            operator: by.operator.clone(),
            reason: by.reason.clone(),
            released_at: by.at,
        })
    }

    /// Refuses what begins below it.
    pub const fn check(&self, from: u64) -> Result<(), StoreFault> {
        let through = self.position.sequence;
        if from <= through && through > 0 {
            Err(StoreFault::Released { through })
        } else {
            Ok(())
        }
    }
}

/// The store's own record `through` is that of the archive, by its hash; where it is released already there is nothing to
/// prove, and nothing that could be released by it.
pub fn prove(reader: &dyn Reader, through: ChainPosition) -> Result<Surveyed, ReleaseFault> {
    let last = reader.committed()?;
    if through.sequence > last {
        return Err(ReleaseFault::NotSoFar(last));
    }
    let base = reader.base()?.position;
    if through.sequence > base.sequence {
        let records = reader.journal(through.sequence, 1)?;
        let same = records.first().map(|record| ChainHash::of(record)) == Some(through.head);
        if !same {
            return Err(ReleaseFault::OtherJournal(through.sequence));
        }
    } else if through.sequence == base.sequence && through.head != base.head {
        return Err(ReleaseFault::OtherJournal(through.sequence));
    }
    Ok(Surveyed {
        through,
        repeats: None,
        recovery: through.sequence,
    })
}

impl Surveyed {
    /// With what stands in the way: idempotency records, and what a start needs, which begins after record `recovery`.
    #[must_use]
    pub fn kept(self, repeats: Option<Repeats>, recovery: u64) -> Self {
        Self {
            repeats,
            recovery,
            ..self
        }
    }

    /// The last record that was proved to be archived.
    pub const fn through(&self) -> ChainPosition {
        self.through
    }

    /// Why a piece that ends with record `last` is kept, as far as the survey and the order say; `None` where it may go.
    pub fn keeps(&self, last: u64, shipped: Option<u64>) -> Option<KeptFor> {
        if last > self.through.sequence {
            return Some(KeptFor::Piece { through: last });
        }
        if let Some(Repeats { of, until, .. }) = self.repeats.filter(|repeats| last > repeats.after) {
            return Some(KeptFor::Repeats { of, until });
        }
        if last > self.recovery {
            return Some(KeptFor::Recovery);
        }
        shipped
            .filter(|shipped| last > *shipped)
            .map(|shipped| KeptFor::Shipping { shipped })
    }
}

impl fmt::Display for KeptFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repeats { of, until } => write!(
                f,
                "orders of {of} may come again and are answered from them, until {until}"
            ),
            Self::Hop { answered } => write!(
                f,
                "what was taken in for another shard at {answered} is not at rest (`ledger hops`)"
            ),
            Self::Recovery => f.write_str("a start may need them until two newer snapshots are there"),
            Self::Shipping { shipped } => write!(f, "Kafka has come to record {shipped} only"),
            Self::Piece { through } => write!(
                f,
                "they lie in one piece with records up to {through}, and a piece goes wholly or not at all"
            ),
            Self::LastPiece => f.write_str("they lie in the piece that is being written"),
        }
    }
}
