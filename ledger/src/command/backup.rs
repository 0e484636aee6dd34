//! `ledger backup`: copies what is committed, while the ledger runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;
use ledger_journal::ChainHash;
use ledger_model::{ChinaTime, ShardId};
use ledger_protocol::{LedgerClient, LedgerFault, ShardPosition};
use operations::endpoint::EndpointFault;
use operations::exit;
use operations::stop::Stop;

use super::from::counting;
use super::output::print;
use super::told;
use crate::config::Config;
use crate::store::StoreFault;
use crate::store::embedded::{Copied, Copies, CopyFault, Extent};

/// Between two rounds of a backup that follows.
const ROUND: Duration = Duration::from_secs(1);

/// Copy the committed groups of every shard into a directory, and go on from what an earlier backup left there.
///
/// The running ledger of `--config` is asked how far it has committed; the copying reads its stores directly and does not
/// hold it up, so it has to be done on its machine, by a user who may read them. The backup is a directory of stores:
/// `check`, `trial-balance`, `statement`, `evidence` and `restore` read it. It ends, in every shard, where the ledger was
/// when it was asked; the shards are not of one moment. A backup that was interrupted is gone on from. Let nothing else
/// write there, and no ledger run on it: a backup that is not the beginning of the stores is refused.
///
/// Exit codes: 0 copied, or stopped while following; 1 it could not be copied; 5 the stores are damaged.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Where the backup is, or is to be.
    #[arg(long, value_name = "DIRECTORY")]
    output: PathBuf,
    /// Copy stores that no ledger has open, in place of those of the running ledger.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "follow")]
    directory: Option<PathBuf>,
    /// Go on copying what is committed, every second, until SIGTERM or SIGINT.
    #[arg(long)]
    follow: bool,
}

impl Options {
    pub const fn needs_configuration(&self) -> bool {
        self.directory.is_none()
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum BackupFault {
    #[error("the runtime could not start")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
    #[error("the configured directory holds the stores of {found} shards, the ledger that answers has {asked}")]
    Shards { found: u8, asked: usize },
    #[error("the stores in the configured directory are not those of the ledger that answers")]
    OtherLedger,
    #[error("neither a running ledger nor a directory was named")]
    Nowhere,
    #[error("shard {shard}")]
    Copy {
        shard: ShardId,
        #[source]
        source: CopyFault,
    },
    #[error("the stores cannot be copied")]
    Stores(#[source] CopyFault),
    #[error("there is no shard {shard}; the backup is of {count}")]
    NoSuchShard { shard: u8, count: u8 },
    #[error("the backup of shard {shard} has come to record {last} only")]
    NotSoFar { shard: ShardId, last: u64 },
    #[error(
        "what was before was released: shard {shard} can be restored to record {record} of {committed_at}, or to a later one"
    )]
    TooEarly {
        shard: ShardId,
        record: u64,
        committed_at: ChinaTime,
    },
}

impl BackupFault {
    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::Copy {
                source: CopyFault::Store(StoreFault::Inconsistent(_) | StoreFault::Content { .. }),
                ..
            } => exit::DIFFERENCES,
            _ => exit::FAILED,
        }
    }
}

pub fn run(config: Option<&Config>, options: &Options) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(BackupFault::Runtime);
    let ended = runtime.and_then(|runtime| runtime.block_on(back_up(config, options)));
    match ended {
        Ok(()) => exit::DONE,
        Err(fault) => {
            eprintln!("{}", told(&fault));
            fault.exit_code()
        }
    }
}

async fn back_up(config: Option<&Config>, options: &Options) -> Result<(), BackupFault> {
    match (&options.directory, config) {
        (Some(directory), _) => copy_at_rest(directory, &options.output),
        (None, Some(config)) => {
            let stop = Stop::on_signals();
            let client = LedgerClient::connect(&config.listen)?;
            let bar = counting("copied");
            loop {
                let copies = Copies::resumed(&config.directory, &options.output).map_err(BackupFault::Stores)?;
                for (shard, copied) in copy_committed(&copies, &client.positions().await?, &bar)? {
                    if copied.groups > 0 || !options.follow {
                        bar.suspend(|| tell(shard, &copied));
                    }
                }
                if !options.follow || tokio::time::timeout(ROUND, stop.requested()).await.is_ok() {
                    return Ok(());
                }
            }
        }
        (None, None) => Err(BackupFault::Nowhere),
    }
}

fn copy_at_rest(from: &Path, to: &Path) -> Result<(), BackupFault> {
    let copies = Copies::resumed(from, to).map_err(BackupFault::Stores)?;
    let bar = counting("copied");
    for shard in copies.shards().all() {
        let fault = |source| BackupFault::Copy { shard, source };
        let _nobody_opens_it = copies.hold(shard).map_err(fault)?;
        let reached = copies
            .copy(shard, Extent::Whole, |bytes| bar.inc(bytes))
            .map_err(fault)?;
        bar.suspend(|| tell(shard, &reached));
    }
    Ok(())
}

/// Up to the positions the ledger gave.
fn copy_committed(
    copies: &Copies,
    positions: &[ShardPosition],
    bar: &ProgressBar,
) -> Result<Vec<(ShardId, Copied)>, BackupFault> {
    if positions.len() != usize::from(copies.shards().count()) {
        return Err(BackupFault::Shards {
            found: copies.shards().count(),
            asked: positions.len(),
        });
    }
    let mut all = Vec::with_capacity(positions.len());
    for (shard, position) in copies.shards().all().zip(positions) {
        let reached = copies
            .copy(shard, Extent::Committed(position.sequence), |bytes| bar.inc(bytes))
            .map_err(|source| BackupFault::Copy { shard, source })?;
        // what was copied before may already be ahead of what the ledger just said
        let is_there = reached.position.sequence == position.sequence;
        if is_there && reached.position.head != ChainHash(position.head) {
            return Err(BackupFault::OtherLedger);
        }
        all.push((shard, reached));
    }
    Ok(all)
}

fn tell(shard: ShardId, copied: &Copied) {
    let Copied {
        position,
        groups,
        bytes,
        ..
    } = copied;
    print(format_args!(
        "shard {shard}: at record {}, head {}; {groups} groups of {bytes} bytes copied",
        position.sequence, position.head
    ));
}
