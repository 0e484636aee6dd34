//! A shard: one thread ([`thread`]) that alone has one store written ([`worker`]).
//!
//! ```text
//!   queue (bounded) ──▶ take what is there ──▶ decide in order ──▶ one durable commit ──▶ answers
//!                       (bounded, expired          over one view        (group commit)
//!                        ones dropped)
//! ```
//!
//! What a refusal, a repeat or a read fault of one instruction comes to never touches its neighbours. A commit that
//! fails, a broken invariant or a panic ends the process through [`Fatal`], with nothing answered: what may have posted
//! is never called failed.

mod administering;
mod answering;
mod committing;
mod doubt;
mod elsewhere;
mod errand;
mod fetching;
pub mod group;
mod repeats;
mod thread;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use ledger_model::{Agreement, Hop, Instruction, Operator, ShardCount, ShardId};
use ledger_protocol::{LoadReply, NewAccount, NothingPosted};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{oneshot, watch};

pub use self::repeats::CALM_GROUPS;
use self::repeats::Repeats;
use self::worker::Worker;
use crate::claims::Claim;
use crate::clock::Clock;
use crate::engine::Defect;
use crate::evidence::SealedEvidence;
use crate::hopping::groups::{Groups, Underway};
use crate::hopping::route::AtHome;
use crate::meters::Meters;
use crate::outcome::{Outcome, ReplyTo};
use crate::state::ShardState;
use crate::store::{Reader, Store, StoreFault};

pub use self::administering::{Administer, Ask, adjusted};
pub use self::doubt::InDoubt;
pub use self::errand::Errand;
pub use self::thread::{ShardRun, Stepped};

/// A post that is on its way. Its claim is let go when what it came to is durable.
#[derive(Debug)]
pub struct Post {
    /// Shard of the account whose money it moves.
    pub home: ShardId,
    pub instruction: Instruction,
    pub evidence: SealedEvidence,
    pub deadline: Instant,
    pub reply: ReplyTo,
    pub claim: Claim,
    pub task: Task,
    /// Shards that were asked before and certainly did nothing.
    pub turned_away: u8,
    /// Of a shard where it may be posted already.
    pub in_doubt_at: Option<InDoubt>,
}

/// Of a hop whose home has certainly done nothing. A later one is of an order that may be at home as well.
pub const FIRST_ATTEMPT: u8 = 1;

/// What a shard is to do with a post.
#[derive(Debug)]
pub enum Task {
    /// Decide it, at home.
    Decide,
    /// Answer what is known of it, and decide nothing: it may have hopped into a group that cannot be asked.
    Recall,
    /// Take it in for its home.
    TakeIn { hop: Hop, underway: Underway },
}

impl Task {
    /// What is said where this shard did nothing.
    fn nothing_posted(&self, reason: NothingPosted) -> Outcome {
        match self {
            Self::TakeIn { hop, .. } if hop.attempt > FIRST_ATTEMPT => Outcome::InProcess,
            Self::Decide | Self::Recall | Self::TakeIn { .. } => Outcome::NothingPosted(reason),
        }
    }
}

impl Post {
    /// Says that nothing was posted, where that is certain.
    pub fn nothing_posted(self, reason: NothingPosted) {
        let outcome = self.task.nothing_posted(reason);
        self.answer(outcome);
    }

    pub fn answer(self, outcome: Outcome) {
        let Self {
            reply,
            claim,
            task,
            in_doubt_at,
            ..
        } = self;
        // whoever is answered can ask about the key at once
        drop(task);
        InDoubt::let_go(claim, in_doubt_at, &outcome);
        reply.answer(outcome);
    }
}

/// Takes back what its shard could not work, with what came of it at home.
pub type Returned = Arc<dyn Fn(Box<Post>, AtHome) + Send + Sync>;

/// Accounts and agreements of one shard, each with its place in the batch it came in.
#[derive(Debug)]
pub struct Load {
    pub accounts: Vec<(u32, NewAccount)>,
    pub agreements: Vec<(u32, Agreement)>,
    /// Who loads them, for the records of limits.
    pub operator: Operator,
    pub reply: oneshot::Sender<Result<LoadReply, NothingPosted>>,
}

#[derive(Debug)]
enum Job {
    Post(Box<Post>),
    Load(Load),
    Errand(Errand),
    Administer(Box<Administer>),
    Ask(Ask),
    Stop,
}

/// Why the process must end.
#[derive(Debug, thiserror::Error)]
pub enum FatalFault {
    #[error("shard {shard} could not commit; whether the group is there is not known")]
    Commit {
        shard: ShardId,
        #[source]
        source: StoreFault,
    },
    #[error("shard {shard} holds a broken invariant")]
    Defect {
        shard: ShardId,
        #[source]
        source: Defect,
    },
    #[error("shard {shard} panicked: {text}")]
    Panic { shard: ShardId, text: String },
}

/// Ends the process; in tests, only notes that it would have.
pub type Fatal = Arc<dyn Fn(&FatalFault) + Send + Sync>;

#[derive(Debug, Clone, Copy)]
pub struct ShardLimits {
    /// Work that waits, at the most; more is refused as busy.
    pub queue_max: usize,
    /// Work in one commit, at the most.
    pub commit_batch_max: usize,
    /// Days for which idempotency records and daily sums are kept. An order of an earlier day is not worked: whether it
    /// was posted before could not be told.
    pub kept_days: u32,
    /// Groups in a row without a repeat, after which keys are taken as new where the store finds out that one is not.
    pub calm_groups: u32,
}

/// What a shard's thread works with.
pub struct ShardParts {
    pub shards: ShardCount,
    pub store: Box<dyn Store>,
    /// Every other shard.
    pub neighbours: Vec<(ShardId, Arc<dyn Reader>)>,
    pub groups: Arc<Groups>,
    pub returned: Returned,
    pub limits: ShardLimits,
    pub clock: Clock,
    pub meters: Arc<Meters>,
    pub fatal: Fatal,
    /// Set before a fatal fault is told, by any shard.
    pub halted: Arc<AtomicBool>,
}

/// The outside of a running shard.
#[derive(Debug)]
pub struct Shard {
    queue: SyncSender<Job>,
    depth: Gauge,
    committed: watch::Receiver<ShardState>,
    shipped: Arc<AtomicU64>,
    epoch: Arc<AtomicU64>,
    is_seen: Arc<AtomicBool>,
}

impl Shard {
    /// A shard and its inside, which nobody runs yet.
    pub fn assemble(parts: ShardParts) -> (Self, ShardRun) {
        let state = parts.store.state().clone();
        let shard = state.shard;
        let (queue, jobs) = sync_channel(parts.limits.queue_max);
        let shipped = Arc::new(AtomicU64::new(state.shipped));
        let epoch = Arc::new(AtomicU64::new(parts.store.epoch()));
        let is_seen = Arc::new(AtomicBool::new(parts.store.is_seen()));
        let (publish, committed) = watch::channel(state);
        let depth = parts.meters.queue_depth(shard);
        let run = ShardRun {
            worker: Worker {
                parts,
                shard,
                committed: publish,
                shipped: Arc::clone(&shipped),
                epoch: Arc::clone(&epoch),
                is_seen: Arc::clone(&is_seen),
                in_doubt: InDoubt::default(),
                repeats: Repeats::default(),
            },
            queue: jobs,
            depth: depth.clone(),
        };
        let outside = Self {
            queue,
            depth,
            committed,
            shipped,
            epoch,
            is_seen,
        };
        (outside, run)
    }

    /// Every post is answered, here if not by the shard's thread.
    pub fn post(&self, post: Box<Post>) {
        self.depth.inc();
        let Err(refused) = self.queue.try_send(Job::Post(post)) else {
            return;
        };
        self.depth.dec();
        match refused {
            TrySendError::Full(job) => job.nothing_posted(NothingPosted::Busy),
            // it ended, perhaps over a fault, and then nothing definite is said any more
            TrySendError::Disconnected(job) => job.answer(Outcome::InProcess),
        }
    }

    /// Waits for room in the queue. A shard that has ended drops the load, and so ends the wait for its reply.
    pub fn load(&self, load: Load) {
        self.depth.inc();
        if self.queue.send(Job::Load(load)).is_err() {
            self.depth.dec();
        }
    }

    /// Never waits for room in the queue: an errand that finds none is dropped, and so told not to be done.
    pub fn errand(&self, errand: Errand) {
        self.depth.inc();
        if self.queue.try_send(Job::Errand(errand)).is_err() {
            self.depth.dec();
        }
    }

    /// Under which its store last took it.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether its state was ever read: its group may be away from the beginning, and then nothing is known of it.
    pub fn is_seen(&self) -> bool {
        self.is_seen.load(Ordering::Acquire)
    }

    /// As of the last commit, with what Kafka is known to hold now: less than before where a partition has lost records.
    pub fn state(&self) -> ShardState {
        let mut state = self.committed.borrow().clone();
        state.shipped = self.shipped.load(Ordering::Acquire);
        state
    }

    /// Changes with every commit.
    pub fn committed(&self) -> watch::Receiver<ShardState> {
        self.committed.clone()
    }

    /// Where whoever ships notes how far it has come.
    pub fn shipped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shipped)
    }

    /// The shard ends after what is queued now. Waits for room in the queue.
    pub fn stop(&self) {
        let _ended_already = self.queue.send(Job::Stop);
    }
}

impl Job {
    /// Answers work that was not begun.
    fn nothing_posted(self, reason: NothingPosted) {
        match self {
            Self::Load(load) => {
                let _loader_has_gone = load.reply.send(Err(reason));
            }
            Self::Administer(administer) => administer.nothing_posted(reason),
            Self::Ask(ask) => ask.nothing_posted(reason),
            Self::Post(post) => post.nothing_posted(reason),
            // an errand that is dropped tells that it was not done
            Self::Errand(_) | Self::Stop => {}
        }
    }

    fn answer(self, outcome: Outcome) {
        if let Self::Post(post) = self {
            post.answer(outcome);
        }
    }
}

impl std::fmt::Debug for ShardParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardParts")
            .field("shards", &self.shards)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
