//! Command line of the ledger.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use ledger::command::{
    account, adjust, agreement, archive, backup, calendar, check, day, evidence, group, hops, load, positions, restore,
    serve, statement, trial_balance,
};
use ledger::config;
use operations::exit;

/// The bank's ledger: accounts, agreements, double entry, idempotency, the journal and its shipping to Kafka.
///
/// Exit codes: 0 done, 1 failed or something was refused, 2 wrong command line, 3 configuration refused, 4 an address
/// to listen on is taken, 5 a store is damaged.
#[derive(Debug, Parser)]
#[command(version)]
struct Line {
    /// Configuration file (TOML); paths in it are relative to it. `check`, and what reads a `--directory`, go without.
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
    /// Freeze, unfreeze, block debits of, close and limit an account of the running ledger, or show it.
    #[command(subcommand)]
    Account(account::Account),
    /// Rescind and restore an agreement of the running ledger, change its terms, or show it.
    #[command(subcommand)]
    Agreement(agreement::Agreement),
    /// Order a reversal or a supplement, by two people.
    #[command(subcommand)]
    Adjust(adjust::Adjust),
    /// Close a business date of the running ledger, or show which are closed.
    #[command(subcommand)]
    Day(day::Day),
    /// List the shard groups of the running ledger, add one, remove one.
    #[command(subcommand)]
    Group(group::Group),
    /// Show the business date, and what kind of day a day is to the bank. Asks the configuration alone.
    Calendar(calendar::Asked),
    /// Show how far every shard of the running ledger has come: counts, sums, chain heads.
    Positions {
        /// One JSON array instead of a table.
        #[arg(long)]
        json: bool,
    },
    TrialBalance(trial_balance::Options),
    Statement(statement::Options),
    Evidence(evidence::Options),
    Archive(archive::Options),
    Backup(backup::Options),
    Restore(restore::Options),
}

impl Command {
    const fn needs_configuration(&self) -> bool {
        match self {
            Self::Serve
            | Self::Load(_)
            | Self::Account(_)
            | Self::Agreement(_)
            | Self::Adjust(_)
            | Self::Day(_)
            | Self::Hops
            | Self::Group(_)
            | Self::Calendar(_)
            | Self::Positions { .. } => true,
            Self::Check { .. } | Self::Restore(_) => false,
            Self::TrialBalance(options) => options.needs_configuration(),
            Self::Statement(options) => options.needs_configuration(),
            Self::Evidence(options) => options.needs_configuration(),
            Self::Archive(options) => options.needs_configuration(),
            Self::Backup(options) => options.needs_configuration(),
        }
    }
}

fn main() -> ExitCode {
    let line = Line::parse();
    if let Some(Command::Check { directory }) = &line.command {
        return check::run(directory).into();
    }
    let config = match line.config.as_deref().map(config::read).transpose() {
        Ok(config) => config,
        Err(fault) => {
            eprintln!("{fault}");
            return exit::CONFIGURATION.into();
        }
    };
    if config.is_none() && line.command.as_ref().is_none_or(Command::needs_configuration) {
        eprintln!("--config FILE is needed");
        return exit::USAGE.into();
    }
    if line.check_config {
        return exit::DONE.into();
    }
    let code = match (line.command, config) {
        (Some(Command::TrialBalance(options)), config) => trial_balance::run(config.as_ref(), &options),
        (Some(Command::Statement(options)), config) => statement::run(config.as_ref(), &options),
        (Some(Command::Evidence(options)), config) => evidence::run(config.as_ref(), &options),
        (Some(Command::Archive(options)), config) => archive::run(config.as_ref(), &options),
        (Some(Command::Backup(options)), config) => backup::run(config.as_ref(), &options),
        (Some(Command::Restore(options)), _) => restore::run(&options),
        (Some(Command::Serve), Some(config)) => serve::run(config),
        (Some(Command::Load(files)), Some(config)) => load::run(&config, &files),
        (Some(Command::Hops), Some(config)) => hops::run(&config),
        (Some(Command::Account(account)), Some(config)) => account::run(&config, account),
        (Some(Command::Agreement(agreement)), Some(config)) => agreement::run(&config, agreement),
        (Some(Command::Adjust(adjust)), Some(config)) => adjust::run(&config, adjust),
        (Some(Command::Day(day)), Some(config)) => day::run(&config, day),
        (Some(Command::Group(group)), Some(config)) => group::run(&config, group),
        (Some(Command::Calendar(asked)), Some(config)) => calendar::run(&config, &asked),
        (Some(Command::Positions { json }), Some(config)) => positions::run(&config, json),
        (_, _) => {
            let _shown = Line::command().print_help();
            exit::USAGE
        }
    };
    code.into()
}
