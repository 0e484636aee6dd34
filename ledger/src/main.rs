//! Command line of the ledger.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use ledger::command::{calendar, check, hops, load, positions, serve};
use ledger::config;
use operations::exit;

/// The bank's ledger: accounts, agreements, double entry, idempotency, the journal and its shipping to Kafka.
///
/// Exit codes: 0 done, 1 failed or something was refused, 2 wrong command line, 3 configuration refused, 4 an address
/// to listen on is taken, 5 a store is damaged.
#[derive(Debug, Parser)]
#[command(version)]
struct Line {
    /// Configuration file (TOML); paths in it are relative to it. Only `check` goes without.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read and check the configuration, and do nothing else.
    #[arg(long)]
    check_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the ledger until SIGTERM or SIGINT.
    Serve,
    /// Bring accounts and agreements into the running ledger. Loading the same file again changes nothing.
    Load(load::Files),
    /// Go through the stores of a ledger that does not run: frames, chain, evidence, sums, index.
    Check {
        /// As `directory` in the configuration.
        #[arg(long, value_name = "DIRECTORY")]
        directory: PathBuf,
    },
    /// Show what was taken in for another shard and is not at rest yet. Exit code 1 if there is any.
    Hops,
    /// Show the business date, and what kind of day a day is to the bank. Asks the configuration alone.
    Calendar(calendar::Asked),
    /// Show how far every shard of the running ledger has come: counts, sums, chain heads.
    Positions {
        /// One JSON array instead of a table.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let line = Line::parse();
    if let Some(Command::Check { directory }) = &line.command {
        return check::run(directory).into();
    }
    let Some(file) = &line.config else {
        eprintln!("--config FILE is needed");
        return exit::USAGE.into();
    };
    let config = match config::read(file) {
        Ok(config) => config,
        Err(fault) => {
            eprintln!("{fault}");
            return exit::CONFIGURATION.into();
        }
    };
    if line.check_config {
        return exit::DONE.into();
    }
    let code = match line.command {
        Some(Command::Serve) => serve::run(config),
        Some(Command::Load(files)) => load::run(&config, &files),
        Some(Command::Hops) => hops::run(&config),
        Some(Command::Calendar(asked)) => calendar::run(&config, &asked),
        Some(Command::Positions { json }) => positions::run(&config, json),
        Some(Command::Check { .. }) | None => {
            let _shown = Line::command().print_help();
            exit::USAGE
        }
    };
    code.into()
}
