//! The embedded store on a disk that fails: what is refused, what ends the process, what a power failure leaves.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use ledger::outcome::Outcome;
use ledger::store::embedded::{Disk, EmbeddedStore, LogFile, RealDisk, StoreOptions};
use ledger::store::{Consequence, Store};
use ledger_protocol::NothingPosted;

use crate::bank::{Running, SHARDS, payment};
use crate::groups::{accounts, fill, held, open, open_books, post, small};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Trouble {
    #[default]
    None,
    /// Half of what is written gets there, then there is no room.
    Full,
    /// As above, and what is there cannot be cut off.
    FullAndStuck,
    /// What was written may or may not get there.
    SyncFails,
    /// Nothing can be written or made.
    ReadOnly,
}

/// Holds writes back until they are synced, as a disk's cache does.
#[derive(Default)]
struct Faulty {
    trouble: Mutex<Trouble>,
    /// What was written and not synced; a power failure loses it, or keeps the beginning of it.
    unsynced: Mutex<Vec<Unsynced>>,
}

struct Unsynced {
    file: Arc<Mutex<Box<dyn LogFile>>>,
    offset: u64,
    bytes: Vec<u8>,
}

struct FaultyDisk(Arc<Faulty>);

struct FaultyFile {
    file: Arc<Mutex<Box<dyn LogFile>>>,
    faulty: Arc<Faulty>,
}

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

impl Faulty {
    fn is(&self, trouble: Trouble) -> bool {
        *self.trouble.lock().unwrap() == trouble
    }

    fn set(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = trouble;
    }

    fn refuses_room(&self) -> io::Result<()> {
        if self.is(Trouble::Full) || self.is(Trouble::FullAndStuck) {
            return Err(full());
        }
        if self.is(Trouble::ReadOnly) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(())
    }

    /// The power fails: the first `bytes` of what was not synced are there.
    fn fail_power(&self, mut bytes: usize) {
        for Unsynced {
            file,
            offset,
            bytes: unsynced,
        } in self.unsynced.lock().unwrap().drain(..)
        {
            let kept = bytes.min(unsynced.len());
            bytes -= kept;
            file.lock().unwrap().write_at(&unsynced[..kept], offset).unwrap();
        }
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Box<dyn LogFile>> {
        self.0.refuses_room()?;
        // a segment has its name only once it is synced
        RealDisk.create(path, bytes)?;
        self.open(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(FaultyFile {
            file: Arc::new(Mutex::new(RealDisk.open(path)?)),
            faulty: Arc::clone(&self.0),
        }))
    }

    fn name(&self, file: &Path, name: &Path) -> io::Result<()> {
        self.0.refuses_room()?;
        RealDisk.name(file, name)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
}

impl LogFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Err(refused) = self.faulty.refuses_room() {
            self.file.lock().unwrap().write_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(refused);
        }
        self.faulty.unsynced.lock().unwrap().push(Unsynced {
            file: Arc::clone(&self.file),
            offset,
            bytes: bytes.to_vec(),
        });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.faulty.is(Trouble::SyncFails) {
            return Err(io::Error::other("told to fail"));
        }
        let mut unsynced = self.faulty.unsynced.lock().unwrap();
        let is_ours = |unsynced: &Unsynced| Arc::ptr_eq(&unsynced.file, &self.file);
        let (ours, others): (Vec<_>, Vec<_>) = unsynced.drain(..).partition(is_ours);
        *unsynced = others;
        let file = self.file.lock().unwrap();
        for Unsynced { offset, bytes, .. } in ours {
            file.write_at(&bytes, offset)?;
        }
        file.sync()
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        if self.faulty.is(Trouble::FullAndStuck) {
            return Err(full());
        }
        self.file.lock().unwrap().cut(length)
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        self.faulty.refuses_room()?;
        self.file.lock().unwrap().reserve(length)
    }
}

fn faulty() -> (Arc<Faulty>, StoreOptions) {
    let faulty: Arc<Faulty> = Arc::default();
    let options = StoreOptions {
        disk: Arc::new(FaultyDisk(Arc::clone(&faulty))),
        ..small()
    };
    (faulty, options)
}

fn refuses_and_recovers(trouble: Trouble) {
    let directory = tempfile::tempdir().unwrap();
    let (faulty, options) = faulty();
    let mut store = open(directory.path(), options).unwrap();
    let mut all = fill(&mut store, 3);
    let before = held(&store, &all);
    faulty.set(trouble);
    for number in 900..903 {
        let refused = post(&mut store, &[payment(number, accounts()[0], 5)]).unwrap_err();
        assert_eq!(refused.consequence(), Consequence::Nothing, "{trouble:?}: {refused}");
    }
    assert_eq!(held(&store, &all), before, "{trouble:?}: nothing of them is there");
    faulty.set(Trouble::None);
    let paid = payment(903, accounts()[0], 5);
    post(&mut store, std::slice::from_ref(&paid)).unwrap();
    all.push(paid);
    let after = held(&store, &all);
    drop(store);
    let store = open(directory.path(), small()).unwrap();
    assert_eq!(held(&store, &all), after, "{trouble:?}");
}

#[test]
fn a_full_or_read_only_disk_refuses_and_recovers() {
    refuses_and_recovers(Trouble::Full);
    refuses_and_recovers(Trouble::ReadOnly);
}

#[test]
fn what_cannot_be_taken_back_or_synced_is_not_called_refused() {
    for trouble in [Trouble::FullAndStuck, Trouble::SyncFails] {
        let directory = tempfile::tempdir().unwrap();
        let (faulty, options) = faulty();
        let mut store = open(directory.path(), options).unwrap();
        open_books(&mut store);
        faulty.set(trouble);
        let paid = payment(1, accounts()[0], 5);
        let failed = post(&mut store, std::slice::from_ref(&paid)).unwrap_err();
        assert_eq!(failed.consequence(), Consequence::Fatal, "{trouble:?}: {failed}");
        // invariant S2: not durable, so not shown
        assert_eq!(store.reader().transfer(paid.key()).unwrap(), None, "{trouble:?}");
        assert!(
            store
                .reader()
                .journal(store.state().sequence + 1, 1)
                .unwrap()
                .is_empty()
        );
    }
}

#[test]
fn power_failing_before_a_sync_leaves_a_group_wholly_or_not_at_all() {
    let mut sizes = Vec::new();
    for kept in [0, 1, 35, 36, 100, 500, 700, usize::MAX] {
        let directory = tempfile::tempdir().unwrap();
        let (faulty, options) = faulty();
        let mut store = open(directory.path(), options).unwrap();
        let mut all = fill(&mut store, 3);
        let before = held(&store, &all);
        faulty.set(Trouble::SyncFails);
        let paid = payment(900, accounts()[0], 5);
        post(&mut store, std::slice::from_ref(&paid)).unwrap_err();
        drop(store);
        faulty.fail_power(kept);
        let store = open(directory.path(), small()).unwrap();
        let there = store.reader().transfer(paid.key()).unwrap().is_some();
        sizes.push(there);
        if there {
            all.push(paid);
            assert_eq!(store.state().sequence, before.sequence() + 1);
        } else {
            assert_eq!(held(&store, &all), before, "after {kept} bytes");
        }
    }
    assert_eq!((sizes.first(), sizes.last()), (Some(&false), Some(&true)));
}

/// To the caller: a definite answer while the disk is full, the posting when it is not any more, no fault.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_on_a_full_disk_says_that_nothing_was_posted() {
    let directory = tempfile::tempdir().unwrap();
    let (faulty, options) = faulty();
    let stores = SHARDS.all().map(|shard| -> Box<dyn Store> {
        Box::new(EmbeddedStore::open_with(directory.path(), SHARDS, shard, options.clone()).unwrap())
    });
    let running = Running::start(stores.collect());
    running.load(1..=1, "CNY100.00").await;
    faulty.set(Trouble::Full);
    let refused = Outcome::NothingPosted(NothingPosted::Store);
    assert_eq!(running.post(&payment(1, 1, 100)).await, refused);
    faulty.set(Trouble::None);
    let Outcome::Decided { repeat: false, .. } = running.post(&payment(1, 1, 100)).await else {
        panic!("it posts when there is room again");
    };
    assert_eq!(*running.faults.lock().unwrap(), Vec::<String>::new());
    faulty.set(Trouble::SyncFails);
    assert_eq!(running.post_within(&payment(2, 1, 100), crate::bank::WAIT).await, None);
    // the answer's place is let go before the fault is told
    let deadline = std::time::Instant::now() + crate::bank::WAIT;
    while running.faults.lock().unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline, "the fault is told");
        tokio::task::yield_now().await;
    }
    let told = running.faults.lock().unwrap().clone();
    assert!(told.len() == 1 && told[0].contains("could not commit"), "{told:?}");
    assert!(running.ledger.is_halted());
}
