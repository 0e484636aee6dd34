//! What a shard does with one group of jobs: fetch, decide, look elsewhere, commit, answer.
//!
//! It has no thread and reads no wall clock to decide: the shard's thread feeds it, and so does a simulation, which
//! steps many of them in an order of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use ledger_model::{BusinessDate, ChinaTime, Instruction, ShardId};
use ledger_protocol::{LoadReply, NothingPosted, RefusedItem};
use tokio::sync::{oneshot, watch};

use super::administering::Pending;
use super::answering::{Again, Worked, WorkedPost};
use super::elsewhere::Elsewhere;
use super::group::{Loaded, Working};
use super::repeats::{Keys, Repeats};
use super::{Ask, FatalFault, InDoubt, Job, Load, Post, ShardParts, Task};
use crate::engine::Defect;
use crate::engine::HopOrder;
use crate::hopping::route::AtHome;
use crate::hopping::selector::Seen;
use crate::outcome::Outcome;
use crate::state::ShardState;
use crate::store::StoreFault;

/// How often a group is decided whose keys others post at the same time; each time they must have posted another one.
const DECIDED_MAX: usize = 4;

pub(super) struct Worker {
    pub(super) parts: ShardParts,
    pub(super) shard: ShardId,
    pub(super) committed: watch::Sender<ShardState>,
    pub(super) shipped: Arc<AtomicU64>,
    pub(super) epoch: Arc<AtomicU64>,
    pub(super) is_seen: Arc<AtomicBool>,
    /// Of groups of which it is not known whether they are there.
    pub(super) in_doubt: InDoubt,
    pub(super) repeats: Repeats,
}

impl Worker {
    /// Works a group; everything in it is answered, now or when what is in doubt is settled, or goes back to the router.
    ///
    /// A load is committed by itself: an order may name an agreement that is loaded just before it, and what that names in
    /// turn cannot be fetched before it is there.
    pub(super) fn work(&mut self, jobs: Vec<Job>, now: Instant) -> Result<(), FatalFault> {
        let jobs = self.after_fences(jobs);
        let jobs = self.without_unreachable(jobs);
        if jobs.len() < 2 || !jobs.iter().any(|job| matches!(job, Job::Load(_))) {
            return self.work_group(jobs, now);
        }
        let mut group = Vec::new();
        for job in jobs {
            if matches!(job, Job::Load(_)) {
                self.work_group(std::mem::take(&mut group), now)?;
                self.work_group(vec![job], now)?;
            } else {
                group.push(job);
            }
        }
        self.work_group(group, now)
    }

    fn work_group(&mut self, mut jobs: Vec<Job>, now: Instant) -> Result<(), FatalFault> {
        let mut keys = self.keys_of(&jobs);
        for _ in 0..DECIDED_MAX {
            jobs = self.work_once(jobs, now, keys)?;
            if jobs.is_empty() {
                return Ok(());
            }
            keys = Keys::LookedFor;
        }
        for job in jobs {
            job.nothing_posted(NothingPosted::Store);
        }
        Ok(())
    }

    /// The posts that are left to be decided again.
    fn work_once(&mut self, jobs: Vec<Job>, now: Instant, keys: Keys) -> Result<Vec<Job>, FatalFault> {
        let jobs = self.without_expired(jobs, now);
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let began = self.parts.groups.now();
        let mut working = match self.begin_with(&jobs, keys) {
            Ok(working) => working,
            Err(fault) => {
                self.not_begun(jobs, &fault, began);
                return Ok(Vec::new());
            }
        };
        let mut worked = Worked::default();
        let mut elsewhere = self.elsewhere(&working, &jobs);
        for job in jobs {
            match job {
                Job::Post(post) => worked.posts.push(self.work_post(&mut working, *post, &mut elsewhere)?),
                Job::Load(load) => {
                    let loaded = load_all(&mut working, load);
                    worked.loads.push(loaded.map_err(|source| self.defect(source))?);
                }
                Job::Errand(errand) => worked.errands.extend(self.run(&mut working, errand)?),
                Job::Administer(administer) => worked.pending.push(administer.work(&mut working)),
                Job::Ask(ask) => {
                    let asked = self.asked(&working, ask).map_err(|source| self.defect(source))?;
                    worked.pending.extend(asked);
                }
                Job::Stop => {}
            }
        }
        if !self.holds(&worked, keys) {
            return Ok(self.again(worked));
        }
        let fate = self.commit(working, began)?;
        Ok(self.answer(worked, fate))
    }

    fn work_post(
        &self,
        working: &mut Working,
        post: Post,
        elsewhere: &mut Elsewhere,
    ) -> Result<WorkedPost, FatalFault> {
        let Post {
            home,
            instruction,
            evidence,
            deadline,
            reply,
            claim,
            task,
            turned_away,
            in_doubt_at,
        } = post;
        let may_hop = matches!((&instruction, &task), (Instruction::Payout(_), Task::Decide));
        let may_hop = may_hop && self.parts.groups.can_hop(self.shard);
        // where keys are kept for other writers too, one of them may be faster
        let spare = (may_hop || self.parts.store.has_other_writers()).then(|| evidence.clone());
        let is_open_question = self.may_be_posted_unseen(&instruction, elsewhere);
        #[cfg(feature = "mutations")]
        let (task, is_open_question) = crate::mutation::question(task, is_open_question);
        let outcome = match (self.known_elsewhere(working, &instruction, elsewhere), &task) {
            (Err(reason), _) => Outcome::NothingPosted(reason),
            (Ok(known), Task::Decide | Task::Recall) if is_open_question => {
                working.recall_posted(&instruction, known.as_ref())
            }
            (Ok(known), Task::Decide) => {
                let outcome = working.post(&instruction, evidence, known.as_ref());
                outcome.map_err(|source| self.defect(source))?
            }
            (Ok(known), Task::Recall) => working.recall(&instruction, known.as_ref()),
            (Ok(known), Task::TakeIn { hop, .. }) => {
                let order = HopOrder {
                    hop: *hop,
                    stand_in: self.parts.groups.stand_in(),
                };
                let taken = working.accept_hop(&instruction, evidence, known.as_ref(), &order);
                taken.map_err(|source| self.defect(source))?
            }
        };
        // a hop of the order may have been settled just before
        let is_repeat = matches!(outcome, Outcome::Decided { repeat: true, .. });
        let rests_on_group = is_repeat && working.is_of_this_group(instruction.key());
        let again = spare.map(|evidence| Again {
            home,
            instruction,
            evidence,
            deadline,
            turned_away,
            may_hop,
        });
        Ok(WorkedPost {
            reply,
            claim,
            task,
            outcome,
            again,
            in_doubt_at,
            rests_on_group,
        })
    }

    /// Takes the shard for a group, and brings in every row it may touch.
    pub(super) fn begin(&mut self, jobs: &[Job]) -> Result<Working, StoreFault> {
        self.begin_with(jobs, Keys::LookedFor)
    }

    fn begin_with(&mut self, jobs: &[Job], keys: Keys) -> Result<Working, StoreFault> {
        let state = self.parts.store.begin()?;
        self.taken(self.parts.store.epoch());
        self.in_doubt.settled();
        let mut working = Working::over(self.parts.shards, state, (self.parts.clock)());
        self.fetch_all(jobs, keys, &mut working)?;
        Ok(working)
    }

    /// The store was asked how the shard stands.
    pub(super) fn taken(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Release);
        self.is_seen.store(true, Ordering::Release);
        // what was in doubt, or another process committed, is there for queries and shipping too
        let state = self.parts.store.state();
        if state.sequence > self.committed.borrow().sequence {
            self.committed.send_replace(state.clone());
        }
    }

    /// While the shard's group is down nobody waits for it: what is left is turned away at once.
    fn without_unreachable(&self, jobs: Vec<Job>) -> Vec<Job> {
        if self.parts.groups.is_used(self.shard) {
            return jobs;
        }
        self.turn_away(jobs, AtHome::NotTried);
        Vec::new()
    }

    fn not_begun(&mut self, jobs: Vec<Job>, fault: &StoreFault, began: Instant) {
        tracing::error!(shard = %self.shard, %fault, cause = ?fault, "rows could not be read; nothing was posted");
        self.parts.store.abandon();
        if matches!(fault, StoreFault::Unreachable(_)) {
            self.see(self.shard, Seen::Failed, began);
            return self.turn_away(jobs, AtHome::Nothing);
        }
        for job in jobs {
            job.nothing_posted(NothingPosted::Store);
        }
    }

    fn turn_away(&self, jobs: Vec<Job>, at_home: AtHome) {
        for job in jobs {
            match job {
                Job::Post(post) => self.give_back(post, at_home),
                Job::Load(_) | Job::Errand(_) | Job::Administer(_) | Job::Ask(_) | Job::Stop => {
                    job.nothing_posted(NothingPosted::HomeDown);
                }
            }
        }
    }

    pub(super) fn give_back(&self, mut post: Box<Post>, at_home: AtHome) {
        post.turned_away = post.turned_away.saturating_add(1);
        (self.parts.returned)(post, at_home);
    }

    pub(super) fn see(&self, shard: ShardId, seen: Seen, began: Instant) {
        let groups = &self.parts.groups;
        groups.see(groups.group_of(shard), seen, began);
    }

    pub(super) fn defect(&self, source: Defect) -> FatalFault {
        FatalFault::Defect {
            shard: self.shard,
            source,
        }
    }

    fn without_expired(&self, jobs: Vec<Job>, now: Instant) -> Vec<Job> {
        #[cfg(feature = "mutations")]
        let now = crate::mutation::now(now);
        let kept_seconds = i64::from(self.parts.limits.kept_days) * 24 * 3600;
        let first_day = (self.parts.clock)().plus_seconds(-kept_seconds).map(ChinaTime::date);
        let mut left = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job {
                Job::Post(post) if first_day.is_some_and(|first| earliest_day(&post.instruction) < first) => {
                    tracing::warn!(shard = %self.shard, id = %post.instruction.key().id, "an order of a day that is not kept any more");
                    self.parts.meters.other("malformed");
                    Job::Post(post).nothing_posted(NothingPosted::MalformedWork);
                }
                Job::Post(post) if post.deadline <= now => {
                    self.parts.meters.other("expired");
                    Job::Post(post).nothing_posted(NothingPosted::Expired);
                }
                Job::Post(_) | Job::Load(_) | Job::Errand(_) | Job::Administer(_) | Job::Ask(_) => {
                    left.push(job);
                }
                Job::Stop => {}
            }
        }
        left
    }

    /// `None` where it is answered already: another shard could not be read.
    fn asked(&self, working: &Working, ask: Ask) -> Result<Option<Pending>, Defect> {
        let known = ask.rehearsed().map(|instruction| self.elsewhere_of(instruction.key()));
        match known.transpose() {
            Ok(known) => ask.work(working, known.flatten().as_ref()).map(Some),
            Err(fault) => {
                tracing::error!(shard = %self.shard, %fault, cause = ?fault, "another shard could not be read");
                ask.nothing_posted(NothingPosted::Store);
                Ok(None)
            }
        }
    }
}

pub(super) type Loading = (oneshot::Sender<Result<LoadReply, NothingPosted>>, LoadReply);

fn load_all(working: &mut Working, load: Load) -> Result<Loading, Defect> {
    let mut reply = LoadReply::default();
    for (place, new) in &load.accounts {
        match working.load_account(new, &load.operator)? {
            Loaded::New => reply.accounts += 1,
            Loaded::Unchanged => reply.unchanged += 1,
            Loaded::Kept => reply.kept += 1,
            Loaded::Refused(reason) => reply.refused.push(RefusedItem {
                place: *place,
                reason: reason.to_owned(),
            }),
        }
    }
    for (place, agreement) in &load.agreements {
        match working.record_agreement(agreement) {
            Loaded::New => reply.agreements += 1,
            Loaded::Unchanged => reply.unchanged += 1,
            Loaded::Kept => reply.kept += 1,
            Loaded::Refused(reason) => reply.refused.push(RefusedItem {
                place: *place,
                reason: reason.to_owned(),
            }),
        }
    }
    Ok((load.reply, reply))
}

/// The first of the days whose records and sums say whether it may post.
fn earliest_day(instruction: &Instruction) -> BusinessDate {
    let day = instruction.key().id.date();
    match instruction {
        Instruction::Payment(payment) => day.min(payment.ordered_at.date()),
        Instruction::Refund(_) | Instruction::Payout(_) | Instruction::Reversal(_) | Instruction::Supplement(_) => day,
    }
}
