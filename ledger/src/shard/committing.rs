//! The commit of a group, what it tells of the shard group, and what is written while there is nothing to work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::FatalFault;
use super::answering::Fate;
use super::group::Working;
use super::worker::Worker;
use crate::hopping::selector::Seen;
use crate::store::{Consequence, Group, StoreFault};

/// Halts the ledger unless told that all went well, before any claim of the group is let go: a query must not take a
/// group that may be there for one that is not.
struct HaltUnlessDone<'a>(Option<&'a AtomicBool>);

impl Drop for HaltUnlessDone<'_> {
    fn drop(&mut self) {
        if let Some(halted) = self.0 {
            halted.store(true, Ordering::Release);
        }
    }
}

impl Worker {
    /// What was worked, durable or not.
    pub(super) fn commit(&mut self, working: Working, taken: Instant) -> Result<Fate, FatalFault> {
        if working.is_unchanged() {
            self.parts.store.abandon();
            return Ok(Fate::Durable);
        }
        let shard = self.shard;
        let group = working.into_group(self.shipped.load(Ordering::Acquire));
        let group = group.map_err(|source| FatalFault::Defect { shard, source })?;
        let records = u64::try_from(group.records.len()).unwrap_or(u64::MAX);
        let began = Instant::now();
        let fate = self.store(group)?;
        match fate {
            Fate::Durable => {
                self.parts.meters.committed(records, began.elapsed());
                self.see(self.shard, Seen::Wrote, taken);
            }
            Fate::Unknown | Fate::Unreachable => self.see(self.shard, Seen::Failed, taken),
            Fate::KeyTaken => self.repeats.came(),
            Fate::Nothing => {}
        }
        Ok(fate)
    }

    fn store(&mut self, group: Group) -> Result<Fate, FatalFault> {
        let shard = self.shard;
        let mut halting = HaltUnlessDone(Some(&self.parts.halted));
        #[cfg(feature = "mutations")]
        if crate::mutation::is(crate::mutation::Mutation::OfferedEarly) {
            self.committed.send_replace(group.state.clone());
        }
        let stored = self.parts.store.commit(group);
        let fate = match stored {
            Ok(()) => Fate::Durable,
            Err(fault @ StoreFault::Unreachable(_)) => {
                tracing::error!(%shard, %fault, cause = ?fault, "a group could not be written; nothing of it was posted");
                Fate::Unreachable
            }
            Err(fault @ StoreFault::KeyTaken) => {
                tracing::info!(%shard, %fault, "a group is decided again");
                Fate::KeyTaken
            }
            Err(fault) => match fault.consequence() {
                Consequence::Nothing => {
                    tracing::error!(%shard, %fault, cause = ?fault, "a group could not be written; nothing of it was posted");
                    Fate::Nothing
                }
                Consequence::Unknown => {
                    tracing::error!(%shard, %fault, cause = ?fault, "whether a group was written is not known yet");
                    Fate::Unknown
                }
                Consequence::Fatal => return Err(FatalFault::Commit { shard, source: fault }),
            },
        };
        halting.0 = None;
        #[cfg(feature = "mutations")]
        let fate = fate.mutated();
        if fate == Fate::Durable {
            self.committed.send_replace(self.parts.store.state().clone());
        }
        Ok(fate)
    }

    /// While there is nothing to work: settles what is in doubt, takes in what other processes have committed, and
    /// writes down how far Kafka has come.
    pub(super) fn idle(&mut self) -> Result<(), FatalFault> {
        let is_asked = !self.in_doubt.is_empty() || self.parts.store.has_other_writers();
        if is_asked && self.parts.groups.is_used(self.shard) {
            // where the store cannot be reached, the next time
            let _settled_or_not = self.begin(&[]);
            self.parts.store.abandon();
        }
        self.note_shipped()
    }

    /// Writes down how far Kafka has come, where that has changed and no posting has taken it along.
    pub(super) fn note_shipped(&mut self) -> Result<(), FatalFault> {
        let shipped = self.shipped.load(Ordering::Acquire);
        if shipped <= self.parts.store.state().shipped {
            return Ok(());
        }
        let shard = self.shard;
        let Ok(working) = self.begin(&[]) else {
            // the next group tells
            return Ok(());
        };
        let group = working
            .into_group(shipped)
            .map_err(|source| FatalFault::Defect { shard, source })?;
        // where it cannot be written, the next group takes it along
        self.store(group).map(|_fate| ())
    }
}
