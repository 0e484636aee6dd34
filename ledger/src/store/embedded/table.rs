//! Rows of one kind in memory: packed, in slots of one size, found by the key they begin with.
//!
//! ```text
//!   places: hash of key ──▶ number of the row        chunks: 1024 rows each, never moved
//! ```
//!
//! The places are in 64 maps, since a map that grows looks at every row it has, and must not hold up a commit.
//!
//! A row keeps its number for as long as it is there, so whoever copies the table chunk by chunk while it changes sees
//! every row that was there when the copying began and stayed. The slot of one that was taken out is zeros, which no row is,
//! until another has it.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64;

const PARTS: usize = 64;
/// Rows that are copied in one piece.
const CHUNK_ROWS: usize = 1024;

pub(super) struct Table<const N: usize> {
    places: Vec<HashTable<u32>>,
    rows: usize,
    chunks: Vec<Vec<[u8; N]>>,
    /// Numbers of rows that were taken out.
    free: Vec<u32>,
    /// How many bytes of a row are its key. No key is the beginning of another.
    key_length: fn(&[u8]) -> usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TableFault {
    #[error("a row is longer than its slot")]
    TooLong,
    #[error("a row is shorter than its key")]
    TooShort,
    #[error("a table has no room for more rows")]
    Full,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(key_length: fn(&[u8]) -> usize) -> Self {
        Self {
            places: (0..PARTS).map(|_| HashTable::new()).collect(),
            rows: 0,
            chunks: Vec::new(),
            free: Vec::new(),
            key_length,
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.rows - self.free.len()
    }

    /// The row in its slot, zeros after it.
    pub(super) fn find(&self, key: &[u8]) -> Option<&[u8; N]> {
        let hash = xxh3_64(key);
        let part = self.places.get(part_of(hash))?;
        let place = part.find(hash, |place| at(&self.chunks, *place).starts_with(key))?;
        Some(at(&self.chunks, *place))
    }

    /// Puts a row in, in place of the one with its key if there is one.
    pub(super) fn put(&mut self, row: &[u8]) -> Result<(), TableFault> {
        let key = row.get(..(self.key_length)(row)).ok_or(TableFault::TooShort)?;
        let mut slot = [0; N];
        slot.get_mut(..row.len())
            .ok_or(TableFault::TooLong)?
            .copy_from_slice(row);
        let Self {
            places,
            rows,
            chunks,
            free,
            key_length,
        } = self;
        let hash = xxh3_64(key);
        let part = places.get_mut(part_of(hash)).expect("a remainder is within the parts");
        let entry = part.entry(
            hash,
            |place| at(chunks, *place).starts_with(key),
            |place| hash_of(at(chunks, *place), *key_length),
        );
        match entry {
            Entry::Occupied(held) => {
                let place = *held.get();
                *at_mut(chunks, place) = slot;
            }
            Entry::Vacant(vacant) => {
                if let Some(place) = free.pop() {
                    vacant.insert(place);
                    *at_mut(chunks, place) = slot;
                    return Ok(());
                }
                vacant.insert(u32::try_from(*rows).map_err(|_| TableFault::Full)?);
                if *rows % CHUNK_ROWS == 0 {
                    chunks.push(Vec::with_capacity(CHUNK_ROWS));
                }
                chunks
                    .last_mut()
                    .expect("a chunk was made for the first of its rows")
                    .push(slot);
                *rows += 1;
            }
        }
        Ok(())
    }

    /// Takes the row with this key out, if there is one.
    pub(super) fn remove(&mut self, key: &[u8]) {
        let hash = xxh3_64(key);
        let Self {
            places, chunks, free, ..
        } = self;
        let part = places.get_mut(part_of(hash)).expect("a remainder is within the parts");
        if let Ok(held) = part.find_entry(hash, |place| at(chunks, *place).starts_with(key)) {
            let (place, _) = held.remove();
            *at_mut(chunks, place) = [0; N];
            free.push(place);
        }
    }

    /// Chunks there are now, the last perhaps not full.
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// The rows of one chunk in their slots; none past the end.
    pub(super) fn chunk(&self, number: usize) -> impl Iterator<Item = &[u8; N]> + Clone {
        let slots = self.chunks.get(number).map_or(&[][..], Vec::as_slice);
        slots.iter().filter(|slot| is_taken(slot.as_slice()))
    }

    /// Every row in its slot, in no order.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[u8; N]> {
        self.chunks.iter().flatten().filter(|slot| is_taken(slot.as_slice()))
    }
}

fn is_taken(slot: &[u8]) -> bool {
    slot.iter().any(|byte| *byte != 0)
}

/// By bits that the maps themselves use little.
fn part_of(hash: u64) -> usize {
    usize::try_from(hash >> 32).expect("a machine word has 64 bits") % PARTS
}

fn hash_of(slot: &[u8], key_length: fn(&[u8]) -> usize) -> u64 {
    xxh3_64(slot.get(..key_length(slot)).expect("a row that was put in has its key"))
}

const HELD: &str = "a place names a row that was put in";

fn split(place: u32) -> (usize, usize) {
    let place = usize::try_from(place).expect("a row number fits a machine word");
    (place / CHUNK_ROWS, place % CHUNK_ROWS)
}

fn at<const N: usize>(chunks: &[Vec<[u8; N]>], place: u32) -> &[u8; N] {
    let (chunk, row) = split(place);
    chunks.get(chunk).and_then(|chunk| chunk.get(row)).expect(HELD)
}

fn at_mut<const N: usize>(chunks: &mut [Vec<[u8; N]>], place: u32) -> &mut [u8; N] {
    let (chunk, row) = split(place);
    chunks.get_mut(chunk).and_then(|chunk| chunk.get_mut(row)).expect(HELD)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn holds_the_last_row_of_each_key(rows in prop::collection::vec((0_u16..3000, 1..=u32::MAX, 0_u8..4), 0..6000)) {
            let mut table = Table::<8>::new(|_| 2);
            let mut expected = BTreeMap::new();
            for (key, value, act) in rows {
                let row = [&key.to_be_bytes()[..], &value.to_be_bytes()].concat();
                if act == 0 {
                    table.remove(&key.to_be_bytes());
                    expected.remove(&key);
                } else {
                    table.put(&row).unwrap();
                    expected.insert(key, row);
                }
            }
            prop_assert_eq!(table.len(), expected.len());
            for (key, row) in &expected {
                prop_assert_eq!(&table.find(&key.to_be_bytes()).unwrap()[..6], row.as_slice());
            }
            prop_assert!(table.find(&3000_u16.to_be_bytes()).is_none());
            let copied: usize = (0..table.chunks()).map(|chunk| table.chunk(chunk).count()).sum();
            prop_assert_eq!(copied, expected.len());
            prop_assert_eq!(table.rows().count(), expected.len());
        }
    }

    #[test]
    fn a_row_that_does_not_fit_is_refused() {
        let mut table = Table::<4>::new(|_| 2);
        assert_eq!(table.put(&[1, 2, 3, 4, 5]), Err(TableFault::TooLong));
        assert_eq!(table.put(&[1]), Err(TableFault::TooShort));
        assert_eq!(table.len(), 0);
    }
}
