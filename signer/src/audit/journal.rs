//! The chain on the disk: what is durable, and how it grows by all of some records or by none of them.
//!
//! Invariants: head, file and length here are those of the last sync that succeeded. What a failed write may have left
//! behind them is cut away before anything else is written, so no record is in the file that its writer believes is not.
//! A new file begins when the old one is full or its day is over; until that has succeeded nothing else is written.

use std::io;

use super::disk::Disk;
use super::line::Head;
use super::record::{Event, FORMAT, Moment};

/// Where a log stands, as it was found or as it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which log it is.
    pub(crate) log: String,
    pub(crate) head: Head,
    /// None: the log is to begin.
    pub(crate) file: Option<OpenFile>,
    /// Records since the last seal, or the last attempt at one.
    pub(crate) unsealed: u64,
}

/// The file that grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenFile {
    pub(crate) name: String,
    pub(crate) length: u64,
    /// The day of its first record.
    pub(crate) day: i64,
}

pub(crate) struct Journal {
    disk: Box<dyn Disk>,
    place: Place,
    file_bytes_max: u64,
    /// Something may stand behind the length.
    dirty: bool,
}

/// The name of the file that begins with a record of this number.
pub(crate) fn file_name(first_seq: u64) -> String {
    format!("audit-{first_seq:012}.jsonl")
}

impl Journal {
    pub(crate) fn new(disk: Box<dyn Disk>, place: Place, file_bytes_max: u64) -> Self {
        Self {
            disk,
            place,
            file_bytes_max,
            dirty: true,
        }
    }

    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the next record goes to a new file. The old one should be sealed first.
    pub(crate) fn file_is_over(&self, now: Moment) -> bool {
        let is_over = |file: &OpenFile| file.length >= self.file_bytes_max || file.day < now.day();
        self.place.file.as_ref().is_none_or(is_over)
    }

    /// Begins the next file.
    pub(crate) fn turn(&mut self, now: Moment) -> io::Result<()> {
        self.clean()?;
        let event = Event::File {
            log: self.place.log.clone(),
            format: FORMAT,
            previous_file: self.place.file.as_ref().map(|file| file.name.clone()),
        };
        let mut head = self.place.head;
        let line = head.append(now, event);
        let name = file_name(head.seq);
        self.disk.begin(&name, line.as_bytes())?;
        self.place.head = head;
        self.place.unsealed += 1;
        self.place.file = Some(OpenFile {
            name,
            length: count(line.len()),
            day: now.day(),
        });
        Ok(())
    }

    /// Writes and syncs all of these, or none.
    pub(crate) fn write(&mut self, now: Moment, events: &[Event]) -> io::Result<()> {
        self.clean()?;
        let mut head = self.place.head;
        let lines: String = events.iter().map(|event| head.append(now, event.clone())).collect();
        self.dirty = true;
        self.disk.append(lines.as_bytes())?;
        self.disk.sync()?;
        self.dirty = false;
        self.place.head = head;
        if let Some(file) = &mut self.place.file {
            file.length += count(lines.len());
        }
        let seal_tried = matches!(events.last(), Some(Event::Seal { .. } | Event::Unsealed { .. }));
        self.place.unsealed = if seal_tried {
            0
        } else {
            self.place.unsealed + count(events.len())
        };
        Ok(())
    }

    fn clean(&mut self) -> io::Result<()> {
        if let (true, Some(file)) = (self.dirty, &self.place.file) {
            self.disk.cut(file.length)?;
        }
        self.dirty = false;
        Ok(())
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
