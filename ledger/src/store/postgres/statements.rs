//! Everything that is asked of the database on the live path, prepared once a session.
//!
//! Statements are over sets: arrays in, one statement for a whole group. Rows are found by primary key only.

use futures::future::try_join_all;
use tokio_postgres::{Client, Statement};

/// Transfers by their keys, under a further condition.
macro_rules! transfers {
    ($condition:literal) => {
        concat!(
            "SELECT transfer.key, transfer.shard, transfer.returned, ",
            "substr(frame.items, transfer.place, transfer.length) ",
            "FROM unnest($1::uuid[]) AS wanted (key) JOIN transfer ON transfer.key = wanted.key ",
            $condition,
            "CROSS JOIN LATERAL (SELECT items FROM frame WHERE frame.shard = transfer.shard ",
            "AND frame.last >= transfer.sequence ORDER BY frame.last LIMIT 1) AS frame"
        )
    };
}

/// Takes the shard: whoever comes later waits.
const TAKE: &str = "SELECT epoch, flushed, state, moved_to, arrives_from, moves FROM shard WHERE shard = $1 FOR UPDATE";

/// The shards that live here.
const HERE: &str = "SELECT shard, moved_to, arrives_from FROM shard";

/// Groups after record `$2`, as many as come to about `$3` bytes.
const GROUPS: &str = "SELECT first, last, rows FROM ( \
     SELECT first, last, rows, sum(octet_length(rows)) OVER (ORDER BY last) - octet_length(rows) AS before \
     FROM (SELECT first, last, rows FROM frame WHERE shard = $1 AND last > $2 ORDER BY last LIMIT 4096) AS frame \
     ) AS frame WHERE before < $3 ORDER BY last";

const HELD: &str =
    "SELECT held.key, held.value FROM unnest($1::bytea[]) AS wanted (key) JOIN held ON held.key = wanted.key";

/// The first `$3` keys from `$1` on and below `$2`.
const HELD_KEYS: &str = "SELECT key FROM held WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3";

/// Of all shards that live here. An item is cut out of its group where it lies.
const TRANSFERS: &str = transfers!("");

/// Those of them that a new transfer of the same key would not meet. Mostly there are none at all, and no key is looked for.
const TRANSFERS_BESIDE: &str = transfers!(
    "AND (transfer.is_hopped OR transfer.also <> 0) \
     AND EXISTS (SELECT FROM transfer WHERE is_hopped OR also <> 0) "
);

const ADD_FRAME: &str = "INSERT INTO frame (shard, last, first, items, rows, evidence) VALUES ($1, $2, $3, $4, $5, $6)";

/// Fails as a whole where one of the keys is there, in whichever shard.
const ADD_TRANSFERS: &str = "INSERT INTO transfer (key, sequence, returned, is_hopped, place, length, shard) \
     SELECT new.*, $7::int2 \
     FROM unnest($1::uuid[], $2::int8[], $3::int8[], $4::bool[], $5::int4[], $6::int4[]) AS new";

const GIVE_BACK: &str = "UPDATE transfer SET returned = changed.returned \
     FROM unnest($1::uuid[], $2::bool[], $3::int8[]) AS changed (key, is_hopped, returned) \
     WHERE transfer.key = changed.key AND transfer.is_hopped = changed.is_hopped AND transfer.shard = $4::int2";

/// The hops that are open or unapplied: without those of `$1`, and with those of `$2`.
const OPEN_HOPS: &str = "WITH closed AS (DELETE FROM open_hop WHERE key = ANY ($1::bytea[])) \
     INSERT INTO open_hop (key) SELECT unnest($2::bytea[]) ON CONFLICT (key) DO NOTHING";

/// The hops that are open or unapplied, with keys from `$1` on and below `$2`.
const FIND_HOPS: &str = "SELECT held.key, held.value FROM open_hop JOIN held ON held.key = open_hop.key \
     WHERE open_hop.key >= $1 AND open_hop.key < $2";

const WRITE: &str = "INSERT INTO held (key, value) SELECT * FROM unnest($1::bytea[], $2::bytea[]) \
     ON CONFLICT (key) DO UPDATE SET value = excluded.value";

/// Last before the commit. Fails where the shard is not as it was when the group began.
const SETTLE: &str = "UPDATE shard SET epoch = CASE WHEN epoch = $2 AND sequence = $3 THEN epoch END, \
     sequence = $4, flushed = $5, state = $6 WHERE shard = $1";

/// A part of what is older than it need be; what others are about to delete is left to them.
const EXPIRE_TRANSFERS: &str = "DELETE FROM transfer WHERE key IN (SELECT key FROM transfer WHERE key < $1 \
     ORDER BY key LIMIT 500 FOR UPDATE SKIP LOCKED)";

const EXPIRE_HELD: &str = "DELETE FROM held WHERE key IN (SELECT key FROM held WHERE key >= $1 AND key < $2 \
     ORDER BY key LIMIT 500)";

const COMMITTED: &str = "SELECT sequence FROM shard WHERE shard = $1";

/// Asked after whatever else was asked: what was read before it was all there if the shard still lived here.
const RESIDENCE: &str = "SELECT moved_to, arrives_from FROM shard WHERE shard = $1";

/// Items of the groups from the one with record `$2` on, as many as come to about `$3` bytes.
const JOURNAL: &str = "SELECT first, items FROM ( \
     SELECT first, last, items, sum(octet_length(items)) OVER (ORDER BY last) - octet_length(items) AS before \
     FROM (SELECT first, last, items FROM frame WHERE shard = $1 AND last >= $2 ORDER BY last LIMIT 1024) AS frame \
     ) AS frame WHERE before < $3 ORDER BY last";

const EVIDENCE: &str = "SELECT first, evidence FROM frame WHERE shard = $1 AND last >= $2 ORDER BY last LIMIT 1";

/// Of a session that writes.
pub(super) struct Writing {
    pub(super) take: Statement,
    pub(super) here: Statement,
    pub(super) groups: Statement,
    pub(super) held: Statement,
    pub(super) held_keys: Statement,
    pub(super) transfers: Statement,
    pub(super) transfers_beside: Statement,
    pub(super) add_frame: Statement,
    pub(super) add_transfers: Statement,
    pub(super) give_back: Statement,
    pub(super) write: Statement,
    pub(super) open_hops: Statement,
    pub(super) find_hops: Statement,
    pub(super) settle: Statement,
    pub(super) expire_transfers: Statement,
    pub(super) expire_held: Statement,
}

/// Of a session that reads.
pub(super) struct Reading {
    pub(super) committed: Statement,
    pub(super) transfers: Statement,
    pub(super) journal: Statement,
    pub(super) evidence: Statement,
    pub(super) residence: Statement,
}

async fn prepared<const N: usize>(client: &Client, texts: [&str; N]) -> Result<[Statement; N], tokio_postgres::Error> {
    let statements = try_join_all(texts.map(|text| client.prepare(text))).await?;
    Ok(statements.try_into().expect("as many statements as texts"))
}

impl Writing {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let texts = [
            TAKE,
            HERE,
            GROUPS,
            HELD,
            HELD_KEYS,
            TRANSFERS,
            TRANSFERS_BESIDE,
            ADD_FRAME,
            ADD_TRANSFERS,
            GIVE_BACK,
            WRITE,
            OPEN_HOPS,
            FIND_HOPS,
            SETTLE,
            EXPIRE_TRANSFERS,
            EXPIRE_HELD,
        ];
        let [
            take,
            here,
            groups,
            held,
            held_keys,
            transfers,
            transfers_beside,
            add_frame,
            add_transfers,
            give_back,
            write,
            open_hops,
            find_hops,
            settle,
            expire_transfers,
            expire_held,
        ] = prepared(client, texts).await?;
        Ok(Self {
            take,
            here,
            groups,
            held,
            held_keys,
            transfers,
            transfers_beside,
            add_frame,
            add_transfers,
            give_back,
            write,
            open_hops,
            find_hops,
            settle,
            expire_transfers,
            expire_held,
        })
    }
}

impl Reading {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let [committed, transfers, journal, evidence, residence] =
            prepared(client, [COMMITTED, TRANSFERS, JOURNAL, EVIDENCE, RESIDENCE]).await?;
        Ok(Self {
            committed,
            transfers,
            journal,
            evidence,
            residence,
        })
    }
}
