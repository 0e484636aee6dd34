//! The stores the simulation uses keep what every store owes, while nothing is made to go wrong.

use std::sync::Arc;

use ledger::store::Store;
use ledger::store::embedded::{EmbeddedStore, StoreOptions};

use crate::bank::SHARDS;
use crate::conformance::conforms;
use crate::disk_of_simulation::FaultyDisk;
use crate::faulty::Platter;
use crate::trouble::Trouble;

#[test]
fn the_faulty_store_conforms_over_crashes() {
    let trouble = Trouble::none();
    let platters = SHARDS
        .all()
        .flat_map(|shard| [true, false].map(|refuses_taken| Platter::new(shard).refusing_taken(refuses_taken)));
    for platter in platters {
        let open = |platter: &Platter| -> Box<dyn Store> { Box::new(platter.open(&trouble)) };
        conforms(open(&platter), &|store| {
            drop(store);
            platter.settle(&trouble);
            open(&platter)
        });
    }
}

#[test]
fn the_embedded_store_conforms_over_power_failures() {
    let trouble = Trouble::none();
    let directory = tempfile::tempdir().unwrap();
    for shard in SHARDS.all() {
        let disk = FaultyDisk::new(&trouble);
        let open = || -> Box<dyn Store> {
            let options = StoreOptions {
                disk: Arc::new(disk.clone()),
                ..StoreOptions::default()
            };
            Box::new(EmbeddedStore::open_with(directory.path(), SHARDS, shard, options).unwrap())
        };
        conforms(open(), &|store| {
            drop(store);
            disk.fail_power();
            open()
        });
    }
}
