//! Opening again what a day of postings left, as a process finds it after a kill: nothing is written at the end, and the
//! files are in the page cache as far as memory goes.

use std::path::Path;
use std::time::Instant;

use crate::Extent;
use crate::figures::{Figures, cpu_micros, resident_mib};
use crate::in_process::{Running, open};
use crate::work::Spread;

pub(crate) fn run(mut running: Running, directory: &Path, extent: Extent, figures: &mut Figures) {
    let count = extent.recovered.saturating_sub(running.next);
    if count > 0 {
        running.post(Spread::Zipf, count);
    }
    figures.whole("recovery_postings", running.next);
    figures.whole("resident_mib", resident_mib());
    let before = running.ledger.positions();
    running.ledger.stop();
    drop(running);
    let (cpu, began) = (cpu_micros(), Instant::now());
    let stores = open(directory);
    figures.decimal("recovery_s", began.elapsed().as_secs_f64());
    figures.decimal("recovery_cpu_s", (cpu_micros() - cpu) as f64 / 1e6);
    let after: Vec<_> = stores.iter().map(|store| store.state().position()).collect();
    assert_eq!(before, after, "everything is there");
    drop(stores);
    figures.whole("disk_bytes", size(directory));
}

fn size(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap();
    let sizes = entries.map(|entry| {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            size(&entry.path())
        } else {
            entry.metadata().unwrap().len()
        }
    });
    sizes.sum()
}
