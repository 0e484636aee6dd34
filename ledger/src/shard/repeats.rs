//! Whether the keys of a group are looked for before it is decided.
//!
//! Nearly every order is new, and the commit of a store that other processes write to is refused where a key is there
//! ([`StoreFault::KeyTaken`](crate::store::StoreFault::KeyTaken)). So keys are taken to be new; a group that was refused, or
//! in which anything but a new transfer would be answered, is decided again with its keys looked for. That is a group worked
//! for nothing: where a repeat has come, others are expected, and the keys of the groups that follow are looked for at once.

use super::answering::{Worked, WorkedPost};
use super::worker::Worker;
use super::{Job, Task};
use crate::outcome::Outcome;

/// [`ShardLimits::calm_groups`](super::ShardLimits::calm_groups) of a ledger in use.
pub const CALM_GROUPS: u32 = 64;

/// How the keys of orders are treated before they are decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    LookedFor,
    /// The commit finds out.
    TakenAsNew,
}

#[derive(Debug, Default)]
pub(super) struct Repeats {
    groups_without: u32,
}

impl Repeats {
    pub(super) const fn came(&mut self) {
        self.groups_without = 0;
    }

    const fn did_not_come(&mut self) {
        self.groups_without = self.groups_without.saturating_add(1);
    }
}

impl Worker {
    /// Of a group that begins.
    pub(super) fn keys_of(&self, jobs: &[Job]) -> Keys {
        let is_calm = self.repeats.groups_without >= self.parts.limits.calm_groups;
        let can_be_new = is_calm && self.parts.store.has_other_writers();
        let are_new = |job: &Job| matches!(job, Job::Post(post) if matches!(post.task, Task::Decide));
        // nothing else is decided again
        if can_be_new && jobs.iter().all(are_new) {
            Keys::TakenAsNew
        } else {
            Keys::LookedFor
        }
    }

    /// Whether all that was worked may be answered when it is committed. Where keys were taken as new, the commit vouches
    /// for new transfers and for nothing else.
    pub(super) fn holds(&mut self, worked: &Worked, keys: Keys) -> bool {
        let are_new = worked.posts.iter().all(|post| match &post.outcome {
            Outcome::Decided { repeat, .. } => !repeat || post.rests_on_group,
            Outcome::Conflict(_) | Outcome::NothingPosted(_) | Outcome::NotFound | Outcome::InProcess => false,
        });
        if are_new {
            self.repeats.did_not_come();
        } else {
            self.repeats.came();
        }
        are_new || keys == Keys::LookedFor
    }

    /// The group is decided again, from the beginning.
    pub(super) fn again(&mut self, worked: Worked) -> Vec<Job> {
        self.parts.store.abandon();
        worked.posts.into_iter().map(WorkedPost::into_job).collect()
    }
}
