//! Which books a reading command reads: those of the running ledger, or stores that nobody has open.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::config::Config;
use crate::reading::journal::{Journals, ReadingFault};

/// Between two drawings of a bar.
const DRAWN: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub struct From {
    /// Read the stores (or a backup) in this directory, which no ledger has open, instead of asking the running ledger
    /// of `--config`.
    #[arg(long, value_name = "DIRECTORY")]
    pub directory: Option<PathBuf>,
}

impl From {
    /// There is a configuration unless a directory was named.
    pub async fn open(&self, config: Option<&Config>) -> Result<Journals, ReadingFault> {
        match (&self.directory, config) {
            (Some(directory), _) => Journals::at_rest(directory),
            (None, Some(config)) => Journals::running(&config.listen).await,
            (None, None) => Err(ReadingFault::Nowhere),
        }
    }
}

/// Where records are that the books have not got any more.
#[derive(Debug, clap::Args)]
pub struct Released {
    /// Read records that were released from the stores in this archive; needed where any were.
    #[arg(long, value_name = "DIRECTORY")]
    archive: Option<PathBuf>,
}

impl Released {
    pub fn add_to(&self, journals: Journals) -> Result<Journals, ReadingFault> {
        journals.with_archive(self.archive.as_deref())
    }
}

/// Runs on this thread until it is done.
pub fn block_on<T>(work: impl Future<Output = Result<T, ReadingFault>>) -> Result<T, ReadingFault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(ReadingFault::Runtime)?.block_on(work)
}

/// A bar on a terminal's stderr, nothing elsewhere. `unit` is what is counted.
pub fn progress(length: u64, unit: &'static str) -> ProgressBar {
    let template = format!("{{bar:40}} {{pos}}/{{len}} {unit}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(length).with_style(style);
    bar.enable_steady_tick(DRAWN);
    bar
}

/// Bytes so far on a terminal's stderr, nothing elsewhere. `done` is what is done with them.
pub fn counting(done: &'static str) -> ProgressBar {
    let template = format!("{{spinner}} {{bytes}} {done}, {{bytes_per_sec}}");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(DRAWN);
    bar
}

/// Records so far on a terminal's stderr, nothing elsewhere.
pub fn counting_records() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} records, {per_sec}");
    let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(DRAWN);
    bar
}
