//! The log as a whole: what is in it, when, and what happens when it cannot be written.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::made::{MadeDisk, log_on, now, reveal, seal_with_the_test_key, settings, sign, soon, start};
use super::state::USES_MAX;
use super::{Audit, AuditFault, Event, Question, Report, Unwritable, files_of, line, verify};

fn kinds(text: &str) -> Vec<&'static str> {
    let records = text.lines().map(|line| line::read(line.as_bytes()).unwrap().0);
    records.map(|record| record.event.kind()).collect()
}

/// How many signatures the records in a text count.
fn signatures(text: &str) -> u64 {
    let records = text.lines().map(|line| line::read(line.as_bytes()).unwrap().0);
    let counts = records.map(|record| match record.event {
        Event::KeyUse { count, .. } => count,
        _ => 0,
    });
    counts.sum()
}

fn wait_for(mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < until, "it never came to be");
        std::thread::yield_now();
    }
}

fn check_directory(directory: &Path) -> Report {
    let question = Question {
        files: files_of(directory).unwrap(),
        ..Question::default()
    };
    verify(&question).unwrap()
}

#[test]
fn a_record_is_there_when_its_asker_hears_of_it() {
    let disk = MadeDisk::default();
    let audit = log_on(&disk, Duration::from_hours(1));
    audit.record(start(), soon()).unwrap();
    audit.record(reveal("sms"), soon()).unwrap();
    assert_eq!(kinds(&disk.text()), ["file", "start", "unsealed", "reveal"]);
    audit.end().unwrap();
    assert_eq!(audit.record(reveal("late"), soon()), Err(Unwritable::Closed));
    assert_eq!(sign(&audit, 1, soon()).unwrap_err(), Unwritable::Closed);
}

#[test]
fn uses_are_written_in_their_time_with_a_waiting_record_and_at_the_end() {
    let disk = MadeDisk::default();
    let audit = log_on(&disk, Duration::from_millis(1));
    sign(&audit, 3, soon()).unwrap();
    wait_for(|| signatures(&disk.text()) == 3);
    audit.end().unwrap();

    let disk = MadeDisk::default();
    let audit = log_on(&disk, Duration::from_hours(1));
    sign(&audit, 2, soon()).unwrap();
    audit.record(reveal("sms"), soon()).unwrap();
    assert_eq!(signatures(&disk.text()), 2, "what is synced takes along what waits");
    sign(&audit, 5, soon()).unwrap();
    audit.end().unwrap();
    assert_eq!(signatures(&disk.text()), 7);
    assert_eq!(kinds(&disk.text()).pop(), Some("unsealed"));
}

#[test]
fn a_log_that_cannot_be_written_stops_the_keys_until_it_can() {
    let disk = MadeDisk::default();
    let audit = log_on(&disk, Duration::from_millis(1));
    audit.record(reveal("before"), soon()).unwrap();
    disk.broken.store(true, Ordering::SeqCst);
    // Noted before anybody can know: these must not be lost.
    sign(&audit, 4, soon()).unwrap();
    wait_for(|| audit.ready().is_err());
    let refused = sign(&audit, 1, soon()).unwrap_err();
    assert!(matches!(refused, Unwritable::Failing(_)), "{refused:?}");
    let refused = audit.record(reveal("meanwhile"), soon()).unwrap_err();
    assert!(matches!(refused, Unwritable::Failing(_)), "{refused:?}");

    disk.broken.store(false, Ordering::SeqCst);
    wait_for(|| audit.ready().is_ok());
    sign(&audit, 1, soon()).unwrap();
    audit.end().unwrap();
    let text = disk.text();
    assert_eq!(signatures(&text), 5);
    assert!(kinds(&text).contains(&"resumed"), "{text}");
    assert!(!text.contains("meanwhile"), "what was refused did not happen");
}

#[test]
fn a_stop_on_a_disk_that_stays_full_says_what_is_lost() {
    let disk = MadeDisk::default();
    let audit = log_on(&disk, Duration::from_hours(1));
    audit.record(reveal("before"), soon()).unwrap();
    disk.broken.store(true, Ordering::SeqCst);
    sign(&audit, 1, soon()).unwrap();
    let ended = audit.end();
    assert_eq!(ended, Err(Unwritable::Failing("2 records are lost".to_owned())));
}

#[test]
fn what_waits_is_bounded_and_room_comes_back() {
    let disk = MadeDisk::default();
    let audit = log_on(&disk, Duration::from_hours(1));
    audit.record(reveal("before"), soon()).unwrap();
    // The disk is held up, so that nothing leaves memory.
    let held = disk.files.lock().unwrap();
    sign(&audit, USES_MAX, soon()).unwrap();
    assert_eq!(sign(&audit, 1, Instant::now()), Err(Unwritable::Full));
    drop(held);
    sign(&audit, USES_MAX, soon()).unwrap();
    audit.end().unwrap();
    assert_eq!(signatures(&disk.text()), 2 * u64::try_from(USES_MAX).unwrap());
}

#[test]
fn many_refusals_are_counted_instead() {
    let disk = MadeDisk::default();
    let audit = log_on(&disk, Duration::from_millis(1));
    let refused = || Event::Refused {
        caller: "sms".to_owned(),
        peer: "uid 1".to_owned(),
        right: "sign".to_owned(),
        key: None,
    };
    let mut singly: u64 = 0;
    for _ in 0..1000 {
        if let Some(event) = audit.refusal(refused()) {
            audit.record(event, soon()).unwrap();
            singly += 1;
        }
    }
    audit.end().unwrap();
    assert!(singly < 1000, "{singly}");
    let text = disk.text();
    let records = text.lines().map(|line| line::read(line.as_bytes()).unwrap().0);
    let recorded: u64 = records
        .map(|record| match record.event {
            Event::Refused { .. } => 1,
            Event::RefusedMore { count, callers, .. } => {
                assert_eq!(callers["sms"], count);
                count
            }
            _ => 0,
        })
        .sum();
    assert_eq!(recorded, 1000);
}

#[test]
fn a_log_goes_on_where_it_ended_and_from_file_to_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit");
    let mut settings = settings(&path);
    settings.file_bytes_max = 4096;
    for _ in 0..2 {
        let audit = Audit::open(&settings, now).unwrap();
        seal_with_the_test_key(&audit);
        audit.record(start(), soon()).unwrap();
        for _ in 0..40 {
            audit.record(reveal("sms"), soon()).unwrap();
        }
        let second = Audit::open(&settings, now);
        assert!(matches!(second, Err(AuditFault::Taken { .. })), "{second:?}");
        audit.end().unwrap();
    }
    let report = check_directory(&path);
    assert_eq!(report.differences, []);
    assert_eq!((report.kinds["start"], report.kinds["reveal"]), (2, 80));
    assert!(report.files > 4, "{}", report.files);
    assert_eq!(report.files, report.kinds["file"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for entry in fs::read_dir(&path).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn a_torn_end_is_set_aside_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let open = || {
        let audit = Audit::open(&settings, now).unwrap();
        audit.record(reveal("sms"), soon()).unwrap();
        audit.end().unwrap();
    };
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    open();
    let file = files_of(directory.path()).unwrap().pop().unwrap();
    let whole = fs::read(&file).unwrap();
    let last_line = whole[..whole.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap()
        + 1;
    for (torn, kept) in [
        (last_line + 1, 1),
        (whole.len() - 1, whole.len() - 1 - last_line),
        (last_line, 0),
    ] {
        fs::write(&file, &whole[..torn]).unwrap();
        assert_eq!(check_directory(directory.path()).differences, []);
        open();
        let report = check_directory(directory.path());
        assert_eq!(report.differences, []);
        assert_eq!(report.kinds.get("torn"), (kept > 0).then_some(&1));
        let pieces: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with(".bin"))
            .collect();
        if kept > 0 {
            assert_eq!(fs::read(&pieces[0]).unwrap(), whole[last_line..torn]);
        }
        for piece in pieces {
            fs::remove_file(piece).unwrap();
        }
    }
    // A file that was just being begun.
    fs::write(&file, &whole).unwrap();
    for beginning in ["", "{\"seq\":9"] {
        fs::write(directory.path().join("audit-000000009999.jsonl"), beginning).unwrap();
        open();
        assert_eq!(check_directory(directory.path()).differences, []);
    }
}

#[test]
fn a_log_that_is_damaged_or_open_to_others_is_not_written() {
    #[track_caller]
    fn check(change: impl FnOnce(&Path), expected: &str) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit");
        let audit = Audit::open(&settings(&path), now).unwrap();
        audit.record(reveal("sms"), soon()).unwrap();
        audit.end().unwrap();
        change(&path);
        let said = Audit::open(&settings(&path), now).map_or_else(|fault| fault.to_string(), |_| "opened".to_owned());
        assert!(said.contains(expected), "{said}");
    }
    let replace = |from: &'static str, to: &'static str| {
        move |path: &Path| {
            let file = files_of(path).unwrap().pop().unwrap();
            let text = fs::read_to_string(&file).unwrap();
            fs::write(file, text.replacen(from, to, 1)).unwrap();
        }
    };
    check(|_| (), "opened");
    check(replace("sms", "smz"), "is damaged at line 2");
    check(replace("\"file\"", "\"stop\""), "is damaged at line 1");
    check(replace("\n", "\n\n"), "is damaged at line 2");
    for mode in [0o750, 0o701, 0o777] {
        let open = move |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        check(open, &format!("is open to others (mode {mode:04o})"));
    }
}
