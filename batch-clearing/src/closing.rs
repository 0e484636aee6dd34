//! `close`: moves the marker of a business date.
//!
//! Nothing is added up and no entry is touched: the marker says up to which record each shard counts for the date. What
//! arrives later is late, is in no net position and is shown as such. Closing again changes nothing.

use ledger_model::BusinessDate;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use crate::database::{self, DatabaseFault, Doing};
use crate::schema::lock;
use crate::shard_writer::day_number;

/// What closing did. Also its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosingReport {
    pub business_date: String,
    /// False: it was closed before, and nothing changed.
    pub closed_now: bool,
    pub batches: u64,
    pub late_transfers: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ClosingFault {
    #[error(transparent)]
    Database(#[from] DatabaseFault),
    #[error("{0} has not begun; a closed date takes no more transfers")]
    NotBegun(BusinessDate),
}

/// `today`: a later date is refused.
pub async fn close(client: &mut Client, day: BusinessDate, today: BusinessDate) -> Result<ClosingReport, ClosingFault> {
    if day > today {
        return Err(ClosingFault::NotBegun(day));
    }
    let date = day.compact();
    let transaction = client.transaction().await.doing("beginning to close")?;
    // waits for chunks that hold rows of the date; those after it find the marker
    transaction
        .execute("SELECT pg_advisory_xact_lock($1, $2)", &[&lock::DAY, &day_number(day)])
        .await
        .doing("locking the business date")?;
    let mark = "INSERT INTO closing (business_date) VALUES (to_date($1, 'YYYYMMDD')) ON CONFLICT DO NOTHING";
    let closed_now = transaction.execute(mark, &[&date]).await.doing("closing the date")? == 1;
    if closed_now {
        let positions = "INSERT INTO closing_position (business_date, shard, sequence, head) \
             SELECT to_date($1, 'YYYYMMDD'), shard, sequence, head FROM replication_position";
        transaction
            .execute(positions, &[&date])
            .await
            .doing("marking the positions")?;
        let batches = "UPDATE batch SET state = 'closed', closed_at = now() \
             WHERE business_date = to_date($1, 'YYYYMMDD') AND state = 'open'";
        transaction
            .execute(batches, &[&date])
            .await
            .doing("closing the batches")?;
    }
    let counts = "SELECT (SELECT count(*) FROM batch WHERE business_date = to_date($1, 'YYYYMMDD')), \
         (SELECT count(*) FROM late_transfer WHERE business_date = to_date($1, 'YYYYMMDD'))";
    let counts = transaction
        .query_one(counts, &[&date])
        .await
        .doing("counting batches")?;
    let report = ClosingReport {
        business_date: day.to_string(),
        closed_now,
        batches: database::unsigned(&counts, 0, "counting batches")?,
        late_transfers: database::unsigned(&counts, 1, "counting late transfers")?,
    };
    transaction.commit().await.doing("committing the closing")?;
    Ok(report)
}
