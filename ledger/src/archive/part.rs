//! One file of an archive.
//!
//! ```text
//! magic "LARC" · form 1 · shard 1 · shards 1 · 0 · number of the first record 8 · hash of the record before it 32
//! zstd of:  for each record  its length 4 · evidence's length 4, 0 where there is none · record · evidence as sealed
//!           0 4 · count of records 8
//! ```
//!
//! All numbers big-endian. Nothing that is read is trusted: lengths are bounded, the records are followed as a chain, and
//! evidence has the digest its record says.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use ledger_journal::{ChainHash, ChainPosition, Event, EvidenceDigest, JournalRecord};
use ledger_model::{Administration, BusinessDate, ChinaTime, ShardCount, ShardId};
use ledger_protocol::KeptRecord;
use sha2::{Digest, Sha256};
use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use super::{ArchiveFault, PartFacts, at, give_name};
use crate::evidence;
use crate::reading::exhibit::decided;
use crate::reading::journal::Wants;

const MAGIC: [u8; 4] = *b"LARC";
const FORM: u8 = 1;
const HEADER_BYTES: usize = 48;
const LEVEL: i32 = 3;
const BUFFER_BYTES: usize = 1 << 20;
/// No record and no evidence is longer.
const BYTES_MAX: usize = 4 << 20;
const SUFFIX: &str = ".archive";

const _: () = assert!(
    BYTES_MAX > 2 * evidence::SIGNED_BYTES_MAX + 1024,
    "the longest evidence must be read again"
);

/// A file, and whose records it should hold.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) shard: ShardId,
    pub(super) shards: ShardCount,
}

fn name_of(shard: ShardId, first: u64, last: u64) -> String {
    format!("shard-{:02}-{first:012}-{last:012}{SUFFIX}", shard.number())
}

/// Names in a directory; none where there is no such directory.
pub(super) fn entries(directory: &Path) -> Result<Vec<String>, ArchiveFault> {
    let listed = match std::fs::read_dir(directory) {
        Ok(listed) => listed,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(fault) => return Err(at(directory)(fault)),
    };
    let mut names = Vec::new();
    for entry in listed {
        let entry = entry.map_err(at(directory))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

/// Names of all files of records.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, ArchiveFault> {
    let mut names = entries(directory)?;
    names.retain(|name| name.starts_with("shard-") && name.ends_with(SUFFIX));
    Ok(names)
}

/// The name of the file of `shard` that begins with record `first`, where there is one.
pub(super) fn name_from(directory: &Path, shard: ShardId, first: u64) -> Result<Option<String>, ArchiveFault> {
    let begins = format!("shard-{:02}-{first:012}-", shard.number());
    Ok(names(directory)?.into_iter().find(|name| name.starts_with(&begins)))
}

/// The business date that a record closes.
pub(super) fn closes(event: &Event) -> Option<BusinessDate> {
    match event {
        Event::Administered {
            act: Administration::CloseThrough { date },
            ..
        } => Some(*date),
        Event::Administered { .. }
        | Event::AccountOpened { .. }
        | Event::AgreementRecorded { .. }
        | Event::TransferDecided { .. }
        | Event::TransferHopped { .. }
        | Event::HopSettled { .. }
        | Event::HopClosed { .. } => None,
    }
}

/// What the records gone through come to; refuses what does not follow, and evidence that is not the record's.
struct Gone {
    first: ChainPosition,
    position: ChainPosition,
    committed: Option<(ChinaTime, ChinaTime)>,
    closes: Option<BusinessDate>,
    evidence: u64,
}

impl Gone {
    const fn from(position: ChainPosition) -> Self {
        Self {
            first: position,
            position,
            committed: None,
            closes: None,
            evidence: 0,
        }
    }

    fn take(&mut self, path: &Path, record: &JournalRecord, kept: &KeptRecord) -> Result<(), ArchiveFault> {
        let (shard, sequence) = (record.shard, record.sequence);
        let followed = self.position.follow(record, &kept.record);
        self.position = followed.map_err(|source| ArchiveFault::Chain {
            path: path.to_owned(),
            source,
        })?;
        let digest = kept
            .evidence
            .as_ref()
            .map(|kept| EvidenceDigest::over(&kept.signed, &kept.signature, &kept.signing_serial));
        if digest != decided(&record.event).map(|(_, digest)| digest) {
            return Err(ArchiveFault::Evidence { shard, sequence });
        }
        let from = self.committed.map_or(record.committed_at, |(from, _)| from);
        self.committed = Some((from, record.committed_at));
        self.closes = closes(&record.event);
        self.evidence += u64::from(digest.is_some());
        Ok(())
    }

    const fn records(&self) -> u64 {
        self.position.sequence - self.first.sequence
    }

    /// `None` where there was no record.
    fn facts(&self, file: Digested) -> Option<PartFacts> {
        let (committed_from, committed_to) = self.committed?;
        let (first, last) = (self.first.sequence + 1, self.position.sequence);
        Some(PartFacts {
            name: name_of(self.first.shard, first, last),
            first,
            last,
            previous: self.first.head,
            head: self.position.head,
            committed_from,
            committed_to,
            closes: self.closes,
            evidence: self.evidence,
            bytes: file.bytes,
            sha256: hex::encode(file.digest.finalize()),
        })
    }
}

/// What has gone to a file, or come from it.
#[derive(Default)]
struct Digested {
    digest: Sha256,
    bytes: u64,
}

impl Digested {
    fn take(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    }
}

/// A file whose bytes are digested as they pass.
struct Passing<F> {
    file: F,
    passed: Digested,
}

impl<F> Passing<F> {
    fn over(file: F) -> Self {
        let passed = Digested::default();
        Self { file, passed }
    }
}

impl<F: Write> Write for Passing<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.passed.take(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl<F: Read> Read for Passing<F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(bytes)?;
        self.passed.take(bytes.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// A file that is being written.
pub(super) struct PartWriter {
    unfinished: PathBuf,
    out: Encoder<'static, Passing<BufWriter<File>>>,
    gone: Gone,
    /// Before compression.
    pub(super) plain_bytes: u64,
}

impl PartWriter {
    /// For the records after `position`. What is at `unfinished` is replaced.
    pub(super) fn begin(unfinished: &Path, shards: ShardCount, position: ChainPosition) -> Result<Self, ArchiveFault> {
        let begun = File::create(unfinished).and_then(|file| {
            let mut out = Passing::over(BufWriter::with_capacity(BUFFER_BYTES, file));
            out.write_all(&header(position, shards))?;
            Encoder::new(out, LEVEL)
        });
        Ok(Self {
            unfinished: unfinished.to_owned(),
            out: begun.map_err(at(unfinished))?,
            gone: Gone::from(position),
            plain_bytes: 0,
        })
    }

    pub(super) fn add(&mut self, record: &JournalRecord, kept: &KeptRecord) -> Result<(), ArchiveFault> {
        self.gone.take(&self.unfinished, record, kept)?;
        let sealed = kept.evidence.as_ref().map(evidence::seal).transpose();
        let sealed = sealed.map_err(|_| ArchiveFault::Evidence {
            shard: record.shard,
            sequence: record.sequence,
        })?;
        let sealed = sealed.map(|sealed| sealed.packed).unwrap_or_default();
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        let mut write = || {
            self.out.write_all(&length(&kept.record)?.to_be_bytes())?;
            self.out.write_all(&length(&sealed)?.to_be_bytes())?;
            self.out.write_all(&kept.record)?;
            self.out.write_all(&sealed)
        };
        write().map_err(at(&self.unfinished))?;
        let bytes = kept.record.len().saturating_add(sealed.len());
        self.plain_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Durable, and under its name; where the archive has come then.
    pub(super) fn finish(mut self, directory: &Path) -> Result<(PartFacts, ChainPosition), ArchiveFault> {
        let count = self.gone.records();
        let finished = (|| {
            self.out.write_all(&0_u32.to_be_bytes())?;
            self.out.write_all(&count.to_be_bytes())?;
            let out = self.out.finish()?;
            let file = out.file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            Ok(out.passed)
        })();
        let passed = finished.map_err(at(&self.unfinished))?;
        let facts = self.gone.facts(passed).expect("a file is begun with its first record");
        give_name(directory, &self.unfinished, &facts.name)?;
        Ok((facts, self.gone.position))
    }
}

fn header(position: ChainPosition, shards: ShardCount) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&[FORM, position.shard.number(), shards.count(), 0]);
    header.extend_from_slice(&(position.sequence + 1).to_be_bytes());
    header.extend_from_slice(&position.head.0);
    header
}

type Input = BufReader<Passing<File>>;

/// Gives `take` every record of a file with its evidence, and says what is in it; `None` where `take` wanted no more.
pub(super) fn read_part<F: From<ArchiveFault>>(
    part: &Part,
    mut take: impl FnMut(&JournalRecord, &KeptRecord) -> Result<Wants, F>,
) -> Result<Option<PartFacts>, F> {
    let file = File::open(&part.path).map_err(|fault| match fault.kind() {
        io::ErrorKind::NotFound => ArchiveFault::Missing(part.path.clone()),
        _ => at(&part.path)(fault),
    })?;
    let mut input: Input = BufReader::with_capacity(BUFFER_BYTES, Passing::over(file));
    let mut gone = Gone::from(begins(part, &mut input)?);
    let decoder = Decoder::with_buffer(input).map_err(at(&part.path))?;
    let mut input = decoder.single_frame();
    while let Some((record, kept)) = next(part, &mut input)? {
        gone.take(&part.path, &record, &kept)?;
        if take(&record, &kept)? == Wants::NoMore {
            return Ok(None);
        }
    }
    let counted = number(part, &mut input)?;
    let mut end = [0; 1];
    let more = input.read(&mut end).map_err(|_| damaged(part, "it is cut off"))?;
    let mut input = input.finish();
    let rest = input.fill_buf().map_err(at(&part.path))?;
    if more > 0 || !rest.is_empty() || counted != gone.records() {
        return Err(damaged(part, "it does not end as it should").into());
    }
    let facts = gone.facts(input.into_inner().passed);
    let facts = facts.ok_or_else(|| damaged(part, "there is no record in it"))?;
    Ok(Some(facts))
}

fn damaged(part: &Part, what: &'static str) -> ArchiveFault {
    ArchiveFault::Damaged {
        path: part.path.clone(),
        what,
    }
}

/// What is before its first record.
fn begins(part: &Part, input: &mut Input) -> Result<ChainPosition, ArchiveFault> {
    let mut header = [0; HEADER_BYTES];
    let read = input.read_exact(&mut header);
    read.map_err(|_| damaged(part, "it does not begin as one"))?;
    let position = (|| {
        let rest =
            header.strip_prefix(&[&MAGIC[..], &[FORM, part.shard.number(), part.shards.count(), 0]].concat()[..])?;
        let (first, head) = rest.split_first_chunk()?;
        Some(ChainPosition {
            shard: part.shard,
            sequence: u64::from_be_bytes(*first).checked_sub(1)?,
            head: ChainHash(head.try_into().ok()?),
        })
    })();
    position.ok_or_else(|| damaged(part, "it does not begin as one of this shard"))
}

/// `None` after the last.
fn next(part: &Part, input: &mut impl Read) -> Result<Option<(JournalRecord, KeptRecord)>, ArchiveFault> {
    let length = length(part, input)?;
    if length == 0 {
        return Ok(None);
    }
    let of_evidence = self::length(part, input)?;
    let encoded = bytes(part, input, length)?;
    let record = JournalRecord::decode(&encoded).map_err(|source| ArchiveFault::Record {
        path: part.path.clone(),
        source,
    })?;
    let opened = match of_evidence {
        0 => None,
        length => {
            let sealed = bytes(part, input, length)?;
            let opened = evidence::open(&sealed);
            Some(opened.map_err(|_| damaged(part, "evidence in it does not read"))?)
        }
    };
    let kept = KeptRecord {
        record: encoded,
        evidence: opened,
    };
    Ok(Some((record, kept)))
}

fn length(part: &Part, input: &mut impl Read) -> Result<usize, ArchiveFault> {
    let mut length = [0; 4];
    let read = input.read_exact(&mut length);
    read.map_err(|_| damaged(part, "it is cut off"))?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok();
    length
        .filter(|length| *length <= BYTES_MAX)
        .ok_or_else(|| damaged(part, "a length in it is too long"))
}

fn number(part: &Part, input: &mut impl Read) -> Result<u64, ArchiveFault> {
    let mut number = [0; 8];
    let read = input.read_exact(&mut number);
    read.map_err(|_| damaged(part, "it is cut off"))?;
    Ok(u64::from_be_bytes(number))
}

fn bytes(part: &Part, input: &mut impl Read, length: usize) -> Result<Vec<u8>, ArchiveFault> {
    let mut bytes = vec![0; length];
    let read = input.read_exact(&mut bytes);
    read.map_err(|_| damaged(part, "it is cut off"))?;
    Ok(bytes)
}
