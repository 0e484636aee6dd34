//! Where a shard's rows and journal are kept. One trait, one conformance suite (`tests/suite/conformance.rs`), two
//! implementations: [`embedded`] and [`postgres`].
//!
//! What a store owes:
//! * **Durable.** When [`Store::commit`] returns, the group survives the loss of the process and of power.
//! * **Whole.** A group is there wholly or not at all, after any crash.
//! * **Nothing early** (invariant S2). A [`Reader`] never shows anything of a group whose commit has not returned, or
//!   that an earlier process did not make durable.
//! * **One writer at a time.** From [`Store::begin`] to [`Store::commit`] or [`Store::abandon`] nobody else commits to the
//!   shard, in this process or another, so what was fetched still holds when the group is committed.
//!
//! A fault of which [`StoreFault::consequence`] says `Nothing` has left nothing, and the store goes on. `Unknown` says nothing
//! about whether the group is there, but the store goes on: the next `begin` that succeeds has settled it, and nothing
//! of an earlier group can appear after it. After `Fatal` the caller ends the process, and the next one finds out.

pub mod embedded;
pub mod postgres;
pub mod release;
mod row;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ledger_journal::ChainPosition;
use ledger_model::{ChinaTime, ShardId, TransferKey};

use self::release::{Base, Release, ReleaseFault, Released, Surveyed};

use crate::books::{HopRow, Remembered};
use crate::state::ShardState;
use crate::view::{Rows, Wanted};

#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    #[error("the store could not {doing}")]
    Engine {
        doing: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("a stored {what} does not read")]
    Content {
        what: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the store is of format {found}; this program reads and writes format {known}")]
    Format { found: u32, known: u32 },
    #[error("the store was created for shard {found} of {found_of}, not for shard {wanted} of {wanted_of}")]
    OtherShard {
        found: u8,
        found_of: u8,
        wanted: u8,
        wanted_of: u8,
    },
    #[error("another process has the store open")]
    Taken,
    #[error("the store contradicts itself: {0}")]
    Inconsistent(&'static str),
    #[error(
        "the directory holds a store of format 1, which this program does not read; keep it, start with an empty \
         directory and load the accounts as they stand there"
    )]
    OldFormat,
    /// What was asked for was released from the store; its archive has it.
    #[error("records up to {through} were released from the store; they are in its archive")]
    Released { through: u64 },
    #[error(
        "records up to {through} were released, and no snapshot that is whole is left to begin from; restore the store \
         from its backup"
    )]
    NoSnapshot { through: u64 },
    /// Nothing of the group is there or ever will be; the next may be tried.
    #[error("the store could not write; nothing of the group is there")]
    NotWritten(#[source] std::io::Error),
    #[error("a group is longer than the store can hold in one piece")]
    TooLarge,
    /// Nothing of the group is there or ever will be: the store could not be reached, or is another's.
    #[error("the store cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing of the group is there or ever will be: somebody else has posted one of its keys meanwhile, in another shard.
    /// Decided again, the group finds it.
    #[error("a key of the group was posted elsewhere meanwhile; nothing of the group is there")]
    KeyTaken,
    /// Whether the group is there is not known now. The next `begin` that succeeds settles it.
    #[error("the connection to the store was lost while a group was committed")]
    InDoubt(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a store fault means for the group that was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// Nothing of it is there or ever will be; the store goes on.
    Nothing,
    /// It is there or not; the store goes on, and its next `begin` settles it.
    Unknown,
    /// It is there or not, and this process cannot find out.
    Fatal,
}

/// Everything one commit writes.
#[derive(Debug)]
pub struct Group {
    pub rows: Rows,
    /// Journal records by number, encoded.
    pub records: Vec<(u64, Vec<u8>)>,
    /// Evidence by the number of its record.
    pub evidence: Vec<(u64, Vec<u8>)>,
    /// The shard as it stands afterwards.
    pub state: ShardState,
}

/// Hops that wait for their home.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenHops {
    pub rows: Vec<HopRow>,
    /// Of every home, those without rows here included.
    pub tally: BTreeMap<ShardId, HopTally>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HopTally {
    pub count: u64,
    /// When the oldest was answered.
    pub oldest: ChinaTime,
}

pub trait Store: Send {
    /// Takes the shard for one group and says how it stands: as of its last commit, whoever made it.
    fn begin(&mut self) -> Result<ShardState, StoreFault>;

    /// As of the last `begin` or commit of this writer.
    fn state(&self) -> &ShardState;

    /// Whether `state` was ever read. A store whose server is away may be opened all the same.
    fn is_seen(&self) -> bool;

    /// Under which this writer last took the shard. A store that only one process can have open stays at 0.
    fn epoch(&self) -> u64;

    /// Sees to it that nothing of an earlier connection to the shard can be committed any more; the epoch from then on.
    /// A store that only one process can have open has nothing to do for it.
    fn fence(&mut self) -> Result<u64, StoreFault> {
        self.begin()?;
        self.abandon();
        Ok(self.epoch())
    }

    /// Rows that are there, of those wanted. They stay as they are only where this is called after `begin`.
    fn fetch(&self, wanted: &Wanted) -> Result<Rows, StoreFault>;

    /// Open hops that were taken in here: of these homes, the oldest first, `limit` at the most; and how many there are of
    /// every home. To be called after `begin`.
    fn open_hops(&self, homes: &BTreeSet<ShardId>, limit: usize) -> Result<OpenHops, StoreFault>;

    /// Hops taken in here that their home refused, the oldest first, `limit` at the most. To be called after `begin`.
    fn unapplied_hops(&self, limit: usize) -> Result<Vec<HopRow>, StoreFault>;

    /// Durable when it returns. The shard is free again, however it ends.
    fn commit(&mut self, group: Group) -> Result<(), StoreFault>;

    /// Frees the shard where there is nothing to commit.
    fn abandon(&mut self);

    fn reader(&self) -> Arc<dyn Reader>;

    /// Where its journal begins, as of the last `begin`.
    fn base(&self) -> Arc<Base>;

    /// Moves the base as far as the order and the books allow, durably; what lies before it is gone for every reader, and is
    /// [cleared](Reader::clear) away afterwards. Not to be called in the middle of a group. After a fault the base is where
    /// it was or where it was to be, and the store goes on.
    fn release(&mut self, release: &Release) -> Result<Released, ReleaseFault>;

    /// Whether other processes may commit to the shard as well, or a key of this one's in a shard kept with it: then one of
    /// them may be faster, and what they did is learned by asking.
    fn has_other_writers(&self) -> bool;

    /// Whether the keys of that shard are kept with this one's, as of the last `begin`: then they cannot both commit one key
    /// in the group that is under way, and it need not be asked.
    fn keeps_keys_with(&self, shard: ShardId) -> bool;

    /// What another shard holds under a key that was wanted since `begin`, of those whose keys are kept with this one's.
    fn elsewhere(&self, key: &TransferKey) -> Option<Remembered>;
}

/// Reads what is committed, from any thread, by whichever process it was.
pub trait Reader: Send + Sync {
    /// Number of the last committed record.
    fn committed(&self) -> Result<u64, StoreFault>;

    /// Where the journal begins now. What was before it is asked for in vain: that is [`StoreFault::Released`].
    fn base(&self) -> Result<Arc<Base>, StoreFault>;

    /// What stands in the way of releasing records up to that one, which an archive has. It may take long.
    fn survey(&self, _through: ChainPosition) -> Result<Surveyed, ReleaseFault> {
        Err(ReleaseFault::NotOffered)
    }

    /// Removes what lies before the base, and is there still. It may take long, may be interrupted, and finds nothing the
    /// second time.
    fn clear(&self) -> Result<(), StoreFault> {
        Ok(())
    }

    /// Whether other processes may commit to the shard as well, so that `committed` has to be asked to learn of it.
    fn is_shared(&self) -> bool {
        false
    }

    fn transfer(&self, key: &TransferKey) -> Result<Option<Remembered>, StoreFault>;

    /// What is held under any of these keys, in no order; of most of them nothing is. One question for a whole group.
    fn transfers(&self, keys: &[TransferKey]) -> Result<Vec<Remembered>, StoreFault> {
        let found = keys.iter().filter_map(|key| self.transfer(key).transpose());
        found.collect()
    }

    /// Encoded journal records from number `from` on: as many as are committed and come to about `bytes_max`, at least
    /// one if there is one.
    fn journal(&self, from: u64, bytes_max: usize) -> Result<Vec<Vec<u8>>, StoreFault>;

    /// As [`Reader::journal`], with the evidence of each record, whose bytes count too.
    fn kept(&self, from: u64, bytes_max: usize) -> Result<Vec<Kept>, StoreFault> {
        let records = (from..).zip(self.journal(from, bytes_max)?);
        let kept = records.map(|(sequence, record)| {
            let evidence = self.evidence(sequence)?;
            Ok(Kept { record, evidence })
        });
        kept.collect()
    }

    /// Evidence as it was sealed.
    fn evidence(&self, sequence: u64) -> Result<Option<Vec<u8>>, StoreFault>;
}

/// A committed record and what is kept with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Encoded.
    pub record: Vec<u8>,
    /// As it was sealed.
    pub evidence: Option<Vec<u8>>,
}

impl Kept {
    pub(crate) fn bytes(&self) -> usize {
        let evidence = self.evidence.as_ref().map_or(0, Vec::len);
        self.record.len().saturating_add(evidence)
    }
}

impl OpenHops {
    /// Of all open hops, in any order.
    pub fn among(open: impl IntoIterator<Item = HopRow>, homes: &BTreeSet<ShardId>, limit: usize) -> Self {
        let mut hops = Self::default();
        for row in open {
            let answered = row.transfer.decided_at;
            let tally = hops.tally.entry(row.hop.home).or_insert(HopTally {
                count: 0,
                oldest: answered,
            });
            tally.count += 1;
            tally.oldest = tally.oldest.min(answered);
            if homes.contains(&row.hop.home) {
                hops.rows.push(row);
            }
        }
        oldest_first(&mut hops.rows, limit);
        hops
    }
}

/// Keeps the oldest `limit` rows, in order.
pub(crate) fn oldest_first(rows: &mut Vec<HopRow>, limit: usize) {
    rows.sort_by_key(|row| (row.transfer.decided_at, row.transfer.key));
    rows.truncate(limit);
}

impl Group {
    /// Number of the first record; where there is none, the number the next record will have.
    pub fn first_sequence(&self) -> u64 {
        self.records
            .first()
            .map_or(self.state.sequence.saturating_add(1), |(number, _)| *number)
    }
}

impl StoreFault {
    /// Of a commit.
    pub const fn consequence(&self) -> Consequence {
        match self {
            Self::NotWritten(_) | Self::TooLarge | Self::Unreachable(_) | Self::KeyTaken | Self::Released { .. } => {
                Consequence::Nothing
            }
            Self::InDoubt(_) => Consequence::Unknown,
            Self::Engine { .. }
            | Self::Content { .. }
            | Self::Format { .. }
            | Self::OtherShard { .. }
            | Self::Taken
            | Self::Inconsistent(_)
            | Self::NoSnapshot { .. }
            | Self::OldFormat => Consequence::Fatal,
        }
    }

    pub(crate) fn engine<E: std::error::Error + Send + Sync + 'static>(doing: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::Engine {
            doing,
            source: Box::new(source),
        }
    }

    pub(crate) fn content<E: std::error::Error + Send + Sync + 'static>(what: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::Content {
            what,
            source: Box::new(source),
        }
    }
}
