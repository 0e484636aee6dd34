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
    /// The test double.
    Faulty,
    /// The embedded store on a faulty disk.
    Embedded,
}

pub(crate) enum Backing {
    Faulty(Vec<Platter>),
    Embedded { directory: TempDir, disks: Vec<FaultyDisk> },
}

impl Backing {
    pub(crate) fn new(kind: Kind, shards: ShardCount, trouble: &Trouble) -> Self {
        match kind {
            Kind::Faulty => Self::Faulty(shards.all().map(Platter::new).collect()),
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

    /// Whether a group that nobody waits for may still bring the key in.
    pub(crate) fn may_appear(&self, key: &TransferKey) -> bool {
        match self {
            Self::Faulty(platters) => platters.iter().any(|platter| platter.may_appear(key)),
            Self::Embedded { .. } => false,
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
