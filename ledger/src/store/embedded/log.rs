//! The end of the log, where groups are written: one write and one sync each.
//!
//! A segment's room is reserved before it is used, by a thread of its own while the one before fills, so that a commit
//! writes neither lengths nor places down and waits for no file to be made. What cannot be written is taken back before
//! anything else is written; where that fails too, what is there is not known.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::disk::{Disk, LogFile, sync_directory};
use super::segment::{Owner, SEGMENT_HEADER_BYTES, Segments, path_of};
use crate::store::StoreFault;

/// The first segment; each is twice as long as the one before, up to the bound of the options.
const FIRST_SEGMENT_BYTES: u64 = 16 << 20;

pub(super) struct Log {
    directory: PathBuf,
    owner: Owner,
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    segment_bytes_max: u64,
    number: u32,
    file: Box<dyn LogFile>,
    /// Where the next frame goes.
    end: u64,
    /// Room reserved.
    room: u64,
    next: Option<JoinHandle<io::Result<Box<dyn LogFile>>>>,
}

/// What a log is opened with.
pub(super) struct LogPlace {
    pub(super) directory: PathBuf,
    pub(super) owner: Owner,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) segments: Arc<Segments>,
    pub(super) segment_bytes_max: u64,
}

/// Where a frame was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) segment: u32,
    pub(super) offset: u32,
}

fn making(source: io::Error) -> StoreFault {
    StoreFault::engine("make a segment of its log")(source)
}

impl Log {
    /// A log of which nothing is there yet.
    pub(super) fn create(place: LogPlace) -> Result<Self, StoreFault> {
        let bytes = segment_bytes(1, place.segment_bytes_max);
        let file = prepare(place.disk.as_ref(), &place.directory, place.owner, 1, bytes).map_err(making)?;
        place.segments.add();
        Ok(Self::over(place, file, 1, SEGMENT_HEADER_BYTES, bytes))
    }

    /// A log whose last frame ends at `end` of segment `number`, the last there is; what follows is cut off.
    pub(super) fn resume(place: LogPlace, number: u32, end: u64) -> Result<Self, StoreFault> {
        let file = place.disk.open(&path_of(&place.directory, number)).map_err(making)?;
        let room = segment_bytes(number, place.segment_bytes_max).max(end);
        let again = file
            .cut(end)
            .and_then(|()| file.reserve(room))
            .and_then(|()| file.sync());
        match again {
            Ok(()) => Ok(Self::over(place, file, number, end, room)),
            // room is found, or not, when it is needed
            Err(fault) if fault.kind() == io::ErrorKind::StorageFull => {
                file.sync().map_err(making)?;
                Ok(Self::over(place, file, number, end, end))
            }
            Err(fault) => Err(making(fault)),
        }
    }

    /// A log whose last frame ends at `end` of segment `number`, which is of an earlier format: that segment is cut off
    /// there and left as it is, and a segment of this format follows it.
    pub(super) fn succeed(place: LogPlace, number: u32, end: u64) -> Result<Self, StoreFault> {
        let last = place.disk.open(&path_of(&place.directory, number)).map_err(making)?;
        last.cut(end).and_then(|()| last.sync()).map_err(making)?;
        let next = number + 1;
        let bytes = segment_bytes(next, place.segment_bytes_max);
        let file = prepare(place.disk.as_ref(), &place.directory, place.owner, next, bytes).map_err(making)?;
        place.segments.add();
        Ok(Self::over(place, file, next, SEGMENT_HEADER_BYTES, bytes))
    }

    fn over(place: LogPlace, file: Box<dyn LogFile>, number: u32, end: u64, room: u64) -> Self {
        let LogPlace {
            directory,
            owner,
            disk,
            segments,
            segment_bytes_max,
        } = place;
        Self {
            directory,
            owner,
            disk,
            segments,
            segment_bytes_max,
            number,
            file,
            end,
            room,
            next: None,
        }
    }

    fn here(&self) -> Written {
        Written {
            segment: self.number,
            offset: u32::try_from(self.end).expect("a segment is shorter than 4 GiB"),
        }
    }

    /// Writes and syncs one frame. It is durable when this returns; see [`StoreFault::consequence`].
    pub(super) fn append(&mut self, frame: &[u8]) -> Result<Written, StoreFault> {
        let length = u64::try_from(frame.len()).map_err(|_| StoreFault::TooLarge)?;
        if self.end > SEGMENT_HEADER_BYTES && self.end + length > self.room {
            self.go_on(length).map_err(StoreFault::NotWritten)?;
        }
        if let Err(fault) = self.file.write_at(frame, self.end) {
            return Err(self.take_back(fault));
        }
        #[cfg(feature = "mutations")]
        let is_synced = !crate::mutation::is(crate::mutation::Mutation::SyncLeftOut);
        #[cfg(not(feature = "mutations"))]
        let is_synced = true;
        if is_synced {
            self.file.sync().map_err(StoreFault::engine("sync a group"))?;
        }
        let written = self.here();
        self.end += length;
        if self.end > self.room / 2 && self.next.is_none() {
            self.prepare_next();
        }
        Ok(written)
    }

    /// Leaves nothing of a frame that was perhaps partly written.
    fn take_back(&mut self, fault: io::Error) -> StoreFault {
        match self.file.cut(self.end).and_then(|()| self.file.sync()) {
            Ok(()) => {
                self.room = self.end;
                StoreFault::NotWritten(fault)
            }
            Err(_) => StoreFault::engine("write a group or take it back")(fault),
        }
    }

    /// To the next segment, in which there is room for `length`.
    fn go_on(&mut self, length: u64) -> io::Result<()> {
        let number = self.number + 1;
        let usual = segment_bytes(number, self.segment_bytes_max);
        let bytes = usual.max(length + SEGMENT_HEADER_BYTES);
        let prepared = self.next.take().map(JoinHandle::join);
        let file = match prepared {
            Some(Ok(Ok(file))) => file,
            // nothing was prepared, or it could not be: here and now, or this group is refused
            _ => prepare(self.disk.as_ref(), &self.directory, self.owner, number, bytes)?,
        };
        if bytes > usual {
            file.reserve(bytes)?;
        }
        // the zeros that follow the last frame are given back; if that fails they stay
        let _zeros_stay = self.file.cut(self.end);
        self.segments.add();
        self.number = number;
        self.file = file;
        self.end = SEGMENT_HEADER_BYTES;
        self.room = bytes;
        Ok(())
    }

    fn prepare_next(&mut self) {
        let (disk, directory, owner) = (Arc::clone(&self.disk), self.directory.clone(), self.owner);
        let number = self.number + 1;
        let bytes = segment_bytes(number, self.segment_bytes_max);
        let started = std::thread::Builder::new()
            .name(format!("shard-{}-log", owner.shard))
            .spawn(move || prepare(disk.as_ref(), &directory, owner, number, bytes));
        // where no thread can start, the segment is made when it is needed
        self.next = started.ok();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(next) = self.next.take() {
            let _made_or_not = next.join();
        }
    }
}

fn segment_bytes(number: u32, max: u64) -> u64 {
    let doubled = FIRST_SEGMENT_BYTES.checked_shl(number.saturating_sub(1).min(32));
    doubled.unwrap_or(max).min(max)
}

/// A segment with room and without frames. It has its name only when it is whole.
fn prepare(disk: &dyn Disk, directory: &Path, owner: Owner, number: u32, bytes: u64) -> io::Result<Box<dyn LogFile>> {
    let unnamed = directory.join("log-next");
    let file = disk.create(&unnamed, bytes)?;
    file.write_at(&owner.header(number), 0)?;
    file.sync()?;
    std::fs::rename(&unnamed, path_of(directory, number))?;
    sync_directory(directory)?;
    Ok(file)
}
