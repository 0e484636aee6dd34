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
//!
//! A copy begins where the store's log begins when it is begun. Where the first segments were released by then it is given
//! the base, before anything else, and a snapshot, after everything else: without one it is no store, and says so. What an
//! earlier copy has of segments that were released since stays, and is gone on from.

mod earliest;
mod target;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ledger_journal::{ChainPosition, JournalRecord};
use ledger_model::{ChinaTime, ShardCount, ShardId};

pub use self::earliest::Earliest;
use self::earliest::{end_of, usable};
use self::target::Target;
use super::base::LogBase;
use super::frame::{Frame, Header};
use super::log::Written;
use super::recovery::{check_header, last_segment, log_start, rest_is_torn};
use super::resting::shards_of;
use super::segment::{Owner, SEGMENT_HEADER_BYTES, after, header_at, path_of, read_frame, reading};
use super::{shard_directory, take};
use crate::state::ShardState;
use crate::store::StoreFault;
use crate::store::row::unpack;

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
    #[error(
        "what was copied before ends with record {reached}, and records up to {through} were released from the store since; \
         begin another copy"
    )]
    Released { reached: u64, through: u64 },
    #[error("no snapshot that is whole goes with what is copied, and the records before it were released")]
    NoSnapshot,
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

    /// The first record to which a shard can be restored; `None` where that is from before its first record on.
    pub fn earliest(&self, shard: ShardId) -> Result<Option<Earliest>, CopyFault> {
        let directory = shard_directory(&self.from, shard);
        let shards = self.shards;
        let owner = Owner { shard, shards };
        let base = LogBase::read(&directory, owner)?;
        if base.is_start() {
            return Ok(None);
        }
        let oldest = usable(&directory, owner, &base)?.into_iter().next();
        let oldest = oldest.ok_or(CopyFault::NoSnapshot)?;
        Ok(Some(end_of(&directory, &base, oldest)?))
    }

    /// Copies one shard; tells `progress` the bytes of every group copied.
    pub fn copy(&self, shard: ShardId, extent: Extent, progress: impl FnMut(u64)) -> Result<Copied, CopyFault> {
        let owner = Owner {
            shard,
            shards: self.shards,
        };
        std::fs::create_dir_all(&self.to).map_err(CopyFault::Write)?;
        let from = shard_directory(&self.from, shard);
        let base = LogBase::read(&from, owner)?;
        let to = shard_directory(&self.to, shard);
        let lock = take(&to)?;
        let mut target = Target::open(to, owner, lock)?;
        target.begin_as(&base)?;
        Copying {
            from,
            base,
            target,
            extent,
            progress,
        }
        .run()
    }
}

struct Copying<P> {
    from: PathBuf,
    /// Where what is copied begins now.
    base: LogBase,
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
        let segments = last_segment(&self.from, self.base.first_segment)?;
        let mut buffer = Vec::new();
        let mut at = self.target.end;
        if at.segment < self.base.first_segment {
            at = self.base.first();
        }
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
        self.target.take_snapshot(&self.from)?;
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
        let (position, base) = (self.target.position, self.base.base.position);
        let last = self.target.last.map_or(self.target.end, |(at, _)| at);
        if last.segment < self.base.first_segment {
            // exactly up to where the store begins now, or what is between the two is nowhere
            return if position == base && self.target.next == self.base.first_group {
                Ok(())
            } else if position.sequence == base.sequence && position.head != base.head {
                Err(CopyFault::OtherStore)
            } else {
                let (reached, through) = (position.sequence, base.sequence);
                Err(CopyFault::Released { reached, through })
            };
        }
        let Some((at, header)) = self.target.last else {
            return Ok(());
        };
        if at.segment > last_segment(&self.from, self.base.first_segment)? {
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
