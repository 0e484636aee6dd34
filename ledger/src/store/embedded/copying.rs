//! Copies of a shard's log, group by group: a backup of stores that are in use or at rest, and the way back.
//!
//! ```text
//!   log of the store ──frames that are committed──▶ log of the copy, same segments, same offsets
//! ```
//!
//! A copy is a store: whatever opens, checks or reads one does so with the other, and restoring is copying the other way.
//! Offsets stay the same because frames name places by them. Every frame is checked before it is copied: its checksum, its
//! number, the chain through all of its records, and that its state is where the chain has come. What an earlier copy
//! left behind is gone on from: its last frame must be the store's own, and a torn one is written again.
//!
//! Nothing here knows what is committed. Of a store that is in use the caller says so ([`Extent::Committed`]), since a
//! frame that is written and not yet synced may still be lost. A group is copied wholly or not at all, so a copy always
//! ends where a group ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ledger_journal::{ChainPosition, JournalRecord};
use ledger_model::{ChinaTime, ShardCount, ShardId};

use super::disk::sync_directory;
use super::frame::{Frame, Header};
use super::log::Written;
use super::recovery::{check_header, count_segments, log_start, rest_is_torn};
use super::resting::shards_of;
use super::segment::{Owner, SEGMENT_HEADER_BYTES, after, header_at, path_of, read_frame, reading};
use super::{Lock, shard_directory, take};
use crate::state::ShardState;
use crate::store::StoreFault;
use crate::store::row::unpack;

/// Copied between two syncs.
const SYNC_BYTES: u64 = 64 << 20;

/// How much of a log is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Of a store that is in use: up to this record, which ends a group and is committed.
    Committed(u64),
    /// Of a store at rest: all of it.
    Whole,
    /// Of a store at rest: the groups that end with this record or before it.
    Record(u64),
    /// Of a store at rest: the groups that were committed by then.
    Time(ChinaTime),
}

/// How far a copy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    pub position: ChainPosition,
    /// Copied this time.
    pub groups: u64,
    pub bytes: u64,
    /// Where a group that was not copied any more would have ended.
    pub next_group_ends: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum CopyFault {
    #[error(transparent)]
    Store(#[from] StoreFault),
    #[error("the copy could not be written")]
    Write(#[source] io::Error),
    #[error(
        "what was copied before is not the beginning of this store: it is of another ledger, or the store was restored"
    )]
    OtherStore,
    #[error("the log ends before what is committed")]
    EndsEarly,
    #[error("the directory is not empty")]
    NotEmpty,
}

/// A place for copies of the shards of one ledger.
#[derive(Debug, Clone)]
pub struct Copies {
    /// Of the stores.
    from: PathBuf,
    to: PathBuf,
    shards: ShardCount,
}

impl Copies {
    /// Of the stores under `from`; what is under `to` is gone on from.
    pub fn resumed(from: &Path, to: &Path) -> Result<Self, CopyFault> {
        let shards = shards_of(from)?;
        let (from, to) = (from.to_owned(), to.to_owned());
        Ok(Self { from, to, shards })
    }

    /// Of the stores under `from`; there is nothing under `to`.
    pub fn fresh(from: &Path, to: &Path) -> Result<Self, CopyFault> {
        match std::fs::read_dir(to).map(|mut entries| entries.next().is_none()) {
            Ok(false) => Err(CopyFault::NotEmpty),
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(CopyFault::Write(fault)),
            Ok(true) | Err(_) => Self::resumed(from, to),
        }
    }

    pub fn shards(&self) -> ShardCount {
        self.shards
    }

    /// Keeps a ledger from opening the store that is copied from, as long as what is returned is there.
    pub fn hold(&self, shard: ShardId) -> Result<impl Drop + use<>, CopyFault> {
        Ok(take(&shard_directory(&self.from, shard))?)
    }

    /// Number of the last record of a shard in the stores, which nobody has open.
    pub fn last_record(&self, shard: ShardId) -> Result<u64, CopyFault> {
        let directory = shard_directory(&self.from, shard);
        let lock = take(&directory)?;
        let shards = self.shards;
        let store = Target::open(directory, Owner { shard, shards }, lock)?;
        Ok(store.position.sequence)
    }

    /// Copies one shard; tells `progress` the bytes of every group copied.
    pub fn copy(&self, shard: ShardId, extent: Extent, progress: impl FnMut(u64)) -> Result<Copied, CopyFault> {
        let owner = Owner {
            shard,
            shards: self.shards,
        };
        std::fs::create_dir_all(&self.to).map_err(CopyFault::Write)?;
        let to = shard_directory(&self.to, shard);
        let lock = take(&to)?;
        let target = Target::open(to, owner, lock)?;
        Copying {
            from: shard_directory(&self.from, shard),
            target,
            extent,
            progress,
        }
        .run()
    }
}

/// The end of a copy, or of the store it is of.
struct Target {
    directory: PathBuf,
    owner: Owner,
    /// The last whole frame.
    last: Option<(Written, Header)>,
    /// Where the next one goes.
    end: Written,
    position: ChainPosition,
    /// Number of the next group.
    next: u64,
    file: Option<(u32, File)>,
    /// How the segment of the store begins that is copied now.
    header: Vec<u8>,
    unsynced: u64,
    _lock: Lock,
}

impl Target {
    /// Finds the last whole frame, which is in the last segment that has one.
    fn open(directory: PathBuf, owner: Owner, lock: Lock) -> Result<Self, CopyFault> {
        let mut target = Self {
            last: None,
            end: log_start(),
            position: ChainPosition::start(owner.shard),
            next: 1,
            file: None,
            header: Vec::new(),
            unsynced: 0,
            directory,
            owner,
            _lock: lock,
        };
        let mut buffer = Vec::new();
        for segment in (1..=count_segments(&target.directory)?).rev() {
            let file = File::open(path_of(&target.directory, segment)).map_err(reading)?;
            // perhaps all that was written of it is its name
            if check_header(&file, owner, segment).is_err() && file.metadata().map_err(reading)?.len() < 64 {
                continue;
            }
            check_header(&file, owner, segment)?;
            let mut at = Written { segment, ..log_start() };
            while let Some(header) = header_at(&file, at.offset)? {
                let Ok(bytes) = read_frame(&file, at.offset, header, &mut buffer) else {
                    break;
                };
                let state: ShardState = unpack("state", Frame::read(header, bytes)?.state)?;
                target.last = Some((at, header));
                target.next = header.number + 1;
                target.position.sequence = state.sequence;
                target.position.head = state.head;
                at.offset = after(at.offset, header)?;
                target.end = at;
            }
            if target.last.is_some() {
                break;
            }
        }
        Ok(target)
    }

    fn write(&mut self, at: Written, frame: &[u8]) -> io::Result<()> {
        if self.file.as_ref().is_none_or(|(segment, _)| *segment != at.segment) {
            self.sync()?;
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path_of(&self.directory, at.segment))?;
            // whatever was torn is cut off
            let keeps = if self.end.segment == at.segment { at.offset } else { 0 };
            file.set_len(keeps.into())?;
            file.write_all_at(&self.header, 0)?;
            sync_directory(&self.directory)?;
            self.file = Some((at.segment, file));
        }
        if let Some((_, file)) = &self.file {
            file.write_all_at(frame, at.offset.into())?;
        }
        self.unsynced += u64::try_from(frame.len()).unwrap_or(u64::MAX);
        if self.unsynced >= SYNC_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some((_, file)) = &self.file {
            file.sync_data()?;
        }
        self.unsynced = 0;
        Ok(())
    }
}

struct Copying<P> {
    from: PathBuf,
    target: Target,
    extent: Extent,
    progress: P,
}

enum Next {
    Go,
    /// The frame was not copied any more.
    Enough {
        ends: u64,
    },
}

impl<P: FnMut(u64)> Copying<P> {
    fn run(mut self) -> Result<Copied, CopyFault> {
        self.check_beginning()?;
        let mut copied = Copied {
            position: self.target.position,
            groups: 0,
            bytes: 0,
            next_group_ends: None,
        };
        let segments = count_segments(&self.from)?;
        let mut buffer = Vec::new();
        let mut at = self.target.end;
        let mut file = self.segment(at.segment)?;
        while !self.is_there() {
            let Some((header, bytes)) = sound_frame(&file, at, &mut buffer)? else {
                let torn = rest_is_torn(&file, at.offset, self.target.next)?;
                if at.segment >= segments {
                    break;
                }
                if torn && !matches!(self.extent, Extent::Committed(_)) {
                    return Err(damaged());
                }
                at = Written {
                    segment: at.segment + 1,
                    ..log_start()
                };
                file = self.segment(at.segment)?;
                continue;
            };
            if let Next::Enough { ends } = self.take(at, header, bytes)? {
                copied.next_group_ends = Some(ends);
                break;
            }
            copied.groups += 1;
            copied.bytes += header.frame_bytes();
            at.offset = after(at.offset, header)?;
        }
        if matches!(self.extent, Extent::Committed(_)) && !self.is_there() {
            return Err(CopyFault::EndsEarly);
        }
        self.begin_if_empty()?;
        self.target.sync().map_err(CopyFault::Write)?;
        copied.position = self.target.position;
        Ok(copied)
    }

    fn segment(&mut self, number: u32) -> Result<File, CopyFault> {
        let file = File::open(path_of(&self.from, number)).map_err(reading)?;
        check_header(&file, self.target.owner, number)?;
        self.target.header = vec![0; usize::try_from(SEGMENT_HEADER_BYTES).map_err(reading)?];
        file.read_exact_at(&mut self.target.header, 0).map_err(reading)?;
        Ok(file)
    }

    /// Whether nothing more is wanted: frames that follow the last record wanted have no record, or are not wanted.
    fn is_there(&self) -> bool {
        matches!(self.extent, Extent::Committed(last) if self.target.position.sequence >= last)
    }

    /// The last frame of the copy is the store's.
    fn check_beginning(&mut self) -> Result<(), CopyFault> {
        let Some((at, header)) = self.target.last else {
            return Ok(());
        };
        if at.segment > count_segments(&self.from)? {
            return Err(CopyFault::OtherStore);
        }
        let file = self.segment(at.segment)?;
        match header_at(&file, at.offset)? {
            Some(found) if found == header => Ok(()),
            _ => Err(CopyFault::OtherStore),
        }
    }

    /// Checks a frame and copies it, if it is still wanted.
    fn take(&mut self, at: Written, header: Header, bytes: &[u8]) -> Result<Next, CopyFault> {
        if header.number != self.target.next {
            return Err(StoreFault::Inconsistent("a group of its log is missing").into());
        }
        let frame = Frame::read(header, bytes)?;
        let mut position = self.target.position;
        let mut committed_at = None;
        for item in &frame.items {
            let record = JournalRecord::decode(item.record).map_err(StoreFault::content("journal record"))?;
            position = position
                .follow(&record, item.record)
                .map_err(StoreFault::content("journal record"))?;
            committed_at = Some(record.committed_at);
        }
        let state: ShardState = unpack("state", frame.state)?;
        if (state.sequence, state.head) != (position.sequence, position.head) {
            return Err(StoreFault::Inconsistent("its state is not that of its journal's last record").into());
        }
        let wanted = match self.extent {
            Extent::Whole => true,
            Extent::Committed(last) | Extent::Record(last) => position.sequence <= last,
            Extent::Time(time) => committed_at.is_none_or(|committed_at| committed_at <= time),
        };
        if !wanted {
            return Ok(Next::Enough {
                ends: position.sequence,
            });
        }
        self.target.write(at, bytes).map_err(CopyFault::Write)?;
        self.target.position = position;
        self.target.next += 1;
        (self.progress)(header.frame_bytes());
        Ok(Next::Go)
    }

    /// A log of which no group is wanted still has its first segment.
    fn begin_if_empty(&mut self) -> Result<(), CopyFault> {
        if self.target.next == 1 {
            self.target.write(log_start(), &[]).map_err(CopyFault::Write)?;
        }
        Ok(())
    }
}

/// `None` where no sound frame begins.
fn sound_frame<'a>(
    file: &File,
    at: Written,
    buffer: &'a mut Vec<u8>,
) -> Result<Option<(Header, &'a [u8])>, StoreFault> {
    let Some(header) = header_at(file, at.offset)? else {
        return Ok(None);
    };
    match read_frame(file, at.offset, header, buffer) {
        Ok(bytes) => Ok(Some((header, bytes))),
        Err(StoreFault::Inconsistent(_)) => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn damaged() -> CopyFault {
    StoreFault::Inconsistent("a frame of its log is damaged, and others follow it").into()
}
