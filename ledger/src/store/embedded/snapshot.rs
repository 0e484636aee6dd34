//! Snapshots: the rows and the idempotency index as one file, so that opening reads only the end of the log.
//!
//! ```text
//!   magic 4 · format 4 · shard 1 · count of shards 1
//!   first group to replay 8 · its segment 4 · its offset 4
//!   slices   kind 1 · day 4 · piece 4 · width 2 · count 4 · count × width bytes
//!   end      kind 0 · last group seen 8 · checksum of all before it 8
//! ```
//!
//! The tables are copied a slice after each commit while they go on changing: frames hold rows as they stand after
//! them, so replaying the log from the group at which the copying began makes the copy whole, whatever of it is newer.
//! That group was committed just before, and its frame proves that the log at hand is the one that was copied.
//! The shard's thread only copies; a thread of its own writes, syncing as it goes, so that the log's syncs do not wait
//! behind a large one. A snapshot has its name only when it is whole and durable. The newest two are kept.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use ledger_model::Packed;
use xxhash_rust::xxh3::Xxh3;

use super::disk::sync_directory;
use super::index::{Index, PARTS, Piece};
use super::log::Written;
use super::segment::{FORMAT, Owner};
use super::tables::Tables;
use crate::store::row::USAGE_BYTES;

pub(super) const MAGIC: [u8; 4] = *b"LSN2";
const KEPT: usize = 2;
/// Slices between the shard's thread and the one that writes.
const SLICES_AHEAD_MAX: usize = 16;
/// Copied after a commit at the least, while a snapshot is being made; more where the group was long.
const COPIED_BYTES_MIN: usize = 128 << 10;
/// Written between two syncs.
const UNSYNCED_BYTES_MAX: usize = 4 << 20;

pub(super) const END: u8 = 0;
pub(super) const ACCOUNTS: u8 = 1;
pub(super) const AGREEMENTS: u8 = 2;
pub(super) const USAGES: u8 = 3;
pub(super) const INTERNAL: u8 = 4;
pub(super) const KEYS: u8 = 5;
pub(super) const FURTHER_KEYS: u8 = 6;
pub(super) const REFUNDED: u8 = 7;
pub(super) const LIMITS: u8 = 8;
pub(super) const HOPS: u8 = 9;

#[derive(Debug, Clone, Copy)]
enum Slice {
    Accounts(usize),
    Agreements(usize),
    Usages(u32, usize),
    Internal(usize),
    Limits(usize),
    Hops(usize),
    Index(u32, Piece),
}

enum Message {
    Slice(Vec<u8>),
    /// The number of the last group seen.
    Finish(u64),
}

/// A snapshot in the making.
struct Walk {
    left: VecDeque<Slice>,
    /// Copied and not handed over yet.
    pending: Option<Vec<u8>>,
    writer: Option<SyncSender<Message>>,
    thread: JoinHandle<io::Result<()>>,
}

/// Makes snapshots of one shard as its log grows.
pub(super) struct Snapshots {
    directory: PathBuf,
    owner: Owner,
    /// Log written between two snapshots.
    every_bytes: u64,
    since_bytes: u64,
    walk: Option<Walk>,
}

/// How far the log has come with a commit.
pub(super) struct Progress<'a> {
    pub(super) tables: &'a Tables,
    pub(super) index: &'a Index,
    /// Of the group just committed.
    pub(super) number: u64,
    pub(super) frame_bytes: u64,
    pub(super) at: Written,
}

impl Snapshots {
    /// `since_bytes` of log are not in any snapshot.
    pub(super) fn new(directory: &Path, owner: Owner, every_bytes: u64, since_bytes: u64) -> Self {
        Self {
            directory: directory.to_owned(),
            owner,
            every_bytes,
            since_bytes,
            walk: None,
        }
    }

    /// To be told of every commit.
    pub(super) fn follow(&mut self, progress: &Progress<'_>) {
        self.since_bytes += progress.frame_bytes;
        if self.walk.is_none() && self.since_bytes >= self.every_bytes {
            self.since_bytes = 0;
            self.walk = self.begin(progress);
        }
        let Some(walk) = &mut self.walk else {
            return;
        };
        let long = usize::try_from(progress.frame_bytes.saturating_mul(2)).unwrap_or(COPIED_BYTES_MIN);
        walk.copy(progress, long.max(COPIED_BYTES_MIN));
        if walk.thread.is_finished() {
            self.end();
        }
    }

    fn begin(&self, progress: &Progress<'_>) -> Option<Walk> {
        let mut header = MAGIC.to_vec();
        FORMAT.pack(&mut header);
        header.extend_from_slice(&[self.owner.shard.number(), self.owner.shards.count()]);
        let first = progress.number;
        first.pack(&mut header);
        progress.at.segment.pack(&mut header);
        progress.at.offset.pack(&mut header);
        let (writer, messages) = sync_channel(SLICES_AHEAD_MAX);
        let directory = self.directory.clone();
        let thread = std::thread::Builder::new()
            .name(format!("shard-{}-snapshot", self.owner.shard))
            .spawn(move || write(&directory, first, &header, &messages));
        Some(Walk {
            left: slices(progress.tables, progress.index),
            pending: None,
            writer: Some(writer),
            // where no thread can start, the next snapshot may have more luck
            thread: thread.ok()?,
        })
    }

    fn end(&mut self) {
        let Some(walk) = self.walk.take() else {
            return;
        };
        drop(walk.writer);
        match walk.thread.join() {
            Ok(Ok(())) => tracing::debug!(shard = %self.owner.shard, "a snapshot was written"),
            Ok(Err(fault)) => {
                tracing::warn!(shard = %self.owner.shard, %fault, "a snapshot could not be written; the log goes on without it");
            }
            Err(_) => tracing::warn!(shard = %self.owner.shard, "writing a snapshot panicked"),
        }
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.end();
    }
}

fn slices(tables: &Tables, index: &Index) -> VecDeque<Slice> {
    let mut slices = VecDeque::new();
    slices.extend((0..tables.accounts.chunks()).map(Slice::Accounts));
    slices.extend((0..tables.agreements.chunks()).map(Slice::Agreements));
    for (day, table) in &tables.usages {
        slices.extend((0..table.chunks()).map(|chunk| Slice::Usages(*day, chunk)));
    }
    slices.extend((0..tables.internal.chunks()).map(Slice::Internal));
    slices.extend((0..tables.limits.chunks()).map(Slice::Limits));
    slices.extend((0..tables.hops.chunks()).map(Slice::Hops));
    for day in index.days() {
        let pieces = (0..PARTS).map(Piece::Part).chain([Piece::Further, Piece::Refunded]);
        slices.extend(pieces.map(|piece| Slice::Index(day, piece)));
    }
    slices
}

impl Walk {
    fn copy(&mut self, progress: &Progress<'_>, bytes_max: usize) {
        let Some(writer) = &self.writer else {
            return;
        };
        let mut copied = 0;
        while copied < bytes_max {
            let next = self.pending.take();
            let next = next.or_else(|| self.left.pop_front().map(|slice| copy(slice, progress)));
            let Some(slice) = next else {
                // a full queue takes it after the next commit, a writer that failed has ended
                let told = writer.try_send(Message::Finish(progress.number));
                if !matches!(told, Err(TrySendError::Full(_))) {
                    self.writer = None;
                }
                return;
            };
            copied += slice.len();
            match writer.try_send(Message::Slice(slice)) {
                Ok(()) => {}
                Err(TrySendError::Full(Message::Slice(slice))) => {
                    self.pending = Some(slice);
                    return;
                }
                Err(_) => {
                    self.writer = None;
                    return;
                }
            }
        }
    }
}

fn copy(slice: Slice, progress: &Progress<'_>) -> Vec<u8> {
    let Progress { tables, index, .. } = progress;
    match slice {
        Slice::Accounts(chunk) => rows(ACCOUNTS, 0, tables.accounts.chunk(chunk)),
        Slice::Agreements(chunk) => rows(AGREEMENTS, 0, tables.agreements.chunk(chunk)),
        Slice::Usages(day, chunk) => match tables.usages.get(&day) {
            Some(table) => rows(USAGES, day, table.chunk(chunk)),
            None => rows(USAGES, day, std::iter::empty::<&[u8; USAGE_BYTES]>()),
        },
        Slice::Internal(chunk) => rows(INTERNAL, 0, tables.internal.chunk(chunk)),
        Slice::Limits(chunk) => rows(LIMITS, 0, tables.limits.chunk(chunk)),
        Slice::Hops(chunk) => rows(HOPS, 0, tables.hops.chunk(chunk)),
        Slice::Index(day, piece) => {
            let (kind, number) = match piece {
                Piece::Part(number) => (KEYS, number),
                Piece::Further => (FURTHER_KEYS, 0),
                Piece::Refunded => (REFUNDED, 0),
            };
            let pairs = index.piece(day, piece);
            let mut out = slice_header(kind, day, number, 16, pairs.len());
            for (left, right) in pairs {
                left.pack(&mut out);
                right.pack(&mut out);
            }
            out
        }
    }
}

fn slice_header(kind: u8, day: u32, piece: usize, width: usize, count: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + width * count);
    out.push(kind);
    day.pack(&mut out);
    u32::try_from(piece).expect("there are few pieces").pack(&mut out);
    u16::try_from(width).expect("a row is short").pack(&mut out);
    u32::try_from(count).expect("a slice is short").pack(&mut out);
    out
}

fn rows<'a, const N: usize>(kind: u8, day: u32, rows: impl Iterator<Item = &'a [u8; N]> + Clone) -> Vec<u8> {
    let mut out = slice_header(kind, day, 0, N, rows.clone().count());
    for row in rows {
        out.extend_from_slice(row);
    }
    out
}

pub(super) fn path_of(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("snapshot-{first:016}"))
}

/// Writes what comes, and gives it its name when it is whole. A walk that ends early leaves nothing.
fn write(directory: &Path, first: u64, header: &[u8], messages: &Receiver<Message>) -> io::Result<()> {
    let unnamed = directory.join("snapshot-next");
    let mut file = File::create(&unnamed)?;
    let mut sum = Xxh3::new();
    let mut unsynced = 0;
    let mut put = |bytes: &[u8], sum: &mut Xxh3| -> io::Result<()> {
        sum.update(bytes);
        file.write_all(bytes)?;
        unsynced += bytes.len();
        if unsynced >= UNSYNCED_BYTES_MAX {
            file.sync_data()?;
            unsynced = 0;
        }
        Ok(())
    };
    put(header, &mut sum)?;
    let last_seen = loop {
        match messages.recv() {
            Ok(Message::Slice(slice)) => put(&slice, &mut sum)?,
            Ok(Message::Finish(last_seen)) => break last_seen,
            Err(_) => return std::fs::remove_file(&unnamed),
        }
    };
    let mut end = vec![END];
    last_seen.pack(&mut end);
    put(&end, &mut sum)?;
    let digest = sum.digest();
    put(&digest.to_be_bytes(), &mut sum)?;
    file.sync_all()?;
    std::fs::rename(&unnamed, path_of(directory, first))?;
    sync_directory(directory)?;
    for old in list(directory)?.into_iter().skip(KEPT) {
        std::fs::remove_file(path_of(directory, old))?;
    }
    Ok(())
}

/// First groups of the snapshots there are, the newest first.
pub(super) fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("snapshot-"));
        found.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    found.sort_unstable_by(|left, right| right.cmp(left));
    Ok(found)
}
