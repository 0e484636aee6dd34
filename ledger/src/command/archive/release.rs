//! `ledger archive release`: records that are archived out of the running ledger's stores.

use std::path::PathBuf;

use ledger_journal::{ChainHash, ChainPosition};
use ledger_model::BusinessDate;
use ledger_protocol::{AdministrationClient, ReleaseOrder, ReleasedRecords, Releasing};
use operations::exit;

use super::compare;
use crate::archive::{Archive, ArchiveFault};
use crate::command::administrators::By;
use crate::command::from::{block_on, counting};
use crate::command::output::print;
use crate::command::told;
use crate::config::Config;
use crate::reading::journal::{Journals, ReadingFault};

/// Take records that are archived out of the stores of the running ledger of `--config`. There is no way back.
///
/// First every file of the archive that has any of them is read and checked, as `archive check` does, and the running
/// ledger's journal must begin as the archive does; otherwise nothing is released. Then every shard goes as far as nothing
/// needs the records any more: resends are still answered for `kept_days`, what was taken in for another shard stays until it is
/// at rest, Kafka must have the records where they are shipped, a start must find what it needs, and what is in one piece
/// with records that stay, stays. The command says how far each went, and why not further; ordered again, it goes on.
///
/// From then on `trial-balance`, `statement` and `evidence` need the archive, by `--archive`. Keep copies of it.
///
/// Exit codes: 0 released, or there is nothing more to release; 1 it was refused or could not be done, perhaps in some shards only; 5
/// the archive does not hold together, or is of another ledger, and nothing was released.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The archive.
    #[arg(long, value_name = "DIRECTORY")]
    archive: PathBuf,
    /// Through this business date; the last that is archived when absent.
    #[arg(long, value_name = "DATE")]
    through: Option<BusinessDate>,
    /// Say what would be released, and release nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    by: By,
}

/// Whether all shards did what they were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Well,
    Refused,
}

pub(super) fn run(config: Option<&Config>, options: &Options) -> u8 {
    let Some(config) = config else {
        return exit::USAGE;
    };
    match block_on(release(config, options)) {
        Ok(Ended::Well) => exit::DONE,
        Ok(Ended::Refused) => exit::FAILED,
        Err(fault) => {
            eprintln!("{}", told(&fault));
            fault.exit_code()
        }
    }
}

async fn release(config: &Config, options: &Options) -> Result<Ended, ReadingFault> {
    let archive = Archive::open(&options.archive)?;
    let through = archive.positions_through(options.through)?;
    let journals = Journals::running(&config.listen).await?;
    check(&archive, &journals, &through)?;
    compare(&archive, &journals, &through).await?;
    let client = AdministrationClient::connect(&config.listen)?;
    let By { operator, reason } = &options.by;
    let mut ended = Ended::Well;
    for ChainPosition { shard, sequence, head } in through {
        let order = ReleaseOrder {
            shard: shard.number(),
            through: sequence,
            head: head.0,
            is_dry_run: options.dry_run,
            operator: operator.clone(),
            reason: reason.clone(),
        };
        match client.release(&order).await? {
            Releasing::Released(released) => {
                print(format_args!("shard {shard}: {}", in_words(&released, options.dry_run)));
            }
            Releasing::Refused(why) => {
                eprintln!("shard {shard}: refused: {why}");
                ended = Ended::Refused;
            }
        }
    }
    Ok(ended)
}

/// Every file that has a record that is to go.
fn check(archive: &Archive, journals: &Journals, through: &[ChainPosition]) -> Result<(), ReadingFault> {
    let (found, asked) = (archive.shards().count(), journals.count().count());
    if found != asked {
        return Err(ArchiveFault::Shards { found, asked }.into());
    }
    let bar = counting("checked");
    for position in through {
        let first = journals.base(position.shard).sequence + 1;
        archive.check_records(position.shard, first..=position.sequence, |bytes| bar.inc(bytes))?;
    }
    bar.finish_and_clear();
    Ok(())
}

fn in_words(released: &ReleasedRecords, is_dry_run: bool) -> String {
    let ReleasedRecords {
        before,
        through,
        head,
        kept_for,
    } = released;
    let why = kept_for
        .as_ref()
        .map_or_else(String::new, |why| format!("; the records that follow stay: {why}"));
    if through == before {
        return format!("nothing more to release{why}");
    }
    let head = ChainHash(*head);
    let done = if is_dry_run { "would be released" } else { "released" };
    format!("records {} to {through} {done}, head {head}{why}", before + 1)
}
