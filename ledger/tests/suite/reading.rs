//! The reading commands, as processes: over a ledger that runs, over its stores at rest, over books that are not what
//! their journal says, and with command lines that are wrong.

use std::collections::BTreeMap;
use std::path::Path;

use expect_test::expect;
use futures::StreamExt;
use ledger::store::{Group, Store};
use ledger_journal::{ChainHash, Event, JournalRecord};
use ledger_model::{Amount, ChinaTime, Instruction, LedgerAccount, Side};
use serde_json::{Value, json};

use crate::bank::{SHARDS, now, payment, payout, refund, token};
use crate::embedded::open_all;
use crate::groups::{accounts, decided, fill, post_at};
use crate::process::{Process, Told};

const CUSTOMERS: u64 = 12;

fn work(number: u64) -> Instruction {
    let place = number % CUSTOMERS;
    match number % 5 {
        4 => refund(number, number - 1, (number - 1) % CUSTOMERS, 300, 100),
        3 => payment(number, place, 300),
        2 => payout(number, place, 250),
        _ => payment(number, place, 30_000),
    }
}

/// Sums by line and side of the records of a shard up to number `last`, added up here.
async fn expected(process: &Process, shard: u8, last: u64) -> BTreeMap<String, (i64, i64)> {
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut chunks = Box::pin(process.client.journal(shard, 1).await.unwrap());
    let mut next = 1;
    while next <= last {
        for encoded in chunks.next().await.unwrap().unwrap() {
            let record = JournalRecord::decode(&encoded).unwrap();
            if record.sequence > last {
                return sums;
            }
            next = record.sequence + 1;
            for entry in record.event.entries() {
                let line = match entry.account {
                    LedgerAccount::Customer(_) => "customers".to_owned(),
                    LedgerAccount::NetworkClearing(batch) => batch.to_string(),
                    LedgerAccount::OpeningBalances => "opening_balances".to_owned(),
                    other => panic!("{other:?} is not posted to here"),
                };
                let sum = sums.entry(line).or_default();
                match entry.side {
                    Side::Debit => sum.0 += entry.amount.minor(),
                    Side::Credit => sum.1 += entry.amount.minor(),
                }
            }
        }
    }
    sums
}

fn lines(shown: &Value) -> BTreeMap<String, (i64, i64)> {
    let lines = shown["lines"].as_array().unwrap().iter().map(|line| {
        let name = line["batch"].as_str().or(line["account"].as_str()).unwrap().to_owned();
        let minor = |field: &str| line[field].as_i64().unwrap();
        assert_eq!(minor("balance_minor"), minor("credit_minor") - minor("debit_minor"));
        (name, (minor("debit_minor"), minor("credit_minor")))
    });
    lines.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trial_balance_is_that_of_the_journal_at_any_position() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path()).await;
    process.load(0..CUSTOMERS, "CNY1000.00").await;
    for number in 0..120 {
        process.post(&work(number)).await;
    }
    let running = process.command(&["trial-balance", "--json"]).json();
    for shard in SHARDS.all() {
        let shown = &running["shards"][shard.index()];
        let last = shown["last_sequence"].as_u64().unwrap();
        assert_eq!((&shown["sequence"], &shown["differences"]), (&json!(last), &json!([])));
        assert_eq!(lines(shown), expected(&process, shard.number(), last).await);
        for at in [0, 1, last / 2, last - 1] {
            let place = format!("{shard}={at}");
            let earlier = process.command(&["trial-balance", "--json", "--at", &place]).json();
            let shown = &earlier["shards"][shard.index()];
            assert_eq!((&shown["sequence"], &shown["differences"]), (&json!(at), &Value::Null));
            assert_eq!(lines(shown), expected(&process, shard.number(), at).await, "{place}");
        }
    }
    let before = process.command(&["trial-balance", "--json", "--at-time", "2020-01-01T00:00:00"]);
    assert_eq!(before.json()["lines"], json!([]));
    let table = process.command(&["trial-balance"]);
    assert_eq!(table.out.matches("equal to the state").count(), 4, "{}", table.out);

    Told::at_rest(&directory.path().join("data"), "trial-balance", &[]).fails(1, "another process has the store open");
    process.kill();
    let at_rest = Told::at_rest(&directory.path().join("data"), "trial-balance", &["--json"]).json();
    assert_eq!(at_rest, running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_ends_with_the_balance_the_state_has() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path()).await;
    process.load(0..CUSTOMERS, "CNY1000.00").await;
    let mut balances = vec![100_000_i64; 12];
    let mut posted = [1_usize; 12];
    for number in 0..60 {
        let instruction = work(number);
        let transfer = process.post(&instruction).await;
        if transfer.decision == ledger_model::Decision::Posted {
            let place = (0..CUSTOMERS)
                .position(|place| transfer.account == Some(token(place)))
                .unwrap();
            posted[place] += 1;
            balances[place] += match instruction {
                Instruction::Payment(payment) => -payment.amount.minor(),
                other => other.amount().minor(),
            };
        }
    }
    for (place, balance) in (0..CUSTOMERS).zip(balances) {
        let token = token(place).to_string();
        let shown = process.command(&["statement", &token, "--json"]).json();
        let fields = ["opening_minor", "closing_minor", "now_minor", "state_minor"].map(|field| shown[field].as_i64());
        assert_eq!(fields, [Some(0), Some(balance), Some(balance), Some(balance)]);
        let entries = shown["entries"].as_array().unwrap();
        assert_eq!(entries.len(), posted[usize::try_from(place).unwrap()]);
        let csv = process.command(&["statement", &token, "--csv"]);
        assert_eq!(csv.out.lines().count(), entries.len() + 1);
        let last = csv.out.lines().last().unwrap();
        assert!(last.ends_with(&format!(",{balance}")), "{last}");
        let later = process
            .command(&["statement", &token, "--json", "--from", "2999-01-01"])
            .json();
        let fields = ["opening_minor", "closing_minor"].map(|field| later[field].as_i64());
        assert_eq!((fields, &later["entries"]), ([Some(balance); 2], &json!([])));
    }
    let nobody = token(4_711).to_string();
    process
        .command(&["statement", &nobody])
        .fails(1, "there is no such account");
    process
        .command(&["statement", "a1b2"])
        .fails(2, "a token is 64 hexadecimal digits");
    process
        .command(&["statement", &nobody, "--from", "yesterday"])
        .fails(2, "yesterday");
}

/// Books of four shards, the first of which has postings at known times.
fn books(directory: &Path) -> Vec<Box<dyn Store>> {
    let mut stores = open_all(directory);
    fill(stores[0].as_mut(), 3);
    let next_day: ChinaTime = "2026-03-03T08:00:00".parse().unwrap();
    post_at(stores[0].as_mut(), &[payment(90, accounts()[1], 12_345)], next_day).unwrap();
    stores
}

#[test]
fn tables_read_well() {
    let directory = tempfile::tempdir().unwrap();
    drop(books(directory.path()));
    let told = Told::at_rest(directory.path(), "trial-balance", &["--at-time", "2026-03-02T10:00:00"]);
    expect![[r"
        shard 0 at record 20 of 21 of 2026-03-02T10:00:00: before its last record, not compared with the state
          account                                          debits                credits                balance
          customers                                      CNY21.00             CNY6003.20             CNY5982.20
          network_clearing B202603020001                  CNY3.20               CNY21.00               CNY17.80
          opening_balances                             CNY6000.00                CNY0.00            CNY-6000.00
          sum                                          CNY6024.20             CNY6024.20                CNY0.00
        shard 1 at record 0 of 0: equal to the state
        shard 2 at record 0 of 0: equal to the state
        shard 3 at record 0 of 0: equal to the state
        all shards
          account                                          debits                credits                balance
          customers                                      CNY21.00             CNY6003.20             CNY5982.20
          network_clearing B202603020001                  CNY3.20               CNY21.00               CNY17.80
          opening_balances                             CNY6000.00                CNY0.00            CNY-6000.00
          sum                                          CNY6024.20             CNY6024.20                CNY0.00
    "]]
    .assert_eq(&told.out);
    let token = token(accounts()[1]).to_string();
    let told = Told::at_rest(directory.path(), "statement", &[&token]);
    expect![[r"
        account f1bbcdcbfa53e0a8000000000000000807070707070707070707070707070707, opened 2026-03-02T10:00:00
        opening balance CNY0.00
            record time                what       issuer         cat. id                              serial                   batch         against                                       debit               credit              balance
                 3 2026-03-02T10:00:00 opening                                                                                               opening_balances                                              CNY1000.00           CNY1000.00
                14 2026-03-02T10:00:00 payout     G4000311000018 0120 2026030200000000000000010000000 202603020000000000000142 B202603020001 network_clearing:B202603020001                                   CNY0.40           CNY1000.40
                15 2026-03-02T10:00:00 payment    G4000311000018 0110 2026030200000000000000020000000 202603020000000000000159 B202603020001 network_clearing:B202603020001              CNY7.00                                 CNY993.40
                16 2026-03-02T10:00:00 payout     G4000311000018 0120 2026030200000000000000030000000 202603020000000000000167 B202603020001 network_clearing:B202603020001                                   CNY0.40            CNY993.80
                19 2026-03-02T10:00:00 payout     G4000311000018 0120 2026030200000000000000050000000 202603020000000000000191 B202603020001 network_clearing:B202603020001                                   CNY0.40            CNY994.20
                20 2026-03-02T10:00:00 refund     G4000311000018 0121 2026030200000000000000020000000 202603020000000000000209 B202603020001 network_clearing:B202603020001                                   CNY1.00            CNY995.20
                21 2026-03-03T08:00:00 payment    G4000311000018 0110 2026030200000000000000900000000 202603030000000000000216 B202603020001 network_clearing:B202603020001            CNY123.45                                 CNY871.75
        closing balance CNY871.75
        balance now CNY871.75: equal to the state
    "]].assert_eq(&told.out);
    let told = Told::at_rest(
        directory.path(),
        "statement",
        &[&token, "--csv", "--from", "2026-03-03"],
    );
    expect![[r"
        sequence,committed_at,kind,issuer,category,id,serial,batch,against,debit_minor,credit_minor,balance_minor
        21,2026-03-03T08:00:00,payment,G4000311000018,0110,2026030200000000000000900000000,202603030000000000000216,B202603020001,network_clearing:B202603020001,12345,0,87175
    "]].assert_eq(&told.out);
}

/// Commits a group in which something was changed by hand; what the commands then say and end with.
fn check_forged(forge: impl Fn(&mut Group), command: (&str, &[&str]), code: i32, told: &str) {
    let directory = tempfile::tempdir().unwrap();
    let mut stores = books(directory.path());
    let mut group = decided(stores[0].as_ref(), &[payment(91, accounts()[1], 100)], now());
    forge(&mut group);
    stores[0].commit(group).unwrap();
    drop(stores);
    let (command, arguments) = command;
    let ended = Told::at_rest(directory.path(), command, arguments);
    assert_eq!(ended.code, code, "{ended:?}");
    assert!(format!("{}{}", ended.out, ended.err).contains(told), "{ended:?}");
}

/// Puts another amount into the first entry of the group's only record.
fn unbalance(group: &mut Group) {
    let (_, encoded) = &mut group.records[0];
    let mut record = JournalRecord::decode(encoded).unwrap();
    if let Event::TransferDecided { entries, .. } = &mut record.event {
        let amount = entries[0].amount;
        entries[0].amount = Amount::new(amount.minor() + 1, amount.currency()).unwrap();
    }
    *encoded = record.encode();
    group.state.head = ChainHash::of(encoded);
}

#[test]
fn a_state_that_is_not_what_the_journal_comes_to_is_found() {
    let trial = ("trial-balance", &[][..]);
    check_forged(|_| {}, trial, 0, "equal to the state");
    check_forged(
        |group| group.state.transfers_posted += 1,
        trial,
        5,
        "NOT WHAT THE STATE SAYS of the count of transfers posted",
    );
    check_forged(
        |group| group.rows.internal[0].1.credit_minor += 1,
        trial,
        5,
        "the sums of the ledger's own accounts",
    );
    let enrich = |group: &mut Group| {
        let balance = &mut group.rows.accounts[0].account.balance;
        *balance = balance.plus("CNY0.01".parse().unwrap()).unwrap();
    };
    check_forged(enrich, trial, 5, "the balances of the customers");
    check_forged(unbalance, trial, 5, "debits and credits different money");
    let token = token(accounts()[1]).to_string();
    check_forged(enrich, ("statement", &[&token]), 5, "NOT WHAT THE STATE SAYS");
    check_forged(|_| {}, ("statement", &[&token]), 0, "equal to the state");
}

#[test]
fn wrong_command_lines_are_told() {
    let directory = tempfile::tempdir().unwrap();
    drop(books(directory.path()));
    let check = |arguments: &[&str], code, text: &str| {
        Told::at_rest(directory.path(), "trial-balance", arguments).fails(code, text);
    };
    check(&["--at", "9=1"], 1, "there is no shard 9; the ledger has 4");
    check(&["--at", "0=999"], 1, "shard 0 has come to record");
    check(&["--at", "0"], 2, "a position is SHARD=SEQUENCE");
    check(
        &["--at", "0=1", "--at-time", "2026-03-02T10:00:00"],
        2,
        "cannot be used with",
    );
    check(&["--at-time", "noon"], 2, "a time is yyyy-MM-ddTHH:mm:ss");
    let missing = directory.path().join("nowhere");
    Told::at_rest(&missing, "trial-balance", &[]).fails(1, "could not read its log");
    Told::by(["trial-balance"]).fails(2, "--config FILE is needed");
    Told::by(["statement", &"00".repeat(32)]).fails(2, "--config FILE is needed");
}
