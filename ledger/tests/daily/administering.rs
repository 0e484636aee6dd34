//! `ledger account` and `ledger agreement`.

use ledger::access::own_user;
use ledger_journal::Event;
use ledger_model::{AccountStatus, Administration, Decision, Refusal};

use crate::process::{Bank, DATE, Told, agreement_number, payment, payout, token, with_accounts};

/// With who orders it and why.
fn order(bank: &Bank, arguments: &[&str]) -> Told {
    let by = ["--operator", "li.wei", "--reason", "court order 17"];
    bank.ledger(&[arguments, &by].concat())
}

#[track_caller]
fn check(told: &Told, code: i32, said: &str) {
    assert!(told.code == code && told.stderr.contains(said), "{told:?}");
}

#[test]
fn an_account_takes_what_its_status_allows() {
    let mut bank = with_accounts("", 1..=2);
    let account = token(1);
    let pay = |bank: &Bank, number| bank.decided(payment(number, 1, "CNY1.00", DATE));
    let credit = |bank: &Bank, number| bank.decided(payout(number, 1, "CNY1.00", DATE));
    let frozen = Decision::Refused(Refusal::AccountFrozen);
    assert_eq!(pay(&bank, 1), Decision::Posted);

    check(&order(&bank, &["account", "freeze", &account]), 0, "done: record ");
    assert_eq!((pay(&bank, 2), credit(&bank, 3)), (frozen, frozen));
    let records = bank.positions().0;
    check(&order(&bank, &["account", "freeze", &account]), 0, "it was so already");
    assert_eq!(bank.positions().0, records, "and nothing is recorded");
    bank.killed_and_started();
    assert_eq!(pay(&bank, 4), frozen);
    let shown = bank.ledger(&["account", "show", &account]);
    assert!(
        shown.stdout.contains("status       frozen\nbalance      CNY99.00\n"),
        "{shown:?}"
    );

    check(&order(&bank, &["account", "block-debits", &account]), 0, "done");
    assert_eq!((pay(&bank, 5), credit(&bank, 6)), (frozen, Decision::Posted));
    check(&order(&bank, &["account", "unfreeze", &account]), 0, "done");
    assert_eq!(pay(&bank, 7), Decision::Posted);
    let holds = "refused: an account that holds money is not closed";
    check(&order(&bank, &["account", "close", &account]), 1, holds);
    check(
        &order(&bank, &["account", "freeze", &token(9)]),
        1,
        "refused: the account is not there",
    );
    assert_eq!(bank.ledger(&["account", "show", &token(9)]).code, 1);
    bank.stopped_and_checked();
}

#[test]
fn an_accounts_limits_hold_whatever_the_agreement_allows() {
    let bank = with_accounts("", 1..=1);
    let account = token(1);
    let limits = [
        "account",
        "limits",
        &account,
        "--single",
        "CNY3.00",
        "--daily",
        "CNY5.00",
        "--daily-count",
        "2",
    ];
    check(&order(&bank, &limits), 0, "done");
    let pay = |number, amount| bank.decided(payment(number, 1, amount, DATE));
    assert_eq!(pay(1, "CNY3.01"), Decision::Refused(Refusal::OverAccountSingleAmount));
    assert_eq!(pay(2, "CNY3.00"), Decision::Posted);
    assert_eq!(pay(3, "CNY2.01"), Decision::Refused(Refusal::OverAccountDailyAmount));
    assert_eq!(pay(4, "CNY2.00"), Decision::Posted);
    assert_eq!(pay(5, "CNY0.01"), Decision::Refused(Refusal::OverAccountDailyCount));
    let shown = bank.ledger(&["account", "show", &account, "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(
        (&shown["single_max"], &shown["daily_count_max"]),
        (&"CNY3.00".into(), &2.into())
    );

    let other = [
        "account",
        "limits",
        &account,
        "--single",
        "USD3.00",
        "--daily",
        "USD5.00",
        "--daily-count",
        "2",
    ];
    check(&order(&bank, &other), 1, "another currency");
    check(
        &order(&bank, &["account", "limits", &account, "--single", "CNY3.00"]),
        2,
        "--daily",
    );
    check(&order(&bank, &["account", "limits", &account, "--none"]), 0, "done");
    assert_eq!(pay(6, "CNY20.00"), Decision::Posted);
    bank.stopped_and_checked();
}

#[test]
fn an_agreement_is_rescinded_restored_and_given_other_terms() {
    let bank = with_accounts("", 1..=1);
    let number = agreement_number(1);
    let pay = |transfer, amount| bank.decided(payment(transfer, 1, amount, DATE));
    check(&order(&bank, &["agreement", "rescind", &number]), 0, "done");
    assert_eq!(pay(1, "CNY1.00"), Decision::Refused(Refusal::AgreementRescinded));
    check(&order(&bank, &["agreement", "restore", &number]), 0, "done");
    assert_eq!(pay(2, "CNY1.00"), Decision::Posted);

    check(
        &order(&bank, &["agreement", "terms", &number, "--single", "CNY2.00"]),
        0,
        "done",
    );
    assert_eq!(pay(3, "CNY2.01"), Decision::Refused(Refusal::OverSingleAmount));
    let shown = bank.ledger(&["agreement", "show", &number]);
    let kept = "CNY2.00 a payment, CNY90.00 and 9 payments a day";
    assert!(
        shown.stdout.contains(kept) && shown.stdout.contains("2099-12-31"),
        "{shown:?}"
    );
    check(
        &order(&bank, &["agreement", "terms", &number, "--expires", "2024-03-03"]),
        0,
        "done",
    );
    assert_eq!(pay(4, "CNY1.00"), Decision::Refused(Refusal::AgreementExpired));
    check(&order(&bank, &["agreement", "terms", &number]), 2, "required");
    check(&order(&bank, &["agreement", "rescind", "NOSUCHNUMBER"]), 1, "refused");
    bank.stopped_and_checked();
}

#[test]
fn the_journal_says_who_did_what_and_why() {
    let bank = with_accounts("", 1..=1);
    check(&order(&bank, &["account", "freeze", &token(1)]), 0, "done");
    let acts: Vec<_> = bank
        .journal()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Administered { act, operator, reason } => Some((act, operator.to_string(), reason.to_string())),
            _ => None,
        })
        .collect();
    let frozen = Administration::AccountStatus {
        account: ledger_model::AccountToken::from_hex(&token(1)).unwrap(),
        status: AccountStatus::Frozen,
    };
    let operator = format!("li.wei (user:{})", own_user());
    assert_eq!(acts, [(frozen, operator.clone(), "court order 17".to_owned())]);
    assert!(bank.log().contains("an operator administers") && bank.log().contains(&operator));
}

#[test]
fn whom_the_configuration_does_not_allow_changes_nothing() {
    let bank = Bank::start_with("administration = { allow = [\"user:4294967294\"] }");
    check(&order(&bank, &["account", "freeze", &token(1)]), 1, "permission");
    check(&bank.ledger(&["account", "show", &token(1)]), 1, "permission");
    check(&bank.ledger(&["day", "status"]), 1, "permission");
    // what the network orders is still taken
    let order = bank.decided(payment(1, 1, "CNY1.00", DATE));
    assert_eq!(order, Decision::Refused(Refusal::NoSuchAgreement));
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let bank = with_accounts("", 1..=2);
    let account = token(1);
    let commands: [&[&str]; 7] = [
        &["positions"],
        &["positions", "--json"],
        &["trial-balance"],
        &["statement", &account],
        &["hops"],
        &["day", "status"],
        &["account", "show", &account],
    ];
    for arguments in commands {
        let (gone, output) = std::io::pipe().unwrap();
        drop(gone);
        let told = bank.command(arguments).stdout(output).output().unwrap();
        let said = String::from_utf8(told.stderr).unwrap();
        assert!(
            told.status.success() && said.is_empty(),
            "{arguments:?}: {:?}, {said}",
            told.status
        );
    }
    let full = std::fs::File::create("/dev/full").unwrap();
    let told = bank.command(&["positions"]).stdout(full).output().unwrap();
    let said = String::from_utf8(told.stderr).unwrap();
    assert!(
        told.status.code() == Some(1) && said.contains("the output cannot be written"),
        "{said}"
    );
}
