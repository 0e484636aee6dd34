//! A database of the first version is brought up to date with all that is in it.

use super::site::{account_of, begun, shard};
use crate::further::{change_everything, holds_everything, rows_of_everything};
use crate::postgres::{Group, check_chain, open_account};

const FIRST: &str = include_str!("../../../src/store/postgres/schema/0001_tables.sql");

const TABLES: [(&str, &str); 6] = [
    ("book", "shards"),
    ("shard", "shard, epoch, sequence, flushed, state"),
    ("frame", "shard, last, first, items, rows, evidence"),
    ("transfer", "key, sequence, returned, place, length, shard, is_hopped"),
    ("held", "key, value"),
    ("open_hop", "key"),
];

/// A database as the first version made it, with rows of these columns.
fn of_first_version(rows_of: &Group) -> Group {
    let group = Group::new();
    group.sql("CREATE SCHEMA ledger");
    group.sql(&format!(
        "SET search_path = ledger; CREATE TABLE schema_version (version integer NOT NULL); \
         INSERT INTO schema_version VALUES (1); {FIRST}"
    ));
    for (table, columns) in TABLES {
        let file = group.server.data().join(format!("{}_{table}", group.settings.name));
        let file = file.display();
        rows_of.sql(&format!(
            "COPY (SELECT {columns} FROM ledger.{table}) TO '{file}' (FORMAT binary)"
        ));
        group.sql(&format!(
            "COPY ledger.{table} ({columns}) FROM '{file}' (FORMAT binary)"
        ));
    }
    group
}

#[test]
fn a_database_of_version_1_becomes_one_of_version_2() {
    let made = Group::new();
    let (mut store, number) = (made.open(shard(0)), account_of(0));
    open_account(&mut store, number, "CNY1000.00");
    change_everything(&mut store, number);
    begun(&mut store);
    let (rows, records) = (rows_of_everything(&store, number), check_chain(&mut store));
    let old = of_first_version(&made);
    let mut store = old.open(shard(0));
    begun(&mut store);
    holds_everything(&store, number);
    assert_eq!(rows_of_everything(&store, number), rows);
    assert_eq!(check_chain(&mut store), records);
    // column by column the same tables, in whatever order they came
    let tables = "SELECT string_agg(concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default), ', ' \
         ORDER BY table_name, column_name) FROM information_schema.columns WHERE table_schema = 'ledger'";
    let keys = "SELECT string_agg(pg_get_constraintdef(oid), ', ' ORDER BY conrelid::regclass::text, conname) \
         FROM pg_constraint WHERE connamespace = 'ledger'::regnamespace";
    for described in [tables, keys, "SELECT max(version) FROM ledger.schema_version"] {
        assert_eq!(old.sql(described), made.sql(described));
    }
}
