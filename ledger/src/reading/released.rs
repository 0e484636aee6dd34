//! Records that were released from the stores, read from their archive as if they were still there.
//!
//! The chain is followed through the archive, and the record at which a journal begins must be the one the store names: an
//! archive of something else is found.

use std::ops::RangeInclusive;
use std::path::Path;

use ledger_journal::{ChainHash, ChainPosition, JournalRecord};
use ledger_model::ShardId;

use super::journal::{Journals, ReadingFault, Wants};
use crate::archive::{Archive, ArchiveFault};

impl Journals {
    /// With the archive of what was released. Refuses one that does not come to where a journal begins, or is of another
    /// ledger.
    pub fn with_archive(mut self, directory: Option<&Path>) -> Result<Self, ReadingFault> {
        let Some(directory) = directory else {
            return Ok(self);
        };
        let archive = Archive::open(directory)?;
        let (found, asked) = (archive.shards().count(), self.count().count());
        if found != asked {
            return Err(ArchiveFault::Shards { found, asked }.into());
        }
        for shard in self.count().all() {
            check_seam(&archive, self.base(shard))?;
        }
        self.archive = Some(archive);
        Ok(self)
    }

    /// Where a journal begins.
    pub fn base(&self, shard: ShardId) -> ChainPosition {
        match &self.position(shard).base {
            None => ChainPosition::start(shard),
            Some(base) => ChainPosition {
                shard,
                sequence: base.sequence,
                head: ChainHash(base.head),
            },
        }
    }

    /// Whether anything was released.
    pub fn is_released(&self) -> bool {
        self.count().all().any(|shard| self.base(shard).sequence > 0)
    }

    /// Gives `take` these records, all of which were released.
    pub(super) fn read_archived(
        &self,
        shard: ShardId,
        records: RangeInclusive<u64>,
        mut take: impl FnMut(&JournalRecord, &[u8]) -> Result<Wants, ReadingFault>,
    ) -> Result<Wants, ReadingFault> {
        let base = self.base(shard);
        let through = base.sequence;
        let archive = self.archive.as_ref();
        let archive = archive.ok_or(ReadingFault::Released { shard, through })?;
        let (first, last) = records.into_inner();
        let mut wants = Wants::More;
        let mut position: Option<ChainPosition> = None;
        archive.read(shard, first, |record, kept| {
            position = Some(follow(position, record, &kept.record)?);
            if record.sequence < first {
                return Ok(Wants::More);
            }
            if record.sequence > last {
                return Ok(Wants::NoMore);
            }
            if record.sequence == through && ChainHash::of(&kept.record) != base.head {
                return Err(ArchiveFault::OtherLedger(shard).into());
            }
            wants = take(record, &kept.record)?;
            Ok(if record.sequence == last { Wants::NoMore } else { wants })
        })?;
        Ok(wants)
    }
}

/// Files follow from each other too, by what is in them.
fn follow(
    position: Option<ChainPosition>,
    record: &JournalRecord,
    encoded: &[u8],
) -> Result<ChainPosition, ReadingFault> {
    let before = position.unwrap_or(ChainPosition {
        shard: record.shard,
        sequence: record.sequence.saturating_sub(1),
        head: record.previous,
    });
    let followed = before.follow(record, encoded);
    Ok(followed.map_err(|_| ArchiveFault::OtherLedger(record.shard))?)
}

/// The record at which the journal begins is the archive's too.
fn check_seam(archive: &Archive, base: ChainPosition) -> Result<(), ReadingFault> {
    let (shard, through) = (base.shard, base.sequence);
    let reached = archive.position(shard).sequence;
    if reached < through {
        return Err(ReadingFault::ArchiveEnds {
            shard,
            reached,
            through,
        });
    }
    let mut is_same = through == 0;
    if !is_same {
        archive.read(shard, through, |record, kept| {
            if record.sequence < through {
                return Ok(Wants::More);
            }
            is_same = ChainHash::of(&kept.record) == base.head;
            Ok(Wants::NoMore)
        })?;
    }
    if is_same {
        Ok(())
    } else {
        Err(ArchiveFault::OtherLedger(shard).into())
    }
}
