//! Stores that no process has open, for reading: the same books a start would find. Nothing in them is changed; a last
//! frame that is torn is passed over as a start would cut it off.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};

use ledger_model::{AccountToken, ShardCount};
use ledger_protocol::ShardPosition;

use super::base::is_begun;
use super::reader::{EmbeddedReader, Place, Shared};
use super::recovery::{numbers, recover};
use super::segment::{Owner, SEGMENT_HEADER_BYTES, path_of, read_some, reading};
use super::tables::Tables;
use super::{KEPT_DAYS, Lock, RealDisk, shard_directory, take};
use crate::books::{HeldAccount, InternalKey, Sides};
use crate::state::ShardState;
use crate::store::row::{Pair, unpack_slot};
use crate::store::{Reader, StoreFault};

/// One shard's store at rest; nobody else can open it while this is there.
pub struct RestingStore {
    pub state: ShardState,
    tables: Tables,
    shared: Arc<Shared>,
    _lock: Lock,
}

impl RestingStore {
    /// Every shard under `directory`, in order.
    pub fn open_all(directory: &Path) -> Result<Vec<Self>, StoreFault> {
        let shards = shards_of(directory)?;
        let opened = shards.all().map(|shard| {
            let directory = shard_directory(directory, shard);
            if !is_begun(&directory) {
                return Err(StoreFault::Inconsistent("the directory of a shard is missing"));
            }
            let lock = take(&directory)?;
            let owner = Owner { shard, shards };
            let recovered = recover(&directory, owner)?;
            Ok(Self {
                tables: recovered.tables,
                shared: Arc::new(Shared {
                    committed: AtomicU64::new(recovered.state.sequence),
                    index: recovered.index,
                    segments: recovered.segments,
                    base: RwLock::new(recovered.base),
                    place: Place {
                        directory,
                        owner,
                        disk: Arc::new(RealDisk),
                        kept_days: KEPT_DAYS,
                    },
                }),
                state: recovered.state,
                _lock: lock,
            })
        });
        opened.collect()
    }

    pub fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(EmbeddedReader(Arc::clone(&self.shared)))
    }

    /// How far it has come, and where it begins.
    pub fn position(&self) -> ShardPosition {
        ShardPosition {
            base: self.shared.base().told(),
            ..self.state.position()
        }
    }

    pub fn account(&self, token: AccountToken) -> Result<Option<HeldAccount>, StoreFault> {
        let row = self.tables.accounts.find(&token.bytes());
        row.map(|row| unpack_slot("account", row)).transpose()
    }

    /// Every account, in no order.
    pub fn accounts(&self) -> impl Iterator<Item = Result<HeldAccount, StoreFault>> {
        let rows = self.tables.accounts.rows();
        rows.map(|row| unpack_slot("account", row))
    }

    /// Sums of every one of the ledger's own accounts, in no order.
    pub fn internal(&self) -> impl Iterator<Item = Result<(InternalKey, Sides), StoreFault>> {
        let rows = self.tables.internal.rows();
        rows.map(|row| unpack_slot::<Pair<InternalKey, Sides>>("sum", row).map(|Pair(key, sums)| (key, sums)))
    }
}

/// How many shards a ledger's directory was made for, as a segment of the first of them says.
pub(super) fn shards_of(directory: &Path) -> Result<ShardCount, StoreFault> {
    let one = ShardCount::new(1).expect("one is a count of shards");
    let first = one.all().next().expect("one shard has a first");
    let directory = shard_directory(directory, first);
    let first = numbers(&directory)?.first().copied().unwrap_or(1);
    let file = File::open(path_of(&directory, first)).map_err(reading)?;
    let mut header = vec![0; usize::try_from(SEGMENT_HEADER_BYTES).expect("short")];
    read_some(&file, &mut header, 0).map_err(reading)?;
    let count = header.get(9).copied().and_then(ShardCount::new);
    count.ok_or(StoreFault::Inconsistent("a segment of its log does not begin as one"))
}

impl std::fmt::Debug for RestingStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestingStore")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
