//! Opening: the newest whole snapshot, then the log from there on.
//!
//! At most one group was being written when a process ended, so the log may end in one torn frame: nothing of it was
//! answered, and it is cut off. Anything else that does not read is damage, and refused: where sound frames follow it,
//! where the log ends before what a snapshot has seen, where a segment is missing.
//!
//! Where the first segments were released, what was in them is in the snapshots alone: without a whole one there is no
//! opening.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ledger_journal::ChainHash;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::base::LogBase;
use super::frame::{Frame, Header, MAGIC, MAGIC_ANY};
use super::index::Index;
use super::location::Location;
use super::log::Written;
use super::restore::{self, Loaded};
use super::segment::{
    FORMAT, Owner, SEGMENT_HEADER_BYTES, Segments, after, header_at, path_of, read_frame, read_some, reading,
};
use super::tables::Tables;
use crate::state::ShardState;
use crate::store::StoreFault;
use crate::store::row::unpack;

const MISSING: StoreFault = StoreFault::Inconsistent("a segment of its log is missing");
/// Read at a time where nothing is expected.
const REST_BYTES: usize = 1 << 20;

/// What was found.
pub(super) struct Recovered {
    pub(super) tables: Tables,
    pub(super) index: Index,
    pub(super) state: ShardState,
    pub(super) segments: Arc<Segments>,
    /// Where the log begins.
    pub(super) base: LogBase,
    /// Number of the next group.
    pub(super) next: u64,
    /// Where it goes.
    pub(super) end: Written,
    /// Of the segment it goes to.
    pub(super) end_format: u32,
    /// Log that was replayed.
    pub(super) replayed_bytes: u64,
}

/// Of a log that has just been begun.
pub(super) fn nothing(owner: Owner, segments: Arc<Segments>) -> Recovered {
    Recovered {
        tables: Tables::new(),
        index: Index::default(),
        state: ShardState::empty(owner.shard),
        segments,
        base: LogBase::start(owner),
        next: 1,
        end: log_start(),
        end_format: FORMAT,
        replayed_bytes: 0,
    }
}

/// What a frame comes to, applied to what is held in memory.
pub(super) fn apply(frame: &Frame<'_>, at: Written, tables: &mut Tables, index: &Index) -> Result<(), StoreFault> {
    const ASTRAY: StoreFault = StoreFault::Inconsistent("a frame of its log names an item it has not");
    let located = |place: u32| -> Result<Location, StoreFault> {
        let item = usize::try_from(place).ok().and_then(|place| frame.items.get(place));
        let item = item.ok_or(ASTRAY)?;
        Ok(Location::new(at.segment, at.offset + item.offset))
    };
    tables.apply(&frame.rows)?;
    for (place, key) in &frame.keys {
        index.insert(*key, located(*place)?);
    }
    for refunded in &frame.refunded {
        let mut refunded = *refunded;
        if let Some(place) = refunded.location.place_in_group() {
            refunded.location = located(place)?;
        }
        index.set_refunded(refunded);
    }
    Ok(())
}

/// Reads a shard's directory; changes nothing in it.
pub(super) fn recover(directory: &Path, owner: Owner) -> Result<Recovered, StoreFault> {
    let base = LogBase::read(directory, owner)?;
    let last_segment = last_segment(directory, base.first_segment)?;
    base.check(directory)?;
    let (loaded, tables, index) = match restore::load(directory, owner, &base)? {
        Some((loaded, tables, index)) => (Some(loaded), tables, index),
        None if base.is_start() => (None, Tables::new(), Index::default()),
        None => {
            let through = base.base.position.sequence;
            return Err(StoreFault::NoSnapshot { through });
        }
    };
    let segments = Arc::new(Segments::new(directory, base.first_segment));
    let start = loaded.as_ref().map_or_else(log_start, |loaded| loaded.start);
    let mut replay = Replay {
        state: ShardState::empty(owner.shard),
        follows: loaded.is_none().then_some(0),
        next: loaded.as_ref().map_or(1, |loaded| loaded.first),
        tables,
        index,
        last_record: None,
        bytes: 0,
        buffer: Vec::new(),
    };
    let mut formats = Vec::new();
    for _ in base.first_segment..=last_segment {
        let segment = segments.add();
        let file = File::open(path_of(directory, segment.number)).map_err(reading)?;
        formats.push(check_header(&file, owner, segment.number)?);
    }
    if start.segment > segments.last() {
        return Err(MISSING);
    }
    let end = replay.run(directory, &segments, start)?;
    finish(&replay, loaded.as_ref())?;
    if formats.iter().any(|format| *format != FORMAT) {
        replay.tables.complete_opening_balances()?;
    }
    let last = end.segment.checked_sub(base.first_segment);
    let last = last.and_then(|place| formats.get(usize::try_from(place).ok()?).copied());
    let end_format = last.ok_or(MISSING)?;
    // a snapshot may still have what was forgotten before it was released
    if !base.is_start() {
        replay.index.forget_before(Location::new(base.first_segment, 0));
    }
    let Replay {
        state,
        next,
        tables,
        index,
        bytes,
        ..
    } = replay;
    Ok(Recovered {
        tables,
        index,
        state,
        segments: without_empty(segments, directory, end.segment),
        base,
        next,
        end,
        end_format,
        replayed_bytes: bytes,
    })
}

/// Number of the last of the segments that are there from `first` on, the one before it where there is none; refuses to
/// pass over a gap. Those before `first` were released, whether they are still there or not.
pub(super) fn last_segment(directory: &Path, first: u32) -> Result<u32, StoreFault> {
    let mut numbers = numbers(directory)?;
    numbers.retain(|number| *number >= first);
    let is_whole = numbers.iter().copied().eq((first..).take(numbers.len()));
    let is_begun = first == 1 || !numbers.is_empty();
    if !is_whole || !is_begun {
        return Err(MISSING);
    }
    Ok(numbers.last().copied().unwrap_or(first - 1))
}

/// Numbers of all segments in a directory, in order.
pub(super) fn numbers(directory: &Path) -> Result<Vec<u32>, StoreFault> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(reading)? {
        let name = entry.map_err(reading)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("log-"));
        numbers.extend(number.and_then(|number| number.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn log_start() -> Written {
    Written {
        segment: 1,
        offset: u32::try_from(SEGMENT_HEADER_BYTES).expect("short"),
    }
}

/// One was perhaps prepared and never used; it is made again when it is needed.
fn without_empty(segments: Arc<Segments>, directory: &Path, last: u32) -> Arc<Segments> {
    if segments.last() == last {
        return segments;
    }
    let first = segments.first();
    let used = Segments::new(directory, first);
    for _ in first..=last {
        used.add();
    }
    Arc::new(used)
}

pub(super) fn check_header(file: &File, owner: Owner, number: u32) -> Result<u32, StoreFault> {
    let mut header = vec![0; usize::try_from(SEGMENT_HEADER_BYTES).expect("short")];
    let read = read_some(file, &mut header, 0).map_err(reading)?;
    header.truncate(read);
    owner.check(number, &header)
}

fn finish(replay: &Replay, loaded: Option<&Loaded>) -> Result<(), StoreFault> {
    if loaded.is_some_and(|loaded| loaded.last_seen >= replay.next) {
        return Err(StoreFault::Inconsistent("its log ends before its snapshot does"));
    }
    match replay.last_record {
        Some(last) if last != (replay.state.sequence, replay.state.head) => Err(StoreFault::Inconsistent(
            "its state is not that of its journal's last record",
        )),
        _ => Ok(()),
    }
}

struct Replay {
    tables: Tables,
    index: Index,
    state: ShardState,
    /// Number of the record before the next, where it is known.
    follows: Option<u64>,
    next: u64,
    last_record: Option<(u64, ChainHash)>,
    bytes: u64,
    buffer: Vec<u8>,
}

impl Replay {
    /// Applies every frame from `start` on; tells where the next one goes.
    fn run(&mut self, directory: &Path, segments: &Segments, start: Written) -> Result<Written, StoreFault> {
        const LOST: StoreFault = StoreFault::Inconsistent("a frame of its log is damaged, and others follow it");
        let mut end = start;
        let mut ended = false;
        for number in start.segment..=segments.last() {
            let file = File::open(path_of(directory, number)).map_err(reading)?;
            let mut offset = if number == start.segment {
                start.offset
            } else {
                log_start().offset
            };
            let first = offset;
            while let Some(header) = self.frame(
                &file,
                Written {
                    segment: number,
                    offset,
                },
            )? {
                if ended {
                    return Err(LOST);
                }
                offset = after(offset, header)?;
            }
            if offset > first || number == start.segment {
                end = Written {
                    segment: number,
                    offset,
                };
            }
            ended = rest_is_torn(&file, offset, self.next)? || ended;
        }
        Ok(end)
    }

    /// Applies the frame that begins there; `None` where no sound one does.
    fn frame(&mut self, file: &File, at: Written) -> Result<Option<Header>, StoreFault> {
        let Some(header) = header_at(file, at.offset)? else {
            return Ok(None);
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        let applied = match read_frame(file, at.offset, header, &mut buffer) {
            Ok(bytes) => self.apply(header, bytes, at).map(|()| Some(header)),
            Err(StoreFault::Inconsistent(_)) => Ok(None),
            Err(fault) => Err(fault),
        };
        self.buffer = buffer;
        applied
    }

    fn apply(&mut self, header: Header, bytes: &[u8], at: Written) -> Result<(), StoreFault> {
        if header.number != self.next {
            return Err(StoreFault::Inconsistent("a group of its log is missing"));
        }
        if self
            .follows
            .is_some_and(|sequence| header.first_sequence != sequence + 1)
        {
            return Err(StoreFault::Inconsistent("a record of its journal is missing"));
        }
        let frame = Frame::read(header, bytes)?;
        apply(&frame, at, &mut self.tables, &self.index)?;
        self.state = unpack("state", frame.state)?;
        self.follows = Some(self.state.sequence);
        if let Some(last) = frame.items.last() {
            let number = header.first_sequence + u64::from(header.records) - 1;
            self.last_record = Some((number, ChainHash::of(last.record)));
        }
        self.next += 1;
        self.bytes += header.frame_bytes();
        Ok(())
    }
}

/// Whether something is left after the last sound frame. Refuses it where a sound frame that is still due is among it.
pub(super) fn rest_is_torn(file: &File, from: u32, due: u64) -> Result<bool, StoreFault> {
    let mut block = vec![0; REST_BYTES];
    let mut at = u64::from(from);
    let mut torn = false;
    while let Some(written) = next_written(file, at)? {
        at = written;
        let read = read_some(file, &mut block, at).map_err(reading)?;
        let found = block.get(..read).unwrap_or_default();
        // all of it at once: a search that could end early is many times slower
        if found.iter().fold(0, |all, byte| all | byte) != 0 {
            torn = true;
            for (place, window) in found.windows(MAGIC_ANY.len()).enumerate() {
                if window == MAGIC_ANY {
                    let offset = at + u64::try_from(place).map_err(reading)?;
                    refuse_sound(file, offset, due)?;
                }
            }
        }
        // blocks overlap, so that no beginning of a frame lies across two
        let step = if read == REST_BYTES {
            read - MAGIC.len()
        } else {
            read.max(1)
        };
        at += u64::try_from(step).map_err(reading)?;
    }
    Ok(torn)
}

/// Where the next bytes are that were ever written: room that was only reserved is not read.
fn next_written(file: &File, from: u64) -> Result<Option<u64>, StoreFault> {
    match seek(file, SeekFrom::Data(from)) {
        Ok(at) => Ok(Some(at)),
        Err(Errno::NXIO) => Ok(None),
        Err(Errno::INVAL | Errno::OPNOTSUPP) => {
            let length = file.metadata().map_err(reading)?.len();
            Ok((from < length).then_some(from))
        }
        Err(errno) => Err(reading(io::Error::from(errno))),
    }
}

fn refuse_sound(file: &File, offset: u64, due: u64) -> Result<(), StoreFault> {
    let offset = u32::try_from(offset).map_err(reading)?;
    let Some(header) = header_at(file, offset)?.filter(|header| header.number >= due) else {
        return Ok(());
    };
    match read_frame(file, offset, header, &mut Vec::new()) {
        Ok(_) => Err(StoreFault::Inconsistent(
            "a frame of its log is damaged, and others follow it",
        )),
        Err(StoreFault::Inconsistent(_)) => Ok(()),
        Err(fault) => Err(fault),
    }
}
