//! What a verification found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::digest::Digest;
use super::line::Head;
use super::record::{Event, Moment, Record};

/// Differences that are listed; more are counted.
const LISTED_MAX: usize = 100;

/// Something is not as the chain demands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub file: String,
    /// From 1 on; 0 for the file as a whole.
    pub line: u64,
    pub what: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyUses {
    pub key: String,
    pub operation: String,
    pub caller: String,
    pub count: u64,
}

#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub good: bool,
    pub log: Option<String>,
    pub files: u64,
    pub records: u64,
    pub first_seq: Option<u64>,
    pub from: Option<Moment>,
    pub to: Option<Moment>,
    /// By kind.
    pub kinds: BTreeMap<String, u64>,
    pub key_uses: Vec<KeyUses>,
    /// By caller.
    pub reveals: BTreeMap<String, u64>,
    /// Seals whose signature was checked, by key.
    pub seals: BTreeMap<String, u64>,
    /// Seals of keys that no certificate was given of.
    pub seals_unchecked: BTreeMap<String, u64>,
    pub head_seq: u64,
    pub head: Option<Digest>,
    /// Records that no checked seal covers, at the end.
    pub records_after_seal: u64,
    /// What is in order and yet worth knowing.
    pub notes: Vec<String>,
    pub differences: Vec<Difference>,
    /// All of them, the ones listed included.
    pub difference_count: u64,
    #[serde(skip)]
    uses: BTreeMap<(String, String, String), u64>,
}

impl Report {
    pub(crate) fn differs(&mut self, file: &str, line: u64, what: impl Into<String>) {
        self.difference_count += 1;
        if self.differences.len() < LISTED_MAX {
            self.differences.push(Difference {
                file: file.to_owned(),
                line,
                what: what.into(),
            });
        }
    }

    pub(crate) fn add(&mut self, record: &Record) {
        self.records += 1;
        self.first_seq.get_or_insert(record.seq);
        self.from.get_or_insert(record.time);
        self.to = Some(record.time);
        *self.kinds.entry(record.event.kind().to_owned()).or_default() += 1;
        if let Event::Reveal { caller, .. } = &record.event {
            *self.reveals.entry(caller.clone()).or_default() += 1;
        }
        if let Event::KeyUse {
            operation,
            key,
            caller,
            count,
            ..
        } = &record.event
        {
            let place = (key.clone(), operation.clone(), caller.clone());
            let uses = self.uses.entry(place).or_default();
            *uses = uses.saturating_add(*count);
        }
    }

    pub(crate) fn finish(mut self, head: Head) -> Self {
        self.good = self.difference_count == 0;
        self.head_seq = head.seq;
        self.head = (self.records > 0).then_some(head.hash);
        let uses = std::mem::take(&mut self.uses).into_iter();
        self.key_uses = uses
            .map(|((key, operation, caller), count)| KeyUses {
                key,
                operation,
                caller,
                count,
            })
            .collect();
        self
    }
}

/// One line each, the verdict last.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.log.as_deref().unwrap_or("without a name");
        writeln!(f, "audit log {log}: {} records in {} files", self.records, self.files)?;
        if let (Some(first), Some(from), Some(to)) = (self.first_seq, self.from, self.to) {
            writeln!(f, "records {first} to {}, {from} to {to}", self.head_seq)?;
        }
        for (kind, count) in &self.kinds {
            writeln!(f, "  {kind}: {count}")?;
        }
        for uses in &self.key_uses {
            let KeyUses {
                key,
                operation,
                caller,
                count,
            } = uses;
            writeln!(f, "key {key}: {operation} for {caller}: {count}")?;
        }
        for (caller, count) in &self.reveals {
            writeln!(f, "reveals for {caller}: {count}")?;
        }
        for (key, count) in &self.seals {
            writeln!(f, "seals of key {key}: {count} hold")?;
        }
        for (key, count) in &self.seals_unchecked {
            writeln!(
                f,
                "seals of key {key}: {count} not checked, no certificate of it was given"
            )?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        if let Some(head) = &self.head {
            writeln!(f, "head: {} {head}", self.head_seq)?;
        }
        for Difference { file, line, what } in &self.differences {
            match line {
                0 => writeln!(f, "DIFFERS {file}: {what}")?,
                line => writeln!(f, "DIFFERS {file}:{line}: {what}")?,
            }
        }
        match self.difference_count {
            0 => f.write_str("good"),
            count => write!(f, "{count} differences"),
        }
    }
}
