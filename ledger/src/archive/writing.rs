//! Archiving: what is closed and not archived yet is read from the ledger, or from stores at rest, and written.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use ledger_journal::{ChainPosition, JournalRecord};
use ledger_model::{BusinessDate, ShardId};
use ledger_protocol::KeptRecord;

use super::manifest::{Manifest, PartFacts};
use super::part::{PartWriter, closes, name_from, read_part};
use super::{Archive, ArchiveFault, at, sync_directory};
use crate::reading::journal::{Journals, ReadingFault, Wants};

/// An archive that this process alone writes.
#[derive(Debug)]
pub struct Archiving<'a> {
    journals: &'a Journals,
    archive: Archive,
    through: BusinessDate,
    part_bytes_max: u64,
    _lock: File,
}

/// What an archiving added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    pub through: BusinessDate,
    pub records: u64,
    pub files: u64,
    /// Of those files.
    pub bytes: u64,
    /// Of those files, those that an interrupted archiving had left.
    pub taken_up: u64,
}

impl<'a> Archiving<'a> {
    /// Makes the directory where it is missing. Refuses a date that is not closed; without one, archives through the last
    /// that is closed in every shard. `part_bytes_max`: how much goes into one file, before compression.
    pub fn begin(
        journals: &'a Journals,
        directory: &Path,
        through: Option<BusinessDate>,
        part_bytes_max: u64,
    ) -> Result<Self, ArchiveFault> {
        let shards = journals.count().all();
        let closed = shards.map(|shard| (journals.position(shard).closed_through, shard));
        let (least, shard) = closed.min().expect("a ledger has shards");
        let through = match (through, least) {
            (Some(date), least) if least < Some(date) => return Err(ArchiveFault::NotClosed { date, shard }),
            (Some(date), _) | (None, Some(date)) => date,
            (None, None) => return Err(ArchiveFault::NothingClosed),
        };
        std::fs::create_dir_all(directory).map_err(at(directory))?;
        let path = directory.join("lock");
        let lock = File::create(&path).map_err(at(&path))?;
        lock.try_lock().map_err(|fault| match fault {
            TryLockError::WouldBlock => ArchiveFault::Taken,
            TryLockError::Error(fault) => at(&path)(fault),
        })?;
        let archive = Archive::open_for(directory, journals.count())?;
        for shard in journals.count().all() {
            let (reached, through) = (archive.position(shard).sequence, journals.base(shard).sequence);
            if reached < through {
                return Err(ArchiveFault::Released {
                    shard,
                    reached,
                    through,
                });
            }
        }
        Ok(Self {
            journals,
            archive,
            through,
            part_bytes_max,
            _lock: lock,
        })
    }

    /// Records to be gone through, at the most.
    pub fn records_max(&self) -> u64 {
        let left = |shard: ShardId| {
            let head = self.journals.position(shard).sequence;
            head.saturating_sub(self.archive.position(shard).sequence)
        };
        self.journals.count().all().map(left).sum()
    }

    /// `None` where all of it is archived already. `progress` is told of every record, `whole` of every file.
    pub async fn run(self, progress: impl Fn(), whole: impl Fn(&PartFacts)) -> Result<Option<Archived>, ReadingFault> {
        if self.archive.through() >= Some(self.through) {
            return Ok(None);
        }
        let mut archived = Archived {
            through: self.through,
            records: 0,
            files: 0,
            bytes: 0,
            taken_up: 0,
        };
        let mut parts = BTreeMap::new();
        for shard in self.journals.count().all() {
            let (taken_up, position, is_done) = self.taken_up(shard)?;
            archived.taken_up += u64::try_from(taken_up.len()).unwrap_or(u64::MAX);
            let mut of_shard = taken_up;
            if !is_done {
                self.write(shard, position, &progress, |facts| {
                    whole(&facts);
                    of_shard.push(facts);
                })
                .await?;
            }
            for part in &of_shard {
                archived.records += part.last - part.first + 1;
                archived.files += 1;
                archived.bytes += part.bytes;
            }
            parts.insert(shard.number(), of_shard);
        }
        let manifest = Manifest::new(self.through, parts, self.journals.count());
        manifest.write(&self.archive.directory, &self.unfinished())?;
        Ok(Some(archived))
    }

    fn unfinished(&self) -> PathBuf {
        self.archive.directory.join("unfinished")
    }

    /// Files of one shard that an interrupted archiving has left, where the archive comes with them, and whether that is
    /// far enough.
    fn taken_up(&self, shard: ShardId) -> Result<(Vec<PartFacts>, ChainPosition, bool), ReadingFault> {
        let directory = &self.archive.directory;
        let mut position = self.archive.position(shard);
        let closed = self.archive.parts(shard).filter_map(|part| part.closes).max();
        let mut is_done = closed >= Some(self.through);
        let mut taken_up = Vec::new();
        while !is_done {
            let Some(name) = name_from(directory, shard, position.sequence + 1)? else {
                break;
            };
            let part = super::Part {
                path: directory.join(&name),
                shard,
                shards: self.journals.count(),
            };
            let facts = read_part::<ArchiveFault>(&part, |_, _| Ok(Wants::More))?;
            let facts = facts.filter(|facts| facts.name == name && facts.previous == position.head);
            let facts = facts.ok_or(ArchiveFault::Differs(part.path))?;
            position.sequence = facts.last;
            position.head = facts.head;
            is_done = facts.closes >= Some(self.through);
            taken_up.push(facts);
        }
        Ok((taken_up, position, is_done))
    }

    /// Writes the records after `position` up to the one that closes the date.
    async fn write(
        &self,
        shard: ShardId,
        mut position: ChainPosition,
        progress: impl Fn(),
        mut whole: impl FnMut(PartFacts),
    ) -> Result<(), ReadingFault> {
        let directory = &self.archive.directory;
        let mut writer: Option<PartWriter> = None;
        let mut is_done = false;
        let wanted = position.sequence + 1..=self.journals.position(shard).sequence;
        let take = |record: &JournalRecord, kept: &KeptRecord| {
            progress();
            let mut part = match writer.take() {
                Some(part) => part,
                None => PartWriter::begin(&self.unfinished(), self.journals.count(), position)?,
            };
            part.add(record, kept)?;
            let closes = closes(&record.event);
            is_done = closes >= Some(self.through);
            if closes.is_none() && part.plain_bytes < self.part_bytes_max {
                writer = Some(part);
            } else {
                let (facts, reached) = part.finish(directory)?;
                position = reached;
                whole(facts);
            }
            Ok(if is_done { Wants::NoMore } else { Wants::More })
        };
        self.journals.kept(shard, wanted, take).await?;
        if is_done {
            return Ok(());
        }
        // the date is closed, but not after what is archived
        Err(super::ArchiveFault::OtherLedger(shard).into())
    }
}

impl Drop for Archiving<'_> {
    fn drop(&mut self) {
        let _nothing_was_left = std::fs::remove_file(self.unfinished());
        let _told_at_the_next = sync_directory(&self.archive.directory);
    }
}
