//! What can be asked on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use ledger_model::BusinessDate;

use crate::replicate::Origin;

/// Copies the ledger's journals into PostgreSQL, nets and closes clearing batches, reconciles with the network.
///
/// Exit codes: 0 done, 1 failed, 2 wrong command line, 3 configuration refused, 4 address taken, 5 differences found.
#[derive(Debug, Parser)]
#[command(name = "batch-clearing", version)]
pub struct CommandLine {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Reads the configuration, says whether it is good, and does nothing else.
    #[arg(long)]
    pub check_config: bool,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keeps PostgreSQL up with the ledger's journals until stopped.
    Replicate {
        /// Where to read from. Default: Kafka where it is configured, else the ledger's own stream.
        #[arg(long, value_enum)]
        from: Option<Origin>,
    },
    /// Creates the tables or brings them up to date.
    Migrate,
    /// Closes a business date: what arrives later is late and in no net position.
    Close {
        #[command(flatten)]
        date: Date,
        #[command(flatten)]
        patience: Patience,
        /// Closes without asking the ledger whether everything has been copied.
        #[arg(long)]
        without_ledger: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Shows the net positions of a business date, recomputed from the entries and audited.
    Net {
        #[command(flatten)]
        date: Date,
        #[command(flatten)]
        json: Json,
    },
    /// Compares the copies of the journals: the ledger's shards, Kafka, PostgreSQL.
    Compare {
        #[command(flatten)]
        patience: Patience,
        #[command(flatten)]
        json: Json,
    },
    /// Matches our journal against the network's clearing files.
    Reconcile {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        json: Json,
    },
    /// Does the night's work: close, net, compare, reconcile, report. Goes on where an earlier run ended.
    Night {
        #[command(flatten)]
        files: Files,
        /// Runs steps again that are finished.
        #[arg(long)]
        again: bool,
        #[command(flatten)]
        patience: Patience,
        #[command(flatten)]
        json: Json,
    },
    /// Shows what the night left of a business date.
    Report {
        #[command(flatten)]
        date: Date,
        #[command(flatten)]
        json: Json,
    },
    /// Waits until PostgreSQL holds what is asked for.
    Wait(WaitFor),
}

#[derive(Debug, Args)]
pub struct Date {
    /// Business date, yyyy-MM-dd or yyyyMMdd.
    #[arg(long, value_name = "DATE")]
    pub date: BusinessDate,
}

#[derive(Debug, Args)]
pub struct Files {
    #[command(flatten)]
    pub date: Date,
    /// Directory of the network's files: holds `trans/` and the bank's own directory.
    #[arg(long, value_name = "DIR")]
    pub statements: PathBuf,
}

#[derive(Debug, Args)]
pub struct Patience {
    /// Seconds that the copies may take to get where the ledger is.
    #[arg(long = "wait", value_name = "SECONDS", default_value_t = 60)]
    pub seconds: u64,
}

#[derive(Debug, Args)]
pub struct Json {
    /// Writes the report as JSON to FILE; without FILE to standard output, instead of the text.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct WaitFor {
    /// Journal records over all shards.
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "caught_up",
        required_unless_present = "caught_up"
    )]
    pub records: Option<u64>,
    /// Everything the ledger had committed when the wait began.
    #[arg(long)]
    pub caught_up: bool,
    /// Seconds after which to give up.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub deadline: u64,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn check(arguments: &str, good: bool) {
        let words = ["batch-clearing"].into_iter().chain(arguments.split_whitespace());
        assert_eq!(CommandLine::try_parse_from(words).is_ok(), good, "{arguments}");
    }

    #[test]
    fn what_is_understood() {
        CommandLine::command().debug_assert();
        check("--config a.toml replicate", true);
        check("--config a.toml replicate --from ledger", true);
        check("--config a.toml replicate --from elsewhere", false);
        check("--config a.toml --check-config", true);
        check("--config a.toml close --date 2026-03-02", true);
        check("--config a.toml close --date 20260302 --without-ledger", true);
        check("--config a.toml close --date 2026-02-30", false);
        check("--config a.toml net --date 2026-03-02 --json", true);
        check("--config a.toml net --date 2026-03-02 --json out.json", true);
        check("--config a.toml night --date 2026-03-02", false);
        check(
            "--config a.toml night --date 2026-03-02 --statements d --again --json f",
            true,
        );
        check("--config a.toml wait", false);
        check("--config a.toml wait --records 5 --deadline 3", true);
        check("--config a.toml wait --records 5 --caught-up", false);
        check("replicate", false);
    }
}
