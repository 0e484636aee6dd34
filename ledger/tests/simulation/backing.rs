//! What the shards of a run keep their books on, over the life of many processes.

use ledger::store::embedded::{EmbeddedStore, StoreOptions};
use ledger::store::{Store, StoreFault};
use ledger_model::{ShardCount, ShardId, TransferKey};
use tempfile::TempDir;

use crate::disk::FaultyDisk;
use crate::faulty::Platter;
use crate::trouble::Trouble;

/// Small, so that a run has several.
const SEGMENT_BYTES_MAX: u64 = 16 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The test double, which looks for new keys or lets a commit find them.
    Faulty { refuses_taken: bool },
    /// The embedded store on a faulty disk.
    Embedded,
}

pub(crate) enum Backing {
    Faulty(Vec<Platter>),
    Embedded { directory: TempDir, disks: Vec<FaultyDisk> },
}

impl Backing {
    /// `groups` says how many shard groups there are; shards are dealt out to them in turn.
    pub(crate) fn new(kind: Kind, shards: ShardCount, groups: usize, trouble: &Trouble) -> Self {
        match kind {
            Kind::Faulty { refuses_taken } => {
                let platter = |shard: ShardId| Platter::in_group(shard, shard.index() % groups);
                let platters = shards.all().map(platter);
                Self::Faulty(platters.map(|platter| platter.refusing_taken(refuses_taken)).collect())
            }
            Kind::Embedded => Self::Embedded {
                directory: in_memory(),
                disks: shards.all().map(|_| FaultyDisk::new(trouble)).collect(),
            },
        }
    }

    pub(crate) fn open(
        &self,
        shards: ShardCount,
        shard: ShardId,
        trouble: &Trouble,
    ) -> Result<Box<dyn Store>, StoreFault> {
        match self {
            Self::Faulty(platters) => Ok(Box::new(platters[shard.index()].open(trouble))),
            Self::Embedded { directory, disks } => {
                let options = StoreOptions {
                    disk: std::sync::Arc::new(disks[shard.index()].clone()),
                    segment_bytes_max: SEGMENT_BYTES_MAX,
                    ..StoreOptions::default()
                };
                let store = EmbeddedStore::open_with(directory.path(), shards, shard, options)?;
                Ok(Box::new(store))
            }
        }
    }

    /// What a crash leaves; no process has the stores open.
    pub(crate) fn crash(&self, trouble: &Trouble) {
        match self {
            Self::Faulty(platters) => platters.iter().for_each(|platter| platter.settle(trouble)),
            Self::Embedded { disks, .. } => disks.iter().for_each(FaultyDisk::fail_power),
        }
    }

    /// Number of the last record that would survive a crash now, where the store can say so.
    pub(crate) fn durable(&self, shard: ShardId) -> Option<u64> {
        match self {
            Self::Faulty(platters) => Some(platters[shard.index()].durable()),
            Self::Embedded { .. } => None,
        }
    }

    /// Epoch that the shard's store is under.
    pub(crate) fn epoch(&self, shard: ShardId) -> u64 {
        match self {
            Self::Faulty(platters) => platters[shard.index()].epoch(),
            Self::Embedded { .. } => 0,
        }
    }

    /// Whether a group that nobody waits for may still bring the key in.
    pub(crate) fn may_appear(&self, key: &TransferKey) -> bool {
        match self {
            Self::Faulty(platters) => platters.iter().any(|platter| platter.may_appear(key)),
            Self::Embedded { .. } => false,
        }
    }

    /// A key that a group nobody waits for may still bring in.
    pub(crate) fn late_key(&self) -> Option<TransferKey> {
        match self {
            Self::Faulty(platters) => platters.iter().find_map(Platter::late_key),
            Self::Embedded { .. } => None,
        }
    }

    pub(crate) fn late_gets_there(&self, shard: ShardId) -> bool {
        match self {
            Self::Faulty(platters) => platters[shard.index()].late_gets_there(),
            Self::Embedded { .. } => false,
        }
    }
}

/// Where there is a file system in memory, that: a run writes much and keeps nothing.
fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}
