//! `signer-crypto-bench`: SM2 and SM3 of ours and of every implementation that can be linked from the crate registry or
//! the system, on one core, in one run.

mod check;
mod implementation;
mod machine;
mod measure;
mod ours;
mod peers;
mod report;
mod scenario;

use std::error::Error;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::panic::{self, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::Value;

use implementation::Implementation;
use measure::{Outcome, Row, checked, measure};
use ours::{BATCHES, Ours};
use report::Report;
use scenario::Scenario;

const SECONDS: u64 = 120;
const SECONDS_QUICK: u64 = 20;

/// How fast ours and others verify, sign, decrypt and hash: SM2 and SM3 on one core, in one run.
///
/// Each operation is first checked against OpenSSL, good input and forged; what is wrong or panics is said and not
/// measured. Then all take turns in slices of some milliseconds until the time is over, and the best slice of each
/// counts, so that what else the machine does hurts all alike. The figures are operations a second.
///
/// Verification is of one key with its tables built, as the signer holds it. "1 KiB" means the message is hashed too;
/// "digest" means its hash is given. Exit codes: 0 done, 1 failed or ours is wrong, 2 wrong arguments.
#[derive(Debug, Parser)]
#[command(name = "./run bench crypto", bin_name = "./run bench crypto")]
struct CommandLine {
    /// How long to measure. Building, checking and tables come on top.
    #[arg(long, default_value_t = SECONDS, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Measure for 20 seconds: enough to see an order of magnitude.
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,
    /// Write the figures as one flat JSON object as well.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The core to run on; the last one unless given.
    #[arg(long, value_name = "N")]
    core: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = CommandLine::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("bench crypto: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Whether ours was right throughout.
fn run(arguments: &CommandLine) -> Result<bool, Box<dyn Error>> {
    // Before the long part, so that a path that cannot be written costs no time.
    let json = arguments.json.as_deref().map(created).transpose()?;
    let core = machine::pin(arguments.core).ok_or("that core cannot be had")?;
    eprintln!("making ready and checking");
    let Made { mut rows, absent } = quietly(made_ready)??;
    let seconds = if arguments.quick {
        SECONDS_QUICK
    } else {
        arguments.seconds
    };
    measure(&mut rows, Duration::from_secs(seconds), progress);

    let mut rows = rows.into_iter();
    let batched: Vec<Row> = rows.by_ref().take(BATCHES.len()).collect();
    let singly = rows.next().ok_or("a row is missing")?;
    let right = batched.iter().chain([&singly]).all(is_right);
    let report = Report {
        machine: machine_lines(core),
        batched,
        singly,
        others: rows.collect(),
        absent,
    };
    io::stdout().write_all(report.text().as_bytes())?;
    if let Some(mut file) = json {
        let mut text = serde_json::to_string_pretty(&Value::Object(report.object()))?;
        text.push('\n');
        file.write_all(text.as_bytes())?;
    }
    if !right {
        eprintln!("bench crypto: ours is wrong");
    }
    Ok(right)
}

/// Ours by the sizes of batches, ours singly, then the others; and who could not be made ready.
struct Made {
    rows: Vec<Row>,
    absent: Vec<(String, String)>,
}

fn made_ready() -> Result<Made, Box<dyn Error>> {
    let scenario = Scenario::generate()?;
    let ours = Ours::ready(scenario).ok_or("ours does not take the key")?;
    let mut implementations: Vec<Implementation> = ours.batched;
    implementations.push(ours.singly);
    let mut absent: Vec<(String, String)> = Vec::new();
    for (name, ready) in peers::ALL {
        match catch_unwind(|| ready(scenario)) {
            Ok(Ok(implementation)) => implementations.push(implementation),
            Ok(Err(fault)) => absent.push((name.to_owned(), fault.to_string())),
            Err(_) => absent.push((name.to_owned(), "panics when made ready".to_owned())),
        }
    }
    let left_out = peers::LEFT_OUT.map(|(name, reason)| (name.to_owned(), reason.to_owned()));
    absent.extend(left_out);
    let rows = implementations.into_iter().map(checked).collect();
    Ok(Made { rows, absent })
}

/// Without what others print when they refuse a forged signature, and without the messages of their panics, which are
/// caught and reported in the table.
fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, Box<dyn Error>> {
    panic::set_hook(Box::new(|_| {}));
    let kept = rustix::io::dup(io::stderr())?;
    rustix::stdio::dup2_stderr(File::options().write(true).open("/dev/null")?)?;
    let done = work();
    rustix::stdio::dup2_stderr(kept)?;
    Ok(done)
}

fn progress(seconds_left: u64) {
    if io::stderr().is_terminal() {
        eprint!("\rmeasuring: {seconds_left:4} s left ");
    }
}

fn is_right(row: &Row) -> bool {
    row.cells
        .iter()
        .all(|cell| matches!(cell.outcome, Outcome::PerSecond(_)))
}

fn machine_lines(core: usize) -> Vec<String> {
    let lanes = |there: bool| {
        if there {
            "yes"
        } else {
            "no: ours runs portably throughout"
        }
    };
    vec![
        format!("\n{}, pinned to core {core}", machine::model()),
        format!("AVX-512 IFMA: {}", lanes(machine::has_ifma())),
    ]
}

fn created(path: &Path) -> Result<File, String> {
    File::create(path).map_err(|fault| format!("{}: {fault}", path.display()))
}
