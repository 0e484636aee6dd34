//! Commits chunks of one shard: rows, net positions and the new position in one transaction.
//!
//! That transaction is what makes the copy exactly once. It locks the shard's position and refuses a chunk that does
//! not continue it. Days are locked shared, so that closing one (exclusive) falls between two chunks and never into
//! one; nets of a day already closed stay as they are and its transfers are late (see the view `late_transfer`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use futures::{SinkExt, future};
use ledger_journal::{ChainHash, ChainPosition};
use ledger_model::{BatchId, BusinessDate, ShardId};
use tokio_postgres::{Client, Row, Statement, Transaction};

use crate::chunk::Chunk;
use crate::database::{self, DatabaseFault, Doing, Purpose};
use crate::netting::{NetKey, NetSums, Nets};
use crate::partition;
use crate::schema::lock;
use crate::table_rows::{self, TableCopy};

/// How far a shard is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPosition {
    pub chain: ChainPosition,
    /// Where to go on reading the shard's partition.
    pub kafka_offset: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum CommitFault {
    #[error(transparent)]
    Database(#[from] DatabaseFault),
    #[error("shard {shard} is being replicated by another process")]
    HeldElsewhere { shard: ShardId },
    #[error("shard {shard} stands at record {found} where a chunk continues {expected}")]
    PositionMoved { shard: ShardId, expected: u64, found: u64 },
    #[error("shard {shard}: a commit took too long")]
    TimedOut { shard: ShardId },
}

impl CommitFault {
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Database(fault) => fault.is_passing(),
            Self::HeldElsewhere { .. } | Self::PositionMoved { .. } | Self::TimedOut { .. } => true,
        }
    }
}

/// What a commit brought that is worth a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Transfers of days that were closed before they arrived.
    pub late: u64,
}

#[derive(Debug)]
pub struct ShardWriter {
    client: Client,
    shard: ShardId,
    statements: Statements,
    days_known: BTreeSet<BusinessDate>,
}

#[derive(Debug)]
struct Statements {
    lock_position: Statement,
    lock_days: Statement,
    closed_days: Statement,
    batches: Statement,
    nets: Statement,
    position: Statement,
    /// By their text.
    copies: BTreeMap<&'static str, Statement>,
}

const LOCK_POSITION: &str = "SELECT sequence, head, kafka_offset FROM replication_position WHERE shard = $1 FOR UPDATE";
const LOCK_DAYS: &str =
    "SELECT pg_advisory_xact_lock_shared($1, day) FROM (SELECT day FROM unnest($2::integer[]) day ORDER BY day) days";
const CLOSED_DAYS: &str = "SELECT to_char(business_date, 'YYYYMMDD')::integer FROM closing \
     WHERE business_date IN (SELECT to_date(day::text, 'YYYYMMDD') FROM unnest($1::integer[]) day)";
const BATCHES: &str = "INSERT INTO batch (batch_id, business_date, state, closed_at) \
     SELECT id, date, CASE WHEN closed_at IS NULL THEN 'open' ELSE 'closed' END, closed_at \
     FROM (SELECT id, to_date(substr(id, 2, 8), 'YYYYMMDD') AS date FROM unnest($1::text[]) id) seen \
     LEFT JOIN closing ON business_date = date ORDER BY id ON CONFLICT (batch_id) DO NOTHING";
const NETS: &str = "INSERT INTO net_position AS held \
     (shard, batch_id, institution, currency, posted, debit_minor, credit_minor) \
     SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[]) \
     ON CONFLICT (batch_id, institution, currency, shard) DO UPDATE SET posted = held.posted + EXCLUDED.posted, \
     debit_minor = held.debit_minor + EXCLUDED.debit_minor, credit_minor = held.credit_minor + EXCLUDED.credit_minor";
const POSITION: &str = "UPDATE replication_position SET sequence = $2, head = $3, \
     kafka_offset = COALESCE($4, kafka_offset), committed_at = now() WHERE shard = $1";

impl ShardWriter {
    /// Connects, makes sure nobody else replicates the shard, and says where it stands.
    pub async fn open(postgres: &str, shard: ShardId) -> Result<(Self, StoredPosition), CommitFault> {
        let client = database::connect(postgres, Purpose::Replication).await?;
        let number = i16::from(shard.number());
        let row = client
            .query_one(
                "SELECT pg_try_advisory_lock($1, $2)",
                &[&lock::REPLICATOR, &i32::from(number)],
            )
            .await;
        let held: bool = row
            .and_then(|row| row.try_get(0))
            .doing("locking a shard's replication")?;
        if !held {
            return Err(CommitFault::HeldElsewhere { shard });
        }
        let start =
            "INSERT INTO replication_position (shard, sequence, head) VALUES ($1, 0, $2) ON CONFLICT DO NOTHING";
        client
            .execute(start, &[&number, &ChainHash::START.0.as_slice()])
            .await
            .doing("starting a shard's position")?;
        let statements = Statements::prepare(&client).await?;
        let row = client
            .query_one(&statements.lock_position, &[&number])
            .await
            .doing("reading a shard's position")?;
        let position = stored_position(shard, &row)?;
        Ok((
            Self {
                client,
                shard,
                statements,
                days_known: BTreeSet::new(),
            },
            position,
        ))
    }

    pub async fn commit(&mut self, chunk: Chunk) -> Result<Committed, CommitFault> {
        self.make_partitions(&chunk).await?;
        let transaction = self.client.transaction().await.doing("beginning a chunk")?;
        let closed = lock_and_check(&transaction, &self.statements, &chunk).await?;
        let late = chunk
            .days
            .iter()
            .filter(|(day, _)| closed.contains(day))
            .map(|(_, transfers)| transfers)
            .sum();
        let nets = chunk.nets.without_days(&closed);
        for copy in chunk.rows.into_copies() {
            send(&transaction, &self.statements, copy).await?;
        }
        // polled, and so sent, in this order without waiting for each other's answer
        future::try_join3(
            record_batches(&transaction, &self.statements, &chunk.batches),
            add_nets(&transaction, &self.statements, self.shard, &nets),
            move_position(&transaction, &self.statements, chunk.after, chunk.next_offset),
        )
        .await?;
        transaction.commit().await.doing("committing a chunk")?;
        Ok(Committed { late })
    }

    async fn make_partitions(&mut self, chunk: &Chunk) -> Result<(), DatabaseFault> {
        for day in chunk.days.keys() {
            if !self.days_known.contains(day) {
                partition::ensure(&mut self.client, *day).await?;
                self.days_known.insert(*day);
            }
        }
        Ok(())
    }
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Self, DatabaseFault> {
        let prepare = async |text| client.prepare(text).await.doing("preparing a statement");
        let mut copies = BTreeMap::new();
        for text in table_rows::STATEMENTS {
            copies.insert(text, prepare(text).await?);
        }
        Ok(Self {
            lock_position: prepare(LOCK_POSITION).await?,
            lock_days: prepare(LOCK_DAYS).await?,
            closed_days: prepare(CLOSED_DAYS).await?,
            batches: prepare(BATCHES).await?,
            nets: prepare(NETS).await?,
            position: prepare(POSITION).await?,
            copies,
        })
    }
}

/// The days of the chunk that are closed already.
async fn lock_and_check(
    transaction: &Transaction<'_>,
    statements: &Statements,
    chunk: &Chunk,
) -> Result<BTreeSet<BusinessDate>, CommitFault> {
    let shard = chunk.before.shard;
    let number = i16::from(shard.number());
    let days: Vec<i32> = chunk.days.keys().map(|day| day_number(*day)).collect();
    // sent in this order; the days are locked by a statement of its own, so that what is read after is not older
    let (row, _, closed) = future::try_join3(
        transaction.query_one(&statements.lock_position, &[&number]),
        transaction.execute(&statements.lock_days, &[&lock::DAY, &days]),
        transaction.query(&statements.closed_days, &[&days]),
    )
    .await
    .doing("locking a shard's position and business dates")?;
    let found = stored_position(shard, &row)?.chain;
    if found != chunk.before {
        return Err(CommitFault::PositionMoved {
            shard,
            expected: chunk.before.sequence,
            found: found.sequence,
        });
    }
    let mut dates = BTreeSet::new();
    for row in &closed {
        let day: i32 = row.try_get(0).doing("reading closed dates")?;
        let date = u32::try_from(day).ok().and_then(BusinessDate::from_number);
        dates.insert(date.ok_or(DatabaseFault::Content("a closed date"))?);
    }
    Ok(dates)
}

async fn send(transaction: &Transaction<'_>, statements: &Statements, copy: TableCopy) -> Result<(), DatabaseFault> {
    let statement = statements
        .copies
        .get(copy.statement)
        .expect("every COPY statement was prepared");
    let sink = transaction
        .copy_in::<_, Cursor<Vec<u8>>>(statement)
        .await
        .doing("beginning to copy rows")?;
    let mut sink = std::pin::pin!(sink);
    sink.send(Cursor::new(copy.bytes)).await.doing("copying rows")?;
    let copied = sink.as_mut().finish().await.doing("copying rows")?;
    if copied == copy.rows {
        Ok(())
    } else {
        Err(DatabaseFault::Content("the number of copied rows"))
    }
}

async fn record_batches(
    transaction: &Transaction<'_>,
    statements: &Statements,
    batches: &BTreeSet<BatchId>,
) -> Result<(), DatabaseFault> {
    if batches.is_empty() {
        return Ok(());
    }
    let batches: Vec<&str> = batches.iter().map(BatchId::as_str).collect();
    let recorded = transaction.execute(&statements.batches, &[&batches]).await;
    recorded.doing("recording batches").map(|_| ())
}

async fn move_position(
    transaction: &Transaction<'_>,
    statements: &Statements,
    after: ChainPosition,
    next_offset: Option<i64>,
) -> Result<(), DatabaseFault> {
    let sequence = i64::try_from(after.sequence).map_err(|_| DatabaseFault::Content("a sequence number"))?;
    let (shard, head) = (i16::from(after.shard.number()), after.head.0.as_slice());
    let moved = transaction
        .execute(&statements.position, &[&shard, &sequence, &head, &next_offset])
        .await;
    moved.doing("moving a shard's position").map(|_| ())
}

async fn add_nets(
    transaction: &Transaction<'_>,
    statements: &Statements,
    shard: ShardId,
    nets: &Nets,
) -> Result<(), DatabaseFault> {
    let text = |part: fn(&NetKey) -> &str| -> Vec<&str> { nets.iter().map(|(key, _)| part(key)).collect() };
    let number = |part: fn(&NetSums) -> i64| -> Vec<i64> { nets.iter().map(|(_, sums)| part(sums)).collect() };
    let (batches, institutions) = (text(|key| key.batch.as_str()), text(|key| key.institution.as_str()));
    let currencies = text(|key| key.currency.as_str());
    let (posted, debits) = (number(|sums| sums.posted), number(|sums| sums.debit_minor));
    let credits = number(|sums| sums.credit_minor);
    if batches.is_empty() {
        return Ok(());
    }
    let shard = i16::from(shard.number());
    transaction
        .execute(
            &statements.nets,
            &[&shard, &batches, &institutions, &currencies, &posted, &debits, &credits],
        )
        .await
        .doing("adding to net positions")?;
    Ok(())
}

fn stored_position(shard: ShardId, row: &Row) -> Result<StoredPosition, DatabaseFault> {
    let sequence = database::unsigned(row, 0, "a shard's position")?;
    let head: &[u8] = row.try_get(1).doing("reading a chain head")?;
    let head = head
        .try_into()
        .map(ChainHash)
        .map_err(|_| DatabaseFault::Content("a chain head"))?;
    let kafka_offset = row.try_get(2).doing("reading an offset")?;
    Ok(StoredPosition {
        chain: ChainPosition { shard, sequence, head },
        kafka_offset,
    })
}

/// `yyyyMMdd`: the form in which dates travel as numbers and name advisory locks.
pub(crate) fn day_number(day: BusinessDate) -> i32 {
    i32::try_from(day.number()).expect("eight digits fit")
}
