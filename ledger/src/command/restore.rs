//! `ledger restore`: stores from a backup, as they stood at a position of the journal.

use std::path::PathBuf;

use ledger_model::{ChinaTime, ShardId};
use operations::exit;

use super::backup::BackupFault;
use super::from::counting;
use super::output::print;
use super::told;
use super::trial_balance::ShardRecord;
use crate::store::embedded::{Copied, Copies, Earliest, Extent};

/// Make a directory of stores out of a backup, as the books stood at some position, for a ledger to start on.
///
/// The unit is the group of postings that was committed together. A position at which a group ends is restored exactly;
/// a record inside a group, to the end of the group before it, and the command says to which record. Without a position
/// all of the backup is restored. Every frame, the chain and its states are checked on the way; `check` on the result goes
/// through the rows too. A backup that begins after records that were released is restored to no record before its first
/// snapshot. What Kafka was sent after the position stays there, so a restored ledger ships to a topic of another name.
///
/// Exit codes: 0 restored; 1 it could not be restored, or the backup has not come so far; 5 the backup is damaged.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The backup.
    #[arg(long, value_name = "BACKUP")]
    from: PathBuf,
    /// Where the stores are to be; empty, or not there yet.
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,
    /// Restore this shard to this record, such as `2=1500`; may be given for several shards, the others are restored
    /// wholly.
    #[arg(long, value_name = "SHARD=SEQUENCE", conflicts_with = "to_time")]
    to: Vec<ShardRecord>,
    /// Restore what was committed by this time, `yyyy-MM-ddTHH:mm:ss`, China time.
    #[arg(long, value_name = "TIME")]
    to_time: Option<ChinaTime>,
}

pub fn run(options: &Options) -> u8 {
    match restore(options) {
        Ok(()) => exit::DONE,
        Err(fault) => {
            eprintln!("{}", told(&fault));
            fault.exit_code()
        }
    }
}

fn restore(options: &Options) -> Result<(), BackupFault> {
    let copies = Copies::fresh(&options.from, &options.directory).map_err(BackupFault::Stores)?;
    let count = copies.shards();
    // before anything is made
    for ShardRecord { shard, sequence } in &options.to {
        let shard = count.shard(*shard).ok_or(BackupFault::NoSuchShard {
            shard: *shard,
            count: count.count(),
        })?;
        let last = copies.last_record(shard);
        let last = last.map_err(|source| BackupFault::Copy { shard, source })?;
        if last < *sequence {
            return Err(BackupFault::NotSoFar { shard, last });
        }
    }
    for shard in count.all() {
        refuse_too_early(&copies, shard, options)?;
    }
    let bar = counting("restored");
    for shard in count.all() {
        let fault = |source| BackupFault::Copy { shard, source };
        let _nobody_adds_to_it = copies.hold(shard).map_err(fault)?;
        let wanted = options.to.iter().find(|place| place.shard == shard.number());
        let extent = match (wanted, options.to_time) {
            (Some(place), _) => Extent::Record(place.sequence),
            (None, Some(time)) => Extent::Time(time),
            (None, None) => Extent::Whole,
        };
        let reached = copies.copy(shard, extent, |bytes| bar.inc(bytes)).map_err(fault)?;
        bar.suspend(|| tell(shard, &reached, wanted));
    }
    Ok(())
}

/// Of a backup that begins with a base, before anything is made.
fn refuse_too_early(copies: &Copies, shard: ShardId, options: &Options) -> Result<(), BackupFault> {
    let earliest = copies.earliest(shard);
    let Some(earliest) = earliest.map_err(|source| BackupFault::Copy { shard, source })? else {
        return Ok(());
    };
    let mut wanted = options.to.iter().filter(|place| place.shard == shard.number());
    let is_too_early = wanted.any(|place| place.sequence < earliest.record)
        || options.to_time.is_some_and(|time| time < earliest.committed_at);
    if is_too_early {
        let Earliest { record, committed_at } = earliest;
        return Err(BackupFault::TooEarly {
            shard,
            record,
            committed_at,
        });
    }
    Ok(())
}

fn tell(shard: ShardId, copied: &Copied, wanted: Option<&ShardRecord>) {
    let position = copied.position;
    let (last, head) = (position.sequence, position.head);
    let why = match (wanted, copied.next_group_ends) {
        (Some(place), Some(ends)) if place.sequence > last => {
            format!(
                "; record {} is inside a group that ends with record {ends}",
                place.sequence
            )
        }
        _ => String::new(),
    };
    print(format_args!(
        "shard {shard}: restored to record {last}, head {head}{why}"
    ));
}
