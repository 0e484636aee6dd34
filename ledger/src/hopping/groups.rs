//! The shard groups as this process sees them now: shared by the router, the shards and the homecoming.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ledger_model::{AccountLimits, Amount, ShardCount, ShardId};

use super::map::{GroupId, GroupMap};
use super::owed::{Mark, Owed};
use super::route::{Order, Route, StandIn, route};
use super::selector::{GroupState, Seen, Selector, SelectorSettings};

/// Says what time it is on the clock that only goes forward; a simulation says it itself.
pub type Ticks = Arc<dyn Fn() -> Instant + Send + Sync>;

/// How hopping is set up.
#[derive(Debug, Clone, Copy)]
pub struct HoppingSettings {
    pub selector: SelectorSettings,
    /// Most that an agreement may be debited in a day by a shard that stands in for its home; none: nobody stands in.
    pub stand_in_daily_max: Option<Amount>,
}

pub struct Groups {
    map: GroupMap,
    settings: HoppingSettings,
    ticks: Ticks,
    /// By place of the group in the ring.
    selectors: Vec<Mutex<Selector>>,
    owed: Mutex<Owed>,
}

/// A hop that is under way. It has ended when this is dropped.
pub struct Underway {
    groups: Arc<Groups>,
    home: ShardId,
    taker: GroupId,
}

impl Groups {
    pub fn new(map: GroupMap, settings: HoppingSettings, ticks: Ticks) -> Arc<Self> {
        let selectors = map.groups().map(|_| Mutex::new(Selector::new(settings.selector)));
        Arc::new(Self {
            selectors: selectors.collect(),
            map,
            settings,
            ticks,
            owed: Mutex::default(),
        })
    }

    /// One group that is never taken out, since there is nowhere else to go.
    pub fn single(shards: ShardCount) -> Arc<Self> {
        let selector = SelectorSettings {
            failures_max: NonZeroU32::MAX,
            window: Duration::from_secs(1),
            probes_to_return: NonZeroU32::MIN,
        };
        let settings = HoppingSettings {
            selector,
            stand_in_daily_max: None,
        };
        Self::new(GroupMap::single(shards), settings, Arc::new(Instant::now))
    }

    pub fn map(&self) -> &GroupMap {
        &self.map
    }

    pub fn now(&self) -> Instant {
        (self.ticks)()
    }

    pub fn stands_in(&self) -> bool {
        self.settings.stand_in_daily_max.is_some()
    }

    /// What may be advanced under one agreement.
    pub fn stand_in(&self) -> Option<AccountLimits> {
        let limits = |most| AccountLimits {
            single_max: most,
            daily_max: most,
            daily_count_max: u32::MAX,
        };
        self.settings.stand_in_daily_max.map(limits)
    }

    pub fn state(&self, group: GroupId) -> GroupState {
        self.selector(group).state()
    }

    /// Whether orders are sent to the shard.
    pub fn is_used(&self, shard: ShardId) -> bool {
        self.state(self.map.group_of(shard)).is_used()
    }

    /// Whether there is anywhere to hop to.
    pub fn can_hop(&self, home: ShardId) -> bool {
        self.map.after(self.map.group_of(home)).next().is_some()
    }

    /// Takes in what was seen of a group by a call that began at `began`.
    pub fn see(&self, group: GroupId, seen: Seen, began: Instant) -> GroupState {
        let (before, after) = {
            let mut selector = self.selector(group);
            let before = selector.state();
            (before, selector.see(seen, began, self.now()))
        };
        let name = self.map.name(group);
        match (before, after) {
            _ if before == after => {}
            (_, GroupState::Down) => {
                tracing::error!(group = %name, "a shard group is down; orders of its shards hop or are refused");
            }
            (_, GroupState::Recovering) => {
                tracing::info!(group = %name, "a shard group can be written again; its shards are fenced");
            }
            (GroupState::Recovering, _) => tracing::info!(group = %name, "a shard group is used again"),
            (_, GroupState::Up | GroupState::Suspect) => {
                tracing::debug!(group = %name, state = after.name(), "a shard group");
            }
        }
        after
    }

    pub fn route(&self, order: Order) -> Route {
        let stand_in = match self.settings.stand_in_daily_max {
            Some(_) => StandIn::On,
            None => StandIn::Off,
        };
        route(order, &self.map, stand_in, |group| self.state(group))
    }

    /// Notes that a hop is about to be sent to `taken_in`.
    pub fn hop(self: &Arc<Self>, home: ShardId, taken_in: ShardId) -> Underway {
        let taker = self.map.group_of(taken_in);
        self.owed().sent(home, taker);
        Underway {
            groups: Arc::clone(self),
            home,
            taker,
        }
    }

    /// Whether a hop of `home` may be open in a group that cannot be asked now.
    pub fn may_be_unseen(&self, home: ShardId) -> bool {
        self.owed().is_owed(home, |group| !self.state(group).is_used())
    }

    /// Whether a hop of `home` may be open anywhere.
    pub fn may_be_open(&self, home: ShardId) -> bool {
        self.owed().is_owed(home, |_| true)
    }

    /// To be called before the open hops of a group are listed.
    pub fn mark(&self) -> Mark {
        self.owed().mark()
    }

    /// All open hops of a group, as a listing found them that began at `began`, are of these homes.
    pub fn listed(&self, taker: GroupId, began: Mark, homes: &BTreeSet<ShardId>) {
        self.owed().listed(taker, began, homes);
    }

    fn selector(&self, group: GroupId) -> MutexGuard<'_, Selector> {
        let selector = self.selectors.get(group.place());
        let selector = selector.expect("there is a selector for every group of the map");
        selector.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owed(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.groups.owed().ended(self.home, self.taker);
    }
}

impl fmt::Debug for Underway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a hop of shard {} under way", self.home)
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups")
            .field("map", &self.map)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
