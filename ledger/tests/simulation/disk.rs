//! A disk that holds writes back until they are synced, as its cache does; a power failure loses any of their sectors.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ledger::store::embedded::{Disk, LogFile, RealDisk};

use crate::trouble::Trouble;

const SECTOR_BYTES: usize = 512;

type Shared = Arc<Mutex<Box<dyn LogFile>>>;

struct Unsynced {
    file: Shared,
    offset: u64,
    bytes: Vec<u8>,
}

/// Of one shard.
#[derive(Clone)]
pub(crate) struct FaultyDisk {
    unsynced: Arc<Mutex<Vec<Unsynced>>>,
    trouble: Trouble,
}

struct FaultyFile {
    file: Shared,
    disk: FaultyDisk,
    /// A file that is only being made, perhaps by another thread, is left alone until it was synced once.
    is_log: AtomicBool,
}

impl FaultyDisk {
    pub(crate) fn new(trouble: &Trouble) -> Self {
        Self {
            unsynced: Arc::default(),
            trouble: trouble.clone(),
        }
    }

    /// Each sector of what was not synced is there or not.
    pub(crate) fn fail_power(&self) {
        for Unsynced { file, offset, bytes } in self.unsynced.lock().unwrap().drain(..) {
            let keeps_all = self.trouble.one_of([true, false, false]);
            for (place, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                let at = offset + u64::try_from(place * SECTOR_BYTES).unwrap();
                if keeps_all || self.trouble.one_of([true, false]) {
                    file.lock().unwrap().write_at(sector, at).unwrap();
                }
            }
        }
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(FaultyFile {
            file: Arc::new(Mutex::new(RealDisk.create(path, bytes)?)),
            disk: self.clone(),
            is_log: AtomicBool::new(false),
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(FaultyFile {
            file: Arc::new(Mutex::new(RealDisk.open(path)?)),
            disk: self.clone(),
            is_log: AtomicBool::new(true),
        }))
    }

    fn name(&self, file: &Path, name: &Path) -> io::Result<()> {
        RealDisk.name(file, name)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
}

impl FaultyFile {
    fn is_log(&self) -> bool {
        self.is_log.load(Ordering::SeqCst)
    }
}

fn gone() -> io::Error {
    io::Error::other("the power failed")
}

impl LogFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.is_log() && self.disk.trouble.not_written() {
            // half of it gets there before there is no room
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
            self.file.lock().unwrap().write_at(half, offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        if !self.is_log() {
            return self.file.lock().unwrap().write_at(bytes, offset);
        }
        self.disk.unsynced.lock().unwrap().push(Unsynced {
            file: Arc::clone(&self.file),
            offset,
            bytes: bytes.to_vec(),
        });
        Ok(())
    }

    /// Nothing survives that was not written out here, so the real file need not be synced as well.
    fn sync(&self) -> io::Result<()> {
        if !self.is_log.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let trouble = &self.disk.trouble;
        trouble.moment();
        if trouble.is_crashed() {
            return Err(gone());
        }
        if trouble.crashes() {
            trouble.set_crashed(true);
            return Err(gone());
        }
        let mut unsynced = self.disk.unsynced.lock().unwrap();
        let file = self.file.lock().unwrap();
        for Unsynced { offset, bytes, .. } in unsynced.drain(..) {
            file.write_at(&bytes, offset)?;
        }
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.file.lock().unwrap().cut(length)
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        self.file.lock().unwrap().reserve(length)
    }
}
