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
use super::answering::{Again, Fate, Worked, WorkedPost};
use super::elsewhere::Elsewhere;
use super::errand::Errand;
use super::group::{
    Loaded, Working, wanted_by_agreement, wanted_by_closing, wanted_by_hop, wanted_by_loading,
    wanted_by_settlement_first, wanted_by_settlement_second, wanted_first, wanted_second,
};
use super::{Ask, FatalFault, Job, Load, Post, ShardParts, Task};
use crate::claims::Claim;
use crate::engine::Defect;
use crate::engine::HopOrder;
use crate::hopping::route::AtHome;
use crate::hopping::selector::Seen;
use crate::outcome::Outcome;
use crate::state::ShardState;
use crate::store::{Consequence, Group, StoreFault};
use crate::view::Wanted;

pub(super) struct Worker {
    pub(super) parts: ShardParts,
    pub(super) shard: ShardId,
    pub(super) committed: watch::Sender<ShardState>,
    pub(super) shipped: Arc<AtomicU64>,
    pub(super) epoch: Arc<AtomicU64>,
    /// Of groups of which it is not known whether they are there.
    pub(super) in_doubt: Vec<Claim>,
}

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

    fn work_group(&mut self, jobs: Vec<Job>, now: Instant) -> Result<(), FatalFault> {
        let jobs = self.without_expired(jobs, now);
        if jobs.is_empty() {
            return Ok(());
        }
        let began = self.parts.groups.now();
        let mut working = match self.begin(&jobs) {
            Ok(working) => working,
            Err(fault) => {
                self.not_begun(jobs, &fault, began);
                return Ok(());
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
        let fate = self.commit(working, began)?;
        self.answer(worked, fate);
        Ok(())
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
        } = post;
        let mut again = None;
        let outcome = match (self.known_elsewhere(working, &instruction, elsewhere), &task) {
            (Err(reason), _) => Outcome::NothingPosted(reason),
            (Ok(known), Task::Decide) => {
                let may_hop = matches!(instruction, Instruction::Payout(_)) && self.parts.groups.can_hop(self.shard);
                let spare = may_hop.then(|| evidence.clone());
                let outcome = working.post(&instruction, evidence, known.as_ref());
                again = spare.map(|evidence| Again {
                    home,
                    instruction,
                    evidence,
                    deadline,
                    turned_away,
                });
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
        Ok(WorkedPost {
            reply,
            claim,
            task,
            outcome,
            again,
        })
    }

    /// Takes the shard for a group, and brings in every row it may touch.
    fn begin(&mut self, jobs: &[Job]) -> Result<Working, StoreFault> {
        let state = self.parts.store.begin()?;
        self.epoch.store(self.parts.store.epoch(), Ordering::Release);
        // what was in doubt, or another process committed, is there for queries and shipping too
        if state.sequence > self.committed.borrow().sequence {
            self.committed.send_replace(state.clone());
        }
        self.in_doubt.clear();
        let mut working = Working::over(self.parts.shards, state, (self.parts.clock)());
        self.fetch_all(jobs, &mut working)?;
        Ok(working)
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
        groups.see(groups.map().group_of(shard), seen, began);
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

    /// Brings in every row the group may touch, in two steps: rows that are named, then rows that those name.
    fn fetch_all(&self, jobs: &[Job], working: &mut Working) -> Result<(), StoreFault> {
        let mut first = Wanted::default();
        for job in jobs {
            match job {
                Job::Post(post) => match post.task {
                    Task::Decide | Task::Recall => wanted_first(&post.instruction, &mut first),
                    Task::TakeIn { .. } => wanted_by_hop(&post.instruction, &mut first),
                },
                Job::Load(load) => {
                    for (_, new) in &load.accounts {
                        wanted_by_loading(new, &mut first);
                    }
                    for (_, agreement) in &load.agreements {
                        wanted_by_agreement(agreement, &mut first);
                    }
                }
                Job::Errand(Errand::Settle { row, .. }) => wanted_by_settlement_first(row, &mut first),
                Job::Errand(Errand::Close { row, .. }) => wanted_by_closing(row, &mut first),
                Job::Administer(administer) => administer.wanted(&mut first),
                Job::Ask(ask) => ask.wanted_first(working.now().date(), &mut first),
                Job::Errand(_) | Job::Stop => {}
            }
        }
        self.fetch(first, working)?;
        let mut second = Wanted::default();
        for job in jobs {
            match job {
                Job::Post(post) if !matches!(post.task, Task::TakeIn { .. }) => {
                    wanted_second(&post.instruction, working.view(), &mut second);
                }
                Job::Errand(Errand::Settle { row, .. }) => {
                    wanted_by_settlement_second(row, working.view(), &mut second);
                }
                Job::Ask(ask) => ask.wanted_second(working.view(), &mut second),
                Job::Post(_) | Job::Load(_) | Job::Administer(_) | Job::Errand(_) | Job::Stop => {}
            }
        }
        self.fetch(second, working)
    }

    fn fetch(&self, wanted: Wanted, working: &mut Working) -> Result<(), StoreFault> {
        let missing = working.view().missing(wanted);
        if missing.is_empty() {
            return Ok(());
        }
        let rows = self.parts.store.fetch(&missing)?;
        working.view_mut().admit(missing, rows);
        Ok(())
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

    fn commit(&mut self, working: Working, taken: Instant) -> Result<Fate, FatalFault> {
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
        let is_asked = !self.in_doubt.is_empty() || self.parts.store.keys_kept_by().is_some();
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
