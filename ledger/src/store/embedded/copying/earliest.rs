//! From which record on a copy can be restored, where the records before its first were released.

use std::fs::File;
use std::path::Path;

use ledger_journal::JournalRecord;
use ledger_model::ChinaTime;

use super::{CopyFault, sound_frame};
use crate::store::StoreFault;
use crate::store::embedded::base::LogBase;
use crate::store::embedded::frame::Frame;
use crate::store::embedded::log::Written;
use crate::store::embedded::recovery::{last_segment, log_start};
use crate::store::embedded::restore::{self, Whole};
use crate::store::embedded::segment::{Owner, after, path_of, reading};

/// Before this record a copy cannot be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earliest {
    pub record: u64,
    /// When it was committed.
    pub committed_at: ChinaTime,
}

/// Snapshots of a log that begins there, the oldest first.
pub(super) fn usable(directory: &Path, owner: Owner, base: &LogBase) -> Result<Vec<Whole>, StoreFault> {
    let mut found = restore::whole(directory, owner)?;
    found.retain(|whole| whole.starts.at.segment >= base.first_segment);
    found.reverse();
    Ok(found)
}

/// The last record that is in a snapshot, if only in parts: before that it is no beginning.
pub(super) fn end_of(directory: &Path, base: &LogBase, whole: Whole) -> Result<Earliest, CopyFault> {
    let last = last_segment(directory, base.first_segment)?;
    let mut at = whole.starts.at;
    let mut buffer = Vec::new();
    let mut earliest = None;
    while at.segment <= last {
        let file = File::open(path_of(directory, at.segment)).map_err(reading)?;
        while let Some((header, bytes)) = sound_frame(&file, at, &mut buffer)? {
            let frame = Frame::read(header, bytes)?;
            if let Some(item) = frame.items.last() {
                let record = JournalRecord::decode(item.record).map_err(StoreFault::content("journal record"))?;
                earliest = Some(Earliest {
                    record: record.sequence,
                    committed_at: record.committed_at,
                });
            }
            if header.number >= whole.last_seen {
                return earliest.ok_or(CopyFault::NoSnapshot);
            }
            at.offset = after(at.offset, header)?;
        }
        at = Written {
            segment: at.segment + 1,
            ..log_start()
        };
    }
    Err(CopyFault::NoSnapshot)
}
