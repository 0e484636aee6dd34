//! The embedded store: one fjall database directory for each shard.
//!
//! ```text
//!   DIRECTORY/shard-00/   accounts  agreements  transfers  usage  clearing   rows, by key
//!                         journal  evidence                                  by record number
//!                         meta                                               format, shard, state
//! ```
//!
//! A group is one write batch over all keyspaces, synced as it is committed. fjall applies a batch to its tables only
//! after the sync, so others cannot read it before it is durable; this module does not lean on that order: readers are
//! shown only what lies at or below `committed`, which moves after the commit has returned (invariant S2). Opening
//! syncs fjall's own log before anything of it is shown.
//!
//! Memory is bounded by the write buffers below and the block cache, for each shard.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::config::{CompressionPolicy, FilterPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Slice};
use ledger_journal::ChainHash;
use ledger_model::{ShardCount, ShardId, TransferKey};

use super::row::{TransferRow, pack, unpack};
use super::{Group, Reader, Store, StoreFault};
use crate::books::{HeldAccount, Remembered, Sides, Usage};
use crate::state::ShardState;
use crate::view::{Rows, Wanted};

/// Of everything this module writes. Version 1 is what is documented above and in `row`.
const FORMAT: u32 = 1;

const MIB: u64 = 1 << 20;
const CACHE_BYTES: u64 = 8 * MIB;
/// fjall keeps its own log until every keyspace has written out what the log holds; a small bound keeps opening fast.
const LOG_BYTES_MAX: u64 = 96 * MIB;
/// One flushes while the other compacts.
const WORKERS: usize = 2;
const OPEN_FILES_MAX: usize = 128;

/// Write buffers, by how much a posting adds to each.
const BUFFER_LARGE: u64 = 6 * MIB;
const BUFFER_MIDDLE: u64 = 4 * MIB;
const BUFFER_SMALL: u64 = MIB;

const KEY_FORMAT: &str = "format";
const KEY_SHARD: &str = "shard";
const KEY_STATE: &str = "state";

/// The store of one shard.
pub struct EmbeddedStore {
    tables: Tables,
    state: ShardState,
    committed: Arc<AtomicU64>,
}

#[derive(Clone)]
struct Tables {
    database: Database,
    accounts: Keyspace,
    agreements: Keyspace,
    transfers: Keyspace,
    usage: Keyspace,
    clearing: Keyspace,
    journal: Keyspace,
    evidence: Keyspace,
    meta: Keyspace,
}

struct EmbeddedReader {
    tables: Tables,
    committed: Arc<AtomicU64>,
}

impl EmbeddedStore {
    /// Opens the store of `shard` under `directory`, or creates it. Refuses one of another format, shard or count of
    /// shards, and one whose state is not that of its journal's last record.
    pub fn open(directory: &Path, shards: ShardCount, shard: ShardId) -> Result<Self, StoreFault> {
        let path = directory.join(format!("shard-{:02}", shard.number()));
        let fault = StoreFault::engine("open its database");
        let database = Database::builder(path)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(LOG_BYTES_MAX)
            .max_cached_files(Some(OPEN_FILES_MAX))
            .worker_threads(WORKERS)
            .open();
        let database = database.map_err(|source| match source {
            fjall::Error::Locked => StoreFault::Taken,
            other => fault(other),
        })?;
        let tables = Tables::open(database).map_err(&fault)?;
        // what a process that was killed had written and not yet synced is shown only once it is durable
        tables.database.persist(PersistMode::SyncAll).map_err(&fault)?;
        let state = tables.check(shards, shard)?;
        let committed = Arc::new(AtomicU64::new(state.sequence));
        Ok(Self {
            tables,
            state,
            committed,
        })
    }
}

impl Tables {
    fn open(database: Database) -> Result<Self, fjall::Error> {
        let rows = |buffer| move || KeyspaceCreateOptions::default().max_memtable_size(buffer);
        // looked up by number and always there: filters would only take memory
        let numbered = |buffer| move || rows(buffer)().filter_policy(FilterPolicy::disabled());
        // compressed already
        let evidence = || numbered(BUFFER_LARGE)().data_block_compression_policy(CompressionPolicy::disabled());
        Ok(Self {
            accounts: database.keyspace("accounts", rows(BUFFER_MIDDLE))?,
            agreements: database.keyspace("agreements", rows(BUFFER_MIDDLE))?,
            transfers: database.keyspace("transfers", rows(BUFFER_MIDDLE))?,
            usage: database.keyspace("usage", rows(BUFFER_SMALL))?,
            clearing: database.keyspace("clearing", rows(BUFFER_SMALL))?,
            journal: database.keyspace("journal", numbered(BUFFER_LARGE))?,
            evidence: database.keyspace("evidence", evidence)?,
            meta: database.keyspace("meta", rows(BUFFER_SMALL))?,
            database,
        })
    }

    /// Whose store this is and how far it has come; marks a new one as ours.
    fn check(&self, shards: ShardCount, shard: ShardId) -> Result<ShardState, StoreFault> {
        let read = |key| self.meta.get(key).map_err(StoreFault::engine("read its state"));
        let Some(format) = read(KEY_FORMAT)? else {
            let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
            batch.insert(&self.meta, KEY_FORMAT, pack(&FORMAT));
            batch.insert(&self.meta, KEY_SHARD, vec![shard.number(), shards.count()]);
            batch.insert(&self.meta, KEY_STATE, pack(&ShardState::empty(shard)));
            batch.commit().map_err(StoreFault::engine("mark a new database"))?;
            return Ok(ShardState::empty(shard));
        };
        let found: u32 = unpack("format", &format)?;
        if found != FORMAT {
            return Err(StoreFault::Format { found, known: FORMAT });
        }
        let marked = read(KEY_SHARD)?.ok_or(StoreFault::Inconsistent("it does not say whose it is"))?;
        let wanted = [shard.number(), shards.count()];
        if *marked != wanted {
            let [found, found_of] = *marked else {
                return Err(StoreFault::Inconsistent("it does not say whose it is"));
            };
            let [wanted, wanted_of] = wanted;
            return Err(StoreFault::OtherShard {
                found,
                found_of,
                wanted,
                wanted_of,
            });
        }
        let state = read(KEY_STATE)?.ok_or(StoreFault::Inconsistent("it has no state"))?;
        let state: ShardState = unpack("state", &state)?;
        self.check_head(&state)?;
        Ok(state)
    }

    /// The state is that of the last record in the journal.
    fn check_head(&self, state: &ShardState) -> Result<(), StoreFault> {
        let last = match self.journal.last_key_value() {
            None => (0, ChainHash::START),
            Some(last) => {
                let (key, record) = last
                    .into_inner()
                    .map_err(StoreFault::engine("read its journal's end"))?;
                (unpack("journal number", &key)?, ChainHash::of(&record))
            }
        };
        if last == (state.sequence, state.head) {
            return Ok(());
        }
        Err(StoreFault::Inconsistent(
            "its state is not that of its journal's last record",
        ))
    }

    /// What is held under a key, of the records up to `committed`.
    fn remembered(&self, key: &TransferKey, committed: u64) -> Result<Option<Remembered>, StoreFault> {
        let Some(row) = self
            .transfers
            .get(key.bytes())
            .map_err(StoreFault::engine("look up a transfer"))?
        else {
            return Ok(None);
        };
        let row: TransferRow = unpack("idempotency record", &row)?;
        if row.sequence > committed {
            return Ok(None);
        }
        let record = self
            .journal
            .get(row.sequence.to_be_bytes())
            .map_err(StoreFault::engine("read its journal"))?;
        let record = record.ok_or(StoreFault::Inconsistent(
            "an idempotency record names no journal record",
        ))?;
        row.with_record(key, &record).map(Some)
    }
}

/// The rows of one kind that are there.
fn fetch_rows<K, V>(
    wanted: &[K],
    look_up: impl Fn(&K) -> Result<Option<Slice>, fjall::Error>,
    read: impl Fn(&K, &[u8]) -> Result<V, StoreFault>,
) -> Result<Vec<V>, StoreFault> {
    let mut rows = Vec::with_capacity(wanted.len());
    for key in wanted {
        if let Some(row) = look_up(key).map_err(StoreFault::engine("look up a row"))? {
            rows.push(read(key, &row)?);
        }
    }
    Ok(rows)
}

impl Store for EmbeddedStore {
    fn state(&self) -> &ShardState {
        &self.state
    }

    fn fetch(&self, wanted: &Wanted) -> Result<Rows, StoreFault> {
        let Tables {
            accounts,
            agreements,
            usage,
            clearing,
            ..
        } = &self.tables;
        let mut transfers = Vec::new();
        for key in &wanted.transfers {
            transfers.extend(self.tables.remembered(key, self.state.sequence)?);
        }
        Ok(Rows {
            accounts: fetch_rows(
                &wanted.accounts,
                |token| accounts.get(token.bytes()),
                |_, row| unpack::<HeldAccount>("account", row),
            )?,
            agreements: fetch_rows(
                &wanted.agreements,
                |number| agreements.get(number.as_str()),
                |_, row| unpack("agreement", row),
            )?,
            transfers,
            usages: fetch_rows(
                &wanted.usages,
                |key| usage.get(pack(key)),
                |key, row| unpack::<Usage>("usage", row).map(|used| (*key, used)),
            )?,
            clearing: fetch_rows(
                &wanted.clearing,
                |key| clearing.get(pack(key)),
                |key, row| unpack::<Sides>("clearing sum", row).map(|sums| (*key, sums)),
            )?,
        })
    }

    fn commit(&mut self, group: Group) -> Result<(), StoreFault> {
        let Group {
            rows,
            records,
            evidence,
            state,
        } = group;
        let tables = &self.tables;
        let mut batch = tables.database.batch().durability(Some(PersistMode::SyncAll));
        for (number, record) in records {
            batch.insert(&tables.journal, number.to_be_bytes(), record);
        }
        for (number, sealed) in evidence {
            batch.insert(&tables.evidence, number.to_be_bytes(), sealed);
        }
        for row in &rows.accounts {
            batch.insert(&tables.accounts, row.account.token.bytes(), pack(row));
        }
        for row in &rows.agreements {
            batch.insert(&tables.agreements, row.number.as_str(), pack(row));
        }
        for row in &rows.transfers {
            batch.insert(&tables.transfers, row.transfer.key.bytes(), pack(&TransferRow::of(row)));
        }
        for (key, row) in &rows.usages {
            batch.insert(&tables.usage, pack(key), pack(row));
        }
        for (key, row) in &rows.clearing {
            batch.insert(&tables.clearing, pack(key), pack(row));
        }
        batch.insert(&tables.meta, KEY_STATE, pack(&state));
        batch.commit().map_err(StoreFault::engine("commit a group"))?;
        self.committed.store(state.sequence, Ordering::Release);
        self.state = state;
        Ok(())
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(EmbeddedReader {
            tables: self.tables.clone(),
            committed: Arc::clone(&self.committed),
        })
    }
}

impl Reader for EmbeddedReader {
    fn transfer(&self, key: &TransferKey) -> Result<Option<Remembered>, StoreFault> {
        self.tables.remembered(key, self.committed.load(Ordering::Acquire))
    }

    fn journal(&self, from: u64, bytes_max: usize) -> Result<Vec<Vec<u8>>, StoreFault> {
        let committed = self.committed.load(Ordering::Acquire);
        if from > committed {
            return Ok(Vec::new());
        }
        let mut records = Vec::new();
        let mut bytes = 0_usize;
        for entry in self.tables.journal.range(from.to_be_bytes()..=committed.to_be_bytes()) {
            let (_, record) = entry.into_inner().map_err(StoreFault::engine("read its journal"))?;
            bytes = bytes.saturating_add(record.len());
            records.push(record.to_vec());
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(records)
    }

    fn evidence(&self, sequence: u64) -> Result<Option<Vec<u8>>, StoreFault> {
        if sequence > self.committed.load(Ordering::Acquire) {
            return Ok(None);
        }
        let sealed = self.tables.evidence.get(sequence.to_be_bytes());
        Ok(sealed
            .map_err(StoreFault::engine("read evidence"))?
            .map(|sealed| sealed.to_vec()))
    }
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
