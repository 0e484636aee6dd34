//! The main job from end to end on real parts, checked at every step: accounts, messages, replication, the night's
//! work, and the comparison of the copies. The first mismatch ends it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::counts::{CountFault, Counts};
use crate::feed::{self, FeedFault, Mix, Played, Replay, Suite, batch_date};
use crate::installation::{Installation, InstallationFault, Plan, chain};
use crate::layout::{LayoutFault, file_fault};
use crate::part::Part;
use crate::process::ProcessFault;
use crate::settings::BANK;
use crate::terminal::{Steps, Table, say, seconds};
use crate::tools::{ToolFault, text};
use crate::up::say_where_postgres_is;
use crate::wait::{Look, WaitFault, wait_for};
use operations::exit;

const CONNECTIONS: u32 = 32;
const CATCH_UP_LIMIT: Duration = Duration::from_mins(1);
const STEPS: usize = 9;

#[derive(Debug, Clone, Args)]
pub struct DemoOptions {
    /// Messages to play.
    #[arg(long, default_value_t = 20_000)]
    messages: u64,
    /// Customer accounts to load first.
    #[arg(long, default_value_t = 10_000)]
    accounts: u64,
    /// Suite the messages are signed in.
    #[arg(long, value_enum, default_value_t = Suite::Sm)]
    suite: Suite,
    /// Another seed makes other messages.
    #[arg(long, default_value_t = 20_260_302)]
    seed: u64,
}

#[derive(Debug, Error)]
pub enum DemoFault {
    #[error(transparent)]
    Installation(#[from] InstallationFault),
    #[error(transparent)]
    Feed(#[from] FeedFault),
    #[error(transparent)]
    Tool(#[from] ToolFault),
    #[error(transparent)]
    Count(#[from] CountFault),
    #[error(transparent)]
    Process(#[from] ProcessFault),
    #[error(transparent)]
    File(#[from] LayoutFault),
    #[error(transparent)]
    Behind(#[from] WaitFault),
    #[error("{path} cannot be understood")]
    Form {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{0}")]
    Differs(String),
}

impl DemoFault {
    pub fn is_difference(&self) -> bool {
        match self {
            Self::Differs(_) | Self::Count(CountFault::Differ(_)) | Self::Behind(_) => true,
            Self::Tool(fault) | Self::Feed(FeedFault::Tool(fault)) => fault.is_difference(),
            _ => false,
        }
    }
}

/// A difference between our journal and the network's statement, as planted and as found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Difference {
    class: String,
    trx_id: String,
}

#[derive(Debug, Deserialize)]
struct Night {
    differences: Vec<Difference>,
}

/// `plan` is of an empty directory.
pub fn run(plan: Plan, options: &DemoOptions, now: Timestamp) -> Result<(), DemoFault> {
    let mut steps = Steps::new(STEPS);
    say(format!(
        "The main job end to end: {} messages over {} accounts, suite {} ({}), journal through {}.",
        options.messages,
        options.accounts,
        options.suite.name(),
        options.suite.long_name(),
        plan.journal_source().name(),
    ));
    let mut installation = steps.step("start every part, on fresh data", || start(plan, now))?;
    steps.step("load accounts and agreements", || {
        feed::load_accounts(installation.plan(), options.accounts)
    })?;
    let replay = replay(installation.plan(), options);
    steps.step("play the messages and check every answer", || {
        replay.play(installation.plan(), &installation.plan().tools)
    })?;
    let played = feed::read_transcript(&replay.transcript)?;
    let counts = steps.step("wait until PostgreSQL has everything", || caught_up(&installation))?;
    say(format!("        {counts}"));
    check_postings(&counts, &played)?;
    let statements = installation.plan().layout.of_run("statements");
    steps.step("write the network's statements, with five differences planted", || {
        write_statements(installation.plan(), &replay.transcript, &statements)
    })?;
    let report = installation.plan().layout.of_run("night.json");
    steps.step("close the day: net positions and reconciliation", || {
        night(installation.plan(), &played, &statements, &report)
    })?;
    steps.step("check that exactly the planted differences were found", || {
        check_differences(&statements.join("planted.json"), &report)
    })?;
    steps.step("compare the copies: shards, Kafka, PostgreSQL", || {
        let plan = installation.plan();
        plan.tools.configured(&plan.layout, Part::BatchClearing, &["compare"])
    })?;
    steps.step("stop every part", || stop(&mut installation))?;
    say(format!(
        "\nAll as it should be: {counts}. Took {}.",
        seconds(steps.elapsed())
    ));
    Ok(())
}

fn start(plan: Plan, now: Timestamp) -> Result<Installation, InstallationFault> {
    let mut installation = Installation::prepare(plan, now)?;
    say_where_postgres_is(&installation);
    installation.start_all()?;
    Ok(installation)
}

fn replay(plan: &Plan, options: &DemoOptions) -> Replay {
    Replay {
        mix: Mix::Demo,
        messages: options.messages,
        accounts: options.accounts,
        connections: CONNECTIONS,
        suite: options.suite,
        seed: options.seed,
        transcript: plan.layout.of_run("transcript.jsonl"),
        report: plan.layout.of_run("replay.json"),
    }
}

/// Waits until every copy holds what the ledger has committed.
pub fn caught_up(installation: &Installation) -> Result<Counts, WaitFault> {
    wait_for("the agreement of the copies", CATCH_UP_LIMIT, || {
        match Counts::take(installation) {
            Ok(counts) if counts.copies_agree() => Look::Holds(counts),
            Ok(counts) => Look::NotYet(counts.to_string()),
            Err(fault) => Look::NotYet(chain(&fault)),
        }
    })
}

/// The ledger posted as often as the network was told so.
fn check_postings(counts: &Counts, played: &[Played]) -> Result<(), DemoFault> {
    let told = played.iter().filter(|line| line.outcome == "posted").count();
    if u64::try_from(told) == Ok(counts.posted) {
        return Ok(());
    }
    Err(DemoFault::Differs(format!(
        "the network was told of {told} postings, the ledger has {}",
        counts.posted
    )))
}

fn write_statements(plan: &Plan, transcript: &Path, statements: &Path) -> Result<(), ToolFault> {
    let (transcript, out) = (text(transcript), text(statements));
    let arguments = [
        "statements",
        "--transcript",
        &transcript,
        "--bank",
        BANK,
        "--out",
        &out,
        "--plant-differences",
    ];
    plan.tools.run("fixtures", &arguments)
}

/// Runs the night of every day that batches of the replay belong to: one, unless midnight fell into it.
fn night(plan: &Plan, played: &[Played], statements: &Path, report: &Path) -> Result<(), DemoFault> {
    let dates: BTreeSet<String> = played
        .iter()
        .filter_map(|line| batch_date(line.batch.as_deref()?))
        .collect();
    let (statements, report) = (text(statements), text(report));
    for date in &dates {
        let arguments = ["night", "--date", date, "--statements", &statements, "--json", &report];
        plan.tools.configured_until(
            &plan.layout,
            Part::BatchClearing,
            &arguments,
            &[exit::DONE, exit::DIFFERENCES],
        )?;
    }
    Ok(())
}

fn check_differences(planted: &Path, report: &Path) -> Result<(), DemoFault> {
    let mut planted: Vec<Difference> = read(planted)?;
    let mut found = read::<Night>(report)?.differences;
    planted.sort();
    found.sort();
    let mut table = Table::new(["class", "TrxId", "planted", "found"]);
    let all: BTreeSet<&Difference> = planted.iter().chain(&found).collect();
    let mark = |there: bool| if there { "yes" } else { "NO" }.to_owned();
    for difference in all {
        table.row([
            difference.class.clone(),
            difference.trx_id.clone(),
            mark(planted.contains(difference)),
            mark(found.contains(difference)),
        ]);
    }
    say(table);
    if planted == found {
        return Ok(());
    }
    Err(DemoFault::Differs(format!(
        "{} differences were planted and {} found, or not the same ones",
        planted.len(),
        found.len()
    )))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, DemoFault> {
    let content = fs::read(path).map_err(file_fault(path, "read"))?;
    serde_json::from_slice(&content).map_err(|source| DemoFault::Form {
        path: path.to_owned(),
        source,
    })
}

fn stop(installation: &mut Installation) -> Result<(), DemoFault> {
    let killed = installation.stop_all()?;
    if killed.is_empty() {
        return Ok(());
    }
    Err(DemoFault::Differs(format!(
        "these did not stop in time and were killed: {}",
        killed.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str, content: &str) -> PathBuf {
        let path = directory.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn planted_and_found_must_be_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let one = r#"{"class":"missing_here","trx_id":"A","category":"0110"}"#;
        let other = r#"{"class":"missing_there","trx_id":"B","category":"0110"}"#;
        let planted = write(directory.path(), "planted.json", &format!("[{one},{other}]"));
        let check = |found: &str, expected: Option<&str>| {
            let report = write(
                directory.path(),
                "night.json",
                &format!(r#"{{"differences":[{found}]}}"#),
            );
            let seen = check_differences(&planted, &report).map_err(|fault| fault.to_string());
            assert_eq!(seen.err().as_deref(), expected);
        };
        check(&format!("{other},{one}"), None);
        check(
            one,
            Some("2 differences were planted and 1 found, or not the same ones"),
        );
        check(
            &format!("{one},{one}"),
            Some("2 differences were planted and 2 found, or not the same ones"),
        );
    }
}
