//! `installation`: brings up, shows, stops and tries out the whole on one machine. `./run` sets the machine up, builds,
//! and hands over to this.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use operations::exit;
use system_tests::bench::{self, BenchFault, BenchOptions};
use system_tests::bench_signer::{self, SignerBenchFault, SignerBenchOptions};
use system_tests::demo::{self, DemoFault, DemoOptions};
use system_tests::drill::{self, DrillFault, HopOptions};
use system_tests::installation::{InstallationFault, Plan, chain};
use system_tests::layout::{Layout, LayoutFault};
use system_tests::ports::{PortFault, Ports};
use system_tests::process::Lifetime;
use system_tests::settings::Clock;
use system_tests::sources::{SourceFault, Sources};
use system_tests::tools::{Shown, Tools};
use system_tests::up::{self, Files, UpFault};
use thiserror::Error;

/// Choices of ports, separated by commas; flags win over it.
const PORTS_VARIABLE: &str = "CLEARING_PORTS";
const ACCOUNTS: u64 = 10_000;

/// The clearing front end on one machine: PostgreSQL, Kafka, signer, ledger, frontend and batch-clearing.
///
/// Everything listens on 127.0.0.1 and keeps its files under one directory. Exit codes: 0 done, 1 failed, 2 wrong arguments,
/// 4 a port is taken, 5 something differs.
#[derive(Debug, Parser)]
#[command(name = "installation", version)]
struct CommandLine {
    /// Where the files go.
    #[arg(long, global = true, default_value = ".local", value_name = "DIRECTORY")]
    directory: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything and leave it running; a second time starts only what is missing.
    Up(Where),
    /// What runs, where, and how it is; exit code 1 when something is missing.
    Status,
    /// Stop what runs, the frontend first.
    Down {
        /// Remove its data, keys and logs as well.
        #[arg(long)]
        erase: bool,
    },
    /// The main job end to end with fresh data, checked at every step, then stop.
    Demo {
        #[command(flatten)]
        place: Where,
        #[command(flatten)]
        options: DemoOptions,
    },
    /// What is done on purpose, under load, so that it is known before it happens by itself.
    Drill {
        #[command(subcommand)]
        what: Drill,
    },
    /// Figures, printed only when everything counted or answered is right.
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// From the network's HTTPS request to the row in PostgreSQL.
    EndToEnd {
        #[command(flatten)]
        place: Where,
        #[command(flatten)]
        options: BenchOptions,
    },
    /// The signer alone, at its socket.
    Signer(SignerBenchOptions),
}

#[derive(Debug, Subcommand)]
enum Drill {
    /// Kill a shard group's primary, promote its standby, and hold the books against every answer.
    Hop(HopOptions),
}

#[derive(Debug, Args)]
struct Where {
    /// Another port than the usual one; may be given several times. Names: frontend, frontend-operations,
    /// signer-operations, ledger-operations, batch-clearing-operations, kafka, kafka-controller, postgres.
    #[arg(long = "port", value_name = "NAME=NUMBER")]
    ports: Vec<String>,
    /// No broker: copy straight from the ledger's journal stream.
    #[arg(long)]
    without_kafka: bool,
}

#[derive(Debug, Error)]
enum Fault {
    #[error(transparent)]
    Source(#[from] SourceFault),
    #[error(transparent)]
    Port(#[from] PortFault),
    #[error(transparent)]
    Layout(#[from] LayoutFault),
    #[error(transparent)]
    Up(#[from] UpFault),
    #[error(transparent)]
    Demo(#[from] DemoFault),
    #[error(transparent)]
    Bench(#[from] BenchFault),
    #[error(transparent)]
    SignerBench(#[from] SignerBenchFault),
    #[error(transparent)]
    Drill(#[from] DrillFault),
    #[error(
        "the jars of the Kafka broker are not there: ./run obtains them; or go on without the broker: --without-kafka"
    )]
    NoKafka,
    #[error("where this program itself is cannot be told")]
    NoPlace(#[source] std::io::Error),
}

impl Fault {
    fn exit_code(&self) -> u8 {
        let of_port = |fault: &PortFault| match fault {
            PortFault::Taken { .. } => exit::ADDRESS_TAKEN,
            PortFault::Unreadable(_) | PortFault::Twice { .. } => exit::USAGE,
            PortFault::NoneFree => exit::FAILED,
        };
        let of_installation = |fault: &InstallationFault| match fault {
            InstallationFault::Port(fault) => of_port(fault),
            _ => exit::FAILED,
        };
        match self {
            Self::Port(fault) => of_port(fault),
            Self::Up(UpFault::Installation(fault))
            | Self::Demo(DemoFault::Installation(fault))
            | Self::Bench(BenchFault::Installation(fault)) => of_installation(fault),
            Self::Demo(fault) if fault.is_difference() => exit::DIFFERENCES,
            Self::Bench(fault) if fault.is_difference() => exit::DIFFERENCES,
            Self::SignerBench(fault) if fault.is_difference() => exit::DIFFERENCES,
            _ => exit::FAILED,
        }
    }
}

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    let now = Timestamp::now();
    let variable = std::env::var(PORTS_VARIABLE).unwrap_or_default();
    match run(command_line, &variable, now) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // the reason is the last line, whatever was said before
            eprintln!("\ninstallation: {}", chain(&fault).replace('\n', "; "));
            ExitCode::from(fault.exit_code())
        }
    }
}

fn run(command_line: CommandLine, variable: &str, now: Timestamp) -> Result<(), Fault> {
    let root = command_line.directory.as_path();
    match command_line.command {
        Command::Up(place) => {
            let plan = plan(&place, variable, root, Clock::AlsoFixtureTime, Lifetime::ItsOwn)?;
            Ok(up::up(plan, ACCOUNTS, now)?)
        }
        Command::Status => Ok(up::status(&Layout::at(root))?),
        Command::Down { erase } => {
            let files = if erase { Files::Erase } else { Files::Keep };
            Ok(up::down(&Layout::at(root), files)?)
        }
        Command::Demo { place, options } => {
            let plan = fresh_plan(&place, variable, &root.join("demo"))?;
            Ok(demo::run(plan, &options, now)?)
        }
        Command::Drill {
            what: Drill::Hop(options),
        } => {
            let sources = Sources::find(Path::new("."), &programs()?)?;
            Ok(drill::hop(&root.join("drill"), &sources, &options, now)?)
        }
        Command::Bench {
            what: Bench::EndToEnd { place, options },
        } => {
            let plan = fresh_plan(&place, variable, &root.join("bench"))?;
            Ok(bench::run(plan, &options, now)?)
        }
        Command::Bench {
            what: Bench::Signer(options),
        } => Ok(bench_signer::run(&root.join("bench-signer"), &programs()?, &options)?),
    }
}

/// For a run of its own: nothing of an earlier one is left, nothing outlives this one.
fn fresh_plan(place: &Where, variable: &str, root: &Path) -> Result<Plan, Fault> {
    up::erase(&Layout::at(root))?;
    plan(place, variable, root, Clock::Now, Lifetime::OfThisProcess)
}

fn plan(place: &Where, variable: &str, root: &Path, clock: Clock, lifetime: Lifetime) -> Result<Plan, Fault> {
    let sources = Sources::find(Path::new("."), &programs()?)?;
    let from_variable = variable.split(',').filter(|choice| !choice.trim().is_empty());
    let ports = Ports::choose(from_variable.chain(place.ports.iter().map(String::as_str)))?;
    let kafka = match sources.kafka() {
        _ if place.without_kafka => None,
        Some(jars) => Some(jars),
        None => return Err(Fault::NoKafka),
    };
    Ok(Plan {
        layout: Layout::create(root)?,
        ports,
        tools: Tools::new(sources.clone(), Shown::OnTheTerminal),
        sources,
        kafka,
        clock,
        lifetime,
    })
}

/// The other programs are built beside this one.
fn programs() -> Result<PathBuf, Fault> {
    let this = std::env::current_exe().map_err(Fault::NoPlace)?;
    Ok(this.parent().unwrap_or(Path::new(".")).to_owned())
}
