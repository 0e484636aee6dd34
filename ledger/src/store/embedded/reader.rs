//! What any thread may read of a shard: what is committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ledger_model::TransferKey;

use super::frame::{Frame, Item, KeyDigest};
use super::index::Index;
use super::location::Location;
use super::segment::{Segments, read_item, records};
use crate::books::Remembered;
use crate::store::row::{StoredRecord, remembered};
use crate::store::{Kept, Reader, StoreFault};

/// Of one shard, between its thread and its readers.
#[derive(Debug)]
pub(super) struct Shared {
    /// Number of the last record that is durable.
    pub(super) committed: AtomicU64,
    pub(super) index: Index,
    pub(super) segments: Arc<Segments>,
}

pub(super) struct EmbeddedReader(pub(super) Arc<Shared>);

impl Shared {
    /// What is held under a key, and where its item lies: the last that a committed record says of it, where a hop has taken
    /// the place of a refusal.
    pub(super) fn find(
        &self,
        key: &TransferKey,
        digest: KeyDigest,
    ) -> Result<Option<(Location, Remembered)>, StoreFault> {
        let committed = self.committed();
        let mut last: Option<(Location, Remembered)> = None;
        for location in self.index.candidates(digest) {
            let bytes = self.segments.item(location)?;
            let Item { record, said, .. } = read_item(&bytes, location)?;
            let stored = StoredRecord { record, said };
            let refunded_minor = self.index.refunded(digest.day, location);
            let found = remembered(key, stored, refunded_minor)?;
            let before = last.as_ref().map(|(_, last)| last.sequence);
            if let Some(found) = found.filter(|found| found.sequence <= committed && before < Some(found.sequence)) {
                last = Some((location, found));
            }
        }
        Ok(last)
    }

    /// Those of `keys` under which something is held.
    pub(super) fn find_all(&self, keys: &[TransferKey]) -> Result<Vec<Remembered>, StoreFault> {
        let digests: Vec<KeyDigest> = keys.iter().map(KeyDigest::of).collect();
        let held = self.index.held(&digests).into_iter();
        let found = held.filter_map(|place| {
            let found = self.find(keys.get(place)?, *digests.get(place)?);
            found.map(|found| found.map(|(_, remembered)| remembered)).transpose()
        });
        found.collect()
    }

    /// Where the item of a transfer lies that is known to be held.
    pub(super) fn locate(&self, key: &TransferKey, digest: KeyDigest) -> Result<Option<Location>, StoreFault> {
        let mut candidates = self.index.candidates(digest);
        match (candidates.next(), candidates.next()) {
            (only, None) => Ok(only),
            (_, Some(_)) => Ok(self.find(key, digest)?.map(|(location, _)| location)),
        }
    }

    fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }
}

impl Reader for EmbeddedReader {
    fn committed(&self) -> Result<u64, StoreFault> {
        Ok(self.0.committed())
    }

    fn transfer(&self, key: &TransferKey) -> Result<Option<Remembered>, StoreFault> {
        let found = self.0.find(key, KeyDigest::of(key))?;
        Ok(found.map(|(_, remembered)| remembered))
    }

    fn transfers(&self, keys: &[TransferKey]) -> Result<Vec<Remembered>, StoreFault> {
        self.0.find_all(keys)
    }

    fn journal(&self, from: u64, bytes_max: usize) -> Result<Vec<Vec<u8>>, StoreFault> {
        let committed = self.0.committed();
        let (mut next, mut bytes) = (from, 0_usize);
        let mut found: Vec<Vec<u8>> = Vec::new();
        let mut buffer = Vec::new();
        while next <= committed && (found.is_empty() || bytes < bytes_max) {
            let (header, frame) = self.0.segments.frame_of(next, &mut buffer)?;
            let frame = Frame::read(header, frame)?;
            for record in records(&frame, next, committed) {
                if !found.is_empty() && bytes >= bytes_max {
                    break;
                }
                bytes = bytes.saturating_add(record.len());
                found.push(record.to_vec());
                next += 1;
            }
        }
        Ok(found)
    }

    fn kept(&self, from: u64, bytes_max: usize) -> Result<Vec<Kept>, StoreFault> {
        let committed = self.0.committed();
        let (mut next, mut bytes) = (from, 0_usize);
        let mut found: Vec<Kept> = Vec::new();
        let mut buffer = Vec::new();
        while next <= committed && (found.is_empty() || bytes < bytes_max) {
            let (header, frame) = self.0.segments.frame_of(next, &mut buffer)?;
            let frame = Frame::read(header, frame)?;
            let mut evidence = frame.evidence()?.into_iter().peekable();
            for record in records(&frame, next, committed) {
                if !found.is_empty() && bytes >= bytes_max {
                    break;
                }
                while evidence.next_if(|(number, _)| *number < next).is_some() {}
                let of_it = evidence.next_if(|(number, _)| *number == next);
                let kept = Kept {
                    record: record.to_vec(),
                    evidence: of_it.map(|(_, sealed)| sealed),
                };
                bytes = bytes.saturating_add(kept.bytes());
                found.push(kept);
                next += 1;
            }
        }
        Ok(found)
    }

    fn evidence(&self, sequence: u64) -> Result<Option<Vec<u8>>, StoreFault> {
        if sequence == 0 || sequence > self.0.committed() {
            return Ok(None);
        }
        let mut buffer = Vec::new();
        let (header, frame) = self.0.segments.frame_of(sequence, &mut buffer)?;
        let all = Frame::read(header, frame)?.evidence()?;
        let found = all.into_iter().find(|(number, _)| *number == sequence);
        Ok(found.map(|(_, sealed)| sealed))
    }
}
