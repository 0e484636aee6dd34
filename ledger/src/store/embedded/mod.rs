//! The embedded store: a log of groups on disk, rows and idempotency index in memory.
//!
//! ```text
//!   DIRECTORY/shard-00/   log-000001 log-000002 …    every group, once: its frame is journal, evidence and rows in one
//!                         snapshot-NNN (two)         rows and index as they stood, so that opening reads little
//!                         base                       where the log begins, once its first segments were released
//!                         lock                       held by the process that has it open
//!
//!   commit: one frame ──write, sync──▶ log ──then──▶ rows, index ──then──▶ `committed` ──▶ readers
//! ```
//!
//! * A group is one frame, written and synced once; `frame` has the form, `segment` the files, `log` the writing.
//! * What is in memory is what the frames say and nothing else: a commit and a replay apply a frame by the same code.
//! * Readers find nothing of a group before its sync has returned (invariant S2): the index learns of it afterwards, and
//!   `committed` bounds what is read by number.
//! * A write that fails is taken back and the group refused; a sync that fails leaves it open what is on disk, is never
//!   tried again, and ends the process.
//!
//! Memory: about 95 bytes an account, 120 an agreement, 60 an agreement used in a day, 20 to 40 an idempotency record.

mod base;
mod check;
mod copying;
mod disk;
mod frame;
mod index;
mod location;
mod log;
mod reader;
mod recovery;
mod releasing;
mod resting;
mod restore;
mod segment;
mod snapshot;
mod table;
mod tables;

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use ledger_model::{BusinessDate, HopState, Packed, ShardCount, ShardId, TransferKey};

pub use self::check::{Checked, check, check_with};
pub use self::copying::{Copied, Copies, CopyFault, Earliest, Extent};
pub use self::disk::{Disk, LogFile, RealDisk};
use self::frame::{Draft, Frame, Header, KeyDigest, Refunded};
use self::log::{Log, LogPlace, Written};
use self::reader::{EmbeddedReader, Place, Shared};
use self::recovery::{apply, recover};
pub use self::resting::RestingStore;
use self::segment::{FORMAT, Owner, Segments};
use self::snapshot::{Progress, Snapshots};
use self::tables::Tables;
use super::release::{Base, Release, ReleaseFault, Released};
use super::row::{returned, unpack_slot};
use super::{Group, OpenHops, Reader, Store, StoreFault, oldest_first};
use crate::books::{HeldAccount, HopRow, InternalKey, Remembered, Sides, Usage, UsageKey};
use crate::state::ShardState;
use crate::store::row::Pair;
use crate::view::{Rows, Wanted};

/// Requests are alike, and a group's are compressed together: the lowest level finds nearly all there is.
const COMPRESSION_LEVEL: i32 = 1;
/// A segment of the log, at the most; readers find their way by it, and a test uses a small one.
const SEGMENT_BYTES_MAX: u64 = 256 << 20;
/// Log between two snapshots: what opening has to replay.
const SNAPSHOT_BYTES: u64 = 256 << 20;
/// How long idempotency records and daily sums are kept where nothing else is said: longer than a refund may come after
/// its payment.
pub const KEPT_DAYS: u32 = 400;
/// Kept beyond that, since shards do not all see a day begin at once.
const SPARE_DAYS: i64 = 1;

#[expect(clippy::as_conversions, reason = "no other conversion is constant")]
const _: () = assert!(
    KEPT_DAYS as i64 > crate::engine::REFUND_AGE_DAYS_MAX,
    "a refund must find its payment"
);

/// How a store is kept.
#[derive(Clone)]
pub struct StoreOptions {
    pub disk: Arc<dyn Disk>,
    pub segment_bytes_max: u64,
    /// Log between two snapshots.
    pub snapshot_bytes: u64,
    /// How long idempotency records and daily sums are kept.
    pub kept_days: u32,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            disk: Arc::new(RealDisk),
            segment_bytes_max: SEGMENT_BYTES_MAX,
            snapshot_bytes: SNAPSHOT_BYTES,
            kept_days: KEPT_DAYS,
        }
    }
}

/// The store of one shard.
pub struct EmbeddedStore {
    tables: Tables,
    log: Log,
    snapshots: Snapshots,
    shared: Arc<Shared>,
    state: ShardState,
    /// Number of the next group.
    next: u64,
    kept_days: u32,
    /// The day of the last commit of a transfer.
    today: Option<BusinessDate>,
    compressor: zstd::bulk::Compressor<'static>,
    /// Kept for their room.
    frame: Vec<u8>,
    plain: Vec<u8>,
    _lock: Lock,
}

impl EmbeddedStore {
    /// Opens the store of `shard` under `directory`, or creates it. Refuses one of another format, shard or count of
    /// shards, and one that is damaged.
    pub fn open(directory: &Path, shards: ShardCount, shard: ShardId) -> Result<Self, StoreFault> {
        Self::open_with(directory, shards, shard, StoreOptions::default())
    }

    pub fn open_with(
        directory: &Path,
        shards: ShardCount,
        shard: ShardId,
        options: StoreOptions,
    ) -> Result<Self, StoreFault> {
        let directory = shard_directory(directory, shard);
        let lock = take(&directory)?;
        let owner = Owner { shard, shards };
        let StoreOptions {
            disk,
            segment_bytes_max,
            snapshot_bytes,
            kept_days,
        } = options;
        let place = |segments| LogPlace {
            directory: directory.clone(),
            owner,
            disk: Arc::clone(&disk),
            segments,
            segment_bytes_max,
        };
        let (recovered, log) = if base::is_begun(&directory) {
            let recovered = recover(&directory, owner)?;
            let Written { segment, offset } = recovered.end;
            let place = place(Arc::clone(&recovered.segments));
            let log = if recovered.end_format == FORMAT {
                Log::resume(place, segment, offset.into())?
            } else {
                Log::succeed(place, segment, offset.into())?
            };
            (recovered, log)
        } else {
            let segments = Arc::new(Segments::new(&directory, 1));
            let log = Log::create(place(Arc::clone(&segments)))?;
            (recovery::nothing(owner, segments), log)
        };
        let state = recovered.state;
        let snapshots = Snapshots::new(&directory, owner, snapshot_bytes, recovered.replayed_bytes);
        let between = Arc::new(Shared {
            committed: AtomicU64::new(state.sequence),
            index: recovered.index,
            segments: recovered.segments,
            base: RwLock::new(recovered.base),
            place: Place {
                directory,
                owner,
                disk,
                kept_days,
            },
        });
        // a removal that was interrupted; what stays now takes room, and nothing else
        if let Err(fault) = between.clear() {
            tracing::warn!(%shard, %fault, "segments that were released could not be removed");
        }
        Ok(Self {
            tables: recovered.tables,
            log,
            snapshots,
            shared: between,
            state,
            next: recovered.next,
            kept_days,
            today: None,
            compressor: zstd::bulk::Compressor::new(COMPRESSION_LEVEL)
                .map_err(StoreFault::engine("make a compressor"))?,
            frame: Vec::new(),
            plain: Vec::new(),
            _lock: lock,
        })
    }

    /// Sums of transfers of earlier groups that this one refunds.
    fn refunded(&self, group: &Group) -> Result<Vec<Refunded>, StoreFault> {
        let first = group.first_sequence();
        let earlier = group.rows.transfers.iter().filter(|row| row.sequence < first);
        let refunded = earlier.map(|row| {
            let key = &row.transfer.key;
            let digest = KeyDigest::of(key);
            let location = self.shared.locate(key, digest)?;
            let location = location.ok_or(StoreFault::Inconsistent("a transfer that is refunded is not there"))?;
            Ok(Refunded {
                day: digest.day,
                location,
                minor: returned(row),
            })
        });
        refunded.collect()
    }

    /// Forgets what has been kept long enough, where a day has begun.
    fn expire(&mut self, rows: &Rows) {
        let decided = rows.transfers.iter().map(|row| row.transfer.decided_at.date()).max();
        let Some(today) = decided.filter(|today| self.today.is_none_or(|known| *today > known)) else {
            return;
        };
        self.today = Some(today);
        let seconds = (i64::from(self.kept_days) + SPARE_DAYS) * 24 * 3600;
        if let Some(first) = today.at_midnight().plus_seconds(-seconds) {
            let first = first.date().number();
            self.shared.index.expire_before(first);
            self.tables.expire_before(first);
        }
    }
}

/// The rows of one kind that are there.
fn fetch_rows<'a, K, V>(
    wanted: &[K],
    find: impl Fn(&K) -> Option<&'a [u8]>,
    read: impl Fn(&[u8]) -> Result<V, StoreFault>,
) -> Result<Vec<V>, StoreFault> {
    let found = wanted.iter().filter_map(find);
    found.map(read).collect()
}

impl EmbeddedStore {
    fn hops(&self, is_meant: impl Fn(HopState) -> bool) -> Result<Vec<HopRow>, StoreFault> {
        let rows = self.tables.hops.rows().map(|row| unpack_slot::<HopRow>("hop", row));
        rows.filter(|row| row.as_ref().map_or(true, |row| is_meant(row.state)))
            .collect()
    }
}

impl Store for EmbeddedStore {
    /// Held by this process alone, so the shard is always free.
    fn begin(&mut self) -> Result<ShardState, StoreFault> {
        Ok(self.state.clone())
    }

    fn abandon(&mut self) {}

    fn state(&self) -> &ShardState {
        &self.state
    }

    fn fetch(&self, wanted: &Wanted) -> Result<Rows, StoreFault> {
        let Tables {
            accounts,
            agreements,
            usages,
            internal,
            limits,
            hops,
        } = &self.tables;
        let mut transfers = self.shared.find_all(&wanted.transfers)?;
        transfers.extend(self.shared.find_all(&wanted.new)?);
        Ok(Rows {
            accounts: fetch_rows(
                &wanted.accounts,
                |token| accounts.find(&token.bytes()).map(<[u8; _]>::as_slice),
                |row| unpack_slot::<HeldAccount>("account", row),
            )?,
            agreements: fetch_rows(
                &wanted.agreements,
                |number| agreements.find(&packed(number)).map(<[u8; _]>::as_slice),
                |row| unpack_slot("agreement", row),
            )?,
            transfers,
            usages: fetch_rows(
                &wanted.usages,
                |key| {
                    let day = usages.get(&key.date.number())?;
                    day.find(&packed(key)).map(<[u8; _]>::as_slice)
                },
                |row| unpack_slot::<Pair<UsageKey, Usage>>("usage", row).map(|Pair(key, used)| (key, used)),
            )?,
            internal: fetch_rows(
                &wanted.internal,
                |key| internal.find(&packed(key)).map(<[u8; _]>::as_slice),
                |row| unpack_slot::<Pair<InternalKey, Sides>>("sum", row).map(|Pair(key, sums)| (key, sums)),
            )?,
            limits: fetch_rows(
                &wanted.limits,
                |token| limits.find(&token.bytes()).map(<[u8; _]>::as_slice),
                |row| unpack_slot("limit", row).map(|Pair(token, limits)| (token, limits)),
            )?,
            hops: fetch_rows(
                &wanted.hops,
                |key| hops.find(&key.bytes()).map(<[u8; _]>::as_slice),
                |row| unpack_slot::<HopRow>("hop", row),
            )?,
        })
    }

    fn open_hops(&self, homes: &BTreeSet<ShardId>, limit: usize) -> Result<OpenHops, StoreFault> {
        let open = self.hops(|state| matches!(state, HopState::Open))?;
        Ok(OpenHops::among(open, homes, limit))
    }

    fn unapplied_hops(&self, limit: usize) -> Result<Vec<HopRow>, StoreFault> {
        let mut rows = self.hops(|state| matches!(state, HopState::Unapplied(_)))?;
        oldest_first(&mut rows, limit);
        Ok(rows)
    }

    fn commit(&mut self, group: Group) -> Result<(), StoreFault> {
        let refunded = self.refunded(&group)?;
        let mut frame = std::mem::take(&mut self.frame);
        let draft = Draft {
            number: self.next,
            refunded: &refunded,
            compressor: &mut self.compressor,
            plain: &mut self.plain,
        };
        draft.write(&group, &mut frame)?;
        let written = self.log.append(&frame)?;
        let Some(header) = Header::read(&frame) else {
            return Err(StoreFault::Inconsistent("a frame that was just written does not read"));
        };
        let applied = Frame::read(header, &frame)?;
        apply(&applied, written, &mut self.tables, &self.shared.index)?;
        drop(applied);
        self.state = group.state;
        self.shared.committed.store(self.state.sequence, Ordering::Release);
        self.expire(&group.rows);
        self.snapshots.follow(&Progress {
            tables: &self.tables,
            index: &self.shared.index,
            number: self.next,
            frame_bytes: header.frame_bytes(),
            at: written,
        });
        self.next += 1;
        self.frame = frame;
        Ok(())
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(EmbeddedReader(Arc::clone(&self.shared)))
    }

    fn base(&self) -> Arc<Base> {
        self.shared.base()
    }

    fn release(&mut self, release: &Release) -> Result<Released, ReleaseFault> {
        let unsettled = self.hops(|state| matches!(state, HopState::Open | HopState::Unapplied(_)))?;
        self.shared.release(release, &unsettled)
    }

    fn epoch(&self) -> u64 {
        0
    }

    fn is_seen(&self) -> bool {
        true
    }

    fn has_other_writers(&self) -> bool {
        false
    }

    fn keeps_keys_with(&self, _shard: ShardId) -> bool {
        false
    }

    fn elsewhere(&self, _key: &TransferKey) -> Option<Remembered> {
        None
    }
}

fn packed<T: Packed>(key: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    key.pack(&mut out);
    out
}

fn shard_directory(directory: &Path, shard: ShardId) -> PathBuf {
    directory.join(format!("shard-{:02}", shard.number()))
}

/// Held while a store is open. Let go of expressly: a process that is just being started by this one has the file open
/// for a moment too, and closing it here would not be enough.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        let _closing_does_it_too = self.0.unlock();
    }
}

/// Makes the directory if it is missing and locks it for this process.
fn take(directory: &Path) -> Result<Lock, StoreFault> {
    let fault = StoreFault::engine("open its directory");
    std::fs::create_dir_all(directory).map_err(&fault)?;
    if let Some(parent) = directory.parent() {
        disk::sync_directory(parent).map_err(&fault)?;
    }
    if !base::is_begun(directory)
        && ["keyspaces", "version"]
            .iter()
            .any(|name| directory.join(name).exists())
    {
        return Err(StoreFault::OldFormat);
    }
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join("lock"))
        .map_err(&fault)?;
    match lock.try_lock() {
        Ok(()) => Ok(Lock(lock)),
        Err(TryLockError::WouldBlock) => Err(StoreFault::Taken),
        Err(TryLockError::Error(source)) => Err(fault(source)),
    }
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreOptions")
            .field("segment_bytes_max", &self.segment_bytes_max)
            .field("snapshot_bytes", &self.snapshot_bytes)
            .field("kept_days", &self.kept_days)
            .finish_non_exhaustive()
    }
}
