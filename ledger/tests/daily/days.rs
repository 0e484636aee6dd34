//! `ledger day` and `ledger calendar`.

use ledger_model::{Decision, Refusal};
use ledger_protocol::PostReply;

use crate::process::{Bank, DATE, Told, payment, payout, with_accounts};

const NEXT: &str = "20240305";

fn close(bank: &Bank, date: &str) -> Told {
    bank.ledger(&["day", "close", date, "--operator", "wang.fang", "--reason", "night run"])
}

#[test]
fn a_closed_date_takes_no_more_orders_of_its_batches() {
    let mut bank = with_accounts("", 1..=4);
    assert_eq!(bank.decided(payment(1, 1, "CNY1.00", DATE)), Decision::Posted);
    let before = bank.ledger(&["day", "status"]);
    assert!(before.stdout.contains("closed through  no date"), "{before:?}");

    let closed = close(&bank, "2024-03-04");
    assert!(
        closed.code == 0 && closed.stderr.matches("closed through 2024-03-04, record ").count() == 4,
        "{closed:?}"
    );
    let late = Decision::Refused(Refusal::BatchClosed);
    assert_eq!(bank.decided(payment(2, 1, "CNY1.00", DATE)), late);
    assert_eq!(bank.decided(payout(3, 2, "CNY1.00", "20240301")), late);
    assert_eq!(bank.decided(payment(4, 1, "CNY1.00", NEXT)), Decision::Posted);
    // what was posted before is told again
    let again = bank.post(payment(1, 1, "CNY1.00", DATE));
    assert!(matches!(again, PostReply::Decided { transfer, repeat: true } if transfer.decision == Decision::Posted));

    bank.killed_and_started();
    assert_eq!(bank.decided(payment(5, 1, "CNY1.00", DATE)), late);
    let status = bank.ledger(&["day", "status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["closed_through"], "2024-03-04");
    let earlier = close(&bank, "2024-03-01");
    assert!(
        earlier.code == 0 && earlier.stderr.matches("closed already").count() == 4,
        "{earlier:?}"
    );
    bank.stopped_and_checked();
}

#[test]
fn a_date_that_has_not_ended_is_not_closed() {
    let bank = with_accounts("", 1..=1);
    for date in ["2999-01-01", &today(&bank)] {
        let told = close(&bank, date);
        assert!(told.code == 1 && told.stderr.contains("has not ended"), "{told:?}");
    }
    let records = bank.positions().0;
    assert_eq!(records, 2, "nothing was recorded");
    assert_eq!(close(&bank, "2024-02-30").code, 2);
}

fn today(bank: &Bank) -> String {
    let status = bank.ledger(&["day", "status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    status["business_date"].as_str().unwrap().to_owned()
}

#[test]
fn the_calendar_is_asked_without_a_ledger_that_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let config =
        "listen = \"unix:s\"\ndirectory = \"d\"\ncalendar = \"c.toml\"\n[operations]\naddress = \"127.0.0.1:0\"\n";
    std::fs::write(path("ledger.toml"), config).unwrap();
    let ask = |date: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ledger"));
        command.arg("--config").arg(path("ledger.toml"));
        Told::from(command.args(["calendar", "--date", date]).output().unwrap())
    };
    let missing = ask("2026-10-01");
    assert!(
        missing.code == 3 && missing.stderr.contains("c.toml cannot be read"),
        "{missing:?}"
    );
    let calendar =
        "years = [2026]\n[[holiday]]\nname = \"National Day\"\nfirst = \"2026-10-01\"\nlast = \"2026-10-07\"\n";
    std::fs::write(path("c.toml"), calendar).unwrap();
    let told = ask("2026-10-01");
    assert!(
        told.code == 0 && told.stdout.contains("not worked: National Day"),
        "{told:?}"
    );
    assert_eq!((ask("2027-10-01").code, ask("today").code), (1, 2));
}
