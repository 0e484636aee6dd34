//! `ledger archive`: closed business dates, with their evidence, into files outside the ledger's stores, and what is archived
//! out of them.

mod release;

use std::path::{Path, PathBuf};

use ledger_journal::{ChainHash, ChainPosition};
use ledger_model::{BusinessDate, ShardId};
use operations::exit;

use super::from::{From, block_on, counting, progress};
use super::output::print;
use super::told;
use crate::archive::{Archive, ArchiveFault, Archived, Archiving};
use crate::config::Config;
use crate::reading::journal::{Journals, ReadingFault, Wants};

/// Of one file, before compression.
const PART_MIB: u32 = 256;

/// Write the journal's records of closed business dates, with the evidence kept with them, into compressed files.
///
/// Of the running ledger of `--config`, through its socket and whichever store it has, or of stores that no ledger has
/// open. A date must be closed (`ledger day close`). Files are checked as they are written; what has its name is whole,
/// and is never written again. An archiving that was interrupted is gone on from by the same command. The ledger keeps
/// what is archived until it is released (`archive release`).
///
/// Exit codes: 0 archived, or it was already; sound; 1 it could not be read or written, or the date is not closed; 5 what
/// was read, or the archive, does not hold together, or is of another ledger.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Options {
    #[command(subcommand)]
    act: Option<Act>,
    /// Where the archive is, or is to be.
    #[arg(long, value_name = "DIRECTORY", required = true)]
    to: Option<PathBuf>,
    /// Through this business date; the last that is closed in every shard when absent.
    #[arg(long, value_name = "DATE")]
    through: Option<BusinessDate>,
    #[command(flatten)]
    source: From,
    /// Begin another file when one holds so much, before compression.
    #[arg(long, value_name = "MIB", default_value_t = PART_MIB, value_parser = clap::value_parser!(u32).range(1..))]
    part_mib: u32,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Check every file of an archive: as its manifest says, chain from the first record on, evidence as its digests say;
    /// with `--config`, also that it is the beginning of the running ledger's journal.
    Check {
        #[arg(value_name = "DIRECTORY")]
        directory: PathBuf,
    },
    Release(release::Options),
}

impl Options {
    pub const fn needs_configuration(&self) -> bool {
        match self.act {
            Some(Act::Check { .. }) => false,
            Some(Act::Release(_)) => true,
            None => self.source.directory.is_none(),
        }
    }
}

pub fn run(config: Option<&Config>, options: &Options) -> u8 {
    let done = match (&options.act, &options.to) {
        (Some(Act::Release(options)), _) => return release::run(config, options),
        (Some(Act::Check { directory }), _) => block_on(check(config, directory)),
        (None, Some(to)) => block_on(archive(config, options, to)),
        (None, None) => return exit::USAGE,
    };
    match done {
        Ok(()) => exit::DONE,
        Err(fault) => {
            eprintln!("{}", told(&fault));
            fault.exit_code()
        }
    }
}

async fn archive(config: Option<&Config>, options: &Options, to: &Path) -> Result<(), ReadingFault> {
    let journals = options.source.open(config).await?;
    let part_bytes_max = u64::from(options.part_mib) << 20;
    let archiving = Archiving::begin(&journals, to, options.through, part_bytes_max)?;
    let bar = progress(archiving.records_max(), "records");
    let done = archiving.run(
        || bar.inc(1),
        |part| bar.suspend(|| print(format_args!("{}: {} bytes", part.name, part.bytes))),
    );
    let archived = done.await?;
    bar.finish_and_clear();
    match archived {
        Some(Archived {
            through,
            records,
            files,
            bytes,
            taken_up,
        }) => {
            let again = match taken_up {
                0 => String::new(),
                count => format!(", {count} of which an earlier run had written"),
            };
            print(format_args!(
                "archived through {through}: {records} records, {files} files of {bytes} bytes{again}"
            ));
        }
        None => print("it is archived already"),
    }
    Ok(())
}

async fn check(config: Option<&Config>, directory: &Path) -> Result<(), ReadingFault> {
    let archive = Archive::open(directory)?;
    let bar = counting("checked");
    for shard in archive.shards().all() {
        let position = archive.check(shard, |bytes| bar.inc(bytes))?;
        let files = archive.parts(shard).count();
        bar.suspend(|| {
            print(format_args!(
                "shard {shard}: sound to record {}, head {}, {files} files",
                position.sequence, position.head
            ));
        });
    }
    bar.finish_and_clear();
    for name in archive.unlisted()? {
        eprintln!("{name} is in no manifest yet; the archiving that wrote it was interrupted and goes on from it");
    }
    if let Some(config) = config {
        let journals = Journals::running(&config.listen).await?;
        compare(&archive, &journals, &positions_of(&archive)).await?;
        print("it is the beginning of the running ledger's journal");
    }
    if let Some(through) = archive.through() {
        print(format_args!("archived through {through}, {} bytes", archive.bytes()));
    }
    Ok(())
}

fn positions_of(archive: &Archive) -> Vec<ChainPosition> {
    archive.shards().all().map(|shard| archive.position(shard)).collect()
}

/// One record of each shard says it: it has the hash of all before it. Where that was released, the ledger has kept its hash
/// alone, of the last one.
async fn compare(archive: &Archive, journals: &Journals, positions: &[ChainPosition]) -> Result<(), ReadingFault> {
    let (found, asked) = (archive.shards().count(), journals.count().count());
    if found != asked {
        return Err(ArchiveFault::Shards { found, asked }.into());
    }
    for position in positions {
        let shard = position.shard;
        let other = |shard: ShardId| ReadingFault::Archive(ArchiveFault::OtherLedger(shard));
        if position.sequence > journals.position(shard).sequence {
            return Err(other(shard));
        }
        let (last, base) = (position.sequence, journals.base(shard));
        if last < base.sequence {
            let (reached, through) = (last, base.sequence);
            return Err(ArchiveFault::Released {
                shard,
                reached,
                through,
            }
            .into());
        }
        let mut same = *position == base;
        if last > base.sequence {
            let read = journals.read(shard, last..=last, |_, encoded| {
                same = ChainHash::of(encoded) == position.head;
                Ok(Wants::NoMore)
            });
            read.await?;
        }
        if !same {
            return Err(other(shard));
        }
    }
    Ok(())
}
