//! A release that ends in the middle, at every single thing it asks of the disk.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ledger::store::embedded::{Disk, EmbeddedStore, LogFile, RealDisk, StoreOptions};
use ledger::store::release::{Base, ReleaseMode};
use ledger::store::{Consequence, Store};

use super::{begins_at, by, numbers, open_accounts, order, until_releasable};
use crate::bank::payment;
use crate::embedded::copy;
use crate::groups::{accounts, open, open_books, post, shard, small};

/// Does so many things more, and then nothing any more: as a process that is killed, or a disk that is gone.
#[derive(Clone)]
struct Ending {
    left: Arc<AtomicI64>,
}

struct EndingFile {
    file: Box<dyn LogFile>,
    disk: Ending,
}

impl Ending {
    fn never() -> Self {
        Self {
            left: Arc::new(AtomicI64::new(i64::MAX)),
        }
    }

    fn after(&self, count: i64) {
        self.left.store(count, Ordering::SeqCst);
    }

    fn step(&self) -> io::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            Ok(())
        } else {
            Err(io::Error::other("told to end"))
        }
    }

    fn options(&self) -> StoreOptions {
        StoreOptions {
            disk: Arc::new(self.clone()),
            ..small()
        }
    }
}

impl Disk for Ending {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn LogFile>> {
        self.step()?;
        let file = RealDisk.create(path, bytes)?;
        let disk = self.clone();
        Ok(Box::new(EndingFile { file, disk }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let file = RealDisk.open(path)?;
        let disk = self.clone();
        Ok(Box::new(EndingFile { file, disk }))
    }

    fn name(&self, file: &Path, name: &Path) -> io::Result<()> {
        self.step()?;
        RealDisk.name(file, name)?;
        // or the name is there, and nobody was told
        self.step()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        RealDisk.remove(path)
    }
}

impl LogFile for EndingFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(ended) = self.disk.step() {
            self.file.write_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(ended);
        }
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.step()?;
        self.file.sync()
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.disk.step()?;
        self.file.cut(length)
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        self.file.reserve(length)
    }
}

/// Numbers of the segments that are there, but for one of which the header alone is.
fn segments(directory: &Path) -> Vec<u32> {
    let listed = std::fs::read_dir(directory.join("shard-00")).unwrap();
    let whole = listed
        .map(Result::unwrap)
        .filter(|entry| entry.metadata().unwrap().len() > 32);
    let names = whole.map(|entry| entry.file_name().into_string().unwrap());
    let mut found: Vec<u32> = names
        .filter_map(|name| name.strip_prefix("log-").and_then(|number| number.parse().ok()))
        .collect();
    found.sort_unstable();
    found
}

/// Books of which several segments may be released, and how far.
fn releasable(directory: &Path) -> Base {
    let mut store = open(directory, small()).unwrap();
    let mut fresh = numbers(shard()).skip(accounts().len());
    let released = until_releasable(&mut store, 300, |store| open_accounts(store, &mut fresh));
    open_books(&mut store);
    Base {
        position: released.base,
        by: Some(by()),
    }
}

/// What is there is what was there, from where it begins; and it is a store like any other.
fn is_sound(directory: &Path, original: &EmbeddedStore, base: &Base) {
    let mut store = open(directory, small()).unwrap();
    begins_at(&store, base);
    let from = base.position.sequence + 1;
    let journal = |store: &EmbeddedStore| store.reader().journal(from, usize::MAX).unwrap();
    assert_eq!(journal(&store), journal(original));
    assert_eq!(store.state(), original.state());
    post(&mut store, &[payment(1, accounts()[0], 5)]).unwrap();
    drop(store);
    let store = open(directory, small()).unwrap();
    begins_at(&store, base);
    assert_eq!(store.state().sequence, original.state().sequence + 1);
    assert_eq!(store.state().transfers_posted, 1);
}

#[test]
fn a_release_that_ends_anywhere_is_not_begun_or_is_finished_at_the_next_start() {
    let made = tempfile::tempdir().unwrap();
    let base = releasable(made.path());
    let start = Base::start(shard());
    let before = segments(made.path());
    let mut outcomes = Vec::new();
    for steps in 0.. {
        let directory = tempfile::tempdir().unwrap();
        copy(made.path(), directory.path());
        let disk = Ending::never();
        let mut store = open(directory.path(), disk.options()).unwrap();
        disk.after(steps);
        let reader = store.reader();
        let surveyed = reader.survey(base.position).unwrap();
        let ordered = store.release(&ledger::store::release::Release {
            surveyed,
            shipped: None,
            by: by(),
            mode: ReleaseMode::Release,
        });
        let cleared = ordered.as_ref().ok().map(|_| reader.clear().is_ok());
        if let Err(ledger::store::release::ReleaseFault::Store(fault)) = &ordered {
            assert_eq!(fault.consequence(), Consequence::Nothing);
            // as far as this process goes, nothing has happened
            begins_at(&store, &start);
        }
        outcomes.push((ordered.is_ok(), cleared));
        drop((store, reader));
        let there = if directory.path().join("shard-00/base").exists() {
            &base
        } else {
            &start
        };
        assert!(ordered.is_err() || there == &base, "what was told is so");
        let left = segments(directory.path());
        assert!(
            there == &base || left == before,
            "{left:?}: nothing is removed before the base is there"
        );
        let unfinished = open(made.path(), small()).unwrap();
        is_sound(directory.path(), &unfinished, there);
        let left = segments(directory.path());
        assert_eq!(left[0] == 1, there == &start, "{left:?}");
        if cleared == Some(true) {
            break;
        }
    }
    // create, write, sync, name, and each of the segments
    assert!(outcomes.len() > 7, "{outcomes:?}");
    assert!(
        outcomes
            .iter()
            .filter(|outcome| **outcome == (true, Some(false)))
            .count()
            > 1
    );
}

/// What a power failure may leave: segments whose removal was not durable yet.
#[test]
fn segments_that_come_back_do_not_count() {
    let made = tempfile::tempdir().unwrap();
    let base = releasable(made.path());
    let directory = tempfile::tempdir().unwrap();
    copy(made.path(), directory.path());
    let mut store = open(directory.path(), small()).unwrap();
    order(&mut store, base.position, None, ReleaseMode::Release).unwrap();
    store.reader().clear().unwrap();
    drop(store);
    let kept = segments(directory.path());
    for number in segments(made.path()).into_iter().filter(|number| *number < kept[0]) {
        // others than the first, and not what they were
        if number % 2 == 0 {
            let path = format!("shard-00/log-{number:06}");
            std::fs::copy(made.path().join(&path), directory.path().join(&path)).unwrap();
            std::fs::OpenOptions::new()
                .write(true)
                .open(directory.path().join(&path))
                .unwrap()
                .set_len(97)
                .unwrap();
        }
    }
    assert_ne!(segments(directory.path()), kept);
    let original = open(made.path(), small()).unwrap();
    is_sound(directory.path(), &original, &base);
    assert_eq!(segments(directory.path())[0], kept[0]);
}
