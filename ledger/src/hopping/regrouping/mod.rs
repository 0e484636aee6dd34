//! Adding a shard group to a ledger in use, and removing one: which shards move ([`plan`]), and moving them one after another.
//!
//! What is ordered goes on when nobody listens any more, and breaks off where a server fails or the process stops. It can be
//! broken off anywhere: the same order again, in this process or another, goes on from what the databases say. One order is
//! carried out at a time.

mod plan;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

use self::plan::{Plan, Refusal, Step, plan};
use super::map::{GroupId, GroupMap};
use super::placement::{Placement, PlacementFault};
use super::survey::Said;
use crate::store::StoreFault;
use crate::store::postgres::{Move, MoveFault, MoveProgress, MoveStep, Whereabouts};

pub use self::plan::Order;

/// What is being done about an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The databases are asked.
    Planning,
    Moving(Moving),
    /// All of it, in this order.
    Done(Vec<Moved>),
    /// Nothing was moved; why.
    Refused(String),
    /// What was moved stays moved; the same order again goes on.
    BrokeOff(String),
}

/// The shard that moves now, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving {
    pub moved: Moved,
    /// Of the shards that move by this order, from 1.
    pub place: usize,
    pub of: usize,
    /// None before it has begun.
    pub progress: Option<MoveProgress>,
}

/// A shard, and the names of the groups it goes from and to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub shard: u8,
    pub from: String,
    pub to: String,
}

#[derive(Debug, thiserror::Error)]
enum RegroupingFault {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Placement(#[from] PlacementFault),
    #[error("the group {group} cannot be used")]
    Group {
        group: String,
        #[source]
        source: StoreFault,
    },
    #[error("shard {shard} could not be moved")]
    Move {
        shard: u8,
        #[source]
        source: MoveFault,
    },
}

pub struct Regrouping {
    placement: Arc<Placement>,
    current: Mutex<Option<Work>>,
    is_stopping: AtomicBool,
}

/// What was ordered last.
struct Work {
    order: Order,
    standing: watch::Receiver<Standing>,
    thread: JoinHandle<()>,
}

impl Standing {
    pub const fn is_over(&self) -> bool {
        match self {
            Self::Planning | Self::Moving(_) => false,
            Self::Done(_) | Self::Refused(_) | Self::BrokeOff(_) => true,
        }
    }
}

impl Work {
    fn is_under_way(&self) -> bool {
        !self.thread.is_finished() && !self.standing.borrow().is_over()
    }
}

impl Regrouping {
    pub fn new(placement: Arc<Placement>) -> Arc<Self> {
        Arc::new(Self {
            placement,
            current: Mutex::new(None),
            is_stopping: AtomicBool::new(false),
        })
    }

    pub fn placement(&self) -> &Arc<Placement> {
        &self.placement
    }

    /// Carries an order out, on a thread of its own; or listens to it where it is being carried out already.
    pub fn order(self: &Arc<Self>, order: Order) -> watch::Receiver<Standing> {
        let mut current = self.current();
        if let Some(work) = current.as_ref().filter(|work| work.is_under_way()) {
            if work.order == order {
                return work.standing.clone();
            }
            let text = format!(
                "shards are moving for the group {} now; wait for it",
                work.order.group()
            );
            return watch::channel(Standing::Refused(text)).1;
        }
        let (told, standing) = watch::channel(Standing::Planning);
        let (regrouping, ordered) = (Arc::clone(self), order.clone());
        let thread = std::thread::Builder::new()
            .name("regrouping".to_owned())
            .spawn(move || regrouping.carry_out(&ordered, &told));
        match thread {
            Ok(thread) => {
                let listened = standing.clone();
                *current = Some(Work {
                    order,
                    standing,
                    thread,
                });
                listened
            }
            Err(fault) => watch::channel(Standing::BrokeOff(format!("a thread cannot be started: {fault}"))).1,
        }
    }

    /// What is moving now.
    pub fn moving(&self) -> Option<Moving> {
        let current = self.current();
        let work = current.as_ref().filter(|work| work.is_under_way());
        let standing = work.map(|work| work.standing.borrow().clone());
        match standing {
            Some(Standing::Moving(moving)) => Some(moving),
            Some(Standing::Planning | Standing::Done(_) | Standing::Refused(_) | Standing::BrokeOff(_)) | None => None,
        }
    }

    /// Breaks off what is under way, between two pieces of it, and waits for that.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        let work = self.current().take();
        if let Some(work) = work
            && work.thread.join().is_err()
        {
            tracing::error!("moving shards panicked; the same order goes on from what is there");
        }
    }

    fn carry_out(&self, order: &Order, told: &watch::Sender<Standing>) {
        let group = order.group();
        let over = match self.planned(order) {
            Ok((map, plan)) => self.move_all(&map, plan, told),
            Err(fault) => {
                tracing::warn!(%group, fault = told_whole(&fault), "nothing is moved");
                Standing::Refused(told_whole(&fault))
            }
        };
        told.send_replace(over);
    }

    fn planned(&self, order: &Order) -> Result<(Arc<GroupMap>, Plan), RegroupingFault> {
        let group = self.placement.meet(order.group().as_str())?;
        let map = self.placement.groups().map();
        let mut said: Vec<Said> = Vec::new();
        for other in map.groups() {
            said.push(self.ask(&map, other, group)?);
        }
        let plan = plan(order, group, &map, &said)?;
        if map.is_empty(group) && said.get(group.place()).is_some_and(Option::is_some) {
            // what was seen of it in an earlier life does not count
            self.placement.groups().add(order.group());
        }
        Ok((map, plan))
    }

    /// `None` where it is down. Of the group that is ordered about it is told why it cannot be used.
    fn ask(&self, map: &GroupMap, other: GroupId, ordered: GroupId) -> Result<Said, RegroupingFault> {
        if other != ordered && !self.placement.groups().state(other).is_used() {
            return Ok(None);
        }
        match self.placement.residents(other) {
            Ok(said) => Ok(Some(said)),
            Err(StoreFault::Unreachable(_)) if other != ordered => Ok(None),
            // one that was to be added, and cannot be used
            Err(_) if other != ordered && map.is_empty(other) => Ok(None),
            Err(source) => Err(RegroupingFault::Group {
                group: map.name(other).to_string(),
                source,
            }),
        }
    }

    fn move_all(&self, map: &GroupMap, plan: Plan, told: &watch::Sender<Standing>) -> Standing {
        let moved = |step: &Step| Moved {
            shard: step.shard.number(),
            from: map.name(step.from).to_string(),
            to: map.name(step.to).to_string(),
        };
        let Plan { steps, rests } = plan;
        let of = rests.len() + steps.len();
        for (place, step) in (1..).zip(rests.iter().chain(&steps)) {
            let mut moving = Moving {
                moved: moved(step),
                place,
                of,
                progress: None,
            };
            told.send_replace(Standing::Moving(moving.clone()));
            let Moved { shard, from, to } = &moving.moved;
            tracing::info!(shard, from, to, place, of, "a shard begins to move");
            let done = self.move_one(map, *step, &mut |progress| {
                moving.progress = Some(progress);
                told.send_replace(Standing::Moving(moving.clone()));
            });
            if let Err(fault) = done {
                return broke_off(&fault);
            }
            let Moved { shard, from, to } = moved(step);
            tracing::info!(shard, from, to, "a shard has moved");
        }
        Standing::Done(steps.iter().map(moved).collect())
    }

    fn move_one(&self, map: &GroupMap, step: Step, told: &mut dyn FnMut(MoveProgress)) -> Result<(), RegroupingFault> {
        let Step { shard, from, to } = step;
        let placement = &self.placement;
        let [from, to_servers] = [from, to].map(|group| placement.settings(group));
        let mut arrived = false;
        let moved = Move::new(shard, from, to_servers, placement.shards()).run(
            &mut |progress| {
                if progress.step == MoveStep::Clearing && !std::mem::replace(&mut arrived, true) {
                    self.arrived(map, step);
                }
                told(progress);
            },
            &|| self.is_stopping.load(Ordering::Acquire),
        );
        moved.map_err(|source| RegroupingFault::Move {
            shard: shard.number(),
            source,
        })?;
        self.arrived(map, step);
        Ok(())
    }

    /// Its stores would find out themselves, at the cost of a look at the wrong group.
    fn arrived(&self, map: &GroupMap, step: Step) {
        let to = map.name(step.to).as_str();
        let _known_to_this_process = self.placement.moved(step.shard, to);
    }

    fn current(&self) -> MutexGuard<'_, Option<Work>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn broke_off(fault: &RegroupingFault) -> Standing {
    let fault = told_whole(fault);
    tracing::error!(
        fault,
        "moving shards broke off; the same order goes on from what is there"
    );
    Standing::BrokeOff(fault)
}

/// A fault and what lies behind it.
fn told_whole(fault: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(fault.source(), |cause| cause.source());
    causes.fold(fault.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl std::fmt::Debug for Regrouping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Regrouping")
            .field("placement", &self.placement)
            .finish_non_exhaustive()
    }
}
