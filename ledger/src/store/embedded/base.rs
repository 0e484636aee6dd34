//! Where the log of a shard begins once records were released: a small file of its own.
//!
//! ```text
//!   base   magic 4 · format 4 · shard 1 · count of shards 1
//!          last record released 8 · its hash 32 · first segment kept 4 · its first group 8
//!          when 8 · operator · reason · checksum of all before it 8
//! ```
//!
//! It has its name, durably, before the first segment is removed. Segments before the one it names do not count, whether
//! they are still there or not; opening removes what was left of them. A directory without it begins with segment 1.
//!
//! Of segment 1 the header stays: a program that knows no base would take a directory without it for an empty one, and begin
//! new books in it. With it, it misses the segments that follow, and says so.

use std::io;
use std::path::Path;
use std::sync::Arc;

use ledger_journal::{ChainHash, ChainPosition, JournalRecord};
use ledger_model::{Packed, UnpackFault, Unpacker};
use xxhash_rust::xxh3::xxh3_64;

use super::disk::Disk;
use super::frame::{Frame, Header};
use super::log::Written;
use super::recovery::log_start;
use super::segment::{Owner, SEGMENT_HEADER_BYTES, header_at, path_of, read_frame, reading};
use crate::state::ShardState;
use crate::store::StoreFault;
use crate::store::release::{Base, ReleasedBy};
use crate::store::row::unpack;

const MAGIC: [u8; 4] = *b"LBAS";
const FORMAT: u32 = 1;
const NAME: &str = "base";
const UNNAMED: &str = "base-next";
/// The segment of which the header stays.
pub(super) const STUB: u32 = 1;
const STUB_UNNAMED: &str = "base-stub";
const SUM_BYTES: usize = 8;
/// Two remarks, and little else.
const BYTES_MAX: u64 = 4096;

const DAMAGED: StoreFault = StoreFault::Inconsistent("the file that says where its log begins does not read");
const ASTRAY: StoreFault = StoreFault::Inconsistent("its log does not begin where it should");

/// Where the log begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogBase {
    pub(super) base: Arc<Base>,
    pub(super) first_segment: u32,
    /// Number of the first group in it.
    pub(super) first_group: u64,
}

impl LogBase {
    /// Of a log of which nothing was released.
    pub(super) fn start(owner: Owner) -> Self {
        Self {
            base: Arc::new(Base::start(owner.shard)),
            first_segment: 1,
            first_group: 1,
        }
    }

    pub(super) fn is_start(&self) -> bool {
        self.first_segment == 1
    }

    /// The place of the first frame.
    pub(super) fn first(&self) -> Written {
        Written {
            segment: self.first_segment,
            ..log_start()
        }
    }

    /// Of a directory; its start where nothing was released.
    pub(super) fn read(directory: &Path, owner: Owner) -> Result<Self, StoreFault> {
        let path = directory.join(NAME);
        let length = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Self::start(owner)),
            Err(fault) => return Err(reading(fault)),
        };
        if length > BYTES_MAX {
            return Err(DAMAGED);
        }
        Self::parse(&std::fs::read(&path).map_err(reading)?, owner)
    }

    fn parse(bytes: &[u8], owner: Owner) -> Result<Self, StoreFault> {
        let split = bytes.len().checked_sub(SUM_BYTES);
        let (content, sum) = split.and_then(|at| bytes.split_at_checked(at)).ok_or(DAMAGED)?;
        if xxh3_64(content).to_be_bytes() != sum {
            return Err(DAMAGED);
        }
        let mut input = Unpacker::new(content.strip_prefix(&MAGIC).ok_or(DAMAGED)?);
        let found: u32 = input.take().map_err(|_| DAMAGED)?;
        if found != FORMAT {
            return Err(StoreFault::Format { found, known: FORMAT });
        }
        if input.bytes(2).map_err(|_| DAMAGED)? != [owner.shard.number(), owner.shards.count()] {
            return Err(StoreFault::Inconsistent(
                "the file that says where its log begins is of another shard",
            ));
        }
        let read = (|| -> Result<Self, UnpackFault> {
            let sequence = input.take()?;
            let head = input.bytes(32)?.try_into().map_err(|_| UnpackFault::CutShort)?;
            let first_segment = input.take()?;
            let first_group = input.take()?;
            let by = ReleasedBy {
                at: input.take()?,
                operator: input.take()?,
                reason: input.take()?,
            };
            let position = ChainPosition {
                shard: owner.shard,
                sequence,
                head: ChainHash(head),
            };
            let base = Arc::new(Base { position, by: Some(by) });
            Ok(Self {
                base,
                first_segment,
                first_group,
            })
        })();
        let read = read.map_err(|_| DAMAGED)?;
        input.finish().map_err(|_| DAMAGED)?;
        if read.first_segment < 2 || read.first_group < 2 || read.base.position.sequence == 0 {
            return Err(DAMAGED);
        }
        Ok(read)
    }

    fn packed(&self, owner: Owner) -> Option<Vec<u8>> {
        let by = self.base.by.as_ref()?;
        let mut out = MAGIC.to_vec();
        FORMAT.pack(&mut out);
        out.extend_from_slice(&[owner.shard.number(), owner.shards.count()]);
        self.base.position.sequence.pack(&mut out);
        out.extend_from_slice(&self.base.position.head.0);
        self.first_segment.pack(&mut out);
        self.first_group.pack(&mut out);
        by.at.pack(&mut out);
        by.operator.pack(&mut out);
        by.reason.pack(&mut out);
        xxh3_64(&out).pack(&mut out);
        Some(out)
    }

    /// Durable, in place of the one before, when it returns. After a fault it is the one or the other.
    pub(super) fn write(&self, disk: &dyn Disk, directory: &Path, owner: Owner) -> io::Result<()> {
        let bytes = self.packed(owner).ok_or(io::ErrorKind::InvalidInput)?;
        let unnamed = directory.join(UNNAMED);
        let file = disk.create(&unnamed, u64::try_from(bytes.len()).map_err(io::Error::other)?)?;
        file.write_at(&bytes, 0)?;
        file.sync()?;
        disk.name(&unnamed, &directory.join(NAME))
    }

    /// Makes the stub of segment 1 where that was never there.
    pub(super) fn write_stub(&self, disk: &dyn Disk, directory: &Path, owner: Owner) -> io::Result<()> {
        let path = path_of(directory, STUB);
        if self.is_start() || path.try_exists()? {
            return Ok(());
        }
        let unnamed = directory.join(STUB_UNNAMED);
        let file = disk.create(&unnamed, SEGMENT_HEADER_BYTES)?;
        file.write_at(&owner.header(STUB), 0)?;
        file.sync()?;
        disk.name(&unnamed, &path)
    }

    /// The first group that is kept follows the last record that was released. Of a log of which nothing was released
    /// there is nothing to check.
    pub(super) fn check(&self, directory: &Path) -> Result<(), StoreFault> {
        if self.is_start() {
            return Ok(());
        }
        let at = self.first();
        let file = std::fs::File::open(path_of(directory, at.segment)).map_err(reading)?;
        let header = header_at(&file, at.offset)?.ok_or(ASTRAY)?;
        let mut buffer = Vec::new();
        let frame = read_frame(&file, at.offset, header, &mut buffer)?;
        self.check_first(header, &Frame::read(header, frame)?)
    }

    fn check_first(&self, header: Header, frame: &Frame<'_>) -> Result<(), StoreFault> {
        let position = self.base.position;
        if header.number != self.first_group || header.first_sequence != position.sequence + 1 {
            return Err(ASTRAY);
        }
        let Some(item) = frame.items.first() else {
            let state: ShardState = unpack("state", frame.state)?;
            let follows = (state.sequence, state.head) == (position.sequence, position.head);
            return if follows { Ok(()) } else { Err(ASTRAY) };
        };
        let record = JournalRecord::decode(item.record).map_err(StoreFault::content("journal record"))?;
        position.follow(&record, item.record).map(drop).map_err(|_| ASTRAY)
    }
}

/// Whether a log was ever begun in a directory: a store that lost its first segment is not an empty one.
pub(super) fn is_begun(directory: &Path) -> bool {
    match std::fs::read_dir(directory) {
        // where it cannot be listed, it cannot be read either, which says so
        Err(fault) => fault.kind() != io::ErrorKind::NotFound,
        Ok(mut entries) => entries.any(|entry| entry.map_or(true, |entry| is_of_log(&entry.file_name()))),
    }
}

fn is_of_log(name: &std::ffi::OsStr) -> bool {
    let is_numbered = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    let of = |prefix| {
        name.to_str()
            .and_then(|name| name.strip_prefix(prefix))
            .is_some_and(is_numbered)
    };
    name == NAME || of("log-") || of("snapshot-")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of one of every field, byte by byte.
    const GOLDEN: [&str; 8] = [
        "4c424153000000010204",
        "0000000000001267",
        "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5",
        "000000070000000000001000",
        "0000000069a4ef20",
        "066c692e776569",
        "086172636869766564",
        "2805eb64903c2cf9",
    ];

    /// The form is kept for ever: a base that was written is read by every later program.
    #[test]
    fn a_base_is_written_as_it_ever_was() {
        let shards = ledger_model::ShardCount::new(4).unwrap();
        let shard = shards.shard(2).unwrap();
        let position = ChainPosition {
            shard,
            sequence: 4_711,
            head: ChainHash([0xA5; 32]),
        };
        let by = ReleasedBy {
            operator: "li.wei".parse().unwrap(),
            reason: "archived".parse().unwrap(),
            at: "2026-03-02T10:00:00".parse().unwrap(),
        };
        let base = LogBase {
            base: Arc::new(Base { position, by: Some(by) }),
            first_segment: 7,
            first_group: 4_096,
        };
        let owner = Owner { shard, shards };
        let golden = GOLDEN.concat();
        assert_eq!(hex::encode(base.packed(owner).unwrap()), golden);
        assert_eq!(LogBase::parse(&hex::decode(golden).unwrap(), owner).unwrap(), base);
    }
}
