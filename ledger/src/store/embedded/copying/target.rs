//! The end of a copy, where frames are added.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ledger_journal::ChainPosition;

use super::CopyFault;
use super::earliest::usable;
use crate::state::ShardState;
use crate::store::embedded::base::{LogBase, is_begun};
use crate::store::embedded::disk::{Disk, RealDisk, sync_directory};
use crate::store::embedded::frame::{Frame, Header};
use crate::store::embedded::log::Written;
use crate::store::embedded::recovery::{check_header, last_segment, log_start, numbers};
use crate::store::embedded::restore::Whole;
use crate::store::embedded::segment::{Owner, after, header_at, path_of, read_frame, reading};
use crate::store::embedded::{Lock, snapshot};
use crate::store::row::unpack;

/// Copied between two syncs.
const SYNC_BYTES: u64 = 64 << 20;

/// The end of a copy, or of the store it is of.
pub(super) struct Target {
    pub(super) directory: PathBuf,
    pub(super) owner: Owner,
    /// Where it begins itself.
    pub(super) base: LogBase,
    /// The last whole frame.
    pub(super) last: Option<(Written, Header)>,
    /// Where the next one goes.
    pub(super) end: Written,
    pub(super) position: ChainPosition,
    /// Number of the next group.
    pub(super) next: u64,
    file: Option<(u32, File)>,
    /// How the segment of the store begins that is copied now.
    pub(super) header: Vec<u8>,
    unsynced: u64,
    _lock: Lock,
}

impl Target {
    /// Finds the last whole frame, which is in the last segment that has one.
    pub(super) fn open(directory: PathBuf, owner: Owner, lock: Lock) -> Result<Self, CopyFault> {
        let base = LogBase::read(&directory, owner)?;
        let mut target = Self {
            last: None,
            end: base.first(),
            position: base.base.position,
            next: base.first_group,
            file: None,
            header: Vec::new(),
            unsynced: 0,
            directory,
            owner,
            base,
            _lock: lock,
        };
        let mut buffer = Vec::new();
        let first = target.base.first_segment;
        let last = if target.is_new() {
            0
        } else {
            last_segment(&target.directory, first)?
        };
        for segment in (first..=last).rev() {
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

    /// Nothing but a base is there, perhaps.
    fn is_new(&self) -> bool {
        let first = self.base.first_segment;
        numbers(&self.directory).is_ok_and(|numbers| numbers.iter().all(|number| *number < first))
    }

    /// Where nothing was copied yet it begins as the store does.
    pub(super) fn begin_as(&mut self, base: &LogBase) -> Result<(), CopyFault> {
        let is_fresh = !is_begun(&self.directory) || (!self.base.is_start() && self.is_new());
        if !is_fresh || self.base == *base {
            return Ok(());
        }
        if base.is_start() {
            return Err(CopyFault::OtherStore);
        }
        let written = base
            .write(&RealDisk, &self.directory, self.owner)
            .and_then(|()| base.write_stub(&RealDisk, &self.directory, self.owner));
        written.map_err(CopyFault::Write)?;
        self.base = base.clone();
        self.end = base.first();
        self.position = base.base.position;
        self.next = base.first_group;
        Ok(())
    }

    /// Brings a snapshot along that goes with what was copied, where one is needed and none is there.
    pub(super) fn take_snapshot(&self, from: &Path) -> Result<(), CopyFault> {
        let is_there = |whole: &Whole| whole.last_seen < self.next;
        if self.base.is_start() || usable(&self.directory, self.owner, &self.base)?.iter().any(is_there) {
            return Ok(());
        }
        let found = usable(from, self.owner, &self.base)?.into_iter().find(is_there);
        let first = found.ok_or(CopyFault::NoSnapshot)?.starts.first;
        let unnamed = self.directory.join("snapshot-next");
        let copied = std::fs::copy(snapshot::path_of(from, first), &unnamed)
            .and_then(|_| File::open(&unnamed)?.sync_all())
            .and_then(|()| RealDisk.name(&unnamed, &snapshot::path_of(&self.directory, first)));
        copied.map_err(CopyFault::Write)
    }

    pub(super) fn write(&mut self, at: Written, frame: &[u8]) -> io::Result<()> {
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

    pub(super) fn sync(&mut self) -> io::Result<()> {
        if let Some((_, file)) = &self.file {
            file.sync_data()?;
        }
        self.unsynced = 0;
        Ok(())
    }
}
