//! Verification of a log, from its files alone. Works while a signer writes it.
//!
//! Found for certain: a record altered, removed, inserted, repeated or moved; a file missing, doubled, renamed, out of
//! place or of another log; with certificates, a chain that was computed anew up to the last seal. Not to be found from
//! the files: that records are missing at the very end. For that a head that was noted elsewhere is given, and must
//! be in the log.
//!
//! An end without an end of line is not called a difference: it is what a killed process leaves until its successor sets it
//! aside, and what a reader sees while a line is being written. It is a note.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use signer_crypto::Certificate;
use thiserror::Error;

use super::digest::Digest;
use super::directory;
use super::journal::file_name;
use super::line::{self, Head, LINE_BYTES_MAX};
use super::record::{Event, FORMAT, Record};
use super::report::Report;
use super::seal::{RECORDS_MAX, WrittenSeal};

/// Where certificates are given, the longest stretch without a seal that holds.
const UNSEALED_MAX: u64 = 4 * RECORDS_MAX;

/// What is to be verified, against what.
#[derive(Debug, Default)]
pub struct Question {
    /// In any order.
    pub files: Vec<PathBuf>,
    /// Of the keys that sealed the log.
    pub certificates: Vec<Certificate>,
    /// A head that the log is known to have had.
    pub expect_head: Option<Digest>,
    /// The head before the first record, where earlier files are kept elsewhere.
    pub after: Option<Digest>,
}

/// Nothing can be said.
#[derive(Debug, Error)]
pub enum VerifyFault {
    #[error("{path} cannot be read")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} holds no file of an audit log")]
    Empty { path: PathBuf },
}

/// The files of a log's directory.
pub fn files_of(directory: &Path) -> Result<Vec<PathBuf>, VerifyFault> {
    let names = directory::files(directory).map_err(|source| VerifyFault::Read {
        path: directory.to_owned(),
        source,
    })?;
    if names.is_empty() {
        let path = directory.to_owned();
        return Err(VerifyFault::Empty { path });
    }
    Ok(names.iter().map(|name| directory.join(name)).collect())
}

pub fn verify(question: &Question) -> Result<Report, VerifyFault> {
    let certificates = question.certificates.iter();
    let mut walk = Walk {
        certificates: certificates.map(|one| (one.serial(), one)).collect(),
        expected: question.expect_head,
        head: Head::START,
        unreadable: 0,
        stated_start: question.after,
        unsealed: 0,
        stretch_told: false,
        report: Report::default(),
    };
    let files = walk.in_order(&question.files)?;
    let last = files.len().saturating_sub(1);
    let mut previous: Option<String> = None;
    for (place, (first_seq, path)) in files.iter().enumerate() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = FileToRead {
            path,
            name: &name,
            first_seq: *first_seq,
            previous: previous.as_deref(),
            is_last: place == last,
        };
        walk.file(&file)?;
        previous = Some(name);
    }
    Ok(walk.finish())
}

struct FileToRead<'a> {
    path: &'a Path,
    name: &'a str,
    /// 0: it has no first record that can be read.
    first_seq: u64,
    previous: Option<&'a str>,
    is_last: bool,
}

struct Walk<'a> {
    certificates: BTreeMap<&'a str, &'a Certificate>,
    /// Not found yet.
    expected: Option<Digest>,
    head: Head,
    /// Lines since then that could not be read.
    unreadable: u64,
    /// Where the chain is said to begin.
    stated_start: Option<Digest>,
    /// Records since the last seal that holds.
    unsealed: u64,
    stretch_told: bool,
    report: Report,
}

impl Walk<'_> {
    /// By their first records. Of files that begin with the same record the longest is read, the others are differences.
    fn in_order(&mut self, paths: &[PathBuf]) -> Result<Vec<(u64, PathBuf)>, VerifyFault> {
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let fault = |source| VerifyFault::Read {
                path: path.clone(),
                source,
            };
            let length = std::fs::metadata(path).map_err(fault)?.len();
            let first = first_seq(path).map_err(fault)?;
            files.push((first, std::cmp::Reverse(length), path.clone()));
        }
        files.sort();
        let mut kept: Vec<(u64, PathBuf)> = Vec::with_capacity(files.len());
        for (first, _, path) in files {
            match kept.last() {
                Some((same, longest)) if *same == first && first > 0 => {
                    let what = format!(
                        "this file is given again, or an older copy of it: it begins with record {first} like {}",
                        longest.display()
                    );
                    self.report.differs(&path.display().to_string(), 0, what);
                }
                _ => kept.push((first, path)),
            }
        }
        Ok(kept)
    }

    fn file(&mut self, file: &FileToRead<'_>) -> Result<(), VerifyFault> {
        let fault = |source| VerifyFault::Read {
            path: file.path.to_owned(),
            source,
        };
        self.report.files += 1;
        if file.first_seq > 0 && file.name != file_name(file.first_seq) {
            let what = format!(
                "this file should be called {}, by its first record",
                file_name(file.first_seq)
            );
            self.report.differs(file.name, 0, what);
        }
        let mut reader = BufReader::new(File::open(file.path).map_err(fault)?);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let bounded = (&mut reader).take(u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX));
            let bytes = { bounded }.read_until(b'\n', &mut line).map_err(fault)?;
            if bytes == 0 {
                break;
            }
            if line.pop_if(|last| *last == b'\n').is_none() {
                self.end_without_line(file, number, &line);
                break;
            }
            match line::read(&line) {
                Ok((record, hash)) => self.record(file, number, &record, hash),
                Err(fault) => {
                    self.report.differs(file.name, number, fault.to_string());
                    self.unreadable += 1;
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, file: &FileToRead<'_>, number: u64, record: &Record, hash: Digest) {
        if self.report.records == 0 && self.unreadable == 0 {
            self.begin(file, number, record);
        } else if let Some(what) = self.out_of_place(record) {
            self.report.differs(file.name, number, what);
        }
        if let Some(what) = self.unlike_a_file(file, number, record) {
            self.report.differs(file.name, number, what);
        }
        self.unsealed += 1;
        self.judge(file, number, record);
        if self.expected == Some(hash) {
            self.expected = None;
        }
        self.head = Head { seq: record.seq, hash };
        self.unreadable = 0;
        self.report.add(record);
    }

    /// The first record of all: where the chain is taken up.
    fn begin(&mut self, file: &FileToRead<'_>, number: u64, record: &Record) {
        match self.stated_start {
            Some(after) if record.prev != after => {
                let what = format!("the first record does not follow the head {after} that was given");
                self.report.differs(file.name, number, what);
            }
            None if record.seq != 1 || record.prev != Digest::NOTHING => {
                let what = format!(
                    "the log begins with record {}: the files before are missing (or give --after with their last hash)",
                    record.seq
                );
                self.report.differs(file.name, number, what);
            }
            Some(_) | None => {}
        }
    }

    fn out_of_place(&self, record: &Record) -> Option<String> {
        let Head { seq, hash } = self.head;
        if record.seq <= seq {
            return Some(format!(
                "record {} comes again, or too late: {seq} came before it",
                record.seq
            ));
        }
        // Each line that cannot be read may have been a record, or may have been put there.
        if record.seq > seq + 1 + self.unreadable {
            return Some(format!("records {} to {} are missing", seq + 1, record.seq - 1));
        }
        let comparable = self.unreadable == 0;
        (comparable && record.prev != hash)
            .then(|| "the record does not follow the one before it: one of them was exchanged".to_owned())
    }

    /// That a file begins with a record that says so, and only a file.
    fn unlike_a_file(&mut self, file: &FileToRead<'_>, number: u64, record: &Record) -> Option<String> {
        let Event::File {
            log,
            format,
            previous_file,
        } = &record.event
        else {
            return (number == 1).then(|| "the file does not begin with the record of a file".to_owned());
        };
        if number > 1 {
            return Some("the record of a file in the middle of one".to_owned());
        }
        if *format != FORMAT {
            return Some(format!("format {format} is not known here"));
        }
        let of_log = self.report.log.get_or_insert_with(|| log.clone());
        if of_log != log {
            return Some(format!("the file is of another log, {log}"));
        }
        if let (Some(previous), Some(stated)) = (file.previous, previous_file)
            && previous != stated
        {
            return Some(format!("the file follows {stated} and not {previous}"));
        }
        None
    }

    /// What a record says that can be checked.
    fn judge(&mut self, file: &FileToRead<'_>, number: u64, record: &Record) {
        let name = file.name;
        if let Event::KeyUse { count, digests, .. } = &record.event
            && u64::try_from(digests.len()) != Ok(*count)
        {
            self.report
                .differs(name, number, "the record counts other than it lists");
        }
        if let Event::Torn { bytes, kept_in, .. } = &record.event {
            self.report.notes.push(format!(
                "{name}:{number}: {bytes} bytes of an end torn by a crash were set aside in {kept_in}"
            ));
        }
        if let Event::Resumed { since, reason } = &record.event {
            self.report.notes.push(format!(
                "{name}:{number}: the log could not be written since {since}: {reason}"
            ));
        }
        if let Event::Seal {
            key, head, signature, ..
        } = &record.event
        {
            let log = self.report.log.clone().unwrap_or_default();
            let seal = WrittenSeal {
                log: &log,
                before: Head {
                    seq: record.seq.saturating_sub(1),
                    hash: record.prev,
                },
                head: *head,
                signature,
                made: record.time.unix_seconds(),
            };
            self.seal(file, number, key, &seal);
        }
        if !self.certificates.is_empty() && self.unsealed > UNSEALED_MAX && !self.stretch_told {
            self.stretch_told = true;
            let what = format!("{UNSEALED_MAX} records before this one have no seal that holds");
            self.report.differs(name, number, what);
        }
    }

    fn seal(&mut self, file: &FileToRead<'_>, number: u64, key: &str, seal: &WrittenSeal<'_>) {
        let Some(certificate) = self.certificates.get(key) else {
            *self.report.seals_unchecked.entry(key.to_owned()).or_default() += 1;
            if let Err(fault) = seal.check_head() {
                self.report.differs(file.name, number, fault.to_string());
            }
            return;
        };
        match seal.check(certificate) {
            Ok(()) => {
                *self.report.seals.entry(key.to_owned()).or_default() += 1;
                self.unsealed = 0;
                self.stretch_told = false;
            }
            Err(fault) => self.report.differs(file.name, number, fault.to_string()),
        }
    }

    fn end_without_line(&mut self, file: &FileToRead<'_>, number: u64, rest: &[u8]) {
        let bytes = rest.len();
        if bytes == LINE_BYTES_MAX {
            self.report.differs(file.name, number, "the line is too long to be one");
        } else if !file.is_last {
            let what = format!("{bytes} bytes without an end of line, in a file that is not the last");
            self.report.differs(file.name, number, what);
        } else if holds_more_than_a_beginning(rest) {
            self.report
                .differs(file.name, number, "the end of the line was altered");
        } else {
            self.report.notes.push(format!(
                "{} ends with {bytes} bytes of a record: being written now, or torn by a crash and yet to be set aside",
                file.name
            ));
        }
    }

    fn finish(mut self) -> Report {
        if let Some(expected) = self.expected {
            let what =
                format!("no record has the head {expected} that the log is known to have had: the end is missing");
            self.report.differs("the log", 0, what);
        }
        self.report.records_after_seal = self.unsealed;
        if !self.certificates.is_empty() {
            if self.report.seals.is_empty() && self.report.records > 0 {
                self.report
                    .differs("the log", 0, "no seal of the certificates given holds");
            }
            let note = format!("{} records at the end have no seal yet", self.unsealed);
            self.report.notes.push(note);
        }
        self.report.finish(self.head)
    }
}

/// A torn line is the beginning of one; a whole record with something behind it was made by hand.
fn holds_more_than_a_beginning(rest: &[u8]) -> bool {
    let closings = rest.windows(2).enumerate().filter(|(_, two)| two == b"\"}");
    closings
        .filter_map(|(place, _)| rest.split_at_checked(place + 2))
        .any(|(whole, behind)| !behind.is_empty() && line::read(whole).is_ok())
}

/// By its first record; where that cannot be read, by its name. 0: by neither.
fn first_seq(path: &Path) -> io::Result<u64> {
    let mut line = Vec::new();
    let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    BufReader::new(File::open(path)?)
        .take(limit)
        .read_until(b'\n', &mut line)?;
    let _without_its_end = line.pop_if(|last| *last == b'\n');
    let by_name = || {
        let name = path.file_stem()?.to_str()?;
        name.strip_prefix("audit-")?.parse().ok()
    };
    let seq = line::read(&line).ok().map(|(record, _)| record.seq);
    Ok(seq.or_else(by_name).unwrap_or_default())
}

#[cfg(test)]
mod tests;
