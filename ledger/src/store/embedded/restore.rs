//! Bringing a snapshot back in: once over it for its sum, then slice by slice. It is as large as the books, and those of
//! all shards are brought in at once, so none is ever in memory whole.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;

use ledger_model::Unpacker;
use xxhash_rust::xxh3::Xxh3;

use super::base::LogBase;
use super::index::{Index, Piece};
use super::log::Written;
use super::segment::{FORMAT, Owner, is_readable};
use super::snapshot::{
    ACCOUNTS, AGREEMENTS, END, FURTHER_KEYS, HOPS, INTERNAL, KEYS, LIMITS, MAGIC, REFUNDED, USAGES, list, path_of,
};
use super::table::Table;
use super::tables::Tables;
use crate::store::StoreFault;

/// Read at a time.
const BLOCK_BYTES: usize = 1 << 20;
const SUM_BYTES: u64 = 8;
/// Before the slices.
const HEADER_BYTES: usize = 26;
/// Of a slice, after its kind and before its rows.
const SLICE_HEADER_BYTES: usize = 14;

/// What a snapshot says of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loaded {
    pub(super) first: u64,
    pub(super) start: Written,
    pub(super) last_seen: u64,
}

/// Brings in the newest snapshot that is whole and of the log that is there; `None` where there is none.
pub(super) fn load(
    directory: &Path,
    owner: Owner,
    base: &LogBase,
) -> Result<Option<(Loaded, Tables, Index)>, StoreFault> {
    let reading = StoreFault::engine("read a snapshot");
    for first in list(directory).map_err(&reading)? {
        let file = File::open(path_of(directory, first)).map_err(&reading)?;
        let (mut tables, index) = (Tables::new(), Index::default());
        let parsed = if is_whole(&file).map_err(&reading)? {
            parse(&mut Input::over(&file).map_err(&reading)?, owner, &mut tables, &index)
        } else {
            None
        };
        match parsed {
            Some(Ok(loaded)) if loaded.first == first && loaded.start.segment >= base.first_segment => {
                return Ok(Some((loaded, tables, index)));
            }
            Some(Err(fault)) => return Err(fault),
            _ => {
                tracing::warn!(shard = %owner.shard, first, "a snapshot is damaged; an older one or the log alone serves");
            }
        }
    }
    Ok(None)
}

/// Where the log goes on after each snapshot that is whole, the newest first.
pub(super) fn whole(directory: &Path, owner: Owner) -> Result<Vec<Whole>, StoreFault> {
    let reading = StoreFault::engine("read a snapshot");
    let mut found = Vec::new();
    for first in list(directory).map_err(&reading)? {
        let file = match File::open(path_of(directory, first)) {
            Ok(file) => file,
            // a newer one has taken its place meanwhile
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => continue,
            Err(fault) => return Err(reading(fault)),
        };
        if is_whole(&file).map_err(&reading)? {
            let mut input = Input::over(&file).map_err(&reading)?;
            let starts = begins(&mut input, owner).and_then(Result::ok);
            let last_seen = last_seen(&file).map_err(&reading)?;
            found.extend(
                starts
                    .filter(|starts| starts.first == first)
                    .map(|starts| Whole { starts, last_seen }),
            );
        }
    }
    Ok(found)
}

/// A snapshot that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) starts: Starts,
    /// Number of the last group that is in it, in parts.
    pub(super) last_seen: u64,
}

/// Of a snapshot that is whole: the last but one of its numbers.
fn last_seen(file: &File) -> io::Result<u64> {
    let mut number = [0; 8];
    let at = file.metadata()?.len().checked_sub(2 * SUM_BYTES);
    file.read_exact_at(&mut number, at.ok_or(io::ErrorKind::UnexpectedEof)?)?;
    Ok(u64::from_be_bytes(number))
}

fn is_whole(mut file: &File) -> io::Result<bool> {
    let Some(mut left) = file.metadata()?.len().checked_sub(SUM_BYTES) else {
        return Ok(false);
    };
    let mut sum = Xxh3::new();
    let mut block = vec![0; BLOCK_BYTES];
    while left > 0 {
        let length = usize::try_from(left).map_or(BLOCK_BYTES, |left| left.min(BLOCK_BYTES));
        let part = block.get_mut(..length).expect("no longer than a block");
        file.read_exact(part)?;
        sum.update(part);
        left -= u64::try_from(length).map_err(io::Error::other)?;
    }
    let mut told = [0; 8];
    file.read_exact(&mut told)?;
    Ok(sum.digest().to_be_bytes() == told)
}

/// A file, part by part.
struct Input<'a> {
    file: BufReader<&'a File>,
    part: Vec<u8>,
}

impl<'a> Input<'a> {
    fn over(mut file: &'a File) -> io::Result<Self> {
        file.rewind()?;
        Ok(Self {
            file: BufReader::with_capacity(BLOCK_BYTES, file),
            part: Vec::new(),
        })
    }

    /// The next so many bytes; `None` where they cannot be read.
    fn bytes(&mut self, count: usize) -> Option<&[u8]> {
        self.part.resize(count, 0);
        self.file.read_exact(&mut self.part).ok()?;
        Some(&self.part)
    }
}

/// The first group to replay, and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Starts {
    pub(super) first: u64,
    pub(super) at: Written,
}

fn begins(input: &mut Input<'_>, owner: Owner) -> Option<Result<Starts, StoreFault>> {
    let mut header = Unpacker::new(input.bytes(HEADER_BYTES)?.strip_prefix(&MAGIC)?);
    let found: u32 = header.take().ok()?;
    if !is_readable(found) {
        return Some(Err(StoreFault::Format { found, known: FORMAT }));
    }
    if header.bytes(2).ok()? != [owner.shard.number(), owner.shards.count()] {
        return Some(Err(StoreFault::Inconsistent("a snapshot is of another shard")));
    }
    let first = header.take().ok()?;
    let at = Written {
        segment: header.take().ok()?,
        offset: header.take().ok()?,
    };
    Some(Ok(Starts { first, at }))
}

/// `input` is whole; `None` where it still does not read.
fn parse(
    input: &mut Input<'_>,
    owner: Owner,
    tables: &mut Tables,
    index: &Index,
) -> Option<Result<Loaded, StoreFault>> {
    let Starts { first, at: start } = match begins(input, owner)? {
        Ok(starts) => starts,
        Err(fault) => return Some(Err(fault)),
    };
    while let Some(next) = take_slice(input) {
        match next {
            Taken::End(last_seen) => {
                return Some(Ok(Loaded {
                    first,
                    start,
                    last_seen,
                }));
            }
            Taken::Slice(slice) => slice.restore(tables, index)?,
        }
    }
    None
}

struct TakenSlice<'a> {
    kind: u8,
    day: u32,
    piece: usize,
    rows: Vec<&'a [u8]>,
}

enum Taken<'a> {
    Slice(TakenSlice<'a>),
    End(u64),
}

fn take_slice<'a>(input: &'a mut Input<'_>) -> Option<Taken<'a>> {
    let kind = *input.bytes(1)?.first()?;
    if kind == END {
        return Unpacker::new(input.bytes(8)?).take().ok().map(Taken::End);
    }
    let mut header = Unpacker::new(input.bytes(SLICE_HEADER_BYTES)?);
    let day = header.take().ok()?;
    let piece = usize::try_from(header.take::<u32>().ok()?).ok()?;
    let width = usize::from(header.take::<u16>().ok()?);
    let count = usize::try_from(header.take::<u32>().ok()?).ok()?;
    let rows = input.bytes(width.checked_mul(count)?)?;
    let rows = if width == 0 {
        Vec::new()
    } else {
        rows.chunks_exact(width).collect()
    };
    Some(Taken::Slice(TakenSlice { kind, day, piece, rows }))
}

impl TakenSlice<'_> {
    fn restore(&self, tables: &mut Tables, index: &Index) -> Option<()> {
        fn put<const N: usize>(table: &mut Table<N>, rows: &[&[u8]]) -> Option<()> {
            rows.iter().try_for_each(|row| table.put(row)).ok()
        }
        let piece = match self.kind {
            ACCOUNTS => return put(&mut tables.accounts, &self.rows),
            AGREEMENTS => return put(&mut tables.agreements, &self.rows),
            USAGES => return put(tables.usages(self.day), &self.rows),
            INTERNAL => return put(&mut tables.internal, &self.rows),
            LIMITS => return put(&mut tables.limits, &self.rows),
            HOPS => return put(&mut tables.hops, &self.rows),
            KEYS => Piece::Part(self.piece),
            FURTHER_KEYS => Piece::Further,
            REFUNDED => Piece::Refunded,
            _ => return None,
        };
        let mut pairs = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let mut input = Unpacker::new(row);
            pairs.push((input.take().ok()?, input.take().ok()?));
        }
        index.restore(self.day, piece, &pairs);
        Some(())
    }
}
