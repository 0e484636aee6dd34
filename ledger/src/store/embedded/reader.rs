//! What any thread may read of a shard: what is committed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ledger_journal::ChainPosition;
use ledger_model::TransferKey;

use super::base::LogBase;
use super::disk::Disk;
use super::frame::{Frame, Item, KeyDigest};
use super::index::Index;
use super::location::Location;
use super::segment::{Owner, Segments, read_item, records};
use crate::books::Remembered;
use crate::store::release::{Base, ReleaseFault, Surveyed};
use crate::store::row::{StoredRecord, remembered};
use crate::store::{Kept, Reader, StoreFault};

/// Of one shard, between its thread and its readers.
pub(super) struct Shared {
    /// Number of the last record that is durable.
    pub(super) committed: AtomicU64,
    pub(super) index: Index,
    pub(super) segments: Arc<Segments>,
    /// Where the log begins, durably.
    pub(super) base: RwLock<LogBase>,
    pub(super) place: Place,
}

/// Where the files are, and how they are kept.
pub(super) struct Place {
    pub(super) directory: PathBuf,
    pub(super) owner: Owner,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) kept_days: u32,
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

    pub(super) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    pub(super) fn log_base(&self) -> LogBase {
        self.base.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn base(&self) -> Arc<Base> {
        self.log_base().base
    }

    /// What is read from record `from` on. It may be released while it is read: then that is what is said.
    fn unreleased<T>(&self, from: u64, read: impl FnOnce() -> Result<T, StoreFault>) -> Result<T, StoreFault> {
        self.base().check(from)?;
        read().map_err(|fault| self.base().check(from).err().unwrap_or(fault))
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

    fn base(&self) -> Result<Arc<Base>, StoreFault> {
        Ok(self.0.base())
    }

    fn survey(&self, through: ChainPosition) -> Result<Surveyed, ReleaseFault> {
        self.0.survey(self, through)
    }

    fn clear(&self) -> Result<(), StoreFault> {
        self.0.clear()
    }

    fn journal(&self, from: u64, bytes_max: usize) -> Result<Vec<Vec<u8>>, StoreFault> {
        self.0.unreleased(from, || self.read_journal(from, bytes_max))
    }

    fn kept(&self, from: u64, bytes_max: usize) -> Result<Vec<Kept>, StoreFault> {
        self.0.unreleased(from, || self.read_kept(from, bytes_max))
    }

    fn evidence(&self, sequence: u64) -> Result<Option<Vec<u8>>, StoreFault> {
        if sequence == 0 || sequence > self.0.committed() {
            return Ok(None);
        }
        self.0.unreleased(sequence, || self.read_evidence(sequence))
    }
}

impl EmbeddedReader {
    fn read_journal(&self, from: u64, bytes_max: usize) -> Result<Vec<Vec<u8>>, StoreFault> {
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

    fn read_kept(&self, from: u64, bytes_max: usize) -> Result<Vec<Kept>, StoreFault> {
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

    fn read_evidence(&self, sequence: u64) -> Result<Option<Vec<u8>>, StoreFault> {
        let mut buffer = Vec::new();
        let (header, frame) = self.0.segments.frame_of(sequence, &mut buffer)?;
        let all = Frame::read(header, frame)?.evidence()?;
        let found = all.into_iter().find(|(number, _)| *number == sequence);
        Ok(found.map(|(_, sealed)| sealed))
    }
}
