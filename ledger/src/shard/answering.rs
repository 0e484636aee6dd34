//! From what a group of jobs came to, and what became of its commit, to answers.

use std::time::Instant;

use ledger_model::{Instruction, ShardId};
use ledger_protocol::NothingPosted;

use super::administering::Pending;
use super::errand::Done;
use super::worker::{Loading, Worker};
use super::{InDoubt, Job, Post, Task};
use crate::claims::Claim;
use crate::evidence::SealedEvidence;
use crate::hopping::route::AtHome;
use crate::outcome::{Outcome, ReplyTo};

/// What became of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Durable,
    /// Certainly nothing of it is there or will be.
    Nothing,
    /// Nothing either, since somebody else has posted one of its keys meanwhile: decided again, it is found.
    KeyTaken,
    /// Nothing either, since the store could not be reached.
    Unreachable,
    /// It is there or not; the store's next `begin` settles it.
    Unknown,
}

#[cfg(feature = "mutations")]
impl Fate {
    pub(super) fn mutated(self) -> Self {
        use crate::mutation::{Mutation, is};
        match self {
            Self::Nothing | Self::Unreachable if is(Mutation::UnwrittenToldAsPosted) => Self::Durable,
            Self::KeyTaken if is(Mutation::TakenKeyToldAsPosted) => Self::Durable,
            Self::Unknown if is(Mutation::DoubtToldAsPosted) => Self::Durable,
            Self::Unknown if is(Mutation::DoubtDenied) => Self::Nothing,
            fate => fate,
        }
    }
}

/// What one group of jobs came to, before it is committed.
#[derive(Default)]
pub(super) struct Worked {
    pub(super) posts: Vec<WorkedPost>,
    pub(super) loads: Vec<Loading>,
    pub(super) errands: Vec<Done>,
    pub(super) pending: Vec<Pending>,
}

pub(super) struct WorkedPost {
    pub(super) reply: ReplyTo,
    pub(super) claim: Claim,
    /// Ends a hop that was under way when it is dropped.
    pub(super) task: Task,
    pub(super) outcome: Outcome,
    /// Of what may be decided again, here or elsewhere.
    pub(super) again: Option<Again>,
    /// Of a shard where it may be posted already.
    pub(super) in_doubt_at: Option<InDoubt>,
    /// A repeat of what was written down in this very group.
    pub(super) rests_on_group: bool,
}

pub(super) struct Again {
    pub(super) home: ShardId,
    pub(super) instruction: Instruction,
    pub(super) evidence: SealedEvidence,
    pub(super) deadline: Instant,
    pub(super) turned_away: u8,
    /// Another shard may take it in if this one's group cannot be reached, or the commit is in doubt.
    pub(super) may_hop: bool,
}

impl Again {
    fn into_post(self, reply: ReplyTo, claim: Claim, task: Task, in_doubt_at: Option<InDoubt>) -> Box<Post> {
        let Self {
            home,
            instruction,
            evidence,
            deadline,
            turned_away,
            may_hop: _,
        } = self;
        Box::new(Post {
            home,
            instruction,
            evidence,
            deadline,
            reply,
            claim,
            task,
            turned_away,
            in_doubt_at,
        })
    }
}

impl WorkedPost {
    /// To be decided again as if it had not been.
    pub(super) fn into_job(self) -> Job {
        let again = self.again.expect("a post can be decided again where others write");
        Job::Post(again.into_post(self.reply, self.claim, self.task, self.in_doubt_at))
    }
}

impl Worker {
    /// Answers what was worked, by what became of the group; the posts that are to be decided again.
    pub(super) fn answer(&mut self, worked: Worked, fate: Fate) -> Vec<Job> {
        let undecided = self.answer_posts(worked.posts, fate);
        for (reply, loaded) in worked.loads {
            if fate != Fate::Durable {
                let _loader_has_gone = reply.send(Err(NothingPosted::Store));
                continue;
            }
            self.parts.meters.loaded(loaded.accounts + loaded.agreements);
            let _loader_has_gone = reply.send(Ok(loaded));
        }
        for answer in worked.pending {
            answer.answer(fate == Fate::Durable);
        }
        if fate == Fate::Durable {
            worked.errands.into_iter().for_each(Done::tell);
        }
        undecided
    }

    fn answer_posts(&mut self, posts: Vec<WorkedPost>, fate: Fate) -> Vec<Job> {
        let mut undecided = Vec::new();
        for post in posts {
            let WorkedPost {
                reply,
                claim,
                task,
                outcome,
                again,
                in_doubt_at,
                rests_on_group,
            } = post;
            let outcome = match (fate, outcome, again) {
                (fate, Outcome::Decided { repeat: true, .. }, _) if rests_on_group && fate != Fate::Durable => {
                    Outcome::InProcess
                }
                (Fate::KeyTaken, Outcome::Decided { repeat: false, .. }, Some(again)) => {
                    undecided.push(Job::Post(again.into_post(reply, claim, task, in_doubt_at)));
                    continue;
                }
                (Fate::Nothing | Fate::KeyTaken, Outcome::Decided { repeat: false, .. }, _) => {
                    task.nothing_posted(NothingPosted::Store)
                }
                // what is settled later, by compensation if need be, does not wait for the home
                (Fate::Unreachable, Outcome::Decided { repeat: false, .. }, Some(again)) if again.may_hop => {
                    self.give_back(again.into_post(reply, claim, task, in_doubt_at), AtHome::Nothing);
                    continue;
                }
                (Fate::Unknown, Outcome::Decided { repeat: false, .. }, Some(again)) if again.may_hop => {
                    let here = Some(self.in_doubt.clone());
                    self.give_back(again.into_post(reply, claim, task, here), AtHome::InDoubt);
                    continue;
                }
                (Fate::Unreachable, Outcome::Decided { repeat: false, .. }, _) => {
                    task.nothing_posted(NothingPosted::HomeDown)
                }
                (Fate::Unknown, Outcome::Decided { repeat: false, .. }, _) => {
                    // until it is settled nobody may take the key for a new one
                    self.in_doubt.keep(claim, in_doubt_at);
                    #[cfg(feature = "mutations")]
                    if crate::mutation::is(crate::mutation::Mutation::DoubtLetGo) {
                        self.in_doubt.settled();
                    }
                    reply.answer(Outcome::InProcess);
                    continue;
                }
                (_, Outcome::NothingPosted(reason), _) => task.nothing_posted(reason),
                (_, outcome, _) => outcome,
            };
            self.count(&outcome);
            if let (Task::TakeIn { .. }, Outcome::Decided { repeat: false, .. }) = (&task, &outcome) {
                self.parts.meters.hop("taken_in");
            }
            // it is durable: let go of the key first, so that whoever is answered can ask about it at once
            drop(task);
            InDoubt::let_go(claim, in_doubt_at, &outcome);
            reply.answer(outcome);
        }
        undecided
    }

    fn count(&self, outcome: &Outcome) {
        let meters = &self.parts.meters;
        match outcome {
            Outcome::Decided {
                transfer,
                repeat: false,
            } => meters.decided(transfer.decision),
            Outcome::Decided { repeat: true, .. } => meters.other("repeat"),
            Outcome::Conflict(_) => meters.other("conflict"),
            Outcome::NothingPosted(_) => meters.other("nothing_posted"),
            Outcome::NotFound | Outcome::InProcess => {}
        }
    }
}
