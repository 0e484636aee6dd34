//! Command line of the ledger.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use ledger::command::{load, positions, serve};
use ledger::config;
use operations::exit;

/// The bank's ledger: accounts, agreements, double entry, idempotency, the journal and its shipping to Kafka.
///
/// Exit codes: 0 done, 1 failed or something was refused, 2 wrong command line, 3 configuration refused, 4 an address
/// to listen on is taken.
#[derive(Debug, Parser)]
#[command(version)]
struct Line {
    /// Configuration file (TOML); paths in it are relative to it.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
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
    /// Show how far every shard of the running ledger has come: counts, sums, chain heads.
    Positions {
        /// One JSON array instead of a table.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let line = Line::parse();
    let config = match config::read(&line.config) {
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
        Some(Command::Positions { json }) => positions::run(&config, json),
        None => {
            let _shown = Line::command().print_help();
            exit::USAGE
        }
    };
    code.into()
}
