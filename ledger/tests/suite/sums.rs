//! Trial balance and statement as functions of records: what goes in is a table, what comes out is a table.

use expect_test::{Expect, expect};
use ledger::books::InternalAccount;
use ledger::reading::statement::{Period, Statement};
use ledger::reading::trial::{Line, TrialBalance, TrialFault};
use ledger_journal::{ChainFault, ChainHash, Event, EvidenceDigest, JournalRecord};
use ledger_model::{
    BankSerial, BatchId, ChinaTime, Currency, Decision, Entry, LedgerAccount, Refusal, Side, Transfer, TransferKind,
};

use crate::bank::{account, agreement, amount, details, institution, key, token};
use crate::groups::shard;

/// One record: a time, then what it is. Entries are `dr ACCOUNT AMOUNT` and `cr ACCOUNT AMOUNT`; an account is a number,
/// a batch, `opening`, `suspense`, `fee` or `advance`.
///
/// `open NUMBER AMOUNT`, `agree NUMBER`, `pay ENTRIES`, `refuse`
fn record(line: &str, sequence: u64, previous: ChainHash) -> JournalRecord {
    let words: Vec<&str> = line.split_whitespace().collect();
    let event = match words[1] {
        "open" => Event::AccountOpened {
            account: account(words[2].parse().unwrap(), words[3]),
            entries: entries(&words[4..]),
        },
        "agree" => Event::AgreementRecorded {
            agreement: agreement(words[2].parse().unwrap()),
        },
        "pay" => transferred(sequence, words[0], Decision::Posted, entries(&words[2..])),
        "refuse" => transferred(sequence, words[0], Decision::Refused(Refusal::BalanceShort), Vec::new()),
        other => panic!("{other}"),
    };
    JournalRecord {
        shard: shard(),
        sequence,
        previous,
        committed_at: words[0].parse().unwrap(),
        event,
    }
}

fn transferred(sequence: u64, at: &str, decision: Decision, entries: Vec<Entry>) -> Event {
    let decided_at: ChinaTime = at.parse().unwrap();
    let transfer = Transfer {
        key: key("0110", sequence),
        kind: TransferKind::Payment,
        amount: amount("CNY1.00"),
        batch: "B202603020001".parse().unwrap(),
        institution: institution(0),
        agreement: None,
        account: Some(token(1)),
        original: None,
        details: details(),
        decision,
        serial: BankSerial::issue(decided_at.date(), shard(), sequence),
        decided_at,
    };
    Event::TransferDecided {
        transfer,
        entries,
        evidence: EvidenceDigest([0; 32]),
    }
}

fn entries(words: &[&str]) -> Vec<Entry> {
    let entry = |three: &[&str]| Entry {
        side: match three[0] {
            "dr" => Side::Debit,
            "cr" => Side::Credit,
            other => panic!("{other}"),
        },
        account: match three[1] {
            "opening" => LedgerAccount::OpeningBalances,
            "suspense" => LedgerAccount::Suspense,
            "fee" => LedgerAccount::Fee,
            "advance" => LedgerAccount::StandInAdvance,
            batch if batch.starts_with('B') => LedgerAccount::NetworkClearing(batch.parse().unwrap()),
            number => LedgerAccount::Customer(token(number.parse().unwrap())),
        },
        amount: amount(three[2]),
    };
    words.chunks(3).map(entry).collect()
}

fn records(text: &str) -> Vec<(JournalRecord, Vec<u8>)> {
    let mut previous = ChainHash::START;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    (1..)
        .zip(lines)
        .map(|(sequence, line)| {
            let record = record(line, sequence, previous);
            let encoded = record.encode();
            previous = ChainHash::of(&encoded);
            (record, encoded)
        })
        .collect()
}

fn summed(text: &str) -> Result<TrialBalance, TrialFault> {
    let mut trial = TrialBalance::start(shard());
    for (record, encoded) in records(text) {
        trial.follow(&record, &encoded)?;
    }
    Ok(trial)
}

fn check_trial(text: &str, expected: &Expect) {
    let told = match summed(text) {
        Err(fault) => fault.to_string(),
        Ok(trial) => {
            let lines = trial.lines.iter().map(|((currency, line), sums)| {
                let balance = sums.balance(*currency).unwrap();
                format!("{line}: {} {} {balance}\n", sums.debit_minor, sums.credit_minor)
            });
            let counts = format!(
                "posted {} refused {}\n",
                trial.transfers_posted, trial.transfers_refused
            );
            lines.chain([counts]).collect()
        }
    };
    expected.assert_eq(&told);
}

const DAYS: &str = "
    2026-03-01T09:00:00 open 1 CNY100.00  dr opening CNY100.00  cr 1 CNY100.00
    2026-03-01T09:00:00 open 2 CNY0.00
    2026-03-01T09:00:00 open 3 USD7.00  dr opening USD7.00  cr 3 USD7.00
    2026-03-01T09:00:01 agree 1
    2026-03-01T23:59:59 pay  dr 1 CNY30.00  cr B202603010001 CNY30.00
    2026-03-02T00:00:00 refuse
    2026-03-02T10:00:00 pay  dr 1 CNY20.00  cr B202603020001 CNY20.00
    2026-03-02T10:00:00 pay  dr B202603020001 CNY5.00  cr 2 CNY5.00
    2026-03-02T23:59:59 pay  dr B202603020001 CNY1.00  cr 1 CNY1.00
    2026-03-03T00:00:00 pay  dr 1 CNY0.50  cr B202603020001 CNY0.50
";

#[test]
fn every_account_of_the_chart_has_a_line() {
    check_trial(
        "",
        &expect![[r"
        posted 0 refused 0
    "]],
    );
    check_trial(
        DAYS,
        &expect![[r"
        customers: 5050 10600 CNY55.50
        network_clearing B202603010001: 0 3000 CNY30.00
        network_clearing B202603020001: 600 2050 CNY14.50
        opening_balances: 10000 0 CNY-100.00
        customers: 0 700 USD7.00
        opening_balances: 700 0 USD-7.00
        posted 5 refused 1
    "]],
    );
}

#[test]
fn the_banks_own_accounts_have_lines_of_their_own() {
    let text = "
        2026-03-01T09:00:00 pay  dr B202603010001 CNY3.00  cr suspense CNY3.00
        2026-03-01T09:00:00 pay  dr suspense CNY2.00  cr fee CNY2.00
        2026-03-01T09:00:00 pay  dr advance CNY7.00  cr B202603010001 CNY7.00
    ";
    check_trial(
        text,
        &expect![[r"
        network_clearing B202603010001: 300 700 CNY4.00
        suspense: 200 300 CNY1.00
        fee: 0 200 CNY2.00
        stand_in_advance: 700 0 CNY-7.00
        posted 3 refused 0
    "]],
    );
}

#[test]
fn what_does_not_balance_or_follow_is_refused() {
    let open = "2026-03-01T09:00:00 open 1 CNY100.00  dr opening CNY100.00  cr 1 CNY100.00\n";
    let after = |line: &str| format!("{open}2026-03-01T09:00:00 {line}");
    check_trial(
        &after("pay dr 1 CNY1.00 cr B202603010001 CNY1.01"),
        &expect!["shard 0: record 2 debits and credits different money"],
    );
    check_trial(
        &after("pay dr 1 CNY1.00 cr B202603010001 USD1.00"),
        &expect!["shard 0: record 2 debits and credits different money"],
    );
    check_trial(
        &after("pay dr 1 CNY1.00"),
        &expect!["shard 0: record 2 debits and credits different money"],
    );
    let most = "CNY9999999999999999.99";
    let much = format!("pay dr 1 {most} cr B202603010001 {most}");
    let line = format!("2026-03-01T09:00:00 {much}\n");
    check_trial(
        &line.repeat(10),
        &expect!["shard 0: the sums up to record 10 are more than can be held"],
    );

    let mut trial = TrialBalance::start(shard());
    let all = records(DAYS);
    trial.follow(&all[0].0, &all[0].1).unwrap();
    let skipped = trial.follow(&all[2].0, &all[2].1);
    assert!(matches!(
        skipped,
        Err(TrialFault::Chain(ChainFault::OutOfSequence { .. }))
    ));
    let other = records("2026-03-01T09:00:00 open 2 CNY0.00\n2026-03-01T09:00:00 open 1 CNY0.00");
    let astray = trial.follow(&other[1].0, &other[1].1);
    assert!(matches!(astray, Err(TrialFault::Chain(ChainFault::Broken { .. }))));
}

/// The statement of account `number`, from one day to another; `-` is none.
fn check_statement(number: u64, days: (&str, &str), expected: &Expect) {
    let day = |text: &str| (text != "-").then(|| text.parse().unwrap());
    let period = Period {
        from: day(days.0),
        to: day(days.1),
    };
    let mut statement = Statement::new(token(number), period);
    let followed: Result<Vec<()>, _> = records(DAYS)
        .iter()
        .map(|(record, _)| statement.follow(record))
        .collect();
    followed.unwrap();
    let told = match statement.balances {
        None => "not there".to_owned(),
        Some(balances) => {
            let entries = statement.entries.iter().map(|entry| {
                let against: Vec<String> = entry.against.iter().map(|account| format!("{account:?}")).collect();
                let (sequence, side, money) = (entry.sequence, entry.side, entry.amount.money());
                format!("{sequence} {side:?} {money} {} {}\n", against.join(" "), entry.balance)
            });
            let opening = format!("{}\n", balances.opening);
            let closing = format!("{} {}", balances.closing, balances.now);
            [opening].into_iter().chain(entries).chain([closing]).collect()
        }
    };
    expected.assert_eq(&told);
}

#[test]
fn a_statement_shows_the_days_asked_for_and_the_balance_around_them() {
    check_statement(
        1,
        ("-", "-"),
        &expect![[r"
        CNY0.00
        1 Credit CNY100.00 OpeningBalances CNY100.00
        5 Debit CNY30.00 NetworkClearing(B202603010001) CNY70.00
        7 Debit CNY20.00 NetworkClearing(B202603020001) CNY50.00
        9 Credit CNY1.00 NetworkClearing(B202603020001) CNY51.00
        10 Debit CNY0.50 NetworkClearing(B202603020001) CNY50.50
        CNY50.50 CNY50.50"]],
    );
    check_statement(
        1,
        ("2026-03-02", "2026-03-02"),
        &expect![[r"
        CNY70.00
        7 Debit CNY20.00 NetworkClearing(B202603020001) CNY50.00
        9 Credit CNY1.00 NetworkClearing(B202603020001) CNY51.00
        CNY51.00 CNY50.50"]],
    );
    check_statement(
        1,
        ("2026-03-02", "-"),
        &expect![[r"
        CNY70.00
        7 Debit CNY20.00 NetworkClearing(B202603020001) CNY50.00
        9 Credit CNY1.00 NetworkClearing(B202603020001) CNY51.00
        10 Debit CNY0.50 NetworkClearing(B202603020001) CNY50.50
        CNY50.50 CNY50.50"]],
    );
    check_statement(
        1,
        ("-", "2026-03-01"),
        &expect![[r"
        CNY0.00
        1 Credit CNY100.00 OpeningBalances CNY100.00
        5 Debit CNY30.00 NetworkClearing(B202603010001) CNY70.00
        CNY70.00 CNY50.50"]],
    );
    check_statement(
        1,
        ("2026-03-04", "-"),
        &expect![[r"
        CNY50.50
        CNY50.50 CNY50.50"]],
    );
    check_statement(
        1,
        ("-", "2026-02-28"),
        &expect![[r"
        CNY0.00
        CNY0.00 CNY50.50"]],
    );
}

#[test]
fn a_statement_is_of_one_account_in_its_currency() {
    check_statement(
        2,
        ("-", "-"),
        &expect![[r"
        CNY0.00
        8 Credit CNY5.00 NetworkClearing(B202603020001) CNY5.00
        CNY5.00 CNY5.00"]],
    );
    check_statement(
        3,
        ("-", "-"),
        &expect![[r"
        USD0.00
        3 Credit USD7.00 OpeningBalances USD7.00
        USD7.00 USD7.00"]],
    );
    check_statement(4, ("-", "-"), &expect!["not there"]);
}

#[test]
fn an_account_that_moves_before_it_is_opened_or_in_another_currency_is_refused() {
    let check = |text: &str, expected: &str| {
        let mut statement = Statement::new(token(1), Period::default());
        let followed: Result<Vec<()>, _> = records(text)
            .iter()
            .map(|(record, _)| statement.follow(record))
            .collect();
        assert_eq!(followed.unwrap_err().to_string(), expected);
    };
    let moved = "2026-03-01T09:00:00 pay  dr 1 CNY30.00  cr B202603010001 CNY30.00";
    check(moved, "record 1 has an entry of the account before it was opened");
    check(
        &format!("2026-03-01T09:00:00 open 1 USD0.00\n{moved}"),
        "record 2 moves the account in another currency, or beyond what can be held",
    );
}

#[test]
fn sums_of_currencies_are_kept_apart() {
    let trial = summed(DAYS).unwrap();
    let totals = trial.totals().unwrap();
    let sums: Vec<(String, i64, i64)> = totals
        .iter()
        .map(|(currency, sums)| (currency.to_string(), sums.debit_minor, sums.credit_minor))
        .collect();
    let expected = [("CNY".to_owned(), 15_650, 15_650), ("USD".to_owned(), 700, 700)];
    assert_eq!(sums, expected);
    let batch: BatchId = "B202603010001".parse().unwrap();
    let line = Line::Own(InternalAccount::NetworkClearing(batch));
    assert_eq!(trial.lines[&(Currency::CNY, line)].credit_minor, 3_000);
}
