//! Bringing a snapshot back in.

use std::path::Path;

use ledger_model::Unpacker;
use xxhash_rust::xxh3::xxh3_64;

use super::index::{Index, Piece};
use super::log::Written;
use super::segment::{FORMAT, Owner, is_readable};
use super::snapshot::{
    ACCOUNTS, AGREEMENTS, END, FURTHER_KEYS, HOPS, INTERNAL, KEYS, LIMITS, MAGIC, REFUNDED, USAGES, list, path_of,
};
use super::table::Table;
use super::tables::Tables;
use crate::store::StoreFault;

/// What a snapshot says of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loaded {
    pub(super) first: u64,
    pub(super) start: Written,
    pub(super) last_seen: u64,
}

/// Brings in the newest snapshot that is whole; `None` where there is none.
pub(super) fn load(directory: &Path, owner: Owner) -> Result<Option<(Loaded, Tables, Index)>, StoreFault> {
    let reading = StoreFault::engine("read a snapshot");
    for first in list(directory).map_err(&reading)? {
        let bytes = std::fs::read(path_of(directory, first)).map_err(&reading)?;
        let (mut tables, index) = (Tables::new(), Index::default());
        match parse(&bytes, owner, &mut tables, &index) {
            Some(Ok(loaded)) if loaded.first == first => return Ok(Some((loaded, tables, index))),
            Some(Err(fault)) => return Err(fault),
            _ => {
                tracing::warn!(shard = %owner.shard, first, "a snapshot is damaged; an older one or the log alone serves");
            }
        }
    }
    Ok(None)
}

fn parse(bytes: &[u8], owner: Owner, tables: &mut Tables, index: &Index) -> Option<Result<Loaded, StoreFault>> {
    let (summed, sum) = bytes.split_at_checked(bytes.len().checked_sub(8)?)?;
    if xxh3_64(summed).to_be_bytes() != sum {
        return None;
    }
    let mut input = Unpacker::new(summed.strip_prefix(&MAGIC)?);
    let found: u32 = input.take().ok()?;
    if !is_readable(found) {
        return Some(Err(StoreFault::Format { found, known: FORMAT }));
    }
    if input.bytes(2).ok()? != [owner.shard.number(), owner.shards.count()] {
        return Some(Err(StoreFault::Inconsistent("a snapshot is of another shard")));
    }
    let first: u64 = input.take().ok()?;
    let start = Written {
        segment: input.take().ok()?,
        offset: input.take().ok()?,
    };
    while let Some(next) = take_slice(&mut input) {
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

fn take_slice<'a>(input: &mut Unpacker<'a>) -> Option<Taken<'a>> {
    let kind: u8 = input.take().ok()?;
    if kind == END {
        return input.take().ok().map(Taken::End);
    }
    let day = input.take().ok()?;
    let piece = usize::try_from(input.take::<u32>().ok()?).ok()?;
    let width = usize::from(input.take::<u16>().ok()?);
    let count = usize::try_from(input.take::<u32>().ok()?).ok()?;
    let rows = input.bytes(width.checked_mul(count)?).ok()?;
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
