//! The whole night on real files: five planted differences, resuming, bad files.

use std::io::{Cursor, Write};
use std::path::Path;
use std::time::Duration;

use batch_clearing::config::Config;
use batch_clearing::night::{self, NightFault, NightPlan};
use batch_clearing::night_step::Outcome;
use batch_clearing::progress::Progress;
use batch_clearing::replicate::Origin;
use batch_clearing::report::DayReport;
use batch_clearing::shown;
use batch_clearing::statement::DayPlace;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use ledger_model::{Transfer, TransferKind};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::commands::{Replication, caught_up, config};
use crate::fake_ledger::FakeLedger;
use crate::server::Database;
use crate::{Test, sample};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("night::a_clean_day_is_clean", clean),
        Test::new("night::finds_exactly_what_was_planted", planted),
        Test::new("night::goes_on_where_it_failed", resumes),
        Test::new("night::bad_files_are_named_and_the_rest_goes_on", bad_files),
    ]
}

const KEY: [u8; 16] = [0x42; 16];

/// The network's files of a day, from the lines of each batch.
pub(crate) struct Statements {
    pub(crate) directory: TempDir,
}

/// What the network says of one transfer.
#[derive(Clone)]
pub(crate) struct Line {
    batch: u64,
    transfer: Transfer,
    pub(crate) minor: i64,
    status: &'static str,
}

impl Line {
    fn text(&self) -> String {
        let Self {
            transfer,
            minor,
            status,
            ..
        } = self;
        let direction = if transfer.kind == TransferKind::Payment {
            "D"
        } else {
            "C"
        };
        let batch = sample::batch(self.batch);
        let (key, institution, bank) = (&transfer.key, transfer.institution, sample::bank());
        let (amount, serial) = (sample::amount(*minor), transfer.serial);
        let (id, category) = (key.id, key.category);
        format!("{batch}|{id}|{category}|{amount}|{direction}|{bank}|{institution}|{institution}|{status}||{serial}")
    }

    fn net(&self) -> i64 {
        match (self.status, self.transfer.kind) {
            ("00", TransferKind::Payment) => -self.minor,
            ("00", TransferKind::Refund | TransferKind::Payout) => self.minor,
            _ => 0,
        }
    }
}

impl Statements {
    pub(crate) fn write(lines: &[Line]) -> Self {
        let statements = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        statements.file(&format!("trans/{}-20260302.key", sample::bank()), &KEY);
        for batch in 1..=4 {
            let of_batch: Vec<_> = lines.iter().filter(|line| line.batch == batch).collect();
            statements.detail(batch, &of_batch);
        }
        statements.notice(lines);
        statements
    }

    fn file(&self, name: &str, content: &[u8]) {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn of_day(name: &str) -> String {
        format!("{}/20260302/{name}", sample::bank())
    }

    fn detail(&self, batch: u64, lines: &[&Line]) {
        let header =
            "BatchId|TrxId|TrxCtgy|TrxAmt|DC|PyerAcctIssrId|PyeeAcctIssrId|InstgId|TrxStatus|TrxFinishTm|BankSerial";
        let body: String = lines.iter().map(|line| line.text() + "\n").collect();
        let total: i64 = lines.iter().map(|line| line.minor).sum();
        let trailer = format!("TOTAL|{}|{}", lines.len(), sample::amount(total));
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let name = sample::batch(batch);
        writer
            .start_file(format!("{name}_01_01.txt"), SimpleFileOptions::default())
            .unwrap();
        write!(writer, "{header}\n{body}{trailer}\n").unwrap();
        let zipped = writer.finish().unwrap().into_inner();
        let iv = [9; 16];
        let mut buffer = [&zipped[..], &[0; 16]].concat();
        let cipher = cbc::Encryptor::<sm4::Sm4>::new(&KEY.into(), &iv.into());
        let body = cipher.encrypt_padded::<Pkcs7>(&mut buffer, zipped.len()).unwrap();
        let sealed = [&iv[..], body].concat();
        self.file(&Self::of_day(&format!("{name}_01_01.zip.sec")), &sealed);
    }

    fn notice(&self, lines: &[Line]) {
        let (mut batches, mut net) = (String::new(), 0);
        let flagged = |minor: i64| {
            (
                if minor < 0 { "1" } else { "2" },
                format!("CNY{}.{:02}", minor.abs() / 100, minor.abs() % 100),
            )
        };
        for batch in 1..=4 {
            let of_batch: i64 = lines.iter().filter(|line| line.batch == batch).map(Line::net).sum();
            let (flag, amount) = flagged(of_batch);
            net += of_batch;
            let id = sample::batch(batch);
            let parts = [
                "<BatchInf><BatchId>",
                id.as_str(),
                "</BatchId><BatchDCFlg>",
                flag,
                "</BatchDCFlg><BatchNetAmt>",
            ];
            batches.extend(parts);
            batches.extend([amount.as_str(), "</BatchNetAmt></BatchInf>"]);
        }
        let (flag, amount) = flagged(net);
        let (debit, credit) = if flag == "1" {
            (amount.as_str(), "CNY0.00")
        } else {
            ("CNY0.00", amount.as_str())
        };
        let notice = format!(
            "<Root><ClearCntNb>1</ClearCntNb><DebitCntAmt>{debit}</DebitCntAmt><CreditCntAmt>{credit}</CreditCntAmt>\
             <ClearList><ClearInf><ClearReptFlg>1</ClearReptFlg><ClearDCFlg>{flag}</ClearDCFlg>\
             <ClearAmt>{amount}</ClearAmt><BatchList>{batches}</BatchList></ClearInf></ClearList></Root>"
        );
        self.file(&Self::of_day("clearing-notice.xml"), notice.as_bytes());
    }
}

/// Two hundred transfers, all in PostgreSQL.
struct Day {
    database: Database,
    ledger: FakeLedger,
    config: Config,
    lines: Vec<Line>,
}

impl Day {
    async fn replicated(database: Database) -> Self {
        let (journals, lines) = transfers();
        let ledger = FakeLedger::start(journals);
        let config = config(&database, &ledger, "");
        let replication = Replication::start(&config, Origin::Ledger);
        caught_up(&database, &ledger).await;
        replication.stop().await;
        Self {
            database,
            ledger,
            config,
            lines,
        }
    }

    async fn night(&self, statements: &Path, again: bool) -> Result<DayReport, NightFault> {
        let day = sample::time().date();
        let place = DayPlace {
            root: statements.to_owned(),
            bank: sample::bank(),
            day,
        };
        let plan = NightPlan {
            place,
            today: day,
            patience: Duration::from_secs(2),
            again,
        };
        let mut client = self.database.connect().await;
        let progress = Progress::on_terminal();
        night::run(&mut client, &self.ledger.client(), &self.config, &plan, &progress).await
    }
}

/// The day's transfers as four shards have them, and as the network states them.
pub(crate) fn transfers() -> (Vec<Vec<Vec<u8>>>, Vec<Line>) {
    let mut lines = Vec::new();
    let journals: Vec<_> = (0..4)
        .map(|shard| {
            let events = (0..50_u64).map(|number| {
                let distinct = u64::from(shard) * 1_000 + number;
                let kind = TransferKind::OF_MESSAGES[usize::try_from(number % 3).unwrap()];
                let minor = 1_000 + i64::try_from(number).unwrap();
                let (transfer, entries) = sample::transfer(kind, distinct, minor);
                let refused = number % 10 == 9;
                let transfer = if refused {
                    sample::refused(distinct, minor)
                } else {
                    transfer
                };
                let entries = if refused { Vec::new() } else { entries };
                let status = if refused { "01" } else { "00" };
                lines.push(Line {
                    batch: 1 + distinct % 4,
                    transfer: transfer.clone(),
                    minor,
                    status,
                });
                sample::decided(transfer, entries)
            });
            sample::chain(sample::shard(shard), events)
        })
        .collect();
    (journals, lines)
}

fn classes(report: &DayReport) -> Vec<String> {
    let reconcile = report.reconcile.as_ref().unwrap();
    reconcile.differences.iter().map(|line| line.class.clone()).collect()
}

async fn clean(database: Database) {
    let day = Day::replicated(database).await;
    let statements = Statements::write(&day.lines);
    let report = day.night(statements.directory.path(), false).await.unwrap();
    assert_eq!(report.outcome(), Some(Outcome::Clean), "{:#?}", report.reconcile);
    let reconcile = report.reconcile.as_ref().unwrap();
    assert_eq!(
        (reconcile.own_transfers, reconcile.matched, reconcile.statement_files),
        (200, 200, 4)
    );
    let json = serde_json::to_value(report.figures()).unwrap();
    assert_eq!(json["outcome"], "clean");
    assert_eq!(json["copies"], 2);
    assert_eq!(json["differences_count"], 0);
    let positions = json["positions"].as_array().unwrap();
    assert_eq!(positions.iter().filter(|line| line["role"] == "bank").count(), 4);
    let net: i64 = positions.iter().map(|line| line["net_minor"].as_i64().unwrap()).sum();
    assert_eq!(net, 0);
    let text = shown::day(&report).join("\n");
    assert!(
        text.contains("Kafka is not configured: two copies were compared, not three"),
        "{text}"
    );
    assert!(text.ends_with("2026-03-02: clean"), "{text}");
}

async fn planted(database: Database) {
    let day = Day::replicated(database).await;
    let mut lines = day.lines.clone();
    // a success we never saw, one of ours left out, another amount, another status, another batch
    let (stranger, _) = sample::transfer(TransferKind::Payment, 777_777, 1);
    lines.push(Line {
        batch: 2,
        transfer: stranger,
        minor: 4_321,
        status: "00",
    });
    lines.remove(3);
    lines[10].minor += 1;
    lines[20].status = if lines[20].status == "00" { "01" } else { "00" };
    lines[30].batch = 1 + lines[30].batch % 4;
    let statements = Statements::write(&lines);
    let report = day.night(statements.directory.path(), false).await.unwrap();
    let found = classes(&report);
    assert_eq!(
        found,
        [
            "missing_here",
            "missing_there",
            "batch_differs",
            "amount_differs",
            "status_differs"
        ]
    );
    assert_eq!(report.outcome(), Some(Outcome::Differences));
    let reconcile = report.reconcile.as_ref().unwrap();
    assert_eq!((reconcile.matched, reconcile.file_faults_count), (196, 0));
    let verdicts: Vec<_> = reconcile.notice.iter().map(|line| line.verdict.as_str()).collect();
    assert!(
        verdicts.contains(&"explained") && !verdicts.contains(&"differs"),
        "{verdicts:?}"
    );
    let json = serde_json::to_value(report.figures()).unwrap();
    assert_eq!(json["differences"][1]["class"], "missing_there");
    assert_eq!(json["differences"][1]["trx_id"], day.lines[3].transfer.key.id.as_str());
    assert_eq!(
        json["differences"][1]["category"],
        day.lines[3].transfer.key.category.as_str()
    );
    // the same notice with one batch of another amount: what the lines do not explain is a difference
    lines[40].minor += 1_000;
    statements.notice(&lines);
    let report = day.night(statements.directory.path(), true).await.unwrap();
    assert_eq!(classes(&report).last().map(String::as_str), Some("notice_differs"));
    let runs = "SELECT count(*) FROM reconciliation_run WHERE business_date = '2026-03-02'";
    assert_eq!(day.database.number(runs).await, 2);
    assert_eq!(
        day.database
            .number("SELECT count(*) FROM reconciliation_difference")
            .await,
        5 + 6
    );
}

async fn resumes(database: Database) {
    let day = Day::replicated(database).await;
    let statements = Statements::write(&day.lines);
    let bent = "UPDATE net_position SET posted = posted + 1";
    day.database.execute(bent).await;
    let failed = day.night(statements.directory.path(), false).await.unwrap_err();
    assert!(matches!(failed, NightFault::Net(_)), "{failed}");
    let steps = "SELECT count(*) FROM night_step WHERE outcome = 'clean'";
    assert_eq!(day.database.number(steps).await, 1);
    let closed_at = "SELECT (extract(epoch FROM closed_at) * 1000000)::bigint FROM closing";
    let closed = day.database.number(closed_at).await;
    day.database
        .execute("UPDATE net_position SET posted = posted - 1")
        .await;
    let report = day.night(statements.directory.path(), false).await.unwrap();
    assert_eq!(report.outcome(), Some(Outcome::Clean));
    assert_eq!(day.database.number(closed_at).await, closed);
    // finished: nothing runs again, not even with what would now fail
    day.database.execute(bent).await;
    std::fs::remove_dir_all(statements.directory.path().join("trans")).unwrap();
    let again = day.night(statements.directory.path(), false).await.unwrap();
    assert_eq!(again, report);
    day.night(statements.directory.path(), true).await.unwrap_err();
    day.database
        .execute("UPDATE net_position SET posted = posted - 1")
        .await;
    let again = day.night(statements.directory.path(), true).await.unwrap();
    assert_eq!(again.outcome(), Some(Outcome::Differences));
    assert!(!again.closing.unwrap().closed_now);
}

async fn bad_files(database: Database) {
    let day = Day::replicated(database).await;
    let statements = Statements::write(&day.lines);
    let name = |batch: u64| Statements::of_day(&format!("{}_01_01.zip.sec", sample::batch(batch)));
    statements.file(&name(1), b"");
    std::fs::remove_file(statements.directory.path().join(name(2))).unwrap();
    statements.file(&Statements::of_day("clearing-notice.xml"), b"<Root>");
    let report = day.night(statements.directory.path(), false).await.unwrap();
    assert_eq!(report.outcome(), Some(Outcome::Differences));
    let reconcile = report.reconcile.unwrap();
    let faults: Vec<_> = reconcile.file_faults.iter().map(|fault| fault.file.clone()).collect();
    assert_eq!(faults, [name(2), name(1), Statements::of_day("clearing-notice.xml")]);
    assert_eq!(reconcile.differences, []);
    assert_eq!((reconcile.matched, reconcile.not_compared), (96, 104));
    assert_eq!(
        day.database
            .number("SELECT count(*) FROM reconciliation_file_fault")
            .await,
        3
    );
    // good files come late: the next night takes them without being told to do everything again
    let late = Statements::write(&day.lines);
    let report = day.night(late.directory.path(), false).await.unwrap();
    assert_eq!(report.outcome(), Some(Outcome::Clean));
    assert!(report.reconcile.unwrap().file_faults.is_empty());
}
