//! What the log asks of the disk, as a seam: tests put a disk in its place that tears, loses and refuses writes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

/// Where log files are made and opened.
pub trait Disk: Send + Sync {
    /// Makes a file of `bytes` zeros with the room for them, and opens it for writing. What was there is gone.
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn LogFile>>;

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>>;

    /// Gives a whole file this name, in place of the file that had it. Durable when it returns.
    fn name(&self, file: &Path, name: &Path) -> io::Result<()>;

    /// Takes a file away; durable sooner or later.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// A file of the log, open for writing.
pub trait LogFile: Send {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// What was written is durable when it returns.
    fn sync(&self) -> io::Result<()>;

    /// Gives the file this length; durable with the next sync.
    fn cut(&self, length: u64) -> io::Result<()>;

    /// Gives the file the room for this length, filled with zeros.
    fn reserve(&self, length: u64) -> io::Result<()>;
}

/// The machine's own files.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn LogFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        reserve(&file, bytes)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Box::new(file))
    }

    fn name(&self, file: &Path, name: &Path) -> io::Result<()> {
        std::fs::rename(file, name)?;
        name.parent().map_or(Ok(()), sync_directory)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
}

/// So that a sync in the middle of the file has no length and no place to write down.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        // a file system without it: the length alone, and dearer syncs
        Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(bytes.max(file.metadata()?.len())),
        Err(errno) => Err(errno.into()),
    }
}

impl LogFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        reserve(self, length)
    }
}

/// Makes names that were given or taken in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
