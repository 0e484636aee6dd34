//! The directory of a log: whose it is, who writes it, and where the log in it stands.
//!
//! At a start the last file is read to its end. Bytes without an end of line behind the last whole record are what a
//! killed process or a lost machine leaves: they are kept in a file of their own, and the log says so. Anything else that
//! is not as the chain demands is no accident of ours: the signer does not start on such a log, and nothing is repaired.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::digest::Digest;
use super::disk::RealDisk;
use super::journal::{OpenFile, Place};
use super::line::{self, Head};
use super::record::{Event, Record};

const LOCK_NAME: &str = "lock";
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const OTHERS: u32 = 0o077;
const LOG_NAME_BYTES: usize = 16;

/// Why there is no log to write.
#[derive(Debug, Error)]
pub enum AuditFault {
    #[error("audit directory {path} cannot be used")]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("audit directory {path} is open to others (mode {mode:04o}); make it 0700")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("audit directory {path} is written by another signer")]
    Taken { path: PathBuf },
    #[error(
        "audit log {path} is damaged at line {line}: look at it with `signer audit verify`, keep it, and begin a new directory"
    )]
    Damaged { path: PathBuf, line: u64 },
    #[error("the operating system gives no randomness")]
    Randomness,
    #[error("the audit log cannot be written")]
    Unwritable(#[source] io::Error),
    #[error("the thread of the audit log cannot be started")]
    Thread(#[source] io::Error),
}

/// A log that may be written from here on.
pub(crate) struct Opened {
    pub(crate) disk: RealDisk,
    pub(crate) place: Place,
    /// To be recorded first: what was found and set aside.
    pub(crate) torn: Vec<Event>,
}

/// Makes or takes over the log of a directory.
pub(crate) fn open(path: &Path) -> Result<Opened, AuditFault> {
    let fault = |source| AuditFault::Directory {
        path: path.to_owned(),
        source,
    };
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
        .map_err(fault)?;
    let mode = fs::metadata(path).map_err(fault)?.mode() & 0o7777;
    if mode & OTHERS != 0 {
        let path = path.to_owned();
        return Err(AuditFault::Exposed { path, mode });
    }
    let lock = lock(path)?;
    let mut torn = Vec::new();
    let mut names = files(path).map_err(fault)?;
    // A file without a whole first record is one that was being begun: its predecessor is the last one.
    while let Some(name) = names.pop() {
        let file = path.join(&name);
        let tail = Tail::read(&file)?;
        if tail.behind > 0 {
            torn.push(set_aside(path, &file, &tail).map_err(fault)?);
        }
        let Some(place) = tail.place(name) else {
            fs::remove_file(&file).map_err(fault)?;
            continue;
        };
        let current = OpenOptions::new().write(true).open(&file).map_err(fault)?;
        let disk = RealDisk::new(path.to_owned(), lock, Some(current));
        return Ok(Opened { disk, place, torn });
    }
    let mut name = [0; LOG_NAME_BYTES];
    getrandom::fill(&mut name).map_err(|_| AuditFault::Randomness)?;
    let place = Place {
        log: hex::encode(name),
        head: Head::START,
        file: None,
        unsealed: 0,
    };
    let disk = RealDisk::new(path.to_owned(), lock, None);
    Ok(Opened { disk, place, torn })
}

/// Names of the files of a log, in the order of their first records.
pub(crate) fn files(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if let Some(name) = name.to_str().filter(|name| is_file_name(name)) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn is_file_name(name: &str) -> bool {
    let digits = name.strip_prefix("audit-").and_then(|rest| rest.strip_suffix(".jsonl"));
    digits.is_some_and(|digits| digits.len() >= 12 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn lock(directory: &Path) -> Result<File, AuditFault> {
    let fault = |source| AuditFault::Directory {
        path: directory.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(FILE_MODE);
    let lock = options.open(directory.join(LOCK_NAME)).map_err(fault)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(AuditFault::Taken {
            path: directory.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(fault(source)),
    }
}

/// What the last file holds.
#[derive(Debug, Default)]
struct Tail {
    log: String,
    first_day: i64,
    last: Option<Head>,
    unsealed: u64,
    /// Up to the end of the last whole record.
    length: u64,
    /// Bytes that follow it.
    behind: u64,
}

impl Tail {
    fn read(path: &Path) -> Result<Self, AuditFault> {
        let fault = |source| AuditFault::Directory {
            path: path.to_owned(),
            source,
        };
        let mut reader = BufReader::new(File::open(path).map_err(fault)?);
        let mut tail = Self::default();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let bytes = reader.read_until(b'\n', &mut line).map_err(fault)?;
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            if line.pop_if(|last| *last == b'\n').is_none() {
                tail.behind = bytes;
                break;
            }
            let record = line::read(&line).ok().filter(|(record, _)| tail.is_next(record));
            let Some((record, hash)) = record else {
                let path = path.to_owned();
                return Err(AuditFault::Damaged { path, line: number });
            };
            tail.add(record, hash);
            tail.length += bytes;
        }
        Ok(tail)
    }

    fn is_next(&self, record: &Record) -> bool {
        match (&self.last, &record.event) {
            (None, event) => matches!(event, Event::File { .. }),
            (Some(last), _) => record.seq == last.seq + 1 && record.prev == last.hash,
        }
    }

    fn add(&mut self, record: Record, hash: Digest) {
        let seal_tried = matches!(record.event, Event::Seal { .. } | Event::Unsealed { .. });
        self.unsealed = if seal_tried { 0 } else { self.unsealed + 1 };
        if let Event::File { log, .. } = record.event {
            self.log = log;
            self.first_day = record.time.day();
        }
        self.last = Some(Head { seq: record.seq, hash });
    }

    /// None: not one whole record.
    fn place(&self, name: String) -> Option<Place> {
        Some(Place {
            log: self.log.clone(),
            head: self.last?,
            file: Some(OpenFile {
                name,
                length: self.length,
                day: self.first_day,
            }),
            unsealed: self.unsealed,
        })
    }
}

/// Keeps what stands behind the last whole record, then cuts it off.
fn set_aside(directory: &Path, file: &Path, tail: &Tail) -> io::Result<Event> {
    let content = fs::read(file)?;
    let behind = content.get(usize::try_from(tail.length).unwrap_or(usize::MAX)..);
    let behind = behind.unwrap_or_default();
    let seq = tail.last.map_or(0, |head| head.seq) + 1;
    let kept_in = keep(directory, seq, behind)?;
    let cut = OpenOptions::new().write(true).open(file)?;
    cut.set_len(tail.length)?;
    cut.sync_all()?;
    Ok(Event::Torn {
        bytes: tail.behind,
        digest: Digest::of(behind),
        kept_in,
    })
}

/// In a file that was not there before; its name.
fn keep(directory: &Path, seq: u64, bytes: &[u8]) -> io::Result<String> {
    const ATTEMPTS: u32 = 1000;
    for attempt in 1..=ATTEMPTS {
        let name = format!("torn-{seq:012}-{attempt}.bin");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(FILE_MODE);
        match options.open(directory.join(&name)) {
            Ok(mut file) => {
                file.write_all(bytes)?;
                file.sync_all()?;
                File::open(directory)?.sync_all()?;
                return Ok(name);
            }
            Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
            Err(fault) => return Err(fault),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many torn ends"))
}
