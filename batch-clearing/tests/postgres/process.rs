//! The program as a script runs it: exit codes, files, the orderly stop.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::commands::config_text;
use crate::fake_ledger::FakeLedger;
use crate::night::{Statements, transfers};
use crate::server::Database;
use crate::{Test, sample};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("process::from_empty_tables_to_the_report_of_the_night", whole),
        Test::new("process::what_is_wrong_is_said_on_the_last_line", faults),
    ]
}

/// Configured for a database and a ledger.
struct Program {
    directory: TempDir,
}

impl Program {
    fn new(database: &Database, ledger: &FakeLedger) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = Self { directory };
        std::fs::write(program.path("batch-clearing.toml"), config_text(database, ledger, "")).unwrap();
        program
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_batch-clearing"));
        command
            .arg("--config")
            .arg(self.path("batch-clearing.toml"))
            .args(arguments.split_whitespace());
        command
    }

    /// Exit code, standard output, last line on standard error.
    fn run(&self, arguments: &str) -> (i32, String, String) {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let last = text(&output.stderr).lines().last().unwrap_or_default().to_owned();
        (output.status.code().unwrap(), text(&output.stdout), last)
    }
}

fn terminate(mut child: Child) {
    let asked = Command::new("kill")
        .arg("-TERM")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(asked.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

async fn whole(database: Database) {
    database
        .execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        .await;
    let (journals, mut lines) = transfers();
    let ledger = FakeLedger::start(journals);
    lines[10].minor += 1;
    let statements = Statements::write(&lines);
    let program = Program::new(&database, &ledger);
    let replicator = program.command("replicate").stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(program.run("wait --caught-up").0, 0);
    assert_eq!(program.run("wait --records 200 --deadline 5").0, 0);
    assert_eq!(program.run("wait --records 201 --deadline 1").0, 1);
    terminate(replicator);
    let (code, text, _) = program.run("net --date 20260302");
    assert_eq!(code, 0);
    assert!(
        text.starts_with("Net positions of 2026-03-02 (open): 4 batches, 180 transfers posted, 20 refused"),
        "{text}"
    );
    let json = program.path("night.json");
    let (directory, file) = (statements.directory.path().display(), json.display());
    let (code, text, _) = program.run(&format!(
        "night --date 2026-03-02 --statements {directory} --json {file}"
    ));
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("amount_differs"), "{text}");
    let figures: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(figures["outcome"], "differences");
    assert_eq!(figures["differences_count"], 1);
    assert_eq!(figures["differences"][0]["class"], "amount_differs");
    assert_eq!(figures["copies_agree"], true);
    let (code, text, _) = program.run("report --date 2026-03-02 --json");
    assert_eq!(
        (code, serde_json::from_str::<serde_json::Value>(&text).unwrap()),
        (0, figures)
    );
    assert_eq!(
        program
            .run(&format!("reconcile --date 2026-03-02 --statements {directory}"))
            .0,
        5
    );
    assert_eq!(program.run("compare").0, 0);
    let (code, text, _) = program.run("close --date 2026-03-02");
    assert_eq!((code, text.as_str()), (0, "2026-03-02 was closed before: 4 batches\n"));
}

async fn faults(database: Database) {
    let ledger = FakeLedger::start([sample::journal(sample::shard(0), 3)]);
    let program = Program::new(&database, &ledger);
    let check = |arguments: &str, code: i32, said: &str| {
        let (found, _, last) = program.run(arguments);
        assert_eq!(found, code, "{arguments}: {last}");
        assert!(last.contains(said), "{arguments}: {last}");
    };
    check("--check-config", 0, "");
    check("", 2, "no command");
    check("replicate --from kafka", 3, "no [kafka] is configured");
    check(
        "close --date 2099-01-01 --without-ledger",
        1,
        "2099-01-01 has not begun",
    );
    check(
        "close --date 2026-03-02 --wait 1",
        1,
        "3 journal records are not yet in PostgreSQL",
    );
    check("compare --wait 1", 5, "");
    database
        .execute("INSERT INTO schema_version (version) VALUES (99)")
        .await;
    check(
        "net --date 2026-03-02",
        1,
        "tables of version 99, this program knows up to 2",
    );
    database.execute("DROP TABLE schema_version").await;
    check("net --date 2026-03-02", 1, "run `batch-clearing migrate`");
    std::fs::write(program.path("batch-clearing.toml"), "bank = 1").unwrap();
    check("--check-config", 3, "invalid type: integer `1`, expected a string");
}
