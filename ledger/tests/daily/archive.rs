//! `ledger archive`: closed dates go into files outside the stores, which are checked and read by themselves.

use std::path::Path;

use ledger_protocol::Evidence;

use crate::process::{Bank, DATE, Told, alone, fails, payment, succeeds, with_accounts};

const NEXT: &str = "20240305";

fn close(bank: &Bank, date: &str) {
    let told = bank.ledger(&["day", "close", date, "--operator", "wang.fang", "--reason", "night run"]);
    assert_eq!(told.code, 0, "{told:?}");
}

/// A bank with postings whose first date is closed, and the place for its archive.
fn with_closed_date() -> (Bank, String) {
    let bank = with_accounts("", 1..=8);
    for number in 1..=16 {
        bank.decided(payment(number, number % 8 + 1, "CNY1.00", DATE));
    }
    close(&bank, "2024-03-04");
    let archive = bank.path("archive").to_str().unwrap().to_owned();
    (bank, archive)
}

fn names(archive: &str, suffix: &str) -> Vec<String> {
    let listed = std::fs::read_dir(archive).unwrap();
    let names = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(suffix)).collect();
    names.sort();
    names
}

/// Of every shard: its last record, and the hash of it.
fn heads(bank: &Bank) -> Vec<String> {
    let shards: serde_json::Value = serde_json::from_str(&bank.ledger(&["positions", "--json"]).stdout).unwrap();
    let shards = shards.as_array().unwrap().iter();
    let told = shards.map(|shard| {
        let head = shard["head"].as_str().unwrap();
        format!(
            "shard {}: sound to record {}, head {head}, ",
            shard["shard"], shard["sequence"]
        )
    });
    told.collect()
}

#[test]
fn what_is_closed_is_archived_and_later_dates_follow() {
    let mut bank = with_accounts("", 1..=8);
    for number in 1..=16 {
        bank.decided(payment(number, number % 8 + 1, "CNY1.00", DATE));
    }
    let archive = bank.path("archive").to_str().unwrap().to_owned();
    fails(
        &bank.ledger(&["archive", "--to", &archive]),
        1,
        "no business date is closed in every shard",
    );
    close(&bank, "2024-03-04");
    fails(
        &bank.ledger(&["archive", "--to", &archive, "--through", "2024-03-05"]),
        1,
        "2024-03-05 is not closed in shard",
    );
    fails(
        &bank.ledger(&["archive", "check", &archive]),
        1,
        "nothing is archived in",
    );
    let closed_with = heads(&bank);
    bank.decided(payment(17, 1, "CNY1.00", NEXT));
    succeeds(
        &bank.ledger(&["archive", "--to", &archive]),
        "archived through 2024-03-04: 36 records, 4 files",
    );
    // to the record that closed the date, and no further
    let checked = bank.ledger(&["archive", "check", &archive]);
    succeeds(&checked, "it is the beginning of the running ledger's journal");
    for head in closed_with {
        assert!(checked.stdout.contains(&head), "{head}: {checked:?}");
    }
    succeeds(&bank.ledger(&["archive", "--to", &archive]), "it is archived already");

    close(&bank, "2024-03-06");
    bank.killed_and_started();
    // what closed the date closed a later one too
    succeeds(
        &bank.ledger(&["archive", "--to", &archive, "--through", "2024-03-05"]),
        "archived through 2024-03-05: 5 records, 4 files",
    );
    succeeds(
        &bank.ledger(&["archive", "--to", &archive]),
        "archived through 2024-03-06: 0 records, 0 files",
    );
    let checked = alone(&["archive", "check", &archive]);
    succeeds(&checked, "archived through 2024-03-06");
    for head in heads(&bank) {
        assert!(checked.stdout.contains(&head), "{head}: {checked:?}");
    }
    assert_eq!(
        (names(&archive, ".archive").len(), names(&archive, ".json").len()),
        (8, 3)
    );
    check_other_ledgers(&archive);
    check_stores_at_rest(bank, &archive);
}

/// An archive is of one ledger.
fn check_other_ledgers(archive: &str) {
    let other = with_accounts("", 1..=8);
    fails(
        &other.ledger(&["archive", "check", archive]),
        5,
        "the archive is not of this ledger's journal",
    );
    close(&other, "2024-03-08");
    fails(
        &other.ledger(&["archive", "--to", archive]),
        5,
        "the archive is not of this ledger's journal",
    );
}

/// Stores at rest make the same archive.
fn check_stores_at_rest(bank: Bank, archive: &str) {
    let data = bank.path("data").to_str().unwrap().to_owned();
    let again = bank.path("again").to_str().unwrap().to_owned();
    fails(
        &alone(&["archive", "--to", &again, "--directory", &data]),
        1,
        "another process has the store open",
    );
    bank.stopped_and_checked_then(|| {
        for date in ["2024-03-04", "2024-03-05", "2024-03-06"] {
            let told = alone(&["archive", "--to", &again, "--directory", &data, "--through", date]);
            succeeds(&told, "archived through");
        }
        for suffix in [".json", ".archive"] {
            assert_eq!(names(&again, suffix), names(archive, suffix));
            for name in names(&again, suffix) {
                let [here, there] =
                    [again.as_str(), archive].map(|archive| std::fs::read(Path::new(archive).join(&name)));
                assert!(here.unwrap() == there.unwrap(), "{name}");
            }
        }
    });
}

#[test]
fn an_interrupted_archiving_is_gone_on_from() {
    let (bank, archive) = with_closed_date();
    // each file ends a part: with 300 KiB of evidence each, a shard has several
    for number in 100..130 {
        let evidence = Evidence {
            signed: (0..300_u64 << 10)
                .map(|place| u8::try_from(place * number % 251).unwrap())
                .collect(),
            signature: vec![7; 70],
            signing_serial: "4000000101".to_owned(),
        };
        bank.post_with(payment(number, number % 8 + 1, "CNY1.00", NEXT), evidence);
    }
    close(&bank, "2024-03-05");
    let archiving = ["archive", "--to", &archive, "--part-mib", "1"];
    succeeds(&bank.ledger(&archiving), "archived through 2024-03-05");
    let files = names(&archive, ".archive");
    assert!(files.len() > 12, "{files:?}");
    let place = |name: &str| Path::new(&archive).join(name);
    let manifest = std::fs::read(place("through-2024-03-05.json")).unwrap();
    let all: Vec<Vec<u8>> = files.iter().map(|name| std::fs::read(place(name)).unwrap()).collect();
    for kept in (0..files.len()).step_by(3) {
        std::fs::remove_file(place("through-2024-03-05.json")).unwrap();
        for name in &files[kept..] {
            std::fs::remove_file(place(name)).unwrap();
        }
        std::fs::write(place("unfinished"), b"LARC, and no more").unwrap();
        let told = bank.ledger(&archiving);
        let taken_up = format!("{kept} of which an earlier run had written");
        succeeds(&told, if kept == 0 { "archived through" } else { &taken_up });
        assert!(std::fs::read(place("through-2024-03-05.json")).unwrap() == manifest);
        assert_eq!(names(&archive, ".archive"), files);
        for (name, content) in files.iter().zip(&all) {
            assert!(std::fs::read(place(name)).unwrap() == *content, "{name}");
        }
        assert!(!place("unfinished").exists());
    }
    // a file that was left behind and is damaged is never taken
    std::fs::remove_file(place("through-2024-03-05.json")).unwrap();
    std::fs::write(place(&files[2]), &all[2][..all[2].len() - 1]).unwrap();
    fails(&bank.ledger(&archiving), 5, "is damaged");
    std::fs::write(place(&files[2]), &all[2]).unwrap();
    // an earlier date takes what ends with its own last record, and leaves the rest
    succeeds(
        &bank.ledger(&["archive", "--to", &archive, "--through", "2024-03-04"]),
        "archived through 2024-03-04: 36 records, 4 files",
    );
    let checked = alone(&["archive", "check", &archive]);
    let unlisted = format!("{} is in no manifest yet", files.last().unwrap());
    assert!(checked.code == 0 && checked.stderr.contains(&unlisted), "{checked:?}");
    succeeds(&bank.ledger(&archiving), "archived through 2024-03-05");
    succeeds(
        &bank.ledger(&["archive", "check", &archive]),
        "archived through 2024-03-05",
    );
}

#[test]
fn an_archive_that_was_altered_is_found() {
    let (bank, archive) = with_closed_date();
    succeeds(&bank.ledger(&["archive", "--to", &archive]), "archived through");
    let check = |what: &str| {
        let told = alone(&["archive", "check", &archive]);
        assert_eq!(told.code, 5, "{what}: {told:?}");
    };
    for name in names(&archive, ".archive") {
        let path = Path::new(&archive).join(&name);
        let sound = std::fs::read(&path).unwrap();
        for place in (0..sound.len()).step_by(61).chain([0, 5, 9, 20, sound.len() - 1]) {
            let mut altered = sound.clone();
            altered[place] ^= 0x10;
            std::fs::write(&path, &altered).unwrap();
            check(&format!("{name}, byte {place}"));
        }
        std::fs::write(&path, &sound[..sound.len() / 2]).unwrap();
        check(&format!("{name}, cut off"));
        std::fs::write(&path, [&sound[..], &[0]].concat()).unwrap();
        check(&format!("{name}, longer"));
        std::fs::remove_file(&path).unwrap();
        check(&format!("{name}, missing"));
        std::fs::write(&path, &sound).unwrap();
    }
    let manifest = Path::new(&archive).join("through-2024-03-04.json");
    let sound = std::fs::read_to_string(&manifest).unwrap();
    let first = sound.find("\"first\": 1").unwrap();
    for (what, altered) in [
        ("another number", sound.replacen("\"first\": 1", "\"first\": 2", 1)),
        ("another form", sound.replacen("\"form\": 1", "\"form\": 2", 1)),
        ("more evidence", sound.replacen("\"evidence\": ", "\"evidence\": 1", 1)),
        ("another date", sound.replacen("2024-03-04", "2024-03-05", 1)),
        ("cut off", sound[..first].to_owned()),
    ] {
        assert_ne!(altered, sound, "{what}");
        std::fs::write(&manifest, altered).unwrap();
        check(what);
    }
    std::fs::write(&manifest, &sound).unwrap();
    succeeds(&alone(&["archive", "check", &archive]), "archived through 2024-03-04");
}

#[test]
fn evidence_comes_from_an_archive_as_from_the_ledger() {
    let (bank, archive) = with_closed_date();
    succeeds(&bank.ledger(&["archive", "--to", &archive]), "archived through");
    let order = payment(7, 1, "CNY1.00", DATE);
    let id = order.key().id.to_string();
    let place = |name: &str| bank.path(name).to_str().unwrap().to_owned();
    let export = |name: &str, more: &[&str]| {
        let output = place(name);
        [&["evidence", &id, "--output", &output], more].concat().join(" ")
    };
    let run = |line: &str, told: &dyn Fn(&[&str]) -> Told| {
        let words: Vec<&str> = line.split(' ').collect();
        succeeds(&told(&words), "payment of CNY1.00");
    };
    let key = ["--issuer", "G4000311000018", "--category", "0110"];
    run(&export("ledger.tar", &key), &|words| bank.ledger(words));
    // the record that closed the date is the last: archive and ledger have come to the same head
    let only = ["--archive", &archive, "--following", "1"];
    run(&export("alone.tar", &only), &alone);
    run(&export("named.tar", &[&only[..], &key].concat()), &alone);
    run(&export("both.tar", &only), &|words| bank.ledger(words));
    let expected = std::fs::read(place("ledger.tar")).unwrap();
    for name in ["alone.tar", "named.tar", "both.tar"] {
        assert!(std::fs::read(place(name)).unwrap() == expected, "{name}");
    }
    let checked = alone(&["evidence", "check", &place("alone.tar")]);
    fails(&checked, 1, "without a certificate the signature is not checked");

    let unknown = payment(4_711, 1, "CNY1.00", DATE).key().id.to_string();
    let nowhere = place("nowhere.tar");
    fails(
        &alone(&["evidence", &unknown, "--output", &nowhere, "--archive", &archive]),
        1,
        "no transfer has this id",
    );
    let empty = place("empty");
    fails(
        &alone(&["evidence", &id, "--output", &nowhere, "--archive", &empty]),
        1,
        "nothing is archived in",
    );
    assert!(!Path::new(&nowhere).exists());
}
