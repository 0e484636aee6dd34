//! `ledger archive release`: what is archived leaves the stores, and everybody is told as before.

use std::path::Path;

use ledger_model::{ChinaTime, Instruction, ShardCount};
use ledger_protocol::{Evidence, PostReply};

use crate::process::{Bank, DATE, Told, alone, fails, payout, succeeds, token, with_accounts};

/// Each fills a part of a segment that is not compressed away.
const SIGNED_BYTES: usize = 300 << 10;
/// More than the first segment and a part of the second hold.
const PAYOUTS: u64 = 90;
const BY: [&str; 4] = ["--operator", "wang.fang", "--reason", "the year is archived"];

fn evidence(number: u64) -> Evidence {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let signed = (0..SIGNED_BYTES).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u8::try_from(state >> 56).unwrap()
    });
    Evidence {
        signed: signed.collect(),
        signature: vec![7; 70],
        signing_serial: "4000000101".to_owned(),
    }
}

/// A payout of today: by its id, batch and time.
fn of_today(number: u64, amount: &str) -> Instruction {
    let now: ChinaTime = ledger::clock::wall_clock()();
    let date = now.date().number().to_string();
    let mut today = payout(number, 1, amount, &date);
    if let Instruction::Payout(payout) = &mut today {
        payout.key.id = format!("{date}{number:016}0000000").parse().unwrap();
        payout.ordered_at = now;
    }
    today
}

/// The shard of the first account.
fn shard() -> u8 {
    let shards = ShardCount::new(4).unwrap();
    let token = ledger_model::AccountToken::from_hex(&token(1)).unwrap();
    shards.of_account(token).number()
}

fn base(bank: &Bank) -> serde_json::Value {
    let told: serde_json::Value = serde_json::from_str(&bank.ledger(&["positions", "--json"]).stdout).unwrap();
    told[usize::from(shard())]["base"].clone()
}

/// A bank of which a date is closed and archived, in one shard more than a segment; and its archive.
fn archived() -> (Bank, String) {
    archived_of("CNY1.00")
}

/// Ledgers that were made alike in one second have one journal, so another one has other payouts.
fn archived_of(amount: &str) -> (Bank, String) {
    let bank = with_accounts("snapshot_mib = 1", 1..=8);
    for number in 1..=PAYOUTS {
        let posted = bank.post_with(payout(number, 1, amount, DATE), evidence(number));
        assert!(matches!(posted, PostReply::Decided { .. }), "{posted:?}");
    }
    let told = bank.ledger(&[&["day", "close", "2024-03-04"], &BY[..]].concat());
    assert_eq!(told.code, 0, "{told:?}");
    let archive = bank.path("archive").to_str().unwrap().to_owned();
    succeeds(
        &bank.ledger(&["archive", "--to", &archive]),
        "archived through 2024-03-04",
    );
    (bank, archive)
}

/// Its books as they are read; `more` says from where.
struct Read {
    statement: Told,
    trial: Told,
}

fn read(told: impl Fn(&[&str]) -> Told, more: &[&str]) -> Read {
    Read {
        statement: told(&[&["statement", &token(1), "--json"], more].concat()),
        trial: told(&[&["trial-balance", "--json"], more].concat()),
    }
}

#[track_caller]
fn same(before: &Read, after: &Read) {
    assert_eq!((after.statement.code, &*after.statement.stderr), (0, ""));
    assert_eq!((after.trial.code, &*after.trial.stderr), (0, ""));
    assert!(after.statement.stdout == before.statement.stdout);
    assert!(after.trial.stdout == before.trial.stdout);
}

#[test]
fn what_is_archived_is_released_and_read_from_the_archive() {
    let (mut bank, archive) = archived();
    let release = |bank: &Bank, more: &[&str]| {
        bank.ledger(&[&["archive", "release", "--archive", &archive], &BY[..], more].concat())
    };
    // resends are still answered from all of it
    let told = release(&bank, &[]);
    succeeds(
        &told,
        "nothing more to release; the records that follow stay: orders of 2024-03-04 may come again",
    );
    let today = forgets(&mut bank);
    check_refusals(&bank, &archive);
    let before = read(|words| bank.ledger(words), &[]);
    let rehearsed = release(&bank, &["--dry-run"]);
    succeeds(&rehearsed, "would be released, head ");
    assert!(base(&bank).is_null());
    same(&before, &read(|words| bank.ledger(words), &[]));

    let released = release(&bank, &["--through", "2024-03-04"]);
    succeeds(&released, &format!("shard {}: records 1 to ", shard()));
    assert_eq!(
        released.stdout,
        rehearsed.stdout.replace("would be released", "released")
    );
    // its header stays, so that an earlier program does not take the directory for an empty one
    let first = bank.path(&format!("data/shard-{:02}/log-000001", shard()));
    assert_eq!(std::fs::metadata(first).unwrap().len(), 32);
    assert!(bank.log().contains("the year is archived"));
    succeeds(
        &release(&bank, &[]),
        &format!("shard {}: nothing more to release", shard()),
    );
    for _ in 0..2 {
        check_reading(&bank, &archive, &before);
        check_posting(&bank, &today);
        bank.killed_and_started();
    }
    check_copies(bank, &archive, &before);
}

/// The first records are kept for no resend any more: as after many days. The order by which that came.
fn forgets(bank: &mut Bank) -> Instruction {
    bank.killed_then(|config| {
        let text = std::fs::read_to_string(config).unwrap();
        std::fs::write(config, text.replace("kept_days = 3660", "kept_days = 400")).unwrap();
    });
    let today = of_today(1, "CNY2.00");
    let posted = bank.post(today.clone());
    assert!(matches!(posted, PostReply::Decided { repeat: false, .. }), "{posted:?}");
    today
}

#[test]
fn what_was_released_is_not_read_from_the_archive_of_another_ledger() {
    let (mut bank, archive) = archived();
    let (_other, of_other) = archived_of("CNY1.01");
    forgets(&mut bank);
    let told = bank.ledger(&[&["archive", "release", "--archive", &archive], &BY[..]].concat());
    succeeds(&told, "released, head ");
    let foreign = read(|words| bank.ledger(words), &["--archive", &of_other]);
    for told in [&foreign.statement, &foreign.trial] {
        fails(told, 5, "the archive is not of this ledger's journal");
    }
    fails(
        &bank.ledger(&["archive", "check", &of_other]),
        5,
        "the archive is not of this ledger's journal",
    );
    // nor is another archive begun with what is left
    let late = bank.path("late").to_str().unwrap().to_owned();
    fails(
        &bank.ledger(&["archive", "--to", &late]),
        1,
        "go on with the archive that has them",
    );
}

/// Nothing is released by an archive that does not hold together, or is not this ledger's, nor beyond what it has.
fn check_refusals(bank: &Bank, archive: &str) {
    let release = |archive: &str, more: &[&str]| {
        bank.ledger(&[&["archive", "release", "--archive", archive], &BY[..], more].concat())
    };
    let nowhere = bank.path("nowhere").to_str().unwrap().to_owned();
    fails(&release(&nowhere, &[]), 1, "nothing is archived in");
    fails(
        &release(archive, &["--through", "2024-03-05"]),
        1,
        "2024-03-05 is not archived",
    );
    fails(
        &release(archive, &["--through", "2024-03-03"]),
        1,
        "nothing is archived through 2024-03-03",
    );
    let beginning = format!("shard-{:02}-", shard());
    let listed = std::fs::read_dir(archive).unwrap().map(|entry| entry.unwrap().path());
    let of_shard = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&beginning);
    let file = listed.into_iter().find(of_shard).unwrap();
    let sound = std::fs::read(&file).unwrap();
    for place in [0, 9, sound.len() / 2, sound.len() - 1] {
        let mut altered = sound.clone();
        altered[place] ^= 1;
        std::fs::write(&file, altered).unwrap();
        assert_eq!(release(archive, &[]).code, 5);
    }
    std::fs::remove_file(&file).unwrap();
    fails(&release(archive, &[]), 5, "is missing");
    std::fs::write(&file, &sound).unwrap();
    let other = with_accounts("", 1..=8);
    fails(
        &other.ledger(&[&["archive", "release", "--archive", archive], &BY[..]].concat()),
        5,
        "the archive is not of this ledger's journal",
    );
    assert!(base(bank).is_null());
}

fn check_reading(bank: &Bank, archive: &str, before: &Read) {
    same(before, &read(|words| bank.ledger(words), &["--archive", archive]));
    let without = read(|words| bank.ledger(words), &[]);
    let why = format!(
        "of shard {} were released from its store; name their archive with --archive",
        shard()
    );
    fails(&without.statement, 1, &why);
    fails(&without.trial, 1, &why);
    let base = base(bank);
    assert!(base["sequence"].as_u64().unwrap() > 40, "{base}");
    assert_eq!(base["reason"], "the year is archived");
    let told = bank.ledger(&["positions"]).stdout;
    assert!(
        told.contains("were released at ") && told.contains(" by wang.fang ("),
        "{told}"
    );

    let old = payout(7, 1, "CNY1.00", DATE).key().id.to_string();
    let output = bank.path("evidence.tar");
    let export = ["evidence", &old, "--output", output.to_str().unwrap()];
    fails(&bank.ledger(&export), 1, "name their archive with --archive");
    succeeds(
        &bank.ledger(&[&export[..], &["--archive", archive]].concat()),
        "payout of CNY1.00",
    );
    std::fs::remove_file(&output).unwrap();
    succeeds(
        &bank.ledger(&["archive", "check", archive]),
        "it is the beginning of the running ledger's journal",
    );
    succeeds(&bank.ledger(&["archive", "--to", archive]), "it is archived already");
}

/// A resend is answered, a conflict refused, and what is too old is not worked, as before.
fn check_posting(bank: &Bank, today: &Instruction) {
    assert!(matches!(
        bank.post(today.clone()),
        PostReply::Decided { repeat: true, .. }
    ));
    assert!(matches!(bank.post(of_today(1, "CNY3.00")), PostReply::Conflict(_)));
    assert!(matches!(
        bank.post(payout(7, 1, "CNY1.00", DATE)),
        PostReply::NothingPosted(_)
    ));
}

/// Backups of what is left, and what is made of them.
fn check_copies(bank: Bank, archive: &str, before: &Read) {
    let text = |name: &str| bank.path(name).to_str().unwrap().to_owned();
    let [data, backup, again, early, restored] = ["data", "backup", "again", "early", "restored"].map(text);
    succeeds(&bank.ledger(&["backup", "--output", &backup]), "groups of ");
    succeeds(
        &bank.ledger(&["backup", "--output", &backup]),
        "; 0 groups of 0 bytes copied",
    );
    let restoring = ["restore", "--from", &backup, "--directory"];
    let first = base(&bank)["sequence"].as_u64().unwrap();
    let to = format!("{}={first}", shard());
    fails(
        &alone(&[&restoring[..], &[&early, "--to", &to]].concat()),
        1,
        "what was before was released",
    );
    assert!(!Path::new(&early).exists());
    succeeds(&alone(&[&restoring[..], &[&restored]].concat()), "restored to record");
    let archive = archive.to_owned();
    bank.stopped_and_checked_then(|| {
        succeeds(
            &alone(&["backup", "--directory", &data, "--output", &again]),
            "groups of ",
        );
        for directory in [&data, &backup, &again, &restored] {
            succeeds(
                &alone(&["check", "--directory", directory]),
                &format!("records up to {first} were released"),
            );
            let from = ["--directory", directory, "--archive", &archive];
            same(before, &read(alone, &from));
            fails(
                &alone(&["trial-balance", "--directory", directory]),
                1,
                "name their archive",
            );
        }
    });
}
