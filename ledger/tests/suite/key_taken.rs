//! A commit that finds one of its keys posted by somebody else meanwhile: its group is decided again, at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ledger::books::{HopRow, Remembered};
use ledger::outcome::Outcome;
use ledger::state::ShardState;
use ledger::store::embedded::EmbeddedStore;
use ledger::store::{Group, OpenHops, Reader, Store, StoreFault};
use ledger::view::{Rows, Wanted};
use ledger_model::{Decision, ShardId, TransferKey};
use ledger_protocol::NothingPosted;

use crate::bank::{LIMITS, Running, SHARDS, first_of, key, payment};
use crate::faulty::Platter;
use crate::groups::small;
use crate::trouble::Trouble;

/// Number of the payment whose key others take.
const TAKEN: u64 = 7;

/// Keeps keys with those of other writers, one of whom is faster as often as told.
struct Contended {
    store: EmbeddedStore,
    faster: usize,
    /// Groups with the key that were to be committed.
    tried: Arc<AtomicUsize>,
    /// What the others hold under it once they have taken it.
    theirs: Option<Remembered>,
    is_taken: bool,
}

impl Store for Contended {
    fn begin(&mut self) -> Result<ShardState, StoreFault> {
        self.store.begin()
    }

    fn state(&self) -> &ShardState {
        self.store.state()
    }

    fn fetch(&self, wanted: &Wanted) -> Result<Rows, StoreFault> {
        self.store.fetch(wanted)
    }

    fn open_hops(&self, homes: &BTreeSet<ShardId>, limit: usize) -> Result<OpenHops, StoreFault> {
        self.store.open_hops(homes, limit)
    }

    fn unapplied_hops(&self, limit: usize) -> Result<Vec<HopRow>, StoreFault> {
        self.store.unapplied_hops(limit)
    }

    fn commit(&mut self, group: Group) -> Result<(), StoreFault> {
        let has_key = group
            .rows
            .transfers
            .iter()
            .any(|row| row.transfer.key == key("0110", TAKEN));
        if has_key {
            self.tried.fetch_add(1, Ordering::SeqCst);
            if self.faster > 0 {
                self.faster -= 1;
                self.is_taken = true;
                self.store.abandon();
                return Err(StoreFault::KeyTaken);
            }
        }
        self.store.commit(group)
    }

    fn abandon(&mut self) {
        self.store.abandon();
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.store.reader()
    }

    fn has_other_writers(&self) -> bool {
        true
    }

    fn elsewhere(&self, wanted: &TransferKey) -> Option<Remembered> {
        let theirs = self.theirs.as_ref().filter(|_| self.is_taken);
        theirs.filter(|theirs| theirs.transfer.key == *wanted).cloned()
    }

    fn epoch(&self) -> u64 {
        0
    }

    fn is_seen(&self) -> bool {
        true
    }

    fn keeps_keys_with(&self, _shard: ShardId) -> bool {
        true
    }
}

/// What the others have posted under the key: a payment of another amount.
async fn theirs() -> Remembered {
    let directory = tempfile::tempdir().unwrap();
    let stores = SHARDS.all().map(|shard| -> Box<dyn Store> {
        Box::new(EmbeddedStore::open_with(directory.path(), SHARDS, shard, small()).unwrap())
    });
    let running = Running::start(stores.collect());
    let other = first_of(SHARDS.shard(1).unwrap());
    running.load([other].into_iter(), "CNY1000.00").await;
    running.post(&payment(TAKEN, other, 999)).await;
    let reader = running.ledger.feed(SHARDS.shard(1).unwrap()).reader;
    reader.transfer(&key("0110", TAKEN)).unwrap().unwrap()
}

/// What the payment with the contended key comes to, that of its neighbour in the same group, and how often it was tried.
async fn check(faster: usize, theirs: Option<Remembered>, expected: impl Fn(&Outcome) -> bool, tries: usize) {
    let directory = tempfile::tempdir().unwrap();
    let attempts = Arc::new(AtomicUsize::new(0));
    let stores = SHARDS.all().map(|shard| -> Box<dyn Store> {
        Box::new(Contended {
            store: EmbeddedStore::open_with(directory.path(), SHARDS, shard, small()).unwrap(),
            faster,
            tried: Arc::clone(&attempts),
            theirs: theirs.clone(),
            is_taken: false,
        })
    });
    let running = Running::start(stores.collect());
    let number = first_of(SHARDS.shard(0).unwrap());
    running.load([number].into_iter(), "CNY1000.00").await;
    let outcome = running.post(&payment(TAKEN, number, 100)).await;
    assert!(expected(&outcome), "{faster}: {outcome:?}");
    assert_eq!(attempts.load(Ordering::SeqCst), tries);
    // nothing stays behind: the key's claim is free, and the shard goes on
    let next = running.post(&payment(8, number, 100)).await;
    assert!(matches!(&next, Outcome::Decided { repeat: false, transfer } if transfer.decision == Decision::Posted));
    assert_eq!(*running.faults.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_group_whose_key_was_taken_is_decided_again_and_finds_it() {
    let posted = |outcome: &Outcome| matches!(outcome, Outcome::Decided { repeat: false, transfer } if transfer.decision == Decision::Posted);
    check(0, None, posted, 1).await;
    // another key of the group was taken: this one posts
    check(1, None, posted, 2).await;
    check(3, None, posted, 4).await;
    let theirs = theirs().await;
    check(1, Some(theirs), |outcome| matches!(outcome, Outcome::Conflict(_)), 1).await;
}

#[tokio::test]
async fn a_key_that_is_taken_for_ever_ends_with_nothing_posted() {
    let refused = |outcome: &Outcome| matches!(outcome, Outcome::NothingPosted(NothingPosted::Store));
    check(usize::MAX, None, refused, 4).await;
}

/// Over stores that do not look for new keys.
struct Unlooking {
    running: Running,
    trouble: Trouble,
    number: u64,
    /// Of the next payment that is new.
    next: u64,
}

impl Unlooking {
    async fn start() -> Self {
        let trouble = Trouble::none();
        let open = |shard| -> Box<dyn Store> { Box::new(Platter::new(shard).refusing_taken(true).open(&trouble)) };
        let running = Running::start(SHARDS.all().map(open).collect());
        let number = first_of(SHARDS.shard(0).unwrap());
        running.load([number].into_iter(), "CNY1000.00").await;
        Self {
            running,
            trouble,
            number,
            next: 100,
        }
    }

    /// Posts so many new payments, each in a group of its own.
    async fn post_new(&mut self, count: u32) {
        for _ in 0..count {
            let outcome = self.running.post(&payment(self.next, self.number, 100)).await;
            assert!(matches!(outcome, Outcome::Decided { repeat: false, .. }), "{outcome:?}");
            self.next += 1;
        }
    }

    /// Of payment 100, and how many groups were worked for nothing until then.
    async fn check_known(&self, minor: i64, expected: impl Fn(&Outcome) -> bool, refused: u64) {
        let outcome = self.running.post(&payment(100, self.number, minor)).await;
        assert!(expected(&outcome), "{outcome:?}");
        assert_eq!(self.trouble.keys_taken(), refused);
    }
}

#[tokio::test]
async fn a_repeat_is_found_by_the_commit_and_others_are_looked_for() {
    let repeat = |outcome: &Outcome| matches!(outcome, Outcome::Decided { repeat: true, transfer } if transfer.decision == Decision::Posted);
    let conflict = |outcome: &Outcome| matches!(outcome, Outcome::Conflict(_));
    let mut unlooking = Unlooking::start().await;
    unlooking.post_new(LIMITS.calm_groups + 1).await;
    unlooking.check_known(100, repeat, 1).await;
    // others are expected now
    unlooking.check_known(100, repeat, 1).await;
    unlooking.check_known(999, conflict, 1).await;
    unlooking.post_new(LIMITS.calm_groups).await;
    unlooking.check_known(999, conflict, 2).await;
    assert_eq!(*unlooking.running.faults.lock().unwrap(), Vec::<String>::new());
}
