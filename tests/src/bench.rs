//! The figures of the whole: messages a second, latencies, processor time and memory of every process, measured from
//! the network's request to the row in PostgreSQL. Nothing is printed unless every stage counted the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Number;
use thiserror::Error;

use crate::counts::{CountFault, Counts};
use crate::demo::caught_up;
use crate::feed::{self, FeedFault, Mix, Replay, Suite};
use crate::figures::{Figure, Figures};
use crate::installation::{Installation, InstallationFault, Plan};
use crate::layout::{LayoutFault, file_fault};
use crate::part::Part;
use crate::process::ProcessFault;
use crate::procfs::{self, Usage};
use crate::terminal::{Steps, Table, mebibytes, say};
use crate::tools::Shown;
use crate::up::say_where_postgres_is;
use crate::wait::WaitFault;

const WARM_UP_SEED: u64 = 1;
const SEED: u64 = 2;
const STEPS: usize = 6;

#[derive(Debug, Clone, Args)]
pub struct BenchOptions {
    /// Messages to measure.
    #[arg(long, default_value_t = 30_000)]
    messages: u64,
    /// Messages to play before, unmeasured.
    #[arg(long, default_value_t = 3_000)]
    warm_up: u64,
    /// Customer accounts the messages are spread over.
    #[arg(long, default_value_t = 10_000)]
    accounts: u64,
    /// Connections of the load generator; each waits for its answer before it sends the next message.
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Suite the messages are signed in.
    #[arg(long, value_enum, default_value_t = Suite::Sm)]
    suite: Suite,
    /// Write the figures to this file as well, as one flat JSON object.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Error)]
pub enum BenchFault {
    #[error(transparent)]
    Installation(#[from] InstallationFault),
    #[error(transparent)]
    Feed(#[from] FeedFault),
    #[error(transparent)]
    Count(#[from] CountFault),
    #[error(transparent)]
    Behind(#[from] WaitFault),
    #[error(transparent)]
    Process(#[from] ProcessFault),
    #[error(transparent)]
    File(#[from] LayoutFault),
    #[error("{path} is not what `fixtures replay` writes")]
    Form {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

impl BenchFault {
    pub fn is_difference(&self) -> bool {
        match self {
            Self::Count(CountFault::Differ(_)) | Self::Behind(_) => true,
            Self::Feed(FeedFault::Tool(fault)) => fault.is_difference(),
            _ => false,
        }
    }
}

/// What the load generator measured.
#[derive(Debug, Deserialize)]
struct Report {
    messages_per_s: Number,
    p50_ms: Number,
    p90_ms: Number,
    p99_ms: Number,
    p999_ms: Number,
    max_ms: Number,
}

/// Processor time of every part at one moment, and that of the load generators that have ended.
struct Moment {
    parts: BTreeMap<Part, Usage>,
    load_generator_micros: u64,
}

/// `plan` is of an empty directory.
pub fn run(plan: Plan, options: &BenchOptions, now: Timestamp) -> Result<(), BenchFault> {
    let mut steps = Steps::new(STEPS);
    let mut installation = steps.step("start every part, on fresh data", || -> Result<_, InstallationFault> {
        let mut installation = Installation::prepare(plan, now)?;
        say_where_postgres_is(&installation);
        installation.start_all()?;
        Ok(installation)
    })?;
    steps.step("load accounts and agreements", || {
        feed::load_accounts(installation.plan(), options.accounts)
    })?;
    let log = installation.plan().layout.logs().join("replay.log");
    say(format!(
        "        what the load generator itself says goes to {}",
        log.display()
    ));
    let tools = installation.plan().tools.shown(Shown::ProgressOnly(log));
    steps.step("warm up", || {
        replay(installation.plan(), options, options.warm_up, WARM_UP_SEED).play(installation.plan(), &tools)
    })?;
    let counted_before = steps.step("wait until PostgreSQL has everything", || caught_up(&installation))?;
    let measured = replay(installation.plan(), options, options.messages, SEED);
    let before = Moment::now(&installation);
    let counts = steps.step(
        "measure, until PostgreSQL has everything",
        || -> Result<_, BenchFault> {
            measured.play(installation.plan(), &tools)?;
            Ok(caught_up(&installation)?.since(counted_before))
        },
    )?;
    let after = Moment::now(&installation);
    counts.check_all_equal()?;
    let figures = figures(
        installation.plan(),
        options,
        &counts,
        &read(&measured.report)?,
        (&before, &after),
    );
    steps.step("stop every part", || installation.stop_all())?;
    print(&figures, &counts, installation.plan(), options);
    if let Some(path) = &options.json {
        fs::write(path, figures.json()).map_err(file_fault(path, "written"))?;
    }
    Ok(())
}

fn replay(plan: &Plan, options: &BenchOptions, messages: u64, seed: u64) -> Replay {
    Replay {
        mix: Mix::Postings,
        messages,
        accounts: options.accounts,
        connections: options.connections,
        suite: options.suite,
        seed,
        transcript: plan.layout.of_run(&format!("transcript-{seed}.jsonl")),
        report: plan.layout.of_run(&format!("replay-{seed}.json")),
    }
}

impl Moment {
    fn now(installation: &Installation) -> Self {
        let usage = |part: Part| Some((part, Usage::of_tree(installation.process(part)?.pid())));
        Self {
            parts: Part::ALL.into_iter().filter_map(usage).collect(),
            load_generator_micros: procfs::ended_children_cpu_micros(),
        }
    }
}

fn read(path: &Path) -> Result<Report, BenchFault> {
    let content = fs::read(path).map_err(file_fault(path, "read"))?;
    serde_json::from_slice(&content).map_err(|source| BenchFault::Form {
        path: path.to_owned(),
        source,
    })
}

fn figures(
    plan: &Plan,
    options: &BenchOptions,
    counts: &Counts,
    report: &Report,
    moments: (&Moment, &Moment),
) -> Figures {
    let (before, after) = moments;
    let per_message = |micros: u64| Figure::Whole(micros.checked_div(counts.verified).unwrap_or(0));
    let mut figures = Figures::default();
    let measured = [
        ("messages_per_s", &report.messages_per_s),
        ("p50_ms", &report.p50_ms),
        ("p90_ms", &report.p90_ms),
        ("p99_ms", &report.p99_ms),
        ("p999_ms", &report.p999_ms),
        ("max_ms", &report.max_ms),
    ];
    for (name, number) in measured {
        figures.put(name, Figure::Measured(number.clone()));
    }
    for (part, usage) in &after.parts {
        let name = part.name().replace('-', "_");
        let used_before = before.parts.get(part).map_or(0, |usage| usage.cpu_micros);
        let used = usage.cpu_micros.saturating_sub(used_before);
        figures.put(&format!("{name}_cpu_us_per_message"), per_message(used));
        figures.put(&format!("{name}_resident_bytes"), Figure::Whole(usage.resident_bytes));
    }
    let generated = after.load_generator_micros.saturating_sub(before.load_generator_micros);
    figures.put("load_generator_cpu_us_per_message", per_message(generated));
    let counted = [
        ("verified", Some(counts.verified)),
        ("posted", Some(counts.posted)),
        ("journalled", Some(counts.journalled)),
        ("shipped", counts.kafka.map(|kafka| kafka.shipped)),
        ("replicated", Some(counts.replicated)),
    ];
    for (name, count) in counted {
        if let Some(count) = count {
            figures.put(name, Figure::Whole(count));
        }
    }
    for (name, text) in circumstances(plan, options) {
        figures.put(name, Figure::Text(text));
    }
    figures
}

/// What a figure means nothing without.
fn circumstances(plan: &Plan, options: &BenchOptions) -> [(&'static str, String); 5] {
    let kafka = plan.kafka.as_ref().map_or_else(
        || "no Kafka (journal stream)".to_owned(),
        |jars| format!("Kafka {} acks=all, one node", jars.version),
    );
    [
        (
            "suite",
            format!("{} ({})", options.suite.name(), options.suite.long_name()),
        ),
        (
            "durability",
            format!("ledger fsync before every answer, PostgreSQL fsync on, {kafka}"),
        ),
        (
            "skew",
            format!("messages spread evenly over {} accounts", options.accounts),
        ),
        (
            "load",
            format!(
                "closed loop, {} connections, load generator on the same machine",
                options.connections
            ),
        ),
        ("machine", procfs::machine()),
    ]
}

fn print(figures: &Figures, counts: &Counts, plan: &Plan, options: &BenchOptions) {
    let shown = |name: &str| figures.shown(name);
    say(format!("\n  {} messages/s\n", shown("messages_per_s")));
    let mut latencies = Table::new(["p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms"]);
    latencies.row(["p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms"].map(shown));
    say(latencies);
    let mut processes = Table::new(["process", "CPU µs per message", "resident"]);
    for part in plan.parts() {
        let name = part.name().replace('-', "_");
        let resident = figures.whole(&format!("{name}_resident_bytes"));
        processes.row([
            part.name().to_owned(),
            shown(&format!("{name}_cpu_us_per_message")),
            mebibytes(resident),
        ]);
    }
    processes.row([
        "load generator, signing included".to_owned(),
        shown("load_generator_cpu_us_per_message"),
        String::new(),
    ]);
    say(processes);
    for (name, text) in circumstances(plan, options) {
        say(format!("  {name:<11} {text}"));
    }
    say(format!("  {:<11} {counts}", "counts"));
}
