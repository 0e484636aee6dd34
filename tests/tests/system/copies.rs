//! The copies of the journal (shards, Kafka, PostgreSQL) agree, and where they do not it is found.

use ledger_journal::{ChainPosition, JournalRecord};
use ledger_model::ShardCount;
use operations::exit;
use system_tests::feed::{Mix, Suite};
use system_tests::kafka;
use system_tests::part::Part;
use system_tests::settings::SHARDS;

use crate::site::Site;

fn compare(site: &Site) -> u8 {
    let plan = site.plan();
    let codes = [exit::DONE, exit::DIFFERENCES];
    plan.tools
        .configured_until(&plan.layout, Part::BatchClearing, &["compare"], &codes)
        .unwrap()
}

pub(crate) fn kafka_holds_every_record_once(site: &mut Site) {
    let counts = site.settled();
    assert_eq!(counts.kafka.unwrap().held, counts.journalled, "{counts}");
    let shards = ShardCount::new(SHARDS).unwrap();
    for shard in shards.all() {
        let mut reader = ChainPosition::start(shard);
        for encoded in kafka::journal(&site.plan().ports, shard.number().into()).unwrap() {
            // refuses what is there twice, is missing, or is not in its place
            reader = reader
                .follow(&JournalRecord::decode(&encoded).unwrap(), &encoded)
                .unwrap();
        }
    }
    assert_eq!(compare(site), exit::DONE);
}

pub(crate) fn compare_finds_a_changed_row(site: &mut Site) {
    site.replay(Mix::Postings, 50, Suite::Sm, 301)
        .play(site.plan(), &site.plan().tools)
        .unwrap();
    site.settled();
    assert_eq!(compare(site), exit::DONE, "before anything is changed");
    let database = site.installation.database();
    let posting = "(shard, sequence) IN (SELECT shard, sequence FROM transfer WHERE refusal IS NULL LIMIT 1)";
    let newest = "(shard, sequence) IN (SELECT shard, sequence FROM replication_position ORDER BY shard LIMIT 1)";
    let flip = "hash = set_byte(hash, 0, get_byte(hash, 0) # 1)";
    let changes = [
        ("sums", "entry", posting, "minor = minor + 1", "minor = minor - 1"),
        ("counts", "transfer", posting, "refusal = 'x'", "refusal = NULL"),
        ("chain heads", "journal_record", newest, flip, flip),
    ];
    for (figures, table, row, change, back) in changes {
        let touched = database
            .execute(&format!("UPDATE {table} SET {change} WHERE {row}"))
            .unwrap();
        assert!(touched > 0, "{table} has such a row");
        let found = compare(site);
        let row = if table == "transfer" { "refusal = 'x'" } else { row };
        database
            .execute(&format!("UPDATE {table} SET {back} WHERE {row}"))
            .unwrap();
        assert_eq!(found, exit::DIFFERENCES, "{figures}: a changed row of {table}");
    }
    assert_eq!(compare(site), exit::DONE, "after everything is changed back");
}
