//! What a shard does with one group of jobs: fetch, decide, look elsewhere, commit, answer.
//!
//! It has no thread and reads no wall clock to decide: the shard's thread feeds it, and so does a simulation, which
//! steps many of them in an order of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use ledger_model::{AccountToken, BusinessDate, ChinaTime, Instruction, ShardId, TransferKey};
use ledger_protocol::{LoadReply, NothingPosted, RefusedItem, Standing};
use tokio::sync::{oneshot, watch};

use super::administering::Pending;
use super::group::{Loaded, Working, wanted_by_account, wanted_by_agreement, wanted_first, wanted_second};
use super::{Ask, AskStanding, FatalFault, Job, Load, Post, ShardParts};
use crate::books::{Books, Remembered};
use crate::claims::Claim;
use crate::engine::Defect;
use crate::hash::FastMap;
use crate::outcome::Outcome;
use crate::state::ShardState;
use crate::store::{Consequence, Group, StoreFault};
use crate::view::Wanted;

pub(super) struct Worker {
    pub(super) parts: ShardParts,
    pub(super) shard: ShardId,
    pub(super) committed: watch::Sender<ShardState>,
    pub(super) shipped: Arc<AtomicU64>,
    /// Of groups of which it is not known whether they are there.
    pub(super) in_doubt: Vec<Claim>,
}

/// What became of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Durable,
    /// Certainly nothing of it is there or will be.
    Nothing,
    /// It is there or not; the store's next `begin` settles it.
    Unknown,
}

/// What other shards hold under the keys of a group.
enum Elsewhere {
    Known(FastMap<TransferKey, Remembered>),
    /// Some of it could not be read.
    OneByOne,
}

#[cfg(feature = "mutations")]
impl Fate {
    fn mutated(self) -> Self {
        use crate::mutation::{Mutation, is};
        match self {
            Self::Nothing if is(Mutation::UnwrittenToldAsPosted) => Self::Durable,
            Self::Unknown if is(Mutation::DoubtToldAsPosted) => Self::Durable,
            Self::Unknown if is(Mutation::DoubtDenied) => Self::Nothing,
            fate => fate,
        }
    }
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
    /// Works a group; everything in it is answered, now or when what is in doubt is settled.
    ///
    /// A load is committed by itself: an order may name an agreement that is loaded just before it, and what that names in
    /// turn cannot be fetched before it is there.
    pub(super) fn work(&mut self, jobs: Vec<Job>, now: Instant) -> Result<(), FatalFault> {
        let jobs = self.tell_standings(jobs);
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
        let mut working = match self.begin(&jobs) {
            Ok(working) => working,
            Err(fault) => {
                tracing::error!(shard = %self.shard, %fault, cause = ?fault, "rows could not be read; nothing was posted");
                self.parts.store.abandon();
                for job in jobs {
                    job.nothing_posted(NothingPosted::Store);
                }
                return Ok(());
            }
        };
        let shard = self.shard;
        let defect = |source| FatalFault::Defect { shard, source };
        let mut elsewhere = self.elsewhere(&working, &jobs);
        let mut answers = Vec::with_capacity(jobs.len());
        let mut loads = Vec::new();
        let mut pending = Vec::new();
        for job in jobs {
            match job {
                Job::Post(post) => {
                    let Post {
                        instruction,
                        evidence,
                        reply,
                        claim,
                        ..
                    } = *post;
                    let known = match &mut elsewhere {
                        Elsewhere::Known(known) => Ok(known.remove(instruction.key())),
                        Elsewhere::OneByOne => self.elsewhere_of(instruction.key()),
                    };
                    let outcome = match known {
                        Ok(known) => working.post(&instruction, evidence, known.as_ref()).map_err(defect)?,
                        Err(fault) => {
                            tracing::error!(shard = %self.shard, %fault, cause = ?fault, "another shard could not be read");
                            Outcome::NothingPosted(NothingPosted::Store)
                        }
                    };
                    answers.push((reply, claim, outcome));
                }
                Job::Load(load) => loads.push(load_all(&mut working, load).map_err(defect)?),
                Job::Administer(administer) => pending.push(administer.work(&mut working)),
                Job::Ask(ask) => pending.extend(self.asked(&working, ask).map_err(defect)?),
                Job::Standing(_) | Job::Stop => {}
            }
        }
        let fate = self.commit(working)?;
        for (reply, claim, outcome) in answers {
            let outcome = match (fate, outcome) {
                (Fate::Nothing, Outcome::Decided { repeat: false, .. }) => Outcome::NothingPosted(NothingPosted::Store),
                (Fate::Unknown, Outcome::Decided { repeat: false, .. }) => {
                    // until it is settled nobody may take the key for a new one
                    self.in_doubt.push(claim);
                    #[cfg(feature = "mutations")]
                    if crate::mutation::is(crate::mutation::Mutation::DoubtLetGo) {
                        self.in_doubt.clear();
                    }
                    reply.answer(Outcome::InProcess);
                    continue;
                }
                (_, outcome) => outcome,
            };
            self.count(&outcome);
            // it is durable: let go of the key first, so that whoever is answered can ask about it at once
            drop(claim);
            reply.answer(outcome);
        }
        for answer in pending {
            answer.answer(fate == Fate::Durable);
        }
        for (reply, loaded) in loads {
            if fate != Fate::Durable {
                let _loader_has_gone = reply.send(Err(NothingPosted::Store));
                continue;
            }
            self.parts.meters.loaded(loaded.accounts + loaded.agreements);
            let _loader_has_gone = reply.send(Ok(loaded));
        }
        Ok(())
    }

    /// Answers those who ask how an account stands, as of the last commit; gives back the other work.
    fn tell_standings(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        let (asked, others): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| matches!(job, Job::Standing(_)));
        for job in asked {
            if let Job::Standing(AskStanding { account, reply }) = job {
                let standing = self.standing(account);
                self.parts.store.abandon();
                let told = standing.map_err(|fault| {
                    tracing::error!(shard = %self.shard, %fault, cause = ?fault, "an account could not be read");
                    NothingPosted::Store
                });
                let _asker_has_gone = reply.send(told);
            }
        }
        others
    }

    fn standing(&mut self, account: AccountToken) -> Result<Standing, StoreFault> {
        let state = self.parts.store.begin()?;
        self.in_doubt.clear();
        let wanted = Wanted {
            accounts: vec![account],
            ..Wanted::default()
        };
        let held = self.parts.store.fetch(&wanted)?.accounts.pop();
        Ok(Standing {
            shard: self.shard.number(),
            sequence: state.sequence,
            balance: held.map(|held| held.account.balance),
        })
    }

    /// Takes the shard for a group, and brings in every row it may touch.
    fn begin(&mut self, jobs: &[Job]) -> Result<Working, StoreFault> {
        let state = self.parts.store.begin()?;
        // what was in doubt, or another process committed, is there for queries and shipping too
        if state.sequence > self.committed.borrow().sequence {
            self.committed.send_replace(state.clone());
        }
        self.in_doubt.clear();
        let mut working = Working::over(self.parts.shards, state, (self.parts.clock)());
        self.fetch_all(jobs, &mut working)?;
        Ok(working)
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
                Job::Post(_) | Job::Load(_) | Job::Administer(_) | Job::Ask(_) => left.push(job),
                Job::Standing(_) | Job::Stop => {}
            }
        }
        left
    }

    /// Brings in every row the group may touch, in two steps: rows that are named, then rows that those name.
    fn fetch_all(&self, jobs: &[Job], working: &mut Working) -> Result<(), StoreFault> {
        let mut first = Wanted::default();
        for job in jobs {
            match job {
                Job::Post(post) => wanted_first(&post.instruction, &mut first),
                Job::Load(load) => {
                    for (_, account) in &load.accounts {
                        wanted_by_account(account, &mut first);
                    }
                    for (_, agreement) in &load.agreements {
                        wanted_by_agreement(agreement, &mut first);
                    }
                }
                Job::Administer(administer) => administer.wanted(&mut first),
                Job::Ask(ask) => ask.wanted_first(working.now().date(), &mut first),
                Job::Standing(_) | Job::Stop => {}
            }
        }
        self.fetch(first, working)?;
        let mut second = Wanted::default();
        for job in jobs {
            match job {
                Job::Post(post) => wanted_second(&post.instruction, working.view(), &mut second),
                Job::Ask(ask) => ask.wanted_second(working.view(), &mut second),
                Job::Load(_) | Job::Administer(_) | Job::Standing(_) | Job::Stop => {}
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

    /// What other shards hold under the keys of a group, where this one holds nothing. Its claims keep that from
    /// changing.
    fn elsewhere(&self, working: &Working, jobs: &[Job]) -> Elsewhere {
        #[cfg(feature = "mutations")]
        if crate::mutation::is(crate::mutation::Mutation::OtherShardsIgnored) {
            return Elsewhere::Known(FastMap::default());
        }
        let mut known = FastMap::default();
        let mut keys: Vec<TransferKey> = Vec::with_capacity(jobs.len());
        for job in jobs {
            if let Job::Post(post) = job {
                let key = post.instruction.key();
                keys.extend(working.view().transfer(key).is_none().then_some(*key));
            }
        }
        known.extend(
            keys.iter()
                .filter_map(|key| Some((*key, self.parts.store.elsewhere(key)?))),
        );
        for neighbour in &self.parts.neighbours {
            match neighbour.transfers(&keys) {
                Ok(found) => known.extend(found.into_iter().map(|row| (row.transfer.key, row))),
                Err(_told_when_it_is_asked_again) => return Elsewhere::OneByOne,
            }
        }
        Elsewhere::Known(known)
    }

    /// The same for one key; for a group of which some cannot be read, so that the others are worked.
    fn elsewhere_of(&self, key: &TransferKey) -> Result<Option<Remembered>, StoreFault> {
        if let Some(remembered) = self.parts.store.elsewhere(key) {
            return Ok(Some(remembered));
        }
        for neighbour in &self.parts.neighbours {
            if let Some(remembered) = neighbour.transfer(key)? {
                return Ok(Some(remembered));
            }
        }
        Ok(None)
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

    fn commit(&mut self, working: Working) -> Result<Fate, FatalFault> {
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
        if fate == Fate::Durable {
            self.parts.meters.committed(records, began.elapsed());
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
        if !self.in_doubt.is_empty() || self.parts.store.keys_kept_by().is_some() {
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

type Loading = (oneshot::Sender<Result<LoadReply, NothingPosted>>, LoadReply);

fn load_all(working: &mut Working, load: Load) -> Result<Loading, Defect> {
    let mut reply = LoadReply::default();
    for (place, account) in &load.accounts {
        match working.open_account(account)? {
            Loaded::New => reply.accounts += 1,
            Loaded::Unchanged => reply.unchanged += 1,
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
