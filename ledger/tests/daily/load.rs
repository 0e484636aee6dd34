//! `ledger load`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use ledger_journal::Event;
use ledger_model::{Administration, Decision, Refusal};

use crate::process::{Bank, DATE, Told, accounts, agreement_number, agreements, payment, token};

#[test]
fn bad_lines_are_told_and_skipped_and_the_rest_is_loaded_once() {
    let bank = Bank::start();
    let mut text = accounts(1..=1_200);
    let (good, other) = (token(1), token(2_000));
    text.push_str("short\n");
    // there with other content, and in no state there is
    text += &[
        format!("{good},{good},open,CNY7.00\n"),
        format!("{other},{other},asleep,CNY7.00\n"),
    ]
    .concat();
    let (csv, list) = (bank.file("accounts.csv", &text), bank.path("refused"));
    let list = list.to_str().unwrap();

    let first = bank.ledger(&["load", "--accounts", &csv, "--refused", list]);
    assert_eq!(first.code, 1, "{first:?}");
    let refused = format!(
        "{csv}:1202: a line has 4 columns\n{csv}:1203: the account is there with other content\n{csv}:1204: status is open, frozen, debit_blocked or closed\n"
    );
    assert!(first.stderr.contains(&refused), "{}", first.stderr);
    assert_eq!(std::fs::read_to_string(list).unwrap(), refused);
    let counts = "1200 accounts and 0 agreements loaded, 0 already there, 3 lines refused\n1203 lines in ";
    assert!(first.stderr.contains(counts), "{}", first.stderr);
    assert!(first.stderr.contains("100 %, 1203 lines"), "progress: {}", first.stderr);
    let loaded = bank.positions();
    assert_eq!(loaded, (1_200, 0, 1_200 * 10_000));

    let again = bank.ledger(&["load", "--accounts", &csv]);
    let counts = "0 accounts and 0 agreements loaded, 1200 already there, 3 lines refused";
    assert!(again.code == 1 && again.stderr.contains(counts), "{again:?}");
    assert_eq!(bank.positions(), loaded);
}

#[test]
fn a_load_that_was_cut_off_is_taken_up_by_the_same_file() {
    const ACCOUNTS: u64 = 100_000;
    let mut bank = Bank::start();
    let csv = bank.file("accounts.csv", &accounts(1..=ACCOUNTS));
    let mut cut = bank
        .command(&["load", "--accounts", &csv])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut progress = BufReader::new(cut.stderr.take().unwrap()).lines();
    let first = progress.next().unwrap().unwrap();
    assert!(first.starts_with("10 %"), "{first}");
    bank.killed_and_started();
    let rest: Vec<String> = progress.map(Result::unwrap).collect();
    // on a machine that stood still it may have been through already
    if cut.wait().unwrap().code() == Some(1) {
        assert!(rest.last().unwrap().contains("takes up what is missing"), "{rest:?}");
    }
    let there = bank.positions().0;
    assert!(there >= ACCOUNTS / 10, "what was answered is there: {there}");

    let again = bank.ledger(&["load", "--accounts", &csv]);
    let left = ACCOUNTS - there;
    let counts = format!("{left} accounts and 0 agreements loaded, {there} already there, 0 lines refused");
    assert!(again.code == 0 && again.stderr.contains(&counts), "{again:?}");
    assert_eq!(
        bank.positions(),
        (ACCOUNTS, 0, 10_000 * i64::try_from(ACCOUNTS).unwrap())
    );
}

#[test]
fn what_cannot_be_loaded_at_all_is_said_before_anything_is() {
    let bank = Bank::start();
    let good = bank.file("accounts.csv", &accounts(1..=3));
    let check = |arguments: &[&str], code: i32, said: &str| {
        let told: Told = bank.ledger(arguments);
        assert!(
            told.code == code && told.stderr.contains(said),
            "{arguments:?}: {told:?}"
        );
        assert_eq!(bank.positions().0, 0, "{arguments:?}");
    };
    check(&["load"], 2, "--accounts <CSV>");
    check(
        &["load", "--accounts", &good, "--agreements", "/no/such.csv"],
        1,
        "/no/such.csv cannot be read",
    );
    let other = bank.file("other.csv", "iban,name\n");
    check(
        &["load", "--accounts", &other],
        1,
        "the first line is not its header: no column is called \"iban\"",
    );
    check(
        &["load", "--accounts", &good, "--refused", "/no/such/file"],
        1,
        "/no/such/file cannot be written",
    );
}

#[test]
fn limits_come_with_an_account_and_what_operators_change_since_is_kept() {
    let bank = Bank::start();
    let text = |rows: &[(u64, &str, &str)]| {
        let mut text = "token,name,status,opening_balance,single_max,daily_max,daily_count_max\n".to_owned();
        for (number, status, limits) in rows {
            let token = token(*number);
            text += &format!("{token},{token},{status},CNY100.00,{limits}\n");
        }
        text
    };
    let limits = "CNY20.00,CNY30.00,2";
    let rows = [
        (1, "open", limits),
        (2, "open", limits),
        (3, "open", ",,"),
        (4, "frozen", limits),
    ];
    let csv = bank.file("accounts.csv", &text(&rows));
    let agreed = bank.file("agreements.csv", &agreements(1..=4));
    let load = |counts: &str, code: i32| {
        let told = bank.ledger(&["load", "--accounts", &csv, "--agreements", &agreed]);
        assert!(told.code == code && told.stderr.contains(counts), "{told:?}");
        told.stderr
    };
    let first = load(
        "4 accounts and 4 agreements loaded, 0 already there, 0 lines refused\n",
        0,
    );
    assert!(!first.contains("kept"), "{first}");
    let shown = bank.ledger(&["account", "show", &token(1)]);
    assert!(
        shown
            .stdout
            .contains("CNY20.00 a payment, CNY30.00 and 2 payments a day"),
        "{shown:?}"
    );
    let over = Decision::Refused(Refusal::OverAccountSingleAmount);
    assert_eq!(bank.decided(payment(1, 1, "CNY20.01", DATE)), over);
    assert_eq!(bank.decided(payment(2, 3, "CNY20.01", DATE)), Decision::Posted);
    // the journal says who set them: 4 accounts, 4 agreements, 3 limits, 2 payments
    let records = bank.journal();
    let set = records.iter().filter(|record| {
        matches!(&record.event, Event::Administered { act: Administration::AccountLimits { .. }, operator, .. }
            if operator.as_str() == format!("load (user:{})", ledger::access::own_user()))
    });
    assert_eq!((records.len(), set.count()), (13, 3));
    load(
        "0 accounts and 0 agreements loaded, 8 already there, 0 lines refused\n",
        0,
    );
    assert_eq!(bank.positions().0, 13, "nothing is recorded the second time");

    let by = ["--operator", "li.wei", "--reason", "court order 17"];
    let number = agreement_number(3);
    for act in [
        vec!["account", "limits", &token(1), "--none"],
        vec!["account", "unfreeze", &token(4)],
        vec!["agreement", "rescind", &number],
    ] {
        let told = bank.ledger(&[&act[..], &by].concat());
        assert_eq!(told.code, 0, "{told:?}");
    }
    let again = load(
        "0 accounts and 0 agreements loaded, 5 already there, 0 lines refused\n",
        0,
    );
    assert!(
        again.contains("3 are there with another status, limits or terms, and were kept"),
        "{again}"
    );
    assert_eq!(bank.positions().0, 16);
    let shown = bank.ledger(&["account", "show", &token(1)]);
    assert!(shown.stdout.contains("limits       none"), "{shown:?}");
    let other = bank.file(
        "other.csv",
        &text(&[(1, "open", limits), (2, "open", "CNY20.00,,2")]).replace("CNY100", "CNY101"),
    );
    let told = bank.ledger(&["load", "--accounts", &other]);
    assert!(
        told.code == 1
            && told.stderr.contains(":2: the account is there with other content")
            && told
                .stderr
                .contains(":3: an account has all of single_max, daily_max and daily_count_max, or none"),
        "{told:?}"
    );
    bank.stopped_and_checked();
}
