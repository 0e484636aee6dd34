//! `ledger adjust`.

use ledger_journal::{Event, EvidenceDigest};
use ledger_model::Decision;

use crate::process::{Bank, DATE, INSTITUTION, Told, key, payment, token, with_accounts};

const SECTION: &str = "adjustments = { bank = \"C1030131001234\" }";
const BATCH: &str = "B202403050001";

fn adjust(bank: &Bank, kind: &[&str], number: &str, more: &[&str]) -> Told {
    let order = [
        "--number",
        number,
        "--date",
        "2024-03-05",
        "--batch",
        BATCH,
        "--maker",
        "li.wei",
        "--reason",
        "case 17",
    ];
    bank.ledger(&[&["adjust"], kind, &order, more].concat())
}

fn original(number: u64) -> String {
    let key = key("0110", number);
    format!("{}:{}:{}", key.issuer, key.category, key.id)
}

fn balance(bank: &Bank, account: u64) -> String {
    let shown = bank.ledger(&["account", "show", &token(account), "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    shown["balance"].as_str().unwrap().to_owned()
}

#[track_caller]
fn check(told: &Told, code: i32, said: &str) {
    assert!(
        told.code == code && (told.stdout.contains(said) || told.stderr.contains(said)),
        "{told:?}"
    );
}

#[test]
fn a_reversal_takes_a_payment_back_once() {
    let bank = with_accounts(SECTION, 1..=9);
    for account in 1..=9 {
        assert_eq!(
            bank.decided(payment(account, account, "CNY10.00", DATE)),
            Decision::Posted
        );
        let reverse = ["reverse", "--original", &original(account)];
        let number = account.to_string();
        let two = ["--checker", "wang.fang"];
        let before = bank.positions();
        let rehearsed = adjust(&bank, &reverse, &number, &[&two[..], &["--dry-run"]].concat());
        check(
            &rehearsed,
            0,
            &format!(
                "would post\n  credit CNY10.00 customer {}\n  debit  CNY10.00 network clearing {BATCH}",
                token(account)
            ),
        );
        assert_eq!(bank.positions(), before, "a dry run posts nothing");

        check(&adjust(&bank, &reverse, &number, &two), 0, "posted serial ");
        assert_eq!(balance(&bank, account), "CNY100.00");
        let posted = bank.positions();
        check(&adjust(&bank, &reverse, &number, &two), 0, "posted before, serial ");
        assert_eq!(bank.positions(), posted);
        check(
            &adjust(&bank, &reverse, &format!("{account}00"), &two),
            1,
            "refused already_reversed",
        );
    }
    bank.stopped_and_checked();
}

#[test]
fn a_supplement_posts_what_is_missing_and_keeps_who_ordered_it() {
    let bank = with_accounts(SECTION, 1..=1);
    let account = token(1);
    let supplement = [
        "supplement",
        "--account",
        &account,
        "--side",
        "debit",
        "--against",
        "fee",
        "--amount",
        "CNY2.50",
        "--institution",
        INSTITUTION,
    ];
    let two = ["--checker", "wang.fang"];
    check(&adjust(&bank, &supplement, "1", &two), 0, "posted serial ");
    assert_eq!(balance(&bank, 1), "CNY97.50");
    let text = format!(
        "kind: supplement\nkey: C1030131001234 9002 2024030500000000000000010000000\namount: CNY2.50\nbatch: {BATCH}\ninstitution: {INSTITUTION}\nordered at: 2024-03-05T00:00:00\naccount: {account}\nside: debit\nagainst: fee\nmaker: li.wei\nchecker: wang.fang\nreason: case 17\nby: user:{}\n",
        ledger::access::own_user()
    );
    let kept = bank.journal().into_iter().find_map(|record| match record.event {
        Event::TransferDecided { evidence, .. } => Some(evidence),
        _ => None,
    });
    assert_eq!(kept, Some(EvidenceDigest::over(text.as_bytes(), b"", "")));
    let file = bank.path("order.tar").to_str().unwrap().to_owned();
    let export = ["evidence", "2024030500000000000000010000000", "--output", &file];
    check(&bank.ledger(&export), 0, "supplement of CNY2.50");
    let nobody_signed = "sound; an adjustment, ordered by the bank itself, so nobody signed it";
    check(&bank.ledger(&["evidence", "check", &file]), 0, nobody_signed);
    let other = [&supplement[..8], &["CNY2.51"], &supplement[9..]].concat();
    check(
        &adjust(&bank, &other, "1", &two),
        1,
        "used before for another order: amount differs",
    );
    bank.stopped_and_checked();
}

#[test]
fn what_cannot_be_adjusted_is_said_and_changes_nothing() {
    let bank = with_accounts(SECTION, 1..=1);
    assert_eq!(bank.decided(payment(1, 1, "CNY10.00", DATE)), Decision::Posted);
    let before = bank.positions().1;
    let found = ["reverse", "--original", &original(1)];
    check(&adjust(&bank, &found, "1", &["--checker", "li.wei"]), 2, "two people");
    check(
        &adjust(
            &bank,
            &["reverse", "--original", &original(7)],
            "1",
            &["--checker", "x"],
        ),
        1,
        "is not there",
    );
    check(
        &adjust(&bank, &["reverse", "--original", "7"], "1", &["--checker", "x"]),
        2,
        "issuer:category:id",
    );
    check(&adjust(&bank, &found, "0", &["--checker", "x"]), 2, "0 is not in");
    let closed = bank.ledger(&["day", "close", "2024-03-05", "--operator", "x", "--reason", "y"]);
    assert_eq!(closed.code, 0, "{closed:?}");
    check(
        &adjust(&bank, &found, "1", &["--checker", "x", "--dry-run"]),
        1,
        "would be refused batch_closed",
    );
    assert_eq!((bank.positions().1, balance(&bank, 1)), (before, "CNY90.00".to_owned()));

    let without = with_accounts("", 1..=1);
    check(&adjust(&without, &found, "1", &["--checker", "x"]), 3, "[adjustments]");
}
