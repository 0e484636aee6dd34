//! The fuzz targets over their kept corpus, and over every input of it with single bytes changed.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/bodies.rs"]
#[allow(unreachable_pub, reason = "public for the fuzz targets")]
pub(crate) mod bodies;

/// Changes of each input.
const CHANGES: usize = 8;

#[test]
fn every_target_takes_its_corpus() {
    for (name, body) in bodies::ALL {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let mut files: Vec<_> = fs::read_dir(&corpus)
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{name} has a corpus");
        for file in files {
            let input = fs::read(&file).unwrap();
            eprintln!("{}", file.display());
            body(&input);
            for change in 0..CHANGES.min(input.len()) {
                let mut changed = input.clone();
                let at = change * input.len() / CHANGES.min(input.len());
                changed[at] ^= 1 << change;
                body(&changed);
            }
        }
    }
}

#[test]
fn every_target_takes_nothing_and_much() {
    for (_, body) in bodies::ALL {
        for input in [&[][..], &[0], &[0xFF; 64], &vec![0x30; 20_000]] {
            body(input);
        }
    }
}
