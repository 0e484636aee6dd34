//! Archives of closed business dates: the journal's records with the evidence kept with them, in files that stand for
//! themselves, outside the ledger's stores.
//!
//! ```text
//!   DIRECTORY/shard-00-000000000001-000000052311.archive     records 1 to 52311 of shard 0
//!             shard-00-000000052312-….archive, shard-01-….archive, …
//!             through-2026-03-02.json                        manifest: which files the date added, and what is in them
//!             unfinished, lock                               while one is written
//! ```
//!
//! * What is archived of a date is, in every shard, the journal up to the record that closed the date. A file ends with
//!   the record that closes a date, or where it has become long, so no file reaches over the end of a date.
//! * Every file but the first of its shard begins where another ends, by number and by chain hash; manifests follow from
//!   each other likewise. From the first record on, an archive is the whole journal up to where it has come.
//! * A file has its name only when it is whole and on the disk; a manifest is there only when all its files are. Nothing
//!   that has its name is ever written again. What was interrupted is gone on from: files that no manifest names yet are
//!   read and checked, and taken.
//! * Whatever reads a file checks it: the chain record by record, the evidence by the digest in its record; and where a
//!   manifest is asked, its length and SHA-256.
//!
//! Nothing is taken out of the stores here: they keep what is archived until it is released (`store::release`).

mod manifest;
mod part;
mod writing;

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use ledger_journal::{ChainFault, ChainPosition, DecodeFault, JournalRecord};
use ledger_model::{BusinessDate, ChinaTime, ShardCount, ShardId, TransferKey};
use ledger_protocol::{KeptEvidence, KeptRecord};

use self::manifest::Manifest;
pub use self::manifest::PartFacts;
use self::part::{Part, read_part};
pub use self::writing::{Archived, Archiving};
use crate::reading::evidence::FOLLOWING_MAX;
use crate::reading::exhibit::decided;
use crate::reading::journal::{ReadingFault, Wants};

#[derive(Debug, thiserror::Error)]
pub enum ArchiveFault {
    #[error("{path} cannot be read or written")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("another process writes this archive")]
    Taken,
    #[error("nothing is archived in {0}")]
    Empty(PathBuf),
    #[error("{path} does not read as a manifest")]
    Manifest {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("the manifest of {through} does not follow from those before it: {what}")]
    Order { through: BusinessDate, what: &'static str },
    #[error("{0} is missing")]
    Missing(PathBuf),
    #[error("{path} is damaged: {what}")]
    Damaged { path: PathBuf, what: &'static str },
    #[error("{path} holds a record that does not read")]
    Record {
        path: PathBuf,
        #[source]
        source: DecodeFault,
    },
    #[error("{path} is not a piece of the journal")]
    Chain {
        path: PathBuf,
        #[source]
        source: ChainFault,
    },
    #[error("record {sequence} of shard {shard} is not there with the evidence it has the digest of")]
    Evidence { shard: ShardId, sequence: u64 },
    #[error("{0} is not what its manifest says of it")]
    Differs(PathBuf),
    #[error("shard {0}: the archive is not of this ledger's journal")]
    OtherLedger(ShardId),
    #[error("the archive is of a ledger of {found} shards, not of {asked}")]
    Shards { found: u8, asked: u8 },
    #[error("no business date is closed in every shard; `ledger day close` comes first")]
    NothingClosed,
    #[error("{date} is not closed in shard {shard}; `ledger day close` comes first")]
    NotClosed { date: BusinessDate, shard: ShardId },
    #[error(
        "shard {shard}: the archive ends with record {reached}, and records up to {through} were released from the ledger; \
         go on with the archive that has them"
    )]
    Released { shard: ShardId, reached: u64, through: u64 },
    #[error("nothing is archived through {asked}; the archive begins with {first}")]
    NotYet { asked: BusinessDate, first: BusinessDate },
    #[error("{asked} is not archived; the archive ends with {through}")]
    NotArchived { asked: BusinessDate, through: BusinessDate },
}

impl ArchiveFault {
    /// What is there is not what it should be.
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Manifest { .. }
            | Self::Order { .. }
            | Self::Missing(_)
            | Self::Damaged { .. }
            | Self::Record { .. }
            | Self::Chain { .. }
            | Self::Evidence { .. }
            | Self::Differs(_)
            | Self::OtherLedger(_) => true,
            Self::File { .. }
            | Self::Taken
            | Self::Empty(_)
            | Self::Shards { .. }
            | Self::NothingClosed
            | Self::NotClosed { .. }
            | Self::Released { .. }
            | Self::NotYet { .. }
            | Self::NotArchived { .. } => false,
        }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ArchiveFault {
    let path = path.to_owned();
    move |source| ArchiveFault::File { path, source }
}

/// A place in an archive where a transfer was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub key: TransferKey,
    pub shard: ShardId,
    pub sequence: u64,
}

/// What the manifests in a directory name; the files themselves are read only when they are asked for.
#[derive(Debug, Clone)]
pub struct Archive {
    directory: PathBuf,
    shards: ShardCount,
    manifests: Vec<Manifest>,
}

impl Archive {
    /// Of a directory in which something is archived.
    pub fn open(directory: &Path) -> Result<Self, ArchiveFault> {
        let manifests = manifest::read_all(directory)?;
        let first = manifests
            .first()
            .ok_or_else(|| ArchiveFault::Empty(directory.to_owned()))?;
        let shards = first.shard_count()?;
        Self::over(directory, shards, manifests)
    }

    /// Of a directory in which a ledger of so many shards archives, or is to.
    fn open_for(directory: &Path, shards: ShardCount) -> Result<Self, ArchiveFault> {
        let manifests = manifest::read_all(directory)?;
        Self::over(directory, shards, manifests)
    }

    /// Refuses manifests that do not follow from each other.
    fn over(directory: &Path, shards: ShardCount, manifests: Vec<Manifest>) -> Result<Self, ArchiveFault> {
        let mut archive = Self {
            directory: directory.to_owned(),
            shards,
            manifests: Vec::with_capacity(manifests.len()),
        };
        for manifest in manifests {
            let found = manifest.shard_count()?;
            if found != shards {
                return Err(ArchiveFault::Shards {
                    found: found.count(),
                    asked: shards.count(),
                });
            }
            for shard in shards.all() {
                manifest.follows(archive.position(shard))?;
            }
            archive.manifests.push(manifest);
        }
        Ok(archive)
    }

    pub const fn shards(&self) -> ShardCount {
        self.shards
    }

    /// The last business date that is archived.
    pub fn through(&self) -> Option<BusinessDate> {
        self.manifests.last().map(|manifest| manifest.through)
    }

    /// Files of one shard, in order.
    pub fn parts(&self, shard: ShardId) -> impl Iterator<Item = &PartFacts> {
        let of_shard = self.manifests.iter().filter_map(move |manifest| manifest.of(shard));
        of_shard.flat_map(|of_shard| &of_shard.parts)
    }

    /// Where the archive of one shard has come.
    pub fn position(&self, shard: ShardId) -> ChainPosition {
        let last = self.parts(shard).last();
        last.map_or(ChainPosition::start(shard), |part| part.ends(shard))
    }

    /// Where the archive of every shard had come with a business date, in order, or with the last that is archived.
    pub fn positions_through(&self, date: Option<BusinessDate>) -> Result<Vec<ChainPosition>, ArchiveFault> {
        let empty = || ArchiveFault::Empty(self.directory.clone());
        let first = self
            .manifests
            .first()
            .map(|manifest| manifest.through)
            .ok_or_else(empty)?;
        let through = self.through().ok_or_else(empty)?;
        let asked = date.unwrap_or(through);
        if asked > through {
            return Err(ArchiveFault::NotArchived { asked, through });
        }
        if asked < first {
            return Err(ArchiveFault::NotYet { asked, first });
        }
        let of_shard = |shard: ShardId| {
            let manifests = self.manifests.iter().filter(|manifest| manifest.through <= asked);
            let parts = manifests
                .filter_map(|manifest| manifest.of(shard))
                .flat_map(|of_shard| &of_shard.parts);
            parts
                .last()
                .map_or(ChainPosition::start(shard), |part| part.ends(shard))
        };
        Ok(self.shards.all().map(of_shard).collect())
    }

    fn part(&self, shard: ShardId, facts: &PartFacts) -> Part {
        Part {
            path: self.directory.join(&facts.name),
            shard,
            shards: self.shards,
        }
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        let all = self.shards.all().flat_map(|shard| self.parts(shard));
        all.map(|part| part.bytes).sum()
    }

    /// Reads every file of one shard and compares it with what the manifest says; tells `progress` the bytes of each.
    pub fn check(&self, shard: ShardId, progress: impl FnMut(u64)) -> Result<ChainPosition, ArchiveFault> {
        self.check_records(shard, 0..=u64::MAX, progress)?;
        Ok(self.position(shard))
    }

    /// Likewise the files that have any of these records.
    pub fn check_records(
        &self,
        shard: ShardId,
        records: RangeInclusive<u64>,
        mut progress: impl FnMut(u64),
    ) -> Result<(), ArchiveFault> {
        let has_any = |facts: &&PartFacts| facts.last >= *records.start() && facts.first <= *records.end();
        for facts in self.parts(shard).filter(has_any) {
            let part = self.part(shard, facts);
            let read = read_part::<ArchiveFault>(&part, |_, _| Ok(Wants::More))?;
            if read.as_ref() != Some(facts) {
                return Err(ArchiveFault::Differs(part.path));
            }
            progress(facts.bytes);
        }
        Ok(())
    }

    /// Files that no manifest names yet: an archiving that was interrupted has left them.
    pub fn unlisted(&self) -> Result<Vec<String>, ArchiveFault> {
        let mut names = part::names(&self.directory)?;
        let is_listed = |name: &String| {
            self.shards
                .all()
                .any(|shard| self.parts(shard).any(|part| part.name == *name))
        };
        names.retain(|name| !is_listed(name));
        Ok(names)
    }

    /// Gives `take` the records of one shard from the file on that has record `from`, each with its evidence. A file that is
    /// read to its end must be what its manifest says.
    pub(crate) fn read(
        &self,
        shard: ShardId,
        from: u64,
        mut take: impl FnMut(&JournalRecord, &KeptRecord) -> Result<Wants, ReadingFault>,
    ) -> Result<(), ReadingFault> {
        for facts in self.parts(shard).filter(|facts| facts.last >= from) {
            let part = self.part(shard, facts);
            match read_part::<ReadingFault>(&part, &mut take)? {
                None => return Ok(()),
                Some(read) if read == *facts => {}
                Some(_) => return Err(ArchiveFault::Differs(part.path).into()),
            }
        }
        Ok(())
    }

    /// Where the transfers that are wanted were decided, of those committed at `since` or later. Goes through whole
    /// files; `progress` is told of every record.
    pub fn find(
        &self,
        since: ChinaTime,
        wanted: impl Fn(&TransferKey) -> bool,
        mut progress: impl FnMut(),
    ) -> Result<Vec<Found>, ReadingFault> {
        let mut found = Vec::new();
        for shard in self.shards.all() {
            let first = self.parts(shard).find(|part| part.committed_to >= since);
            let Some(first) = first.map(|part| part.first) else {
                continue;
            };
            self.read(shard, first, |record, _| {
                progress();
                if let Some((transfer, _)) = decided(&record.event)
                    && wanted(&transfer.key)
                {
                    found.push(Found {
                        key: transfer.key,
                        shard,
                        sequence: record.sequence,
                    });
                }
                Ok(Wants::More)
            })?;
        }
        Ok(found)
    }

    /// What is kept about a transfer, with so many of the records that follow, of those that are archived. The head it
    /// names is that of the archive.
    pub fn evidence(&self, found: Found, following: u32) -> Result<KeptEvidence, ReadingFault> {
        let Found { shard, sequence, .. } = found;
        let last = sequence.saturating_add(following.min(FOLLOWING_MAX).into());
        let mut evidence = None;
        let mut records = Vec::new();
        self.read(shard, sequence, |record, kept| {
            if record.sequence == sequence {
                evidence.clone_from(&kept.evidence);
            }
            if record.sequence >= sequence && record.sequence <= last {
                records.push(kept.record.clone());
            }
            Ok(if record.sequence >= last {
                Wants::NoMore
            } else {
                Wants::More
            })
        })?;
        let position = self.position(shard);
        Ok(KeptEvidence {
            shard: shard.number(),
            sequence,
            evidence: evidence.ok_or(ArchiveFault::Evidence { shard, sequence })?,
            records,
            head_sequence: position.sequence,
            head: position.head.0,
        })
    }
}

/// Makes what was written under a name durable.
fn sync_directory(directory: &Path) -> Result<(), ArchiveFault> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(at(directory))
}

/// Gives a whole file its name. Whoever calls this holds the archive's lock, so nobody else makes a file of that name.
fn give_name(directory: &Path, unfinished: &Path, name: &str) -> Result<(), ArchiveFault> {
    let path = directory.join(name);
    let free = path.try_exists().and_then(|exists| {
        if exists {
            Err(io::ErrorKind::AlreadyExists.into())
        } else {
            Ok(())
        }
    });
    free.and_then(|()| std::fs::rename(unfinished, &path))
        .map_err(at(&path))?;
    sync_directory(directory)
}
