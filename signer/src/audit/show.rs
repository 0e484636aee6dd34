//! The records of a log that somebody asks for, as they stand there.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;

use super::line;
use super::record::{Moment, Record};

/// Every condition that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub kind: Option<String>,
    pub key: Option<String>,
    pub caller: Option<String>,
    pub from: Option<Moment>,
    pub to: Option<Moment>,
}

impl Filter {
    fn takes(&self, record: &Record) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        is(&self.kind, Some(record.event.kind()))
            && is(&self.key, record.event.key())
            && is(&self.caller, record.event.caller())
            && self.from.is_none_or(|from| record.time >= from)
            && self.to.is_none_or(|to| record.time <= to)
    }
}

/// Writes the lines of the records that the filter takes. Lines that are no records are left out: `verify` names them.
pub fn show(files: &[PathBuf], filter: &Filter, out: &mut impl Write) -> io::Result<()> {
    for path in files {
        for line in BufReader::new(File::open(path)?).split(b'\n') {
            let line = line?;
            if line::read(&line).is_ok_and(|(record, _)| filter.takes(&record)) {
                out.write_all(&line)?;
                out.write_all(b"\n")?;
            }
        }
    }
    Ok(())
}
