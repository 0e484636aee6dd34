//! Moving a shard to another group while it is in use.
//!
//! ```text
//!   copy        rows, then journal and transfers                    orders go on in the old group
//!   catch up    what came meanwhile, until little is left           orders go on
//!   hand over   the rest; the old group is marked, the new opened   orders of the shard wait
//!   clear       what is left in the old group is deleted            orders go on in the new group
//! ```
//!
//! * **One place.** A shard lives where its row is neither marked as left nor as arriving. The mark is one commit of the
//!   old group, under the lock that every writer of the shard takes, see `hand_over`; so what was committed before it,
//!   late commits included, is brought along, and nothing is committed there after it.
//! * **Any end.** A move that broke off leaves the shard where it was, or on its way with all of it still in the old group.
//!   [`Move::run`] goes on from whatever it finds; whoever needs a shard that is on its way finishes it.
//! * **One mover.** Each holds an advisory lock of the shard in both databases, as long as its sessions last.
//! * **Bounded.** Nothing is held in memory but one piece; every transaction is small, so that orders of other shards never
//!   wait for long.
//!
//! Of the two databases nothing is assumed to be atomic together, and no clock is compared.

mod arrival;
mod clearing;
mod end;
mod fault;
mod hand_over;
mod piece;

use std::sync::Arc;

use ledger_model::{ShardCount, ShardId};

use self::arrival::Arrival;
use self::clearing::{Clearing, Emptying};
use self::end::{End, Standing};
pub use self::fault::MoveFault;
use self::hand_over::{HandOver, Handed};
use self::piece::Piece;
use super::frame::{signed, unsigned};
use super::link::Deadline;
use super::settings::GroupSettings;
use crate::store::StoreFault;

/// Records that are brought while orders wait; more are caught up with first.
const REST_MAX: i64 = 1_000;
/// How often it is tried to catch up before orders are left waiting for longer than usual.
const ROUNDS_MAX: u32 = 12;
/// How often a hand-over is tried again that came to nothing, as where it took too long.
const HAND_OVERS_MAX: usize = 3;
/// Records that an order finishes bringing by itself.
const FINISHED_MAX: i64 = 100_000;

/// One shard, from the group where it lives to another.
#[derive(Debug)]
pub struct Move {
    shard: ShardId,
    from: Arc<GroupSettings>,
    to: Arc<GroupSettings>,
    shards: ShardCount,
}

/// How far a move has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoveProgress {
    pub step: MoveStep,
    /// Rows and records of this step.
    pub done: u64,
    /// As estimated when the step began.
    pub of: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveStep {
    /// What was there when the move began; orders go on.
    Copying,
    /// What came meanwhile.
    CatchingUp,
    /// Orders of the shard wait.
    HandingOver,
    /// The shard is open in its new group; what is left in the old one is deleted.
    Clearing,
}

/// Whom a move tells how far it is, and who may stop it.
struct Telling<'a> {
    told: &'a mut dyn FnMut(MoveProgress),
    stop: &'a dyn Fn() -> bool,
    now: MoveProgress,
}

/// Where a move stands when it is begun.
enum Begun {
    /// The shard is in the old group.
    AtHome,
    OnItsWay,
    /// It is in the new group.
    There,
}

impl Move {
    pub fn new(shard: ShardId, from: Arc<GroupSettings>, to: Arc<GroupSettings>, shards: ShardCount) -> Self {
        Self {
            shard,
            from,
            to,
            shards,
        }
    }

    /// Waits until the shard is in its new group and nothing of it left in the old one. Begun again after it broke off,
    /// wherever that was, it goes on from what it finds.
    ///
    /// `told` is called between pieces and `stop` asked; what is stopped can be gone on with.
    pub fn run(&mut self, told: &mut dyn FnMut(MoveProgress), stop: &dyn Fn() -> bool) -> Result<(), MoveFault> {
        let mut telling = Telling {
            told,
            stop,
            now: MoveProgress {
                step: MoveStep::Copying,
                done: 0,
                of: 0,
            },
        };
        let mut failed = Vec::new();
        loop {
            match self.attempt(&mut telling) {
                Err(fault @ MoveFault::Unreachable { .. })
                    if telling.now.step == MoveStep::HandingOver && failed.len() < HAND_OVERS_MAX =>
                {
                    tracing::warn!(shard = %self.shard, %fault, cause = ?fault, "a hand-over came to nothing");
                    failed.push(fault);
                }
                // by what was left of this one: a commit that waits for its standby
                Err(MoveFault::TakenByAnother) if !failed.is_empty() => return Err(failed.remove(0)),
                ended => return ended,
            }
        }
    }

    fn attempt(&self, telling: &mut Telling<'_>) -> Result<(), MoveFault> {
        telling.begin(MoveStep::Copying, 0);
        let mut from = End::prepared(&self.from, self.shards, self.shard)?;
        let mut to = End::prepared(&self.to, self.shards, self.shard)?;
        match begun(&from, &to, self.shard)? {
            Begun::AtHome | Begun::OnItsWay => {
                let mut arrival = Arrival::begin((&from, &to), self.shard, telling)?;
                catch_up((&from, &mut to), &mut arrival, telling)?;
                hand_over((&mut from, &mut to), &mut arrival, telling)?;
            }
            Begun::There => {}
        }
        to.tell_others(self.shard)?;
        Clearing::new(&from, self.shard, Emptying::AfterItLeft).run(telling)
    }
}

fn begun(from: &End, to: &End, shard: ShardId) -> Result<Begun, MoveFault> {
    let old = from.standing(shard)?.ok_or(MoveFault::NotHere)?;
    if old.is_here() {
        return Ok(Begun::AtHome);
    }
    if !old.left_for(to.name()) {
        return Err(MoveFault::NotHere);
    }
    let new = to.standing(shard)?;
    // after it arrived it may have gone further
    let arrives = |row: &Standing| row.arrives_from(from.name());
    Ok(if new.as_ref().is_some_and(arrives) {
        Begun::OnItsWay
    } else if new.is_some() {
        Begun::There
    } else {
        return Err(MoveFault::Content(StoreFault::Inconsistent(
            "the shard left for a database that never saw it",
        )));
    })
}

/// Brings what is in the journal now. What comes meanwhile is the next round's: under load there is always more.
fn catch_up((from, to): (&End, &mut End), arrival: &mut Arrival, telling: &mut Telling<'_>) -> Result<(), MoveFault> {
    let until = from.standing(arrival.shard)?.map_or(0, |row| row.sequence);
    let until = unsigned(until).map_err(MoveFault::Content)?;
    while arrival.position.sequence < until {
        telling.go_on()?;
        let piece = Piece::read(from, arrival.shard, arrival.position, arrival.flushed)?;
        let Some(piece) = piece else { break };
        let before = arrival.position.sequence;
        arrival.bring(to, &piece)?;
        telling.add(arrival.position.sequence - before);
    }
    Ok(())
}

fn hand_over(
    (from, to): (&mut End, &mut End),
    arrival: &mut Arrival,
    telling: &mut Telling<'_>,
) -> Result<(), MoveFault> {
    let limit = from.group().call_limit.min(to.group().call_limit);
    for round in 1.. {
        telling.go_on()?;
        telling.begin(MoveStep::HandingOver, 1);
        let rest_max = if round < ROUNDS_MAX { REST_MAX } else { i64::MAX };
        let handed = HandOver {
            from: &mut *from,
            to: &mut *to,
            arrival: &mut *arrival,
            rest_max,
            deadline: Deadline::after(limit),
        }
        .run()?;
        match handed {
            Handed::Over => break,
            Handed::TooMuch => {
                let left = from.standing(arrival.shard)?.map_or(0, |row| row.sequence);
                let come = signed(arrival.position.sequence).map_err(MoveFault::Content)?;
                telling.begin(MoveStep::CatchingUp, left.saturating_sub(come));
                catch_up((&*from, &mut *to), arrival, telling)?;
            }
        }
    }
    telling.add(1);
    Ok(())
}

/// Ends the hand-over of a shard that has left its old group and is not open in the new one.
pub(super) fn finish(
    from: &Arc<GroupSettings>,
    to: &Arc<GroupSettings>,
    shard: ShardId,
    deadline: Deadline,
) -> Result<(), StoreFault> {
    let finished = || -> Result<(), MoveFault> {
        let mut from = End::connected(from, shard, deadline)?;
        let mut to = End::connected(to, shard, deadline)?;
        let arriving = to.standing(shard)?.filter(|row| row.arrives_from(from.name()));
        let (Begun::OnItsWay, Some(arriving)) = (begun(&from, &to, shard)?, arriving) else {
            return Ok(());
        };
        let arrival = Arrival::left(&from, &to, shard, &arriving)?;
        let mut arrival = arrival.ok_or(MoveFault::TakenByAnother)?;
        let handed = HandOver {
            from: &mut from,
            to: &mut to,
            arrival: &mut arrival,
            rest_max: FINISHED_MAX,
            deadline,
        }
        .run()?;
        match handed {
            Handed::Over => {
                tracing::warn!(%shard, from = from.name(), to = to.name(), "finished a move that broke off");
                Ok(())
            }
            Handed::TooMuch => Err(MoveFault::TakenByAnother),
        }
    };
    finished().map_err(MoveFault::unreachable)
}

impl Telling<'_> {
    fn begin(&mut self, step: MoveStep, of: i64) {
        self.now = MoveProgress {
            step,
            done: 0,
            of: unsigned(of).unwrap_or_default(),
        };
        (self.told)(self.now);
    }

    fn go_on(&self) -> Result<(), MoveFault> {
        if (self.stop)() { Err(MoveFault::Stopped) } else { Ok(()) }
    }

    fn add(&mut self, done: u64) {
        self.now.done = self.now.done.saturating_add(done);
        (self.told)(self.now);
    }

    /// Rows of one answer.
    fn tell(&mut self, rows: usize) {
        self.add(u64::try_from(rows).unwrap_or_default());
    }

    /// By the number of a record.
    fn come_to(&mut self, record: i64) {
        self.now.done = unsigned(record).unwrap_or_default();
        (self.told)(self.now);
    }
}
