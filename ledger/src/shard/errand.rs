//! What the homecoming asks of a shard, worked among the posts; and releasing records, between two groups.

use std::collections::BTreeSet;

use ledger_model::{HopState, ShardId};
use tokio::sync::oneshot;

use super::group::Working;
use super::worker::Worker;
use super::{FatalFault, Job};
use crate::books::{Books, HopRow};
use crate::hopping::selector::Seen;
use crate::store::release::{Release, ReleaseFault, Released};
use crate::store::{OpenHops, StoreFault};

/// Each has a reply. One that is dropped unanswered was not done, or its commit is in doubt; then it is asked again.
#[derive(Debug)]
pub enum Errand {
    /// Nothing of an earlier connection to the shard may be committed after this.
    Fence { reply: oneshot::Sender<()> },
    /// Open hops that were taken in here, of these homes, and how many there are of every home.
    ListOpen {
        homes: BTreeSet<ShardId>,
        limit: usize,
        reply: oneshot::Sender<OpenHops>,
    },
    /// Hops taken in here that their home refused.
    ListUnapplied {
        limit: usize,
        reply: oneshot::Sender<Vec<HopRow>>,
    },
    /// At home: settle what was taken in elsewhere, and say what it is to be closed with.
    Settle {
        row: Box<HopRow>,
        reply: oneshot::Sender<HopState>,
    },
    /// Release records that an archive has.
    Release {
        release: Box<Release>,
        reply: oneshot::Sender<Result<Released, ReleaseFault>>,
    },
    /// Close what was taken in here.
    Close {
        row: Box<HopRow>,
        state: HopState,
        reply: oneshot::Sender<()>,
    },
}

/// An errand that is done as soon as its group is durable.
pub(super) enum Done {
    ListedOpen(oneshot::Sender<OpenHops>, OpenHops),
    ListedUnapplied(oneshot::Sender<Vec<HopRow>>, Vec<HopRow>),
    Settled(oneshot::Sender<HopState>, HopState),
    Closed(oneshot::Sender<()>),
}

impl Done {
    pub(super) fn tell(self) {
        // whoever asked may have gone
        let _told = match self {
            Self::ListedOpen(reply, hops) => reply.send(hops).is_ok(),
            Self::ListedUnapplied(reply, hops) => reply.send(hops).is_ok(),
            Self::Settled(reply, state) => reply.send(state).is_ok(),
            Self::Closed(reply) => reply.send(()).is_ok(),
        };
    }
}

impl Worker {
    /// Fences first, which also brings back a shard that is not used; the jobs that are left.
    pub(super) fn after_fences(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        let mut left = Vec::with_capacity(jobs.len());
        for job in jobs {
            let Job::Errand(Errand::Fence { reply }) = job else {
                left.push(job);
                continue;
            };
            let began = self.parts.groups.now();
            match self.parts.store.fence() {
                Ok(epoch) => {
                    self.taken(epoch);
                    let _homecoming_has_ended = reply.send(());
                }
                Err(fault) => {
                    tracing::error!(shard = %self.shard, %fault, cause = ?fault, "a shard could not be fenced");
                    if matches!(fault, StoreFault::Unreachable(_)) {
                        self.see(self.shard, Seen::Failed, began);
                    }
                }
            }
        }
        left
    }

    /// Releases what is to be released, which is no part of a group; the jobs that are left.
    pub(super) fn after_releases(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        let mut left = Vec::with_capacity(jobs.len());
        for job in jobs {
            let Job::Errand(Errand::Release { release, reply }) = job else {
                left.push(job);
                continue;
            };
            let began = self.parts.groups.now();
            let released = self.parts.store.release(&release);
            if let Err(ReleaseFault::Store(StoreFault::Unreachable(_) | StoreFault::InDoubt(_))) = &released {
                self.see(self.shard, Seen::Failed, began);
            }
            self.show_base();
            let _operator_has_gone = reply.send(released);
        }
        left
    }

    /// `None` where the errand was not done.
    pub(super) fn run(&self, working: &mut Working, errand: Errand) -> Result<Option<Done>, FatalFault> {
        let read_fault = |fault: StoreFault| {
            tracing::error!(shard = %self.shard, %fault, cause = ?fault, "hops could not be listed");
        };
        Ok(match errand {
            Errand::Fence { .. } | Errand::Release { .. } => None,
            Errand::ListOpen { homes, limit, reply } => {
                let hops = self.parts.store.open_hops(&homes, limit).map_err(read_fault).ok();
                hops.map(|hops| Done::ListedOpen(reply, hops))
            }
            Errand::ListUnapplied { limit, reply } => {
                let hops = self.parts.store.unapplied_hops(limit).map_err(read_fault).ok();
                hops.map(|hops| Done::ListedUnapplied(reply, hops))
            }
            // what is refused in this very group has a record of its own first
            Errand::Settle { row, .. } if working.is_refused_in_this_group(&row.transfer.key) => None,
            Errand::Settle { row, reply } => {
                let state = working.settle_hop(&row).map_err(|source| self.defect(source))?;
                Some(Done::Settled(reply, state))
            }
            // closed meanwhile, and so long ago that it has been forgotten
            Errand::Close { row, reply, .. }
                if working.view().hop(&row.transfer.key).is_none() && self.is_past(row.transfer.key.id.date()) =>
            {
                Some(Done::Closed(reply))
            }
            Errand::Close { row, state, reply } => {
                working
                    .close_hop(&row.transfer.key, state)
                    .map_err(|source| self.defect(source))?;
                Some(Done::Closed(reply))
            }
        })
    }
}
