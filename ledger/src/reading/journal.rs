//! Where journals are read from: a running ledger, over its journal stream, or stores at rest.
//!
//! Both give the records of a shard in order up to a position that is committed; a caller cannot tell them apart.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use ledger_journal::{DecodeFault, JournalRecord};
use ledger_model::{AccountToken, ChinaTime, Currency, Money, ShardCount, ShardId, TransferKey};
use ledger_protocol::{KeptEvidence, KeptRecord, LedgerClient, LedgerFault, ShardPosition, Standing};
use operations::endpoint::{Endpoint, EndpointFault};
use operations::exit;

use super::evidence::{self, Place, opened};
use super::exhibit::ExhibitFault;
use super::statement::StatementFault;
use super::trial::{Difference, Line, TrialBalance, TrialFault};
use crate::archive::{Archive, ArchiveFault};
use crate::books::Sides;
use crate::store::embedded::RestingStore;
use crate::store::{Reader, StoreFault};

/// Records read at a time come to about this.
const CHUNK_BYTES: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ReadingFault {
    #[error("the runtime could not start")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
    #[error(transparent)]
    Store(#[from] StoreFault),
    #[error("record {sequence} of shard {shard} does not read")]
    Record {
        shard: ShardId,
        sequence: u64,
        #[source]
        source: DecodeFault,
    },
    #[error(
        "records 1 to {through} of shard {shard} were released from its store; name their archive with --archive DIRECTORY"
    )]
    Released { shard: ShardId, through: u64 },
    #[error("the archive ends with record {reached} of shard {shard}; records up to {through} were released")]
    ArchiveEnds { shard: ShardId, reached: u64, through: u64 },
    #[error("the journal of shard {0} ended before its last record")]
    Ended(ShardId),
    #[error("the ledger told of shards that cannot be")]
    Shards,
    #[error("nothing to read was named")]
    Nowhere,
    #[error("there is no such account")]
    NoSuchAccount,
    #[error("no transfer has this id")]
    NoSuchTransfer,
    #[error(
        "no transfer has this id among the records the ledger still has; earlier ones were released: name their archive \
         with --archive DIRECTORY"
    )]
    NoSuchTransferHere,
    #[error("several transfers have this id; name one by its issuer and category")]
    SeveralTransfers,
    #[error("{path} cannot be read or written")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Exhibit(#[from] ExhibitFault),
    #[error("the signature does not hold: openssl said: {0}")]
    Signature(String),
    #[error("openssl could not be run")]
    OpenSsl(#[source] std::io::Error),
    #[error("without a certificate the signature is not checked; everything else is sound")]
    NoCertificate,
    #[error("the sums are more than can be held")]
    OutOfRange,
    #[error("the output cannot be written")]
    Json(#[source] serde_json::Error),
    #[error("there is no shard {shard}; the ledger has {count}")]
    NoSuchShard { shard: u8, count: u8 },
    #[error("shard {shard} has come to record {last} only")]
    NotSoFar { shard: u8, last: u64 },
    #[error(transparent)]
    Archive(#[from] ArchiveFault),
    #[error(transparent)]
    Trial(#[from] TrialFault),
    #[error(transparent)]
    Statement(#[from] StatementFault),
}

/// How far to read, in each shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// What is committed when the reading begins.
    Head,
    /// To these records in the shards named, to the head in the others; 0 is before the first.
    Records(Vec<(u8, u64)>),
    /// What was committed by then.
    Time(ChinaTime),
}

impl Until {
    pub fn includes(&self, record: &JournalRecord) -> bool {
        match self {
            Self::Time(time) => record.committed_at <= *time,
            Self::Head | Self::Records(_) => true,
        }
    }
}

/// The journals of every shard of one ledger.
#[derive(Debug)]
pub struct Journals {
    source: Source,
    positions: Vec<ShardPosition>,
    count: ShardCount,
    /// Of records that were released.
    pub(super) archive: Option<Archive>,
}

#[derive(Debug)]
enum Source {
    Running(LedgerClient),
    AtRest(Vec<RestingStore>),
}

impl Journals {
    /// Of a running ledger, as it stands now.
    pub async fn running(listen: &Endpoint) -> Result<Self, ReadingFault> {
        let client = LedgerClient::connect(listen)?;
        let positions = client.positions().await?;
        Self::over(Source::Running(client), positions)
    }

    /// Of a directory of stores, or of a backup of one.
    pub fn at_rest(directory: &Path) -> Result<Self, ReadingFault> {
        let stores = RestingStore::open_all(directory)?;
        let positions = stores.iter().map(RestingStore::position).collect();
        Self::over(Source::AtRest(stores), positions)
    }

    fn over(source: Source, positions: Vec<ShardPosition>) -> Result<Self, ReadingFault> {
        let count = u8::try_from(positions.len()).ok().and_then(ShardCount::new);
        let count = count.ok_or(ReadingFault::Shards)?;
        let in_order = (0..).zip(&positions).all(|(number, position)| position.shard == number);
        if !in_order {
            return Err(ReadingFault::Shards);
        }
        Ok(Self {
            source,
            positions,
            count,
            archive: None,
        })
    }

    pub fn count(&self) -> ShardCount {
        self.count
    }

    /// How the ledger says a shard stood when the reading began.
    pub fn position(&self, shard: ShardId) -> &ShardPosition {
        let position = self.positions.get(shard.index());
        position.expect("there is a position for every shard of the count")
    }

    /// Number of the last record of `shard` that `until` may include.
    pub fn last(&self, shard: ShardId, until: &Until) -> Result<u64, ReadingFault> {
        let head = self.position(shard).sequence;
        let Until::Records(records) = until else {
            return Ok(head);
        };
        for (number, sequence) in records {
            let named = self.count.shard(*number).ok_or(ReadingFault::NoSuchShard {
                shard: *number,
                count: self.count.count(),
            })?;
            let last = self.position(named).sequence;
            if *sequence > last {
                return Err(ReadingFault::NotSoFar { shard: *number, last });
            }
        }
        let named = records.iter().find(|(number, _)| *number == shard.number());
        Ok(named.map_or(head, |(_, sequence)| *sequence))
    }

    /// Gives `take` these records of `shard`, which are committed, each with its bytes; those that were released from the
    /// archive. `take` says whether it wants more.
    pub async fn read(
        &self,
        shard: ShardId,
        records: RangeInclusive<u64>,
        mut take: impl FnMut(&JournalRecord, &[u8]) -> Result<Wants, ReadingFault>,
    ) -> Result<(), ReadingFault> {
        let (mut next, last) = records.into_inner();
        let released = self.base(shard).sequence;
        if next <= last.min(released) {
            let wants = self.read_archived(shard, next..=last.min(released), &mut take)?;
            if wants == Wants::NoMore {
                return Ok(());
            }
            next = released + 1;
        }
        if next > last {
            return Ok(());
        }
        let mut source = match &self.source {
            Source::Running(client) => Chunks::Running(client.journal(shard.number(), next).await?.boxed()),
            Source::AtRest(stores) => {
                let store = stores.get(shard.index()).ok_or(ReadingFault::Shards)?;
                Chunks::AtRest(store.reader())
            }
        };
        loop {
            let chunk = match &mut source {
                Chunks::Running(chunks) => chunks.next().await.transpose()?.unwrap_or_default(),
                Chunks::AtRest(reader) => reader.journal(next, CHUNK_BYTES)?,
            };
            if chunk.is_empty() {
                return Err(ReadingFault::Ended(shard));
            }
            for encoded in chunk {
                let record = JournalRecord::decode(&encoded).map_err(|source| ReadingFault::Record {
                    shard,
                    sequence: next,
                    source,
                })?;
                if take(&record, &encoded)? == Wants::NoMore || next == last {
                    return Ok(());
                }
                next += 1;
            }
        }
    }

    /// As [`Journals::read`], each record with what is kept with it.
    pub async fn kept(
        &self,
        shard: ShardId,
        records: RangeInclusive<u64>,
        mut take: impl FnMut(&JournalRecord, &KeptRecord) -> Result<Wants, ReadingFault>,
    ) -> Result<(), ReadingFault> {
        let (mut next, last) = records.into_inner();
        if next > last {
            return Ok(());
        }
        let mut running = match &self.source {
            Source::Running(client) => Some(client.kept(shard.number(), next..=last).await?.boxed()),
            Source::AtRest(_) => None,
        };
        loop {
            let chunk = match &mut running {
                Some(chunks) => chunks.next().await.transpose()?.unwrap_or_default(),
                None => self.kept_at_rest(shard, next)?,
            };
            if chunk.is_empty() {
                return Err(ReadingFault::Ended(shard));
            }
            for kept in chunk {
                let record = JournalRecord::decode(&kept.record).map_err(|source| ReadingFault::Record {
                    shard,
                    sequence: next,
                    source,
                })?;
                if take(&record, &kept)? == Wants::NoMore || next == last {
                    return Ok(());
                }
                next += 1;
            }
        }
    }

    fn kept_at_rest(&self, shard: ShardId, from: u64) -> Result<Vec<KeptRecord>, ReadingFault> {
        let Source::AtRest(stores) = &self.source else {
            return Ok(Vec::new());
        };
        let store = stores.get(shard.index()).ok_or(ReadingFault::Shards)?;
        let chunk = store.reader().kept(from, CHUNK_BYTES)?.into_iter();
        Ok(chunk.map(opened).collect::<Result<_, _>>()?)
    }

    /// How an account stands in the state, and as of which record of its shard.
    pub async fn standing(&self, token: AccountToken) -> Result<Standing, ReadingFault> {
        let home = self.count.of_account(token);
        match &self.source {
            Source::Running(client) => Ok(client.standing(token).await?),
            Source::AtRest(stores) => {
                let store = stores.get(home.index()).ok_or(ReadingFault::Shards)?;
                Ok(Standing {
                    shard: home.number(),
                    sequence: store.state.sequence,
                    balance: store.account(token)?.map(|held| held.account.balance),
                })
            }
        }
    }

    /// What is kept about the transfer with this key, and so many of the records that follow, where there is one.
    pub async fn evidence(&self, key: &TransferKey, following: u32) -> Result<Option<KeptEvidence>, ReadingFault> {
        match &self.source {
            Source::Running(client) => Ok(client.evidence(key, following).await?),
            Source::AtRest(stores) => {
                let places = stores.iter().map(|store| Place {
                    state: store.state.clone(),
                    reader: store.reader(),
                });
                Ok(evidence::find(&places.collect::<Vec<_>>(), key, following)?)
            }
        }
    }

    /// Number of the first record of `shard` that was committed at `time` or later, or of the record after the last, of those
    /// that are not released; found by halving, since records are in the order of their commits.
    pub async fn first_since(&self, shard: ShardId, time: ChinaTime) -> Result<u64, ReadingFault> {
        let first = self.base(shard).sequence + 1;
        let (mut low, mut high) = (first, self.position(shard).sequence.saturating_add(1));
        while low < high {
            let middle = low + (high - low) / 2;
            let mut earlier = false;
            let read = self.read(shard, middle..=middle, |record, _| {
                earlier = record.committed_at < time;
                Ok(Wants::NoMore)
            });
            read.await?;
            if earlier {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// What of the state is not what the journal comes to at its head. Of a running ledger its position is compared, of
    /// stores at rest also the sums of the ledger's own accounts and the balances of all customers.
    pub fn differences(&self, trial: &TrialBalance) -> Result<Vec<Difference>, ReadingFault> {
        let shard = trial.position.shard;
        let mut differences = trial.differences(self.position(shard));
        if let Source::AtRest(stores) = &self.source {
            let store = stores.get(shard.index()).ok_or(ReadingFault::Shards)?;
            if !internal_is(store, trial)? {
                differences.push(Difference::Internal);
            }
            if !customers_are(store, trial)? {
                differences.push(Difference::Customers);
            }
        }
        Ok(differences)
    }
}

fn internal_is(store: &RestingStore, trial: &TrialBalance) -> Result<bool, ReadingFault> {
    let mut held: BTreeMap<(Currency, Line), Sides> = BTreeMap::new();
    for row in store.internal() {
        let (key, sums) = row?;
        if sums != Sides::default() {
            held.insert((key.currency, Line::Own(key.account)), sums);
        }
    }
    let lines = trial.lines.iter().filter(|((_, line), _)| *line != Line::Customers);
    Ok(held.iter().eq(lines))
}

fn customers_are(store: &RestingStore, trial: &TrialBalance) -> Result<bool, ReadingFault> {
    let mut held: BTreeMap<Currency, Money> = BTreeMap::new();
    for account in store.accounts() {
        let balance = account?.account.balance;
        let sum = held
            .entry(balance.currency())
            .or_insert(Money::zero(balance.currency()));
        *sum = sum.plus(balance).map_err(|_| ReadingFault::OutOfRange)?;
    }
    held.retain(|_, sum| sum.minor() != 0);
    let mut lines: BTreeMap<Currency, Money> = BTreeMap::new();
    for ((currency, line), sums) in &trial.lines {
        let balance = sums.balance(*currency).ok_or(ReadingFault::OutOfRange)?;
        if *line == Line::Customers && balance.minor() != 0 {
            lines.insert(*currency, balance);
        }
    }
    Ok(held == lines)
}

enum Chunks {
    Running(BoxStream<'static, Result<Vec<Vec<u8>>, LedgerFault>>),
    AtRest(Arc<dyn Reader>),
}

/// Whether a reader wants more records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    More,
    NoMore,
}

impl ReadingFault {
    /// Of a command that ends with this fault.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Record { .. }
            | Self::Trial(_)
            | Self::Statement(_)
            | Self::Exhibit(_)
            | Self::Signature(_)
            | Self::Store(StoreFault::Inconsistent(_) | StoreFault::Content { .. }) => exit::DIFFERENCES,
            Self::Archive(fault) if fault.is_damage() => exit::DIFFERENCES,
            Self::Runtime(_)
            | Self::Archive(_)
            | Self::Endpoint(_)
            | Self::Ledger(_)
            | Self::Store(_)
            | Self::Ended(_)
            | Self::Shards
            | Self::Nowhere
            | Self::NoSuchAccount
            | Self::OutOfRange
            | Self::NoSuchTransfer
            | Self::NoSuchTransferHere
            | Self::Released { .. }
            | Self::ArchiveEnds { .. }
            | Self::SeveralTransfers
            | Self::File { .. }
            | Self::OpenSsl(_)
            | Self::NoCertificate
            | Self::Json(_)
            | Self::NoSuchShard { .. }
            | Self::NotSoFar { .. } => exit::FAILED,
        }
    }
}
