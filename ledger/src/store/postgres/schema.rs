//! The tables: made and brought up to date by the program, refused where they are of a later version than it knows.

use ledger_model::{Packed, ShardCount, ShardId};
use tokio_postgres::Client;

use super::link::{CallFault, Deadline, Link};
use crate::state::ShardState;
use crate::store::StoreFault;

/// What makes each version out of the one before.
const STEPS: [&str; 1] = [include_str!("schema/0001_tables.sql")];
/// Held while the tables are changed; any number would do that nothing else in the database uses.
const LOCK: i64 = 0x6C65_6467_6572;
/// Tables may have to be made, and another process may be making them.
const LIMIT_FACTOR: u32 = 20;

const FOREIGN: StoreFault = StoreFault::Inconsistent("what the database says of its shards does not read");

/// Makes sure that the tables are there, and the shard's row.
pub(super) fn prepare(link: &mut Link, shards: ShardCount, shard: ShardId) -> Result<(), StoreFault> {
    let limit = link.settings().call_limit * LIMIT_FACTOR;
    let deadline = Deadline::after(limit);
    let client = link.connect(link.deadline()).map_err(CallFault::unreachable)?;
    let made = link.bounded(deadline, async {
        let patience = format!(
            "SET statement_timeout = {0}; SET lock_timeout = {0}; SET idle_in_transaction_session_timeout = {0}",
            limit.as_millis()
        );
        client.batch_execute(&patience).await?;
        migrate(&client).await
    });
    let version = made.map_err(CallFault::unreachable)?;
    let known = u32::try_from(STEPS.len()).expect("there are few versions");
    if version > known {
        return Err(StoreFault::Format { found: version, known });
    }
    let count = link.bounded(deadline, enter(&client, shards, shard));
    let count = count.map_err(CallFault::unreachable)?;
    let found_of = u8::try_from(count).map_err(|_| FOREIGN)?;
    if found_of != shards.count() {
        return Err(StoreFault::OtherShard {
            found: shard.number(),
            found_of,
            wanted: shard.number(),
            wanted_of: shards.count(),
        });
    }
    Ok(())
}

/// The version the tables have afterwards.
async fn migrate(client: &Client) -> Result<u32, tokio_postgres::Error> {
    client
        .batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})"))
        .await?;
    client
        .batch_execute(
            "CREATE SCHEMA IF NOT EXISTS ledger; \
             CREATE TABLE IF NOT EXISTS ledger.schema_version (version integer NOT NULL)",
        )
        .await?;
    let row = client
        .query_one("SELECT coalesce(max(version), 0) FROM schema_version", &[])
        .await?;
    let version: i32 = row.try_get(0)?;
    let mut version = u32::try_from(version).unwrap_or(u32::MAX);
    for (step, text) in (1_u32..).zip(STEPS) {
        if step > version {
            client.batch_execute(text).await?;
            client
                .batch_execute(&format!("INSERT INTO schema_version VALUES ({step})"))
                .await?;
            version = step;
        }
    }
    client.batch_execute("COMMIT").await?;
    Ok(version)
}

/// The count of shards the database was made for.
async fn enter(client: &Client, shards: ShardCount, shard: ShardId) -> Result<i16, tokio_postgres::Error> {
    client
        .batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})"))
        .await?;
    let count = i16::from(shards.count());
    client
        .execute(
            "INSERT INTO book (shards) SELECT $1 WHERE NOT EXISTS (SELECT FROM book)",
            &[&count],
        )
        .await?;
    let found: i16 = client.query_one("SELECT shards FROM book", &[]).await?.try_get(0)?;
    if found == count {
        let mut state = Vec::new();
        ShardState::empty(shard).pack(&mut state);
        client
            .execute(
                "INSERT INTO shard (shard, epoch, sequence, flushed, state) VALUES ($1, 0, 0, 0, $2) \
                 ON CONFLICT (shard) DO NOTHING",
                &[&i16::from(shard.number()), &state],
            )
            .await?;
    }
    client.batch_execute("COMMIT").await?;
    Ok(found)
}
