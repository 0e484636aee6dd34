//! The whole ledger: which shard a piece of work belongs to, and that a key is worked once at a time over all of them.
//!
//! Everything one instruction touches lies in its home shard: the account it names, or the one its agreement's number
//! carries. What names neither goes to a shard chosen by its key, where its refusal is remembered.

mod asking;
mod way;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use ledger_model::{Account, AccountToken, Agreement, Instruction, Operator, ShardCount, ShardId};
use ledger_protocol::{Evidence, LoadReply, NewAccount, NothingPosted, Standing};
use tokio::sync::oneshot;

use crate::claims::{Claim, Claims};
use crate::clock::Clock;
use crate::evidence::{self, SealedEvidence};
use crate::feed::Feed;
use crate::hopping::groups::Groups;
use crate::hopping::regrouping::Regrouping;
use crate::hopping::route::AtHome;
use crate::meters::Meters;
use crate::outcome::{Outcome, ReplyTo};
use crate::shard::{Ask, Fatal, Load, Post, Shard, ShardLimits, ShardParts, ShardRun, Task};
use crate::shipping::Board;
use crate::store::{Reader, Store};

/// What a ledger is made of.
pub struct LedgerParts {
    /// One for each shard, in order.
    pub stores: Vec<Box<dyn Store>>,
    pub shards: ShardCount,
    pub limits: ShardLimits,
    pub clock: Clock,
    pub meters: Arc<Meters>,
    pub fatal: Fatal,
}

#[derive(Debug)]
pub struct Ledger {
    count: ShardCount,
    groups: Arc<Groups>,
    shards: Vec<Shard>,
    readers: Readers,
    claims: Arc<Claims>,
    halted: Arc<AtomicBool>,
    meters: Arc<Meters>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    shipping: OnceLock<Arc<Board>>,
    regrouping: OnceLock<Arc<Regrouping>>,
}

struct Readers(Vec<Arc<dyn Reader>>);

/// A batch of accounts and agreements that waits for its commits, one answer for each shard it touches.
#[derive(Debug)]
pub struct Loading(Vec<oneshot::Receiver<Result<LoadReply, NothingPosted>>>);

impl Loading {
    /// Durable when it returns.
    pub async fn loaded(self) -> Result<LoadReply, NothingPosted> {
        let mut all = LoadReply::default();
        for answer in self.0 {
            let reply = answer.await.unwrap_or(Err(NothingPosted::Store))?;
            all.accounts += reply.accounts;
            all.agreements += reply.agreements;
            all.unchanged += reply.unchanged;
            all.kept += reply.kept;
            all.refused.extend(reply.refused);
        }
        all.refused.sort_by_key(|refused| refused.place);
        Ok(all)
    }
}

/// A post before it has its key's claim.
#[derive(Debug)]
struct Unclaimed {
    home: ShardId,
    instruction: Instruction,
    evidence: SealedEvidence,
    deadline: Instant,
    reply: ReplyTo,
}

impl Ledger {
    /// Starts the shards, all of one group.
    pub fn start(parts: LedgerParts) -> std::io::Result<Arc<Self>> {
        let groups = Groups::single(parts.shards);
        Self::start_over(groups, parts)
    }

    /// Starts the shards.
    pub fn start_over(groups: Arc<Groups>, parts: LedgerParts) -> std::io::Result<Arc<Self>> {
        let (ledger, runs) = Self::assemble_over(groups, parts);
        for run in runs {
            ledger.threads().push(run.spawn()?);
        }
        Ok(ledger)
    }

    /// The ledger, and what has to be run for each shard in order; all of one group.
    pub fn assemble(parts: LedgerParts) -> (Arc<Self>, Vec<ShardRun>) {
        let groups = Groups::single(parts.shards);
        Self::assemble_over(groups, parts)
    }

    /// The ledger, and what has to be run for each shard in order.
    pub fn assemble_over(groups: Arc<Groups>, parts: LedgerParts) -> (Arc<Self>, Vec<ShardRun>) {
        let mut runs = Vec::with_capacity(parts.stores.len());
        let ledger = Arc::new_cyclic(|ledger| {
            let returned = way::returned_to(Weak::clone(ledger));
            let LedgerParts {
                stores,
                shards: count,
                limits,
                clock,
                meters,
                fatal,
            } = parts;
            let readers: Vec<Arc<dyn Reader>> = stores.iter().map(|store| store.reader()).collect();
            let halted = Arc::new(AtomicBool::new(false));
            let mut shards = Vec::with_capacity(stores.len());
            for (id, store) in count.all().zip(stores) {
                let others = count.all().zip(&readers).filter(|(other, _)| *other != id);
                let (shard, run) = Shard::assemble(ShardParts {
                    shards: count,
                    store,
                    neighbours: others.map(|(other, reader)| (other, Arc::clone(reader))).collect(),
                    groups: Arc::clone(&groups),
                    returned: Arc::clone(&returned),
                    limits,
                    clock: Arc::clone(&clock),
                    meters: Arc::clone(&meters),
                    fatal: Arc::clone(&fatal),
                    halted: Arc::clone(&halted),
                });
                shards.push(shard);
                runs.push(run);
            }
            Self {
                count,
                groups,
                shards,
                readers: Readers(readers),
                claims: Claims::new(),
                halted,
                meters,
                threads: Mutex::default(),
                shipping: OnceLock::new(),
                regrouping: OnceLock::new(),
            }
        });
        (ledger, runs)
    }

    /// Posts an instruction; the answer goes to `reply` when it is durable. Digests evidence, so call it off the
    /// executor, inside a tokio runtime.
    pub fn post(self: &Arc<Self>, instruction: Instruction, evidence: &Evidence, deadline: Instant, reply: ReplyTo) {
        if self.is_halted() {
            return reply.answer(Outcome::InProcess);
        }
        if deadline <= Instant::now() {
            self.meters.other("expired");
            return reply.answer(Outcome::NothingPosted(NothingPosted::Expired));
        }
        let Ok(evidence) = evidence::seal(evidence) else {
            self.meters.other("malformed");
            return reply.answer(Outcome::NothingPosted(NothingPosted::MalformedWork));
        };
        let home = match self.home(&instruction) {
            Ok(home) => home,
            Err(fault) => {
                tracing::error!(%fault, cause = ?fault, "the home of a reversal could not be looked up; nothing was posted");
                return reply.answer(Outcome::NothingPosted(NothingPosted::Store));
            }
        };
        let post = Unclaimed {
            home,
            instruction,
            evidence,
            deadline,
            reply,
        };
        match self.claims.claim(*post.instruction.key()) {
            Ok(claim) => self.claimed(post, claim),
            Err(turn) => {
                tokio::spawn(Arc::clone(self).post_after(post, turn));
            }
        }
    }

    /// Waits for its turn with the key.
    async fn post_after(self: Arc<Self>, post: Unclaimed, turn: oneshot::Receiver<Claim>) {
        if let Ok(Ok(claim)) = tokio::time::timeout_at(post.deadline.into(), turn).await {
            self.claimed(post, claim);
        } else {
            self.meters.other("in_process");
            post.reply.answer(Outcome::InProcess);
        }
    }

    fn claimed(&self, post: Unclaimed, claim: Claim) {
        let Unclaimed {
            home,
            instruction,
            evidence,
            deadline,
            reply,
        } = post;
        let post = Post {
            home,
            instruction,
            evidence,
            deadline,
            reply,
            claim,
            task: Task::Decide,
            turned_away: 0,
            in_doubt_at: None,
        };
        self.route(Box::new(post), AtHome::NotTried);
    }

    /// Brings in accounts and agreements, each with its place in the batch it came in; durable when it returns.
    pub async fn load(
        self: &Arc<Self>,
        accounts: Vec<(u32, Account)>,
        agreements: Vec<(u32, Agreement)>,
    ) -> Result<LoadReply, NothingPosted> {
        let accounts = accounts.into_iter().map(|(place, account)| (place, account.into()));
        let operator = "load".parse().expect("a short word is a name");
        let queued = self.queue_load(accounts.collect(), agreements, &operator).await;
        queued?.loaded().await
    }

    /// As [`load`](Self::load), no further than into the queues of the shards: what is queued later is loaded later.
    pub async fn queue_load(
        self: &Arc<Self>,
        accounts: Vec<(u32, NewAccount)>,
        agreements: Vec<(u32, Agreement)>,
        operator: &Operator,
    ) -> Result<Loading, NothingPosted> {
        let mut homes: BTreeMap<ShardId, (Vec<_>, Vec<_>)> = BTreeMap::new();
        for (place, new) in accounts {
            let home = self.count.of_account(new.account.token);
            homes.entry(home).or_default().0.push((place, new));
        }
        for (place, agreement) in agreements {
            let home = self.count.of_account(agreement.account);
            homes.entry(home).or_default().1.push((place, agreement));
        }
        let (ledger, operator) = (Arc::clone(self), operator.clone());
        // waits for room in the shards' queues
        let queued = tokio::task::spawn_blocking(move || {
            let mut answers = Vec::with_capacity(homes.len());
            for (home, (accounts, agreements)) in homes {
                let (reply, answer) = oneshot::channel();
                ledger.shard(home).load(Load {
                    accounts,
                    agreements,
                    operator: operator.clone(),
                    reply,
                });
                answers.push(answer);
            }
            answers
        });
        queued.await.map(Loading).map_err(|_| NothingPosted::Store)
    }

    /// How an account stands in its home shard, after the record it names.
    pub async fn standing(self: &Arc<Self>, account: AccountToken) -> Result<Standing, NothingPosted> {
        let (reply, answer) = oneshot::channel();
        self.ask(self.count.of_account(account), Ask::Standing(account, reply))
            .await?;
        answer.await.unwrap_or(Err(NothingPosted::Store))
    }

    /// What `positions` shows of shipping from now on; the first one stays.
    pub fn show_shipping(&self, board: Arc<Board>) {
        let _first_stays = self.shipping.set(board);
    }

    /// What moves its shards from now on; the first one stays.
    pub fn regroup_by(&self, regrouping: Arc<Regrouping>) {
        let _first_stays = self.regrouping.set(regrouping);
    }

    /// `None` where its shards cannot move.
    pub fn regrouping(&self) -> Option<&Arc<Regrouping>> {
        self.regrouping.get()
    }

    pub fn groups(&self) -> &Arc<Groups> {
        &self.groups
    }

    pub fn count(&self) -> ShardCount {
        self.count
    }

    pub fn shard(&self, shard: ShardId) -> &Shard {
        self.shards
            .get(shard.index())
            .expect("a shard id is within the count it was made from")
    }

    pub fn feed(&self, shard: ShardId) -> Feed {
        let reader = self
            .readers
            .0
            .get(shard.index())
            .expect("a shard id is within the count it was made from");
        Feed {
            shard,
            reader: Arc::clone(reader),
            committed: self.shard(shard).committed(),
        }
    }

    /// Whether a fault ended a shard; the process is about to end.
    pub fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Acquire)
    }

    /// Ends the shards after what is queued, and waits for them.
    pub fn stop(&self) {
        for shard in &self.shards {
            shard.stop();
        }
        for thread in self.threads().drain(..) {
            let _told_by_the_thread_itself = thread.join();
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "of {} shards", self.0.len())
    }
}

impl std::fmt::Debug for LedgerParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerParts")
            .field("shards", &self.shards)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
