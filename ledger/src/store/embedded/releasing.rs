//! Releasing the first segments of a log: what stands in the way, moving the base, removing the files.
//!
//! A segment goes wholly or not at all. It stays where anything in the idempotency index lies in it, where the older of the
//! two newest snapshots that are whole needs it, and where a hop that is not at rest was taken in by then. The survey reads
//! whole snapshots and goes over the whole index, so it is no work for the shard's thread; that decides by a few numbers,
//! writes the base down, and leaves the removal to others.

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use ledger_journal::{ChainHash, ChainPosition, JournalRecord};
use ledger_model::{BusinessDate, ChinaTime};

use super::SPARE_DAYS;
use super::base::{LogBase, STUB};
use super::disk::sync_directory;
use super::frame::{Frame, KeyDigest};
use super::reader::{EmbeddedReader, Shared};
use super::recovery::numbers;
use super::restore::{self, Whole};
use super::segment::{SEGMENT_HEADER_BYTES, path_of};
use crate::books::HopRow;
use crate::store::StoreFault;
use crate::store::release::{Base, KeptFor, Release, ReleaseFault, ReleaseMode, Released, Repeats, Surveyed, prove};

/// Snapshots that are whole, of which the oldest must still have all of the log it needs.
const SNAPSHOTS_NEEDED: usize = 2;
const SECONDS_OF_A_DAY: i64 = 24 * 3600;

/// The end of the segments that may go.
struct Boundary {
    /// The first segment that stays.
    segment: u32,
    last: u64,
}

impl Shared {
    pub(super) fn survey(&self, reader: &EmbeddedReader, through: ChainPosition) -> Result<Surveyed, ReleaseFault> {
        let proved = prove(reader, through)?;
        let whole = restore::whole(&self.place.directory, self.place.owner)?;
        let recovery = match whole.get(SNAPSHOTS_NEEDED - 1) {
            Some(Whole { starts, .. }) => self.last_before(starts.at.segment)?,
            None => None,
        };
        let recovery = recovery.unwrap_or(self.base().position.sequence);
        let latest = self.index.latest_days();
        let repeats = match latest.first_key_value() {
            Some((segment, day)) => self.repeats(*segment, *day)?,
            None => None,
        };
        Ok(proved.kept(repeats, recovery))
    }

    fn repeats(&self, segment: u32, day: u32) -> Result<Option<Repeats>, StoreFault> {
        const NO_DATE: StoreFault = StoreFault::Inconsistent("a day in its index is no date");
        let of = BusinessDate::from_number(day).ok_or(NO_DATE)?;
        // forgotten when a later day than the last one it is kept for begins
        let days = i64::from(self.place.kept_days) + SPARE_DAYS + 1;
        let until = of.at_midnight().plus_seconds(days * SECONDS_OF_A_DAY);
        let until = until.map(ChinaTime::date).ok_or(NO_DATE)?;
        let after = self.last_before(segment)?;
        let after = after.unwrap_or(self.base().position.sequence);
        Ok(Some(Repeats { after, of, until }))
    }

    /// Number of the last record before that segment, which has a frame; `None` where it has none.
    fn last_before(&self, segment: u32) -> Result<Option<u64>, StoreFault> {
        let Some(segment) = self.segments.segment(segment) else {
            return Ok(None);
        };
        let first = self.segments.first_sequence(&segment)?;
        Ok(first.map(|first| first.saturating_sub(1)))
    }

    /// `unsettled`: every hop that is not at rest. Called by the shard's thread, between groups.
    pub(super) fn release(&self, release: &Release, unsettled: &[HopRow]) -> Result<Released, ReleaseFault> {
        let before = self.log_base();
        let (boundary, kept_for) = self.boundary(&before, release, unsettled)?;
        let from = before.base.position;
        let unchanged = Released {
            before: from.sequence,
            base: from,
            kept_for,
        };
        let Some(Boundary { segment, last }) = boundary else {
            return Ok(unchanged);
        };
        let base = self.base_at(segment, last, release)?;
        let released = Released {
            base: base.base.position,
            ..unchanged
        };
        if release.mode == ReleaseMode::Release {
            let place = &self.place;
            let written = base.write(place.disk.as_ref(), &place.directory, place.owner);
            written.map_err(StoreFault::NotWritten)?;
            *self.base.write().unwrap_or_else(PoisonError::into_inner) = base;
            self.segments.forget_before(segment);
        }
        Ok(released)
    }

    /// How far it may go, and why not further.
    fn boundary(
        &self,
        base: &LogBase,
        release: &Release,
        unsettled: &[HopRow],
    ) -> Result<(Option<Boundary>, Option<KeptFor>), ReleaseFault> {
        let through = release.surveyed.through().sequence;
        let mut so_far = base.base.position.sequence;
        let mut reached = None;
        for number in base.first_segment + 1..=self.segments.last() {
            let Some(last) = self.last_before(number)? else {
                break;
            };
            // no record is in the segment before it
            if last <= so_far {
                continue;
            }
            let keeps = match release.surveyed.keeps(last, release.shipped) {
                None => self.keeps_hop(last, unsettled)?,
                keeps => keeps,
            };
            if keeps.is_some() {
                return Ok((reached, keeps.filter(|_| so_far < through)));
            }
            so_far = last;
            reached = Some(Boundary { segment: number, last });
        }
        Ok((reached, (so_far < through).then_some(KeptFor::LastPiece)))
    }

    /// A hop that is not at rest was taken in by a record up to `last`, as far as can be told.
    fn keeps_hop(&self, last: u64, unsettled: &[HopRow]) -> Result<Option<KeptFor>, StoreFault> {
        let Some(oldest) = unsettled.iter().map(|row| row.transfer.decided_at).min() else {
            return Ok(None);
        };
        let hop = Some(KeptFor::Hop { answered: oldest });
        let mut buffer = Vec::new();
        let (header, frame) = self.segments.frame_of(last, &mut buffer)?;
        let frame = Frame::read(header, frame)?;
        let item = frame.items.last();
        let item = item.ok_or(StoreFault::Inconsistent("a group with a record has none"))?;
        let record = JournalRecord::decode(item.record).map_err(StoreFault::content("journal record"))?;
        if record.committed_at >= oldest {
            return Ok(hop);
        }
        // the clock may have been set back in between
        for row in unsettled {
            let key = &row.transfer.key;
            let found = self.find(key, KeyDigest::of(key))?;
            if found.is_some_and(|(_, remembered)| remembered.sequence <= last) {
                return Ok(hop);
            }
        }
        Ok(None)
    }

    /// The base before that segment, where record `last` is the last before it.
    fn base_at(&self, segment: u32, last: u64, release: &Release) -> Result<LogBase, StoreFault> {
        const NOT_THERE: StoreFault = StoreFault::Inconsistent("a segment of its log is missing");
        let mut buffer = Vec::new();
        let (header, frame) = self.segments.frame_of(last, &mut buffer)?;
        let frame = Frame::read(header, frame)?;
        let mut records = (header.first_sequence..).zip(&frame.items);
        let found = records.find(|(number, _)| *number == last);
        let (_, item) = found.ok_or(NOT_THERE)?;
        let head = ChainHash::of(item.record);
        let kept = self.segments.segment(segment).ok_or(NOT_THERE)?;
        let position = ChainPosition {
            shard: self.place.owner.shard,
            sequence: last,
            head,
        };
        let base = Base {
            position,
            by: Some(release.by.clone()),
        };
        let base = LogBase {
            base: Arc::new(base),
            first_segment: segment,
            first_group: self.segments.first_group(&kept)?.ok_or(NOT_THERE)?,
        };
        // what would be refused at the next opening is not written down
        base.check(&self.place.directory)?;
        Ok(base)
    }

    /// Removes the segments before the base that are still there; the header of the first stays.
    pub(super) fn clear(&self) -> Result<(), StoreFault> {
        let removing = StoreFault::engine("remove a segment of its log that was released");
        let first = self.log_base().first_segment;
        let mut released = numbers(&self.place.directory)?;
        released.retain(|number| *number < first);
        if !released.is_empty() {
            // the base has its name for good, whoever gave it that name and however that ended
            sync_directory(&self.place.directory).map_err(&removing)?;
        }
        for number in released {
            let path = path_of(&self.place.directory, number);
            let removed = if number == STUB {
                self.cut_to_stub(&path)
            } else {
                self.place.disk.remove(&path)
            };
            removed.map_err(&removing)?;
        }
        Ok(())
    }

    fn cut_to_stub(&self, path: &Path) -> io::Result<()> {
        if std::fs::metadata(path)?.len() <= SEGMENT_HEADER_BYTES {
            return Ok(());
        }
        let file = self.place.disk.open(path)?;
        file.cut(SEGMENT_HEADER_BYTES)?;
        file.sync()
    }
}
