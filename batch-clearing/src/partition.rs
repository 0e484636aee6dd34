//! Partitions by business date, made when the first row of a date is due.
//!
//! A partition is built apart and then attached: unlike `CREATE TABLE … PARTITION OF` that neither waits for readers of
//! the parent nor keeps writers out.

use ledger_model::BusinessDate;
use tokio_postgres::Client;

use crate::database::{DatabaseFault, Doing};
use crate::schema::lock;

const PARTITIONED: [&str; 3] = ["journal_record", "transfer", "entry"];

/// Makes what is missing for the date. Outside any chunk's transaction, one maker at a time.
pub(crate) async fn ensure(client: &mut Client, day: BusinessDate) -> Result<(), DatabaseFault> {
    let transaction = client.transaction().await.doing("beginning to make partitions")?;
    let locked = transaction.execute("SELECT pg_advisory_xact_lock($1, 0)", &[&lock::SCHEMA]);
    locked.await.doing("locking the partitions")?;
    for table in PARTITIONED {
        let partition = format!("{table}_{}", day.compact());
        let row = transaction
            .query_one("SELECT to_regclass($1) IS NOT NULL", &[&partition])
            .await;
        if row.and_then(|row| row.try_get(0)).doing("looking for a partition")? {
            continue;
        }
        let make = format!(
            "CREATE TABLE {partition} (LIKE {table} INCLUDING ALL); \
             ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES IN ('{day}')"
        );
        transaction.batch_execute(&make).await.doing("making a partition")?;
    }
    transaction.commit().await.doing("committing partitions")
}
