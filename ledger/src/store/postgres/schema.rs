//! The tables: made and brought up to date by the program, refused where they are of a later version than it knows.

use std::time::Duration;

use ledger_model::ShardCount;
use tokio_postgres::{Client, Row};

use super::link::{CallFault, Deadline, Link};
use super::reader::column;
use crate::store::StoreFault;

/// What makes each version out of the one before.
const STEPS: [&str; 3] = [
    include_str!("schema/0001_tables.sql"),
    include_str!("schema/0002_moving.sql"),
    include_str!("schema/0003_beside.sql"),
];
/// Held while the tables are changed; any number would do that nothing else in the database uses.
const LOCK: i64 = 0x6C65_6467_6572;
/// Tables may have to be made, and another process may be making them.
const LIMIT_FACTOR: u32 = 20;

const FOREIGN: StoreFault = StoreFault::Inconsistent("what the database says of its shards does not read");

/// How long tables that are full may take to be brought up to date.
const CHANGE_LIMIT: Duration = Duration::from_hours(1);

/// What a session asks as it begins; nothing else is to be asked of a database of which this does not hold.
pub(super) const MADE_FOR: &str = "SELECT book.shards, (SELECT max(version) FROM schema_version) FROM book";

/// Makes sure that the tables are there. The session they were made on.
pub(super) fn prepare(link: &mut Link, shards: ShardCount) -> Result<Client, StoreFault> {
    let limit = link.settings().call_limit * LIMIT_FACTOR;
    let client = link.connect(link.deadline()).map_err(CallFault::unreachable)?;
    let deadline = Deadline::after(limit);
    let begun = link.bounded(deadline, async {
        client.batch_execute(&patience(limit)).await?;
        begin(&client).await
    });
    let version = begun.map_err(CallFault::unreachable)?;
    let known = known_version();
    if version > known {
        return Err(StoreFault::Format { found: version, known });
    }
    if version < known {
        let changed = link.bounded(Deadline::after(CHANGE_LIMIT), change(&client, version));
        changed.map_err(CallFault::unreachable)?;
    }
    let entered = link.bounded(deadline, enter(&client, shards));
    check(&entered.map_err(CallFault::unreachable)?, shards)?;
    Ok(client)
}

/// Of a row as [`MADE_FOR`] yields it.
pub(super) fn check(row: &Row, shards: ShardCount) -> Result<(), StoreFault> {
    let count: i16 = column(row, 0)?;
    let version: Option<i32> = column(row, 1)?;
    let found = u32::try_from(version.unwrap_or_default()).map_err(|_| FOREIGN)?;
    let known = known_version();
    if found != known {
        return Err(StoreFault::Format { found, known });
    }
    let found_of = u8::try_from(count).map_err(|_| FOREIGN)?;
    if found_of != shards.count() {
        return Err(StoreFault::OtherShard {
            found: 0,
            found_of,
            wanted: 0,
            wanted_of: shards.count(),
        });
    }
    Ok(())
}

fn known_version() -> u32 {
    u32::try_from(STEPS.len()).expect("there are few versions")
}

/// For what takes longer than a session's usual patience.
pub(super) fn patience(limit: Duration) -> String {
    format!(
        "SET statement_timeout = {0}; SET lock_timeout = {0}; SET idle_in_transaction_session_timeout = {0}",
        limit.as_millis()
    )
}

/// Begins a transaction in which nobody else changes the tables; the version they have.
async fn begin(client: &Client) -> Result<u32, tokio_postgres::Error> {
    client
        .batch_execute(&format!(
            "BEGIN; SELECT pg_advisory_xact_lock({LOCK}); CREATE SCHEMA IF NOT EXISTS ledger; \
             CREATE TABLE IF NOT EXISTS ledger.schema_version (version integer NOT NULL)"
        ))
        .await?;
    let row = client
        .query_one("SELECT coalesce(max(version), 0) FROM schema_version", &[])
        .await?;
    let version: i32 = row.try_get(0)?;
    Ok(u32::try_from(version).unwrap_or(u32::MAX))
}

async fn change(client: &Client, version: u32) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(&patience(CHANGE_LIMIT)).await?;
    for (step, text) in (1_u32..).zip(STEPS) {
        if step > version {
            client.batch_execute(text).await?;
            client
                .batch_execute(&format!("INSERT INTO schema_version VALUES ({step})"))
                .await?;
        }
    }
    Ok(())
}

/// Ends the transaction; what the database was made for.
async fn enter(client: &Client, shards: ShardCount) -> Result<Row, tokio_postgres::Error> {
    let made = "INSERT INTO book (shards) SELECT $1 WHERE NOT EXISTS (SELECT FROM book)";
    client.execute(made, &[&i16::from(shards.count())]).await?;
    let row = client.query_one(MADE_FOR, &[]).await?;
    client.batch_execute("COMMIT").await?;
    Ok(row)
}
