//! The tables: versioned, brought up to date by `migrate` and when replication starts.
//!
//! Steps are applied once each, in order, all under one lock; a database newer than the program is refused.

use tokio_postgres::Client;

use crate::database::{DatabaseFault, Doing};

const STEPS: [&str; 2] = [
    include_str!("../schema/0001_replica.sql"),
    include_str!("../schema/0002_hops_and_administration.sql"),
];

/// First key of every advisory lock of this program; the second says which.
pub(crate) mod lock {
    /// Second key: 0.
    pub(crate) const SCHEMA: i32 = 7_301;
    /// Second key: shard. Held by whoever replicates it.
    pub(crate) const REPLICATOR: i32 = 7_302;
    /// Second key: business date. Shared by chunks, exclusive for closing.
    pub(crate) const DAY: i32 = 7_303;
    /// Second key: business date. Held by a night's run.
    pub(crate) const NIGHT: i32 = 7_304;
}

#[derive(Debug, thiserror::Error)]
pub enum SchemaFault {
    #[error(transparent)]
    Database(#[from] DatabaseFault),
    #[error("the database has tables of version {found}, this program knows up to {known}")]
    TooNew { found: i32, known: i32 },
    #[error("the database has tables of version {found} where {known} is needed; run `batch-clearing migrate`")]
    TooOld { found: i32, known: i32 },
}

fn known_version() -> i32 {
    i32::try_from(STEPS.len()).expect("the steps fit on a page")
}

/// Brings the tables up to date and says how many steps that took.
pub async fn migrate(client: &mut Client) -> Result<usize, SchemaFault> {
    let transaction = client.transaction().await.doing("beginning the migration")?;
    let locked = transaction.execute("SELECT pg_advisory_xact_lock($1, 0)", &[&lock::SCHEMA]);
    locked.await.doing("locking the tables' version")?;
    let versions = "CREATE TABLE IF NOT EXISTS schema_version \
                    (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())";
    transaction
        .batch_execute(versions)
        .await
        .doing("creating the table of versions")?;
    let found = version(transaction.client()).await?;
    if found > known_version() {
        return Err(SchemaFault::TooNew {
            found,
            known: known_version(),
        });
    }
    let due: Vec<_> = (1..).zip(STEPS).filter(|(number, _)| *number > found).collect();
    for (number, step) in &due {
        transaction.batch_execute(step).await.doing("applying a migration")?;
        transaction
            .execute("INSERT INTO schema_version (version) VALUES ($1)", &[number])
            .await
            .doing("recording a migration")?;
    }
    transaction.commit().await.doing("committing the migration")?;
    Ok(due.len())
}

/// Refuses a database whose tables are not exactly those of this program.
pub async fn check(client: &Client) -> Result<(), SchemaFault> {
    let exists = client.query_one("SELECT to_regclass('schema_version') IS NOT NULL", &[]);
    let exists: bool = exists
        .await
        .and_then(|row| row.try_get(0))
        .doing("looking for the table of versions")?;
    let found = if exists { version(client).await? } else { 0 };
    let known = known_version();
    match found.cmp(&known) {
        std::cmp::Ordering::Less => Err(SchemaFault::TooOld { found, known }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(SchemaFault::TooNew { found, known }),
    }
}

async fn version(client: &Client) -> Result<i32, DatabaseFault> {
    let row = client.query_one("SELECT COALESCE(max(version), 0) FROM schema_version", &[]);
    row.await
        .and_then(|row| row.try_get(0))
        .doing("reading the tables' version")
}
