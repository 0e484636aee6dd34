//! The copy itself: exactly once, in order, whatever is delivered.

use batch_clearing::chunk::{Chunk, ChunkFault, Incoming};
use batch_clearing::shard_writer::{CommitFault, ShardWriter, StoredPosition};
use ledger_journal::ChainPosition;

use crate::server::Database;
use crate::{Test, sample};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new(
            "copying::each_record_arrives_once_however_often_it_is_delivered",
            duplicates,
        ),
        Test::new("copying::goes_on_where_it_stopped", restart),
        Test::new("copying::a_gap_stops_and_leaves_nothing_behind", gap),
        Test::new("copying::a_chunk_that_does_not_continue_is_refused", stale),
        Test::new("copying::a_failed_chunk_leaves_neither_rows_nor_position", failed),
        Test::new("copying::one_process_replicates_a_shard", one_at_a_time),
        Test::new("copying::shards_are_committed_side_by_side", side_by_side),
        Test::new("copying::rows_say_what_the_records_say", rows),
    ]
}

pub(crate) fn incoming(records: &[Vec<u8>], first_offset: i64) -> Vec<Incoming> {
    let numbered = (first_offset + 1..).zip(records);
    numbered
        .map(|(next, encoded)| Incoming {
            encoded: encoded.clone(),
            next_offset: Some(next),
        })
        .collect()
}

/// Opens a shard, waiting for the connection of an earlier writer to be gone.
pub(crate) async fn open(database: &Database, shard: u8) -> (ShardWriter, StoredPosition) {
    loop {
        match ShardWriter::open(&database.url, sample::shard(shard)).await {
            Err(CommitFault::HeldElsewhere { .. }) => tokio::task::yield_now().await,
            opened => return opened.unwrap(),
        }
    }
}

/// Copies records in chunks of `size` and says where the shard stands then.
pub(crate) async fn copy(database: &Database, shard: u8, records: &[Vec<u8>], size: usize) -> ChainPosition {
    let (mut writer, stored) = open(database, shard).await;
    let mut position = stored.chain;
    for records in records.chunks(size) {
        let chunk = Chunk::prepare(position, &incoming(records, 0), sample::bank()).unwrap();
        position = chunk.after();
        if chunk.records() > 0 {
            writer.commit(chunk).await.unwrap();
        }
    }
    position
}

async fn counts(database: &Database) -> [i64; 4] {
    [
        database.number("SELECT count(*) FROM journal_record").await,
        database.number("SELECT count(*) FROM transfer").await,
        database.number("SELECT count(*) FROM entry").await,
        database
            .number("SELECT COALESCE(sum(sequence), 0)::bigint FROM replication_position")
            .await,
    ]
}

/// Of a journal of `length` records: the account has two entries, one transfer in four is refused.
fn expected_counts(length: i64) -> [i64; 4] {
    let transfers = length - 2;
    let refused = transfers / 4;
    [length, transfers, 2 + 2 * (transfers - refused), length]
}

async fn duplicates(database: Database) {
    let journal = sample::journal(sample::shard(0), 42);
    let mut delivered = Vec::new();
    for (place, record) in journal.iter().enumerate() {
        delivered.extend(std::iter::repeat_n(record.clone(), 1 + place % 3));
        delivered.extend(journal[place.saturating_sub(5)..place].iter().cloned());
    }
    let position = copy(&database, 0, &delivered, 7).await;
    assert_eq!(position.sequence, 42);
    assert_eq!(counts(&database).await, expected_counts(42));
    // and once more from the start, by another process
    assert_eq!(copy(&database, 0, &journal, 10).await, position);
    assert_eq!(counts(&database).await, expected_counts(42));
}

async fn restart(database: Database) {
    let journal = sample::journal(sample::shard(0), 60);
    let (mut writer, position) = open(&database, 0).await;
    assert_eq!(
        position,
        StoredPosition {
            chain: ChainPosition::start(sample::shard(0)),
            kafka_offset: 0
        }
    );
    let chunk = Chunk::prepare(position.chain, &incoming(&journal[..25], 100), sample::bank()).unwrap();
    writer.commit(chunk).await.unwrap();
    // a chunk was prepared and its process died
    let position = open_after(writer, &database).await;
    assert_eq!((position.chain.sequence, position.kafka_offset), (25, 125));
    let end = copy(&database, 0, &journal[20..], 11).await;
    assert_eq!(end.sequence, 60);
    assert_eq!(counts(&database).await, expected_counts(60));
}

async fn open_after(writer: ShardWriter, database: &Database) -> StoredPosition {
    drop(writer);
    open(database, 0).await.1
}

async fn gap(database: Database) {
    let journal = sample::journal(sample::shard(0), 20);
    let position = copy(&database, 0, &journal[..10], 10).await;
    let refused = Chunk::prepare(position, &incoming(&journal[11..], 0), sample::bank()).unwrap_err();
    assert_eq!(refused.to_string(), "shard 0: record 12 where 11 was due");
    assert!(matches!(refused, ChunkFault::Chain(_)));
    assert_eq!(counts(&database).await, expected_counts(10));
    // a journal that continues another history is refused as well
    let other = sample::journal_of_amount(sample::shard(0), 20, 7);
    let refused = Chunk::prepare(position, &incoming(&other[10..], 0), sample::bank()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "shard 0: record 11 does not follow from the one before it"
    );
}

async fn stale(database: Database) {
    let journal = sample::journal(sample::shard(0), 20);
    let (mut writer, position) = open(&database, 0).await;
    let chunk = |records: &[Vec<u8>]| Chunk::prepare(position.chain, &incoming(records, 0), sample::bank()).unwrap();
    writer.commit(chunk(&journal[..10])).await.unwrap();
    let refused = writer.commit(chunk(&journal)).await.unwrap_err();
    assert!(
        matches!(
            refused,
            CommitFault::PositionMoved {
                expected: 0,
                found: 10,
                ..
            }
        ),
        "{refused}"
    );
    assert!(refused.is_passing());
    assert_eq!(counts(&database).await, expected_counts(10));
}

async fn failed(database: Database) {
    let journal = sample::journal(sample::shard(0), 20);
    copy(&database, 0, &journal[..10], 10).await;
    // the last table written to refuses: everything before it in the transaction must go too
    database
        .execute("ALTER TABLE net_position ADD CONSTRAINT none CHECK (posted < 0) NOT VALID")
        .await;
    let (mut writer, position) = open(&database, 0).await;
    let chunk = || Chunk::prepare(position.chain, &incoming(&journal[10..], 0), sample::bank()).unwrap();
    let fault = writer.commit(chunk()).await.unwrap_err();
    assert!(!fault.is_passing(), "{fault}");
    assert_eq!(counts(&database).await, expected_counts(10));
    database.execute("ALTER TABLE net_position DROP CONSTRAINT none").await;
    writer.commit(chunk()).await.unwrap();
    assert_eq!(counts(&database).await, expected_counts(20));
}

async fn one_at_a_time(database: Database) {
    let (_writer, _) = open(&database, 3).await;
    let second = ShardWriter::open(&database.url, sample::shard(3)).await.unwrap_err();
    assert_eq!(second.to_string(), "shard 3 is being replicated by another process");
    open(&database, 2).await;
}

async fn side_by_side(database: Database) {
    let shards = (0..4).map(|shard| {
        let database = database.clone();
        tokio::spawn(async move {
            let journal = sample::journal(sample::shard(shard), 300);
            copy(&database, shard, &journal, 9).await
        })
    });
    for shard in shards.collect::<Vec<_>>() {
        assert_eq!(shard.await.unwrap().sequence, 300);
    }
    let expected = expected_counts(300).map(|count| 4 * count);
    assert_eq!(counts(&database).await, expected);
}

async fn rows(database: Database) {
    let journal = sample::journal(sample::shard(5), 6);
    copy(&database, 5, &journal, 3).await;
    let query = "SELECT sequence, issuer, category, transfer_id, kind, minor, currency, batch_id, institution, \
         refusal, serial, to_char(decided_at, 'YYYY-MM-DD\"T\"HH24:MI:SS'), to_char(business_date, 'YYYYMMDD'), \
         encode(account, 'hex'), original_id FROM transfer ORDER BY sequence";
    let rows = database.connect().await.query(query, &[]).await.unwrap();
    let kinds: Vec<&str> = rows.iter().map(|row| row.get(4)).collect();
    assert_eq!(kinds, ["payment", "refund", "payout", "payment"]);
    let first = &rows[0];
    let (transfer, _) = sample::transfer(ledger_model::TransferKind::Payment, 5_000_000, 1_000);
    assert_eq!(first.get::<_, i64>(0), 3);
    assert_eq!(first.get::<_, &str>(1), transfer.key.issuer.as_str());
    assert_eq!(first.get::<_, &str>(2), transfer.key.category.as_str());
    assert_eq!(first.get::<_, &str>(3), transfer.key.id.as_str());
    assert_eq!(first.get::<_, i64>(5), 1_000);
    assert_eq!(first.get::<_, &str>(6), "CNY");
    assert_eq!(first.get::<_, &str>(7), sample::batch(1).as_str());
    assert_eq!(first.get::<_, &str>(8), transfer.institution.as_str());
    assert_eq!(first.get::<_, Option<&str>>(9), None);
    assert_eq!(first.get::<_, &str>(10), transfer.serial.as_str());
    assert_eq!(first.get::<_, &str>(11), "2026-03-02T10:00:00");
    assert_eq!(first.get::<_, &str>(12), "20260302");
    assert_eq!(first.get::<_, &str>(13), "07".repeat(32));
    assert!(rows[1].get::<_, Option<&str>>(14).is_some());
    assert_eq!(rows[3].get::<_, Option<&str>>(9), Some("balance_short"));
    let same = "SELECT count(*) FROM journal_record WHERE sha256(encoded) = hash";
    assert_eq!(database.number(same).await, 6);
    let agreement = "SELECT count(*) FROM agreement_version WHERE expires = '2045-01-01' AND daily_count_max = 100";
    assert_eq!(database.number(agreement).await, 1);
    assert_eq!(
        database
            .number("SELECT minor FROM account_opening WHERE status = 'open'")
            .await,
        1_000
    );
    assert_eq!(
        database.number("SELECT count(*) FROM batch WHERE state = 'open'").await,
        1
    );
}
