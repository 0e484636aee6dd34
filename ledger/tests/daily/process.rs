//! A ledger that runs in a directory of its own, and commands beside it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use ledger_journal::JournalRecord;
use ledger_model::{
    AccountToken, AgreementNumber, Decision, DetailsDigest, Instruction, NameToken, Payee, Payment, Payout, ShardCount,
    TransferKey,
};
use ledger_protocol::{Evidence, LedgerClient, PostReply};
use operations::endpoint::Endpoint;

const WAIT: Duration = Duration::from_secs(20);

/// Stops the process, and takes the directory along, when it is dropped.
pub(crate) struct Bank {
    directory: tempfile::TempDir,
    child: Child,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bank {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// `more` is added to the configuration, before its tables.
    pub(crate) fn start_with(more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "listen = \"unix:ledger.sock\"\ndirectory = \"data\"\nkept_days = 3660\n{more}\n[operations]\naddress = \"127.0.0.1:0\"\n"
        );
        std::fs::write(directory.path().join("ledger.toml"), config).unwrap();
        let child = serve(directory.path());
        let bank = Self { directory, child };
        bank.wait();
        bank
    }

    /// As kill -9 and a start after it.
    pub(crate) fn killed_and_started(&mut self) {
        self.killed_then(|_| {});
    }

    /// `then` with its configuration, while it does not run.
    pub(crate) fn killed_then(&mut self, then: impl FnOnce(&Path)) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        then(&self.path("ledger.toml"));
        self.child = serve(self.directory.path());
        self.wait();
    }

    fn wait(&self) {
        let deadline = Instant::now() + WAIT;
        while self.ledger(&["positions"]).code != 0 {
            assert!(Instant::now() < deadline, "the ledger does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file of the directory, by its path.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program(self.directory.path());
        command.args(arguments);
        command
    }

    pub(crate) fn ledger(&self, arguments: &[&str]) -> Told {
        self.command(arguments).output().unwrap().into()
    }

    /// What the process logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("ledger.log")).unwrap()
    }

    /// Stopped in order; what it left is checked by `ledger check`.
    pub(crate) fn stopped_and_checked(self) {
        self.stopped_and_checked_then(|| {});
    }

    /// `then` while its stores are at rest.
    pub(crate) fn stopped_and_checked_then(mut self, then: impl FnOnce()) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        let data = self.path("data");
        let told = self.ledger(&["check", "--directory", data.to_str().unwrap()]);
        assert_eq!(told.code, 0, "{told:?}");
        then();
    }

    /// What came of it.
    pub(crate) fn post(&self, instruction: Instruction) -> PostReply {
        let evidence = Evidence {
            signed: b"<root></root>".to_vec(),
            signature: vec![0x30; 70],
            signing_serial: "4000000101".to_owned(),
        };
        self.post_with(instruction, evidence)
    }

    pub(crate) fn post_with(&self, instruction: Instruction, evidence: Evidence) -> PostReply {
        self.block_on(async |client| client.post(instruction, evidence, deadline()).await)
    }

    /// Whether it was posted, or why it was refused.
    pub(crate) fn decided(&self, instruction: Instruction) -> Decision {
        match self.post(instruction) {
            PostReply::Decided { transfer, .. } => transfer.decision,
            other => panic!("{other:?}"),
        }
    }

    /// Every committed record of every shard.
    pub(crate) fn journal(&self) -> Vec<JournalRecord> {
        self.block_on(async |client| {
            let mut records = Vec::new();
            for position in client.positions().await.unwrap() {
                let mut chunks = Box::pin(client.journal(position.shard, 1).await.unwrap());
                let mut sequence = 0;
                while sequence < position.sequence {
                    for encoded in chunks.next().await.unwrap().unwrap() {
                        let record = JournalRecord::decode(&encoded).unwrap();
                        sequence = record.sequence;
                        records.push(record);
                    }
                }
            }
            records
        })
    }

    fn block_on<T>(&self, asked: impl AsyncFnOnce(LedgerClient) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let client = LedgerClient::connect(&Endpoint::unix(self.path("ledger.sock"))).unwrap();
            asked(client).await
        })
    }

    /// Over all shards: records, transfers posted, and debits in minor units.
    pub(crate) fn positions(&self) -> (u64, u64, i64) {
        let told = self.ledger(&["positions", "--json"]);
        let shards: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
        let mut sums = (0, 0, 0);
        for shard in shards.as_array().unwrap() {
            sums.0 += shard["sequence"].as_u64().unwrap();
            sums.1 += shard["transfers_posted"].as_u64().unwrap();
            for sum in shard["sums"].as_array().unwrap() {
                assert_eq!(sum["debit_minor"], sum["credit_minor"]);
                sums.2 += sum["debit_minor"].as_i64().unwrap();
            }
        }
        sums
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _waited_for = self.child.wait();
    }
}

impl From<Output> for Told {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it ends by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn program(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledger"));
    command.arg("--config").arg(directory.join("ledger.toml"));
    command
}

fn serve(directory: &Path) -> Child {
    let log = std::fs::File::options()
        .append(true)
        .create(true)
        .open(directory.join("ledger.log"))
        .unwrap();
    program(directory)
        .arg("serve")
        .stderr(Stdio::from(log))
        .spawn()
        .unwrap()
}

/// A token whose digits end with its number; the first ones spread it over the shards.
pub(crate) fn token(number: u64) -> String {
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("{spread:016x}{number:048x}")
}

/// The accounts as a file to be loaded, each with CNY100.00.
pub(crate) fn accounts(numbers: std::ops::RangeInclusive<u64>) -> String {
    let mut text = "token,name,status,opening_balance\n".to_owned();
    for number in numbers {
        let token = token(number);
        writeln!(text, "{token},{token},open,CNY100.00").unwrap();
    }
    text
}

pub(crate) fn deadline() -> tokio::time::Instant {
    tokio::time::Instant::now() + WAIT
}

pub(crate) fn agreement_number(number: u64) -> String {
    let shards = ShardCount::new(4).unwrap();
    let token = AccountToken::from_hex(&token(number)).unwrap();
    AgreementNumber::issue(shards.of_account(token), number).to_string()
}

/// The agreement of each account, as a file to be loaded, with wide limits.
pub(crate) fn agreements(numbers: std::ops::RangeInclusive<u64>) -> String {
    let mut text = "number,account,institution,status,single_max,daily_max,daily_count_max,expires\n".to_owned();
    for number in numbers {
        let (name, token) = (agreement_number(number), token(number));
        writeln!(
            text,
            "{name},{token},{INSTITUTION},normal,CNY50.00,CNY90.00,9,2099-12-31"
        )
        .unwrap();
    }
    text
}

pub(crate) const INSTITUTION: &str = "Z2000133000019";
pub(crate) const DATE: &str = "20240304";

pub(crate) fn key(category: &str, number: u64) -> TransferKey {
    TransferKey {
        issuer: "G4000311000018".parse().unwrap(),
        category: category.parse().unwrap(),
        id: format!("{DATE}{number:016}0000000").parse().unwrap(),
    }
}

/// From the account of that number; of the batch of that date.
pub(crate) fn payment(number: u64, from: u64, amount: &str, date: &str) -> Instruction {
    Instruction::Payment(Payment {
        key: key("0110", number),
        amount: amount.parse().unwrap(),
        batch: format!("B{date}0001").parse().unwrap(),
        institution: INSTITUTION.parse().unwrap(),
        agreement: agreement_number(from).parse().unwrap(),
        ordered_at: "2024-03-04T10:00:00".parse().unwrap(),
        details: DetailsDigest::new([3; 32]),
    })
}

pub(crate) fn payout(number: u64, to: u64, amount: &str, date: &str) -> Instruction {
    let token = token(to);
    Instruction::Payout(Payout {
        key: key("0120", number),
        amount: amount.parse().unwrap(),
        batch: format!("B{date}0001").parse().unwrap(),
        institution: INSTITUTION.parse().unwrap(),
        payee: Payee::Account {
            token: AccountToken::from_hex(&token).unwrap(),
            name: NameToken::from_hex(&token).unwrap(),
        },
        ordered_at: "2024-03-04T10:00:00".parse().unwrap(),
        details: DetailsDigest::new([3; 32]),
    })
}

/// A bank with these accounts and their agreements.
pub(crate) fn with_accounts(more: &str, numbers: std::ops::RangeInclusive<u64>) -> Bank {
    let bank = Bank::start_with(more);
    let (held, agreed) = (
        bank.file("accounts.csv", &accounts(numbers.clone())),
        bank.file("agreements.csv", &agreements(numbers)),
    );
    let told = bank.ledger(&["load", "--accounts", &held, "--agreements", &agreed]);
    assert_eq!(told.code, 0, "{told:?}");
    bank
}

/// A command without a configuration.
pub(crate) fn alone(arguments: &[&str]) -> Told {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ledger"));
    Told::from(command.args(arguments).output().unwrap())
}

#[track_caller]
pub(crate) fn fails(told: &Told, code: i32, why: &str) {
    assert!(told.code == code && told.stderr.contains(why), "{told:?}");
}

#[track_caller]
pub(crate) fn succeeds(told: &Told, what: &str) {
    assert!(
        told.code == 0 && told.stderr.is_empty() && told.stdout.contains(what),
        "{told:?}"
    );
}
