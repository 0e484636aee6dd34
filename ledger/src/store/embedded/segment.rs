//! The files of the log, for reading: `log-000001`, `log-000002`, … without a gap, or from a later one on where the first
//! were released.
//!
//! ```text
//!   header 32 │ frame │ frame │ … │ zeros to the end of the file
//! ```
//!
//! Readers find records by their numbers from sparse marks, which they leave behind as they hop from frame to frame.
//! Nobody here knows what is committed: readers ask for nothing beyond it.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ledger_model::{Packed, ShardCount, ShardId, Unpacker};
use xxhash_rust::xxh3::xxh3_64;

use super::frame::{Frame, HEADER_BYTES, Header, ITEM_HEADER_BYTES, Item, item, item_bytes};
use super::location::Location;
use crate::store::StoreFault;

pub(super) const SEGMENT_HEADER_BYTES: u64 = 32;
const MAGIC: [u8; 4] = *b"LSG2";
/// Written today.
pub(super) const FORMAT: u32 = 3;
/// Read as well; nothing is written into a segment of it any more.
const FORMAT_BEFORE: u32 = 2;

/// Of which so many of the newest are kept open.
const OPEN_MAX: u32 = 32;
/// Between two marks, at the least.
const MARK_BYTES: u32 = 64 << 10;
/// Read for an item at first; nearly every one is shorter.
const ITEM_BYTES_USUAL: usize = 1024;

const DAMAGED: StoreFault = StoreFault::Inconsistent("a segment of its log does not begin as one");
const UNREADABLE: StoreFault = StoreFault::Inconsistent("a frame of its log does not read");

pub(super) fn reading<E: std::error::Error + Send + Sync + 'static>(source: E) -> StoreFault {
    StoreFault::engine("read its log")(source)
}

pub(super) fn path_of(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("log-{number:06}"))
}

/// Whose log a segment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) shard: ShardId,
    pub(super) shards: ShardCount,
}

pub(super) const fn is_readable(format: u32) -> bool {
    format == FORMAT || format == FORMAT_BEFORE
}

impl Owner {
    pub(super) fn header(self, number: u32) -> Vec<u8> {
        self.header_of(FORMAT, number)
    }

    fn header_of(self, format: u32, number: u32) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        format.pack(&mut header);
        header.extend_from_slice(&[self.shard.number(), self.shards.count(), 0, 0]);
        number.pack(&mut header);
        0_u64.pack(&mut header);
        xxh3_64(&header).pack(&mut header);
        header
    }

    /// The format of this owner's segment of that number; refuses what is not the beginning of it.
    pub(super) fn check(self, number: u32, header: &[u8]) -> Result<u32, StoreFault> {
        let known = [FORMAT, FORMAT_BEFORE].into_iter();
        if let Some(format) = known
            .into_iter()
            .find(|format| header == self.header_of(*format, number))
        {
            return Ok(format);
        }
        let rest = header.strip_prefix(&MAGIC).ok_or(DAMAGED)?;
        let mut input = Unpacker::new(rest);
        let format: u32 = input.take().map_err(|_| DAMAGED)?;
        let found: u8 = input.take().map_err(|_| DAMAGED)?;
        let found_of: u8 = input.take().map_err(|_| DAMAGED)?;
        let (checked, sum) = header.split_at_checked(header.len().saturating_sub(8)).ok_or(DAMAGED)?;
        if xxh3_64(checked).to_be_bytes() != sum {
            return Err(DAMAGED);
        }
        if !is_readable(format) {
            return Err(StoreFault::Format {
                found: format,
                known: FORMAT,
            });
        }
        let (wanted, wanted_of) = (self.shard.number(), self.shards.count());
        if (found, found_of) == (wanted, wanted_of) {
            return Err(DAMAGED);
        }
        Err(StoreFault::OtherShard {
            found,
            found_of,
            wanted,
            wanted_of,
        })
    }
}

/// The files of one shard's log.
#[derive(Debug)]
pub(super) struct Segments {
    directory: PathBuf,
    listed: RwLock<Listed>,
}

#[derive(Debug)]
struct Listed {
    /// Number of the first.
    first: u32,
    all: VecDeque<Arc<Segment>>,
}

impl Listed {
    fn last(&self) -> u32 {
        let count = u32::try_from(self.all.len()).expect("a log has fewer segments than that");
        self.first + count - 1
    }

    fn segment(&self, number: u32) -> Option<&Arc<Segment>> {
        let place = number.checked_sub(self.first)?;
        self.all.get(usize::try_from(place).ok()?)
    }
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u32,
    path: PathBuf,
    open: Mutex<Option<Arc<File>>>,
    /// Number of the first record and offset of some frames, in order; the first frame is the first of them.
    marks: Mutex<Vec<(u64, u32)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Segments {
    /// None yet; the first that is taken in has that number, from 1 on.
    pub(super) fn new(directory: &Path, first: u32) -> Self {
        let all = VecDeque::new();
        Self {
            directory: directory.to_owned(),
            listed: RwLock::new(Listed { first, all }),
        }
    }

    fn listed(&self) -> RwLockReadGuard<'_, Listed> {
        self.listed.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn listed_mut(&self) -> RwLockWriteGuard<'_, Listed> {
        self.listed.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn first(&self) -> u32 {
        self.listed().first
    }

    /// Knows the segments before that one no more, and has none of them open.
    pub(super) fn forget_before(&self, first: u32) {
        let mut listed = self.listed_mut();
        while listed.first < first && !listed.all.is_empty() {
            listed.first += 1;
            if let Some(released) = listed.all.pop_front() {
                lock(&released.open).take();
            }
        }
    }

    /// Takes in the next segment; closes the one that is not among the newest any more.
    pub(super) fn add(&self) -> Arc<Segment> {
        let mut listed = self.listed_mut();
        let number = listed.last() + 1;
        let segment = Arc::new(Segment {
            number,
            path: path_of(&self.directory, number),
            open: Mutex::default(),
            marks: Mutex::default(),
        });
        listed.all.push_back(Arc::clone(&segment));
        if let Some(old) = number.checked_sub(OPEN_MAX).and_then(|old| listed.segment(old)) {
            lock(&old.open).take();
        }
        segment
    }

    pub(super) fn last(&self) -> u32 {
        self.listed().last()
    }

    pub(super) fn segment(&self, number: u32) -> Option<Arc<Segment>> {
        self.listed().segment(number).map(Arc::clone)
    }

    fn file(&self, segment: &Segment) -> Result<Arc<File>, StoreFault> {
        // first, since whoever changes the list closes files while nobody may read it
        let last = self.last();
        let mut open = lock(&segment.open);
        if let Some(file) = open.as_ref() {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(&segment.path).map_err(reading)?);
        if segment.number + OPEN_MAX > last {
            *open = Some(Arc::clone(&file));
        }
        Ok(file)
    }

    /// The bytes of an item; [`item`] reads them.
    pub(super) fn item(&self, location: Location) -> Result<Vec<u8>, StoreFault> {
        let segment = self.segment(location.segment()).ok_or(UNREADABLE)?;
        let file = self.file(&segment)?;
        let offset = u64::from(location.offset());
        let mut bytes = vec![0; ITEM_BYTES_USUAL];
        let read = read_some(&file, &mut bytes, offset).map_err(reading)?;
        bytes.truncate(read);
        let length = bytes.get(..ITEM_HEADER_BYTES).and_then(item_bytes).ok_or(UNREADABLE)?;
        if length > bytes.len() {
            // a length that was only claimed reserves nothing that is not there
            let there = file.metadata().map_err(reading)?.len().saturating_sub(offset);
            if u64::try_from(length).map_err(reading)? > there {
                return Err(UNREADABLE);
            }
            bytes.resize(length, 0);
            file.read_exact_at(&mut bytes, offset).map_err(reading)?;
        }
        Ok(bytes)
    }

    /// The frame that holds record `sequence`, which is committed, into `buffer`.
    pub(super) fn frame_of<'a>(
        &self,
        sequence: u64,
        buffer: &'a mut Vec<u8>,
    ) -> Result<(Header, &'a [u8]), StoreFault> {
        let segment = self.segment_of(sequence)?;
        let file = self.file(&segment)?;
        let mut marks = lock(&segment.marks);
        let start = u32::try_from(SEGMENT_HEADER_BYTES).expect("short");
        let known = marks.partition_point(|(first, _)| *first <= sequence);
        let known = known.checked_sub(1).and_then(|place| marks.get(place));
        let mut offset = known.map_or(start, |(_, offset)| *offset);
        loop {
            let header = header_at(&file, offset)?.ok_or(UNREADABLE)?;
            if marks.last().is_none_or(|(_, last)| *last + MARK_BYTES <= offset) {
                marks.push((header.first_sequence, offset));
            }
            if sequence < header.first_sequence + u64::from(header.records) {
                drop(marks);
                let frame = read_frame(&file, offset, header, buffer)?;
                return Ok((header, frame));
            }
            offset = after(offset, header)?;
        }
    }

    /// The last segment whose first record is not after this one.
    fn segment_of(&self, sequence: u64) -> Result<Arc<Segment>, StoreFault> {
        let (mut low, mut high) = (self.first(), self.last());
        let mut found = None;
        while low <= high {
            let middle = low + (high - low) / 2;
            let segment = self.segment(middle).ok_or(UNREADABLE)?;
            match self.first_sequence(&segment)? {
                Some(first) if first <= sequence => {
                    found = Some(segment);
                    low = middle + 1;
                }
                _ => high = middle - 1,
            }
        }
        found.ok_or(UNREADABLE)
    }

    /// Number of its first group; `None` while nothing is in it.
    pub(super) fn first_group(&self, segment: &Segment) -> Result<Option<u64>, StoreFault> {
        let start = u32::try_from(SEGMENT_HEADER_BYTES).expect("short");
        let file = self.file(segment)?;
        Ok(header_at(&file, start)?.map(|header| header.number))
    }

    /// Of its first record; `None` while nothing is in it.
    pub(super) fn first_sequence(&self, segment: &Segment) -> Result<Option<u64>, StoreFault> {
        if let Some((first, _)) = lock(&segment.marks).first() {
            return Ok(Some(*first));
        }
        let start = u32::try_from(SEGMENT_HEADER_BYTES).expect("short");
        let file = self.file(segment)?;
        Ok(header_at(&file, start)?.map(|header| header.first_sequence))
    }
}

/// Where the next frame begins.
pub(super) fn after(offset: u32, header: Header) -> Result<u32, StoreFault> {
    let next = u64::from(offset) + header.frame_bytes();
    u32::try_from(next).map_err(|_| UNREADABLE)
}

/// `None` where no frame begins.
pub(super) fn header_at(file: &File, offset: u32) -> Result<Option<Header>, StoreFault> {
    let mut bytes = [0; HEADER_BYTES];
    let read = read_some(file, &mut bytes, u64::from(offset)).map_err(reading)?;
    Ok(bytes.get(..read).and_then(Header::read))
}

/// The frame with this header; refused unless it is sound.
pub(super) fn read_frame<'a>(
    file: &File,
    offset: u32,
    header: Header,
    buffer: &'a mut Vec<u8>,
) -> Result<&'a [u8], StoreFault> {
    let length = usize::try_from(header.frame_bytes()).map_err(reading)?;
    // a length that was only claimed reserves nothing that is not there
    if u64::from(offset) + header.frame_bytes() > file.metadata().map_err(reading)?.len() {
        return Err(UNREADABLE);
    }
    buffer.clear();
    buffer.resize(length, 0);
    let read = read_some(file, buffer, u64::from(offset)).map_err(reading)?;
    if read == length && header.is_sound(buffer) {
        Ok(buffer)
    } else {
        Err(UNREADABLE)
    }
}

/// As much as there is.
pub(super) fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        let at = offset + u64::try_from(read).map_err(io::Error::other)?;
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(read)
}

/// An item as [`Segments::item`] read it.
pub(super) fn read_item(bytes: &[u8], location: Location) -> Result<Item<'_>, StoreFault> {
    item(bytes, location.offset()).ok_or(UNREADABLE)
}

/// Encoded records of a frame from number `from` on, up to number `to`.
pub(super) fn records<'a>(frame: &Frame<'a>, from: u64, to: u64) -> impl Iterator<Item = &'a [u8]> {
    let numbered = (frame.header.first_sequence..).zip(frame.items.clone());
    numbered
        .filter(move |(number, _)| *number >= from && *number <= to)
        .map(|(_, item)| item.record)
}
