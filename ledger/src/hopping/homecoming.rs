//! What runs beside the orders: probes the groups, fences those that come back, brings open hops home.
//!
//! ```text
//!   every probe_ms:  write to every group ──▶ fence what recovers ──▶ list open hops ──▶ settle at home ──▶ close
//! ```
//!
//! A round depends on nothing that an earlier one left behind but the books, so a crash between any two steps is made good
//! by the next round of any process. Rounds of several processes may overlap: each step is taken under its shard's lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ledger_model::{ChinaTime, HopState, ShardId};
use operations::stop::Stop;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use super::groups::Groups;
use super::map::GroupId;
use super::selector::{GroupState, Seen};
use super::settlement::{HomeSeen, Progress, Step, next};
use crate::books::HopRow;
use crate::clock::Clock;
use crate::meters::Meters;
use crate::router::Ledger;
use crate::shard::Errand;
use crate::store::{OpenHops, StoreFault};

/// Open hops of a shard that are brought home in one round, oldest first.
const LISTED_MAX: usize = 2_048;
/// Settlements that are under way at a time; a shard takes them as one group.
const UNDER_WAY_MAX: usize = 256;

/// Writes something small to a shard group, durably, over a connection of its own; takes a second at the most. That a server
/// answers questions proves nothing: one that was recovered may be read-only.
pub trait Probe: Send + Sync {
    fn write(&self) -> Result<(), StoreFault>;
}

/// A group without a probe is one that cannot be lost apart from this process.
pub type Probes = BTreeMap<GroupId, Arc<dyn Probe>>;

/// How the groups are reached, beside their stores. A map of probes reaches groups that never change.
pub trait Reach: Send + Sync {
    /// As the groups are now.
    fn probes(&self) -> Probes;

    /// The group can be written again: which shards it holds may be learned from it. It is not used before this succeeds.
    fn look_again(&self, _group: GroupId) -> Result<(), StoreFault> {
        Ok(())
    }
}

impl Reach for Probes {
    fn probes(&self) -> Probes {
        self.clone()
    }
}

impl<R: Reach> Reach for Arc<R> {
    fn probes(&self) -> Probes {
        R::probes(self)
    }

    fn look_again(&self, group: GroupId) -> Result<(), StoreFault> {
        R::look_again(self, group)
    }
}

pub struct Homecoming {
    ledger: Arc<Ledger>,
    reach: Arc<dyn Reach>,
    clock: Clock,
    meters: Arc<Meters>,
}

/// What a round did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Round {
    /// Hops that were open when it began, as far as their shards could be asked.
    pub open: u64,
    pub closed: u64,
}

impl Homecoming {
    pub fn new(ledger: Arc<Ledger>, reach: impl Reach + 'static, clock: Clock, meters: Arc<Meters>) -> Self {
        Self {
            ledger,
            reach: Arc::new(reach),
            clock,
            meters,
        }
    }

    /// Until the stop is requested.
    pub async fn run(self, interval: Duration, stop: Stop) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.requested() => return,
                _ = ticks.tick() => {}
            }
            let _told_by_the_meters = self.round().await;
        }
    }

    /// One round of everything.
    pub async fn round(&self) -> Round {
        self.probe().await;
        self.fence_recovering().await;
        let round = self.bring_home().await;
        let map = self.groups().map();
        for group in map.groups() {
            if map.is_empty(group) {
                self.meters.group_gone(map.name(group));
            } else {
                self.meters.group_state(map.name(group), self.groups().state(group));
            }
        }
        round
    }

    fn groups(&self) -> &Arc<Groups> {
        self.ledger.groups()
    }

    /// A group without shards holds nothing that could be lost.
    async fn probe(&self) {
        let map = self.groups().map();
        let all = self.reach.probes().into_iter();
        let meant = all.filter(|(group, _)| !map.is_empty(*group));
        let probed = meant.map(|(group, probe)| async move {
            let began = self.groups().now();
            let wrote = tokio::task::spawn_blocking(move || probe.write()).await;
            let seen = match wrote {
                Ok(Ok(())) => Seen::ProbeWrote,
                Ok(Err(fault)) => {
                    let map = self.groups().map();
                    tracing::debug!(group = %map.name(group), %fault, cause = ?fault, "a probe could not write");
                    Seen::ProbeFailed
                }
                Err(_panicked) => Seen::ProbeFailed,
            };
            self.groups().see(group, seen, began);
        });
        join_all(probed).await;
    }

    async fn fence_recovering(&self) {
        let groups = self.groups();
        for group in groups.map().groups() {
            if groups.state(group) != GroupState::Recovering {
                continue;
            }
            let began = groups.now();
            let seen = if self.looked_again(group).await && self.fence_all(group).await {
                Seen::Fenced
            } else {
                Seen::Failed
            };
            groups.see(group, seen, began);
        }
    }

    async fn looked_again(&self, group: GroupId) -> bool {
        let reach = Arc::clone(&self.reach);
        let looked = tokio::task::spawn_blocking(move || reach.look_again(group)).await;
        match looked.unwrap_or(Err(StoreFault::Inconsistent("looking at a group panicked"))) {
            Ok(()) => true,
            Err(fault) => {
                tracing::error!(group = %self.groups().map().name(group), %fault, cause = ?fault, "which shards a group holds could not be learned");
                false
            }
        }
    }

    async fn fence_all(&self, group: GroupId) -> bool {
        let map = self.groups().map();
        let fenced = join_all(map.shards_of(group).map(|shard| self.fence(shard))).await;
        fenced.into_iter().all(|fenced| fenced)
    }

    async fn fence(&self, shard: ShardId) -> bool {
        #[cfg(feature = "mutations")]
        if crate::mutation::is(crate::mutation::Mutation::FenceSkipped) {
            return true;
        }
        self.ask(shard, |reply| Errand::Fence { reply }).await.is_some()
    }

    /// `None` where it was not done.
    async fn ask<T>(&self, shard: ShardId, errand: impl FnOnce(oneshot::Sender<T>) -> Errand) -> Option<T> {
        let (reply, done) = oneshot::channel();
        self.ledger.shard(shard).errand(errand(reply));
        done.await.ok()
    }

    async fn bring_home(&self) -> Round {
        let mut round = Round::default();
        let mut oldest: Option<ChinaTime> = None;
        for group in self.groups().map().groups() {
            if !self.groups().state(group).is_used() {
                continue;
            }
            let mark = self.groups().mark();
            let listed = self.list(group).await;
            for (taker, hops) in &listed {
                let homes: BTreeSet<ShardId> = hops.tally.keys().copied().collect();
                self.groups().listed(*taker, mark, &homes);
            }
            let tallies = || listed.iter().flat_map(|(_, hops)| &hops.tally);
            let homes: BTreeSet<ShardId> = tallies().map(|(home, _)| *home).collect();
            round.open += tallies().map(|(_, tally)| tally.count).sum::<u64>();
            let group_oldest = tallies().map(|(_, tally)| tally.oldest).min();
            oldest = [oldest, group_oldest].into_iter().flatten().min();
            round.closed += self.settle_listed(listed, &homes).await;
        }
        let age = oldest.map(|oldest| (self.clock)().seconds_since(oldest));
        self.meters
            .open_hops(round.open.saturating_sub(round.closed), age.unwrap_or(0));
        round
    }

    /// Open hops of a group by the shard that took them in: rows of those whose home is used, and a tally of all. Without
    /// the shards that could not be asked.
    async fn list(&self, group: GroupId) -> Vec<(ShardId, OpenHops)> {
        let homes: BTreeSet<ShardId> = self
            .ledger
            .count()
            .all()
            .filter(|home| self.groups().is_used(*home))
            .collect();
        let map = self.groups().map();
        let asked = map.shards_of(group).map(|shard| {
            let homes = homes.clone();
            async move {
                let listed = self.ask(shard, |reply| Errand::ListOpen {
                    homes,
                    limit: LISTED_MAX,
                    reply,
                });
                listed.await.map(|hops| (shard, hops))
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// How many were closed.
    async fn settle_listed(&self, listed: Vec<(ShardId, OpenHops)>, homes: &BTreeSet<ShardId>) -> u64 {
        let hops: Vec<(ShardId, HopRow)> = listed
            .into_iter()
            .flat_map(|(taker, hops)| hops.rows.into_iter().map(move |row| (taker, row)))
            .collect();
        let mut fenced = BTreeSet::new();
        for home in homes {
            let epoch = self.ledger.shard(*home).epoch();
            let is_fresh = |(_, row): &(ShardId, HopRow)| row.hop.home == *home && row.hop.epoch >= epoch;
            if hops.iter().any(is_fresh) && self.fence(*home).await {
                fenced.insert(*home);
            }
        }
        let mut closed = 0;
        let mut rest = hops.into_iter().peekable();
        while rest.peek().is_some() {
            let some = rest.by_ref().take(UNDER_WAY_MAX);
            let brought = some.map(|(taker, row)| {
                let is_fenced = fenced.contains(&row.hop.home);
                self.bring(taker, row, is_fenced)
            });
            let brought: Vec<_> = brought.collect();
            closed += join_all(brought).await.into_iter().map(u64::from).sum::<u64>();
        }
        closed
    }

    /// Takes one hop as far as it goes now; whether it is closed.
    async fn bring(&self, taker: ShardId, row: HopRow, is_fenced: bool) -> bool {
        let mut progress = Progress::Listed;
        loop {
            let home = HomeSeen {
                is_used: self.groups().is_used(row.hop.home),
                epoch: self.ledger.shard(row.hop.home).epoch(),
                is_fenced,
            };
            let step = next(row.hop, progress, home);
            #[cfg(feature = "mutations")]
            let step = crate::mutation::step(step);
            progress = match step {
                Step::Wait | Step::Fence => return false,
                Step::Settle => {
                    let settled = Box::new(row.clone());
                    let settled = self.ask(row.hop.home, |reply| Errand::Settle { row: settled, reply });
                    match settled.await {
                        Some(state) => Progress::Settled(state),
                        None => return false,
                    }
                }
                Step::Close(state) => {
                    let closing = Box::new(row.clone());
                    let closed = self.ask(taker, |reply| Errand::Close {
                        row: closing,
                        state,
                        reply,
                    });
                    if closed.await.is_none() {
                        return false;
                    }
                    self.closed(&row, state);
                    Progress::Closed
                }
                Step::Done => return true,
            };
        }
    }

    fn closed(&self, row: &HopRow, state: HopState) {
        self.meters.hop(state.name());
        match state {
            HopState::Open | HopState::Settled => {}
            HopState::Compensated => {
                tracing::warn!(id = %row.transfer.key.id, home = %row.hop.home, "a hop was posted at its home as well, and was taken back");
            }
            HopState::Unapplied(refusal) => {
                tracing::error!(id = %row.transfer.key.id, home = %row.hop.home, refusal = refusal.name(), "the home refuses a hop: an operator has to deal with it");
            }
        }
    }
}

impl std::fmt::Debug for Homecoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Homecoming").finish_non_exhaustive()
    }
}
