//! PostgreSQL's copy, counted from its rows in one snapshot.

use std::collections::BTreeMap;

use ledger_journal::{ChainHash, ChainPosition};
use ledger_model::ShardId;
use tokio_postgres::{Client, IsolationLevel, Transaction};

use crate::database::{self, DatabaseFault, Doing};
use crate::figures::{Figures, ShardFigures, Sums};

const RECORDS: &str =
    "SELECT count(*), COALESCE(max(sequence), 0) FROM journal_record WHERE shard = $1 AND sequence <= $2";
const HEAD: &str = "SELECT hash FROM journal_record WHERE shard = $1 AND sequence = $2";
const TRANSFERS: &str = "SELECT count(*) FILTER (WHERE refusal IS NULL), count(*) FILTER (WHERE refusal IS NOT NULL) \
     FROM transfer WHERE shard = $1 AND sequence <= $2";
const ENTRIES: &str = "SELECT currency, COALESCE(sum(minor) FILTER (WHERE side = 'D'), 0)::bigint, \
     COALESCE(sum(minor) FILTER (WHERE side = 'C'), 0)::bigint \
     FROM entry WHERE shard = $1 AND sequence <= $2 GROUP BY currency";

pub(super) async fn read(client: &mut Client, targets: &BTreeMap<ShardId, u64>) -> Result<Figures, DatabaseFault> {
    let snapshot = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true);
    let transaction = snapshot.start().await.doing("beginning the comparison")?;
    let mut figures = Figures::new();
    for (shard, wanted) in targets {
        figures.insert(*shard, read_shard(&transaction, *shard, *wanted).await?);
    }
    transaction.commit().await.doing("ending the comparison")?;
    Ok(figures)
}

async fn read_shard(transaction: &Transaction<'_>, shard: ShardId, wanted: u64) -> Result<ShardFigures, DatabaseFault> {
    let number = i16::from(shard.number());
    let wanted = i64::try_from(wanted).map_err(|_| DatabaseFault::Content("a sequence number"))?;
    let records = transaction
        .query_one(RECORDS, &[&number, &wanted])
        .await
        .doing("counting records")?;
    let last: i64 = records.try_get(1).doing("counting records")?;
    let head = match transaction
        .query_opt(HEAD, &[&number, &last])
        .await
        .doing("reading a chain head")?
    {
        Some(row) => {
            let head: &[u8] = row.try_get(0).doing("reading a chain head")?;
            ChainHash(head.try_into().map_err(|_| DatabaseFault::Content("a chain head"))?)
        }
        None => ChainHash::START,
    };
    let transfers = transaction
        .query_one(TRANSFERS, &[&number, &wanted])
        .await
        .doing("counting transfers")?;
    let mut sums = BTreeMap::new();
    for row in transaction
        .query(ENTRIES, &[&number, &wanted])
        .await
        .doing("adding up entries")?
    {
        let sum = |place| row.try_get::<_, i64>(place).doing("adding up entries");
        let currency = database::parsed(&row, 0, "adding up entries")?;
        sums.insert(
            currency,
            Sums {
                debit_minor: sum(1)?,
                credit_minor: sum(2)?,
            },
        );
    }
    Ok(ShardFigures {
        chain: ChainPosition {
            shard,
            sequence: database::unsigned(&records, 1, "counting records")?,
            head,
        },
        records: database::unsigned(&records, 0, "counting records")?,
        posted: database::unsigned(&transfers, 0, "counting transfers")?,
        refused: database::unsigned(&transfers, 1, "counting transfers")?,
        sums,
        fault: None,
    })
}
