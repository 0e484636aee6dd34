//! Journals to ship: the real records and chains, kept in a file for each shard, so that memory says nothing of how long
//! they are.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ledger::books::Remembered;
use ledger::feed::Feed;
use ledger::shipping::Route;
use ledger::state::ShardState;
use ledger::store::release::Base;
use ledger::store::{Reader, StoreFault};
use ledger_journal::{ChainHash, ChainPosition, Event, JournalRecord};
use ledger_model::{
    AccountToken, Agreement, AgreementNumber, AgreementStatus, AgreementTerms, ChinaTime, ShardCount, ShardId,
    TransferKey,
};
use tokio::sync::watch;

pub(crate) const SHARDS: ShardCount = ShardCount::new(2).unwrap();

/// Whether other processes are taken to write the journal as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Own,
    Shared,
}

/// What a ledger has committed, and how far it knows Kafka to have come.
pub(crate) struct Journal(Vec<Arc<OfShard>>);

struct OfShard {
    shard: ShardId,
    file: File,
    written: Mutex<Written>,
    committed: watch::Sender<ShardState>,
    shipped: Mutex<Arc<AtomicU64>>,
}

struct Written {
    /// Where each record ends.
    ends: Vec<u64>,
    chain: ChainPosition,
}

impl Journal {
    pub(crate) fn new() -> Arc<Self> {
        let of_shard = |shard| {
            Arc::new(OfShard {
                shard,
                file: tempfile::tempfile().unwrap(),
                written: Mutex::new(Written {
                    ends: Vec::new(),
                    chain: ChainPosition::start(shard),
                }),
                committed: watch::channel(ShardState::empty(shard)).0,
                shipped: Mutex::default(),
            })
        };
        Arc::new(Self(SHARDS.all().map(of_shard).collect()))
    }

    /// As a copy of its directory, taken now and brought up somewhere else.
    pub(crate) fn copied(&self) -> Arc<Self> {
        let copy = Self::new();
        for (of_shard, original) in copy.0.iter().zip(&self.0) {
            of_shard.append(&original.read(1, usize::MAX));
        }
        copy
    }

    /// Commits so many records in each shard; `token` makes them different from those of another journal.
    pub(crate) fn grow(&self, count: u64, token: u8) {
        for of_shard in &self.0 {
            of_shard.grow(count, token);
        }
    }

    /// For a ledger of its own over this journal.
    pub(crate) fn routes(&self, store: Store) -> Vec<Route> {
        let route = |of_shard: &Arc<OfShard>| {
            let shipped = Arc::<AtomicU64>::default();
            *of_shard.shipped.lock().unwrap() = Arc::clone(&shipped);
            let reader = Arc::new(FileReader {
                of_shard: Arc::clone(of_shard),
                store,
            });
            let committed = match store {
                Store::Own => of_shard.committed.subscribe(),
                // what others commit this one is not told
                Store::Shared => watch::channel(ShardState::empty(of_shard.shard)).1,
            };
            let feed = Feed {
                shard: of_shard.shard,
                reader,
                committed,
            };
            Route { feed, shipped }
        };
        self.0.iter().map(route).collect()
    }

    pub(crate) fn all(&self, shard: ShardId) -> Vec<Vec<u8>> {
        self.0[shard.index()].read(1, usize::MAX)
    }

    pub(crate) fn length(&self, shard: ShardId) -> u64 {
        self.0[shard.index()].length()
    }

    /// As the ledger knows it that was started last over this journal.
    pub(crate) fn shipped(&self, shard: ShardId) -> u64 {
        self.0[shard.index()].shipped.lock().unwrap().load(Ordering::Acquire)
    }

    pub(crate) fn bytes(&self) -> u64 {
        let ends = self
            .0
            .iter()
            .map(|of_shard| of_shard.written.lock().unwrap().ends.last().copied());
        ends.flatten().sum()
    }
}

impl OfShard {
    fn length(&self) -> u64 {
        u64::try_from(self.written.lock().unwrap().ends.len()).unwrap()
    }

    fn grow(&self, count: u64, token: u8) {
        let committed_at = ledger::clock::wall_clock()();
        let mut chain = self.written.lock().unwrap().chain;
        let records = (0..count).map(|_| {
            let encoded = record(chain, committed_at, token).encode();
            chain.sequence += 1;
            chain.head = ChainHash::of(&encoded);
            encoded
        });
        let records: Vec<_> = records.collect();
        self.append(&records);
    }

    fn append(&self, records: &[Vec<u8>]) {
        (&self.file).write_all(&records.concat()).unwrap();
        let mut written = self.written.lock().unwrap();
        for encoded in records {
            let end = written.ends.last().copied().unwrap_or(0) + u64::try_from(encoded.len()).unwrap();
            written.ends.push(end);
            written.chain.sequence += 1;
            written.chain.head = ChainHash::of(encoded);
        }
        let sequence = written.chain.sequence;
        drop(written);
        self.committed.send_modify(|state| state.sequence = sequence);
    }

    fn read(&self, from: u64, bytes_max: usize) -> Vec<Vec<u8>> {
        let written = self.written.lock().unwrap();
        let skipped = usize::try_from(from - 1).unwrap();
        let mut begin = match skipped.checked_sub(1) {
            None => 0,
            Some(before) => match written.ends.get(before) {
                Some(end) => *end,
                None => return Vec::new(),
            },
        };
        let mut records = Vec::new();
        let mut bytes = 0;
        for end in written.ends.iter().skip(skipped) {
            let mut encoded = vec![0; usize::try_from(end - begin).unwrap()];
            self.file.read_exact_at(&mut encoded, begin).unwrap();
            begin = *end;
            bytes += encoded.len();
            records.push(encoded);
            if bytes >= bytes_max {
                break;
            }
        }
        records
    }
}

fn record(chain: ChainPosition, committed_at: ChinaTime, token: u8) -> JournalRecord {
    let sequence = chain.sequence + 1;
    let agreement = Agreement {
        number: AgreementNumber::issue(chain.shard, sequence),
        account: AccountToken::new([token; 32]),
        institution: "Z2000133000019".parse().unwrap(),
        status: AgreementStatus::Normal,
        terms: AgreementTerms {
            single_max: "CNY50000.00".parse().unwrap(),
            daily_max: "CNY1000000.00".parse().unwrap(),
            daily_count_max: 1_000,
            expires: "2030-12-31".parse().unwrap(),
        },
    };
    JournalRecord {
        shard: chain.shard,
        sequence,
        previous: chain.head,
        committed_at,
        event: Event::AgreementRecorded { agreement },
    }
}

struct FileReader {
    of_shard: Arc<OfShard>,
    store: Store,
}

impl Reader for FileReader {
    fn committed(&self) -> Result<u64, StoreFault> {
        Ok(self.of_shard.length())
    }

    fn base(&self) -> Result<Arc<Base>, StoreFault> {
        Ok(Arc::new(Base::start(self.of_shard.shard)))
    }

    fn is_shared(&self) -> bool {
        self.store == Store::Shared
    }

    fn transfer(&self, _key: &TransferKey) -> Result<Option<Remembered>, StoreFault> {
        Ok(None)
    }

    fn journal(&self, from: u64, bytes_max: usize) -> Result<Vec<Vec<u8>>, StoreFault> {
        Ok(self.of_shard.read(from, bytes_max))
    }

    fn evidence(&self, _sequence: u64) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(None)
    }
}
