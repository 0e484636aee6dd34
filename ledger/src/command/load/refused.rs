//! Where refused lines are told: the first on stderr, all of them in a file where one was asked for.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::LoadFault;
use super::pieces::RefusedLine;

/// Told on stderr one by one; the rest are counted.
const TOLD_MAX: u64 = 100;

#[derive(Debug)]
pub(super) struct RefusedLines {
    list: Option<(PathBuf, BufWriter<File>)>,
    count: u64,
}

impl RefusedLines {
    pub(super) fn told_to(path: Option<&Path>) -> Result<Self, LoadFault> {
        let create = |path: &Path| -> Result<_, LoadFault> {
            let file = File::create(path).map_err(|source| fault(path, source))?;
            Ok((path.to_owned(), BufWriter::new(file)))
        };
        Ok(Self {
            list: path.map(create).transpose()?,
            count: 0,
        })
    }

    pub(super) fn tell(&mut self, file: &Path, refused: &RefusedLine) -> Result<(), LoadFault> {
        let RefusedLine { line, reason } = refused;
        let file = file.display();
        self.count += 1;
        if self.count <= TOLD_MAX {
            eprintln!("{file}:{line}: {reason}");
        }
        match &mut self.list {
            None => Ok(()),
            Some((path, list)) => writeln!(list, "{file}:{line}: {reason}").map_err(|source| fault(path, source)),
        }
    }

    /// How many there were.
    pub(super) fn finish(self) -> Result<u64, LoadFault> {
        if self.count > TOLD_MAX {
            eprintln!("… and {} more", self.count - TOLD_MAX);
        }
        if let Some((path, mut list)) = self.list {
            list.flush().map_err(|source| fault(&path, source))?;
        }
        Ok(self.count)
    }
}

fn fault(path: &Path, source: std::io::Error) -> LoadFault {
    LoadFault::Refused {
        path: path.to_owned(),
        source,
    }
}
