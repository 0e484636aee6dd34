//! The few things the log does to a disk, behind a trait so that tests can have one that fails.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

const FILE_MODE: u32 = 0o600;

/// One directory with one file that grows.
pub(crate) trait Disk: Send {
    /// A new file that holds `content`, durably, takes the place of the one that grew. When it fails the old one stays.
    fn begin(&mut self, name: &str, content: &[u8]) -> io::Result<()>;

    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Everything appended is on the disk.
    fn sync(&mut self) -> io::Result<()>;

    /// Takes back what was appended behind `length`.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// A real directory. Holds the lock that keeps a second process from writing the same log.
#[derive(Debug)]
pub(crate) struct RealDisk {
    path: PathBuf,
    current: Option<File>,
    _lock: File,
}

impl RealDisk {
    /// `current` is the file to go on with, if there is one.
    pub(crate) fn new(path: PathBuf, lock: File, current: Option<File>) -> Self {
        Self {
            path,
            current,
            _lock: lock,
        }
    }

    fn current(&mut self) -> io::Result<&mut File> {
        self.current
            .as_mut()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no file was begun"))
    }
}

impl Disk for RealDisk {
    fn begin(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = self.path.join(name);
        let begun = || {
            // Truncates what an attempt that failed half-way has left.
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(FILE_MODE)
                .open(&path)?;
            file.write_all(content)?;
            file.sync_all()?;
            File::open(&self.path)?.sync_all()?;
            Ok(file)
        };
        match begun() {
            Ok(file) => {
                self.current = Some(file);
                Ok(())
            }
            Err(fault) => {
                let _not_there_or_truncated_next_time = std::fs::remove_file(&path);
                Err(fault)
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.current()?.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.current()?.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let file = self.current()?;
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        Ok(())
    }
}
