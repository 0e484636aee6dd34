//! Everything somebody could do to the files of a log, and what is said about it.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::audit::made::{certificate, now, reveal, seal_with_the_test_key, settings, sign, soon, start};
use crate::audit::{Audit, Difference};

/// A log of several files in a directory of its own.
struct Made {
    directory: tempfile::TempDir,
    files: Vec<PathBuf>,
}

impl Made {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit");
        let mut settings = settings(&path);
        settings.file_bytes_max = 4096;
        let audit = Audit::open(&settings, now).unwrap();
        seal_with_the_test_key(&audit);
        audit.record(start(), soon()).unwrap();
        for number in 0..30 {
            sign(&audit, 3, soon()).unwrap();
            audit.record(reveal(&format!("purpose {number}")), soon()).unwrap();
        }
        audit.end().unwrap();
        let files = files_of(&path).unwrap();
        assert!(files.len() >= 3, "{files:?}");
        Self { directory, files }
    }

    fn question(&self) -> Question {
        Question {
            files: self.files.clone(),
            ..Question::default()
        }
    }

    fn lines(&self, file: usize) -> Vec<String> {
        let text = fs::read_to_string(&self.files[file]).unwrap();
        text.lines().map(|line| format!("{line}\n")).collect()
    }

    fn write(&self, file: usize, lines: &[String]) {
        fs::write(&self.files[file], lines.concat()).unwrap();
    }

    fn last(&self) -> usize {
        self.files.len() - 1
    }
}

fn found(question: &Question) -> Vec<String> {
    let report = verify(question).unwrap();
    assert_eq!(report.good, report.differences.is_empty());
    let differences = report.differences.into_iter();
    differences
        .map(|Difference { file, line, what }| format!("{file}:{line}: {what}"))
        .collect()
}

#[test]
fn a_whole_log_is_good_and_counted() {
    let made = Made::new();
    let mut question = made.question();
    question.files.reverse();
    question.certificates.push(certificate());
    let report = verify(&question).unwrap();
    assert_eq!(report.differences, []);
    let uses: Vec<_> = report
        .key_uses
        .iter()
        .map(|uses| (&*uses.key, &*uses.operation, &*uses.caller, uses.count))
        .collect();
    assert_eq!(uses, [("4B42", "sign", "frontend", 90)]);
    assert_eq!(report.reveals["sms"], 30);
    // at the start, before every next file, at the stop
    let seals = u64::try_from(made.files.len()).unwrap() + 1;
    assert_eq!(report.seals[certificate().serial()], seals);
    assert_eq!(report.records_after_seal, 0);
    let text = report.to_string();
    assert!(text.ends_with("good") && text.contains("head: "), "{text}");
    assert!(serde_json::to_string(&report).unwrap().starts_with("{\"good\":true"));
}

/// What is done to the lines of one file, and the least that is said.
#[test]
fn changes_to_a_file_are_named() {
    #[track_caller]
    fn check(file: usize, change: impl FnOnce(&mut Vec<String>), expected: &[&str]) {
        let made = Made::new();
        let mut lines = made.lines(file);
        change(&mut lines);
        made.write(file, &lines);
        let found = found(&made.question());
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found} does not say {expected}");
        }
    }
    check(0, |_| (), &[]);
    check(1, |lines| drop(lines.remove(3)), &[":4: records "]);
    check(
        1,
        |lines| lines.swap(3, 4),
        &[":4: records ", "comes again", ":6: records"],
    );
    check(1, |lines| lines.insert(4, lines[3].clone()), &[":5: record "]);
    check(1, |lines| lines.insert(4, "\n".to_owned()), &[":5: this is no record"]);
    check(
        1,
        |lines| lines[3] = lines[3].replacen("\"seq\":", "\"seq\": ", 1),
        &[":4: the record was altered"],
    );
    check(
        1,
        |lines| lines[0] = lines[0].replace("\"format\":1", "\"format\":2"),
        &[":1: the record was altered"],
    );
    check(1, |lines| lines.truncate(5), &[".jsonl:1: records "]);
    check(
        1,
        |lines| drop(lines.remove(0)),
        &["should be called", ":1: records ", ":1: the file does not begin"],
    );
    // two lines in one
    check(
        0,
        |lines| lines[0].truncate(9),
        &[":1: the record was altered", ":2: records 1 to 2 are missing"],
    );
}

/// Somebody computes hashes anew, from a record on.
fn recompute(lines: &mut [String], from: usize, mut change: impl FnMut(&mut Record)) {
    let (before, hash) = line::read(lines[from - 1].trim_end().as_bytes()).unwrap();
    let mut head = Head { seq: before.seq, hash };
    for line in &mut lines[from..] {
        let (mut record, _) = line::read(line.trim_end().as_bytes()).unwrap();
        change(&mut record);
        *line = head.append(record.time, record.event);
    }
}

#[test]
fn a_chain_computed_anew_breaks_at_the_next_file_or_seal() {
    let made = Made::new();
    let retell = |record: &mut Record| {
        if let Event::Reveal { caller, .. } = &mut record.event {
            "frontend".clone_into(caller);
        }
    };
    let mut lines = made.lines(1);
    recompute(&mut lines, 3, retell);
    made.write(1, &lines);
    let found_in = found(&made.question());
    assert!(found_in[0].contains("the seal is not over the head"), "{found_in:#?}");
    assert!(found_in[1].contains(":1: the record does not follow"), "{found_in:#?}");

    // In the last file, with the head in the seals put right: only their signatures tell.
    let made = Made::new();
    let mut lines = made.lines(made.last());
    recompute(&mut lines, 1, retell);
    let count = lines.len();
    for place in 1..count {
        let (before, _) = line::read(lines[place].trim_end().as_bytes()).unwrap();
        recompute(&mut lines[..], place, |record| {
            if let (Event::Seal { head, .. }, true) = (&mut record.event, record.seq == before.seq) {
                *head = before.prev;
            }
        });
    }
    made.write(made.last(), &lines);
    let mut question = made.question();
    assert_eq!(found(&question), Vec::<String>::new());
    question.certificates.push(certificate());
    let found_in = found(&question);
    assert!(
        found_in[0].contains("the signature of the seal is wrong"),
        "{found_in:#?}"
    );
}

#[test]
fn seals_that_were_left_out_are_missed() {
    let made = Made::new();
    for file in 0..made.files.len() {
        made.write(file, &[]);
    }
    let mut head = Head::START;
    let log = Event::File {
        log: "x".to_owned(),
        format: FORMAT,
        previous_file: None,
    };
    let mut lines = vec![head.append(now(), log)];
    lines.extend((0..UNSEALED_MAX + 5).map(|_| head.append(now(), reveal("x"))));
    made.write(0, &lines);
    let question = Question {
        files: vec![made.files[0].clone()],
        certificates: vec![certificate()],
        ..Question::default()
    };
    let found = found(&question);
    assert!(found[0].contains("have no seal that holds"), "{found:#?}");
    assert!(
        found[1].contains("no seal of the certificates given holds"),
        "{found:#?}"
    );
}

#[test]
fn files_that_are_missing_doubled_renamed_or_strange() {
    let made = Made::new();
    let without = |file: usize| {
        let mut question = made.question();
        question.files.remove(file);
        question
    };
    let one = |question: &Question, expected: &str| {
        let found = found(question);
        assert!(found.iter().any(|found| found.contains(expected)), "{found:#?}");
    };
    one(&without(1), "records ");
    one(&without(0), "the files before are missing");
    // Archived elsewhere is in order when its last hash is known.
    let (_, last_of_first) = line::read(made.lines(0).pop().unwrap().trim_end().as_bytes()).unwrap();
    let mut archived = without(0);
    archived.after = Some(last_of_first);
    assert_eq!(found(&archived), Vec::<String>::new());
    archived.after = Some(Digest::of(b"another"));
    one(&archived, "does not follow the head");

    let copy = made.directory.path().join("audit-copy.jsonl");
    fs::copy(&made.files[1], &copy).unwrap();
    let mut twice = made.question();
    twice.files.push(copy.clone());
    one(&twice, "given again, or an older copy");
    fs::write(&copy, made.lines(1)[..4].concat()).unwrap();
    one(&twice, "given again, or an older copy");
    let mut renamed = without(1);
    fs::copy(&made.files[1], &copy).unwrap();
    renamed.files.push(copy);
    one(&renamed, "this file should be called");

    let other = Made::new();
    let mut mixed = without(1);
    mixed.files.push(other.files[1].clone());
    one(&mixed, "the file is of another log");
}

#[test]
fn a_missing_end_is_found_by_a_head_that_was_noted() {
    let made = Made::new();
    let (last, head) = line::read(made.lines(made.last()).pop().unwrap().trim_end().as_bytes()).unwrap();
    let mut question = made.question();
    question.expect_head = Some(head);
    assert_eq!(found(&question), Vec::<String>::new());
    // A head of long ago is as good: the log has grown since.
    question.expect_head = Some(last.prev);
    assert_eq!(found(&question), Vec::<String>::new());

    let mut lines = made.lines(made.last());
    lines.pop();
    made.write(made.last(), &lines);
    question.expect_head = None;
    assert_eq!(found(&question), Vec::<String>::new(), "not to be known from the files");
    question.expect_head = Some(head);
    assert!(found(&question)[0].contains("the end is missing"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Not the bytes of a torn end: there is none here.
    #[test]
    fn any_other_byte_in_any_file_is_found(file in 0..3usize, place: prop::sample::Index, other: u8) {
        thread_local!(static MADE: Made = Made::new());
        MADE.with(|made| {
            let file = if file == 2 { made.last() } else { file };
            let whole = fs::read(&made.files[file]).unwrap();
            let place = place.index(whole.len());
            prop_assume!(whole[place] != other);
            let mut changed = whole.clone();
            changed[place] = other;
            fs::write(&made.files[file], changed).unwrap();
            let found = found(&made.question());
            fs::write(&made.files[file], whole).unwrap();
            prop_assert!(!found.is_empty(), "byte {} of file {}", place, file);
            Ok(())
        })?;
    }
}
