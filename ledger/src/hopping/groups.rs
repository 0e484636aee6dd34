//! The shard groups as this process sees them now: shared by the router, the shards, their stores and the homecoming.
//!
//! Groups are added and shards moved while all of them go on. Whoever decides by more than one answer takes the map once.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use ledger_model::{AccountLimits, Amount, ShardCount, ShardId};

use super::map::{GroupId, GroupMap, GroupName};
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
    placed: RwLock<Placed>,
    settings: HoppingSettings,
    ticks: Ticks,
    owed: Mutex<Owed>,
}

struct Placed {
    map: Arc<GroupMap>,
    /// By place of the group in the ring.
    selectors: Vec<Arc<Mutex<Selector>>>,
}

/// A hop that is under way. It has ended when this is dropped.
pub struct Underway {
    groups: Arc<Groups>,
    home: ShardId,
    taker: ShardId,
}

impl Groups {
    pub fn new(map: GroupMap, settings: HoppingSettings, ticks: Ticks) -> Arc<Self> {
        let selectors = map.groups().map(|_| Selector::new(settings.selector));
        let placed = Placed {
            selectors: selectors.map(|selector| Arc::new(Mutex::new(selector))).collect(),
            map: Arc::new(map),
        };
        Arc::new(Self {
            placed: RwLock::new(placed),
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

    /// As it is now.
    pub fn map(&self) -> Arc<GroupMap> {
        Arc::clone(&self.placed().map)
    }

    pub fn group_of(&self, shard: ShardId) -> GroupId {
        self.placed().map.group_of(shard)
    }

    /// A group that holds no shard yet; one of that name that was there before and holds none begins anew.
    pub fn add(&self, name: &GroupName) -> GroupId {
        let mut placed = self.change();
        let selector = Arc::new(Mutex::new(Selector::new(self.settings.selector)));
        if let Some(known) = placed.map.find(name.as_str()) {
            if placed.map.is_empty(known)
                && let Some(before) = placed.selectors.get_mut(known.place())
            {
                *before = selector;
            }
            return known;
        }
        let (map, added) = placed.map.with_group(name.clone()).expect("the name was looked for");
        placed.map = Arc::new(map);
        placed.selectors.push(selector);
        tracing::info!(group = %name, "a shard group was added");
        added
    }

    /// The shard is in that group from now on.
    pub fn moved(&self, shard: ShardId, to: GroupId) {
        let mut placed = self.change();
        let from = placed.map.group_of(shard);
        if from == to {
            return;
        }
        placed.map = Arc::new(placed.map.moved(shard, to));
        let (from, to) = (placed.map.name(from), placed.map.name(to));
        tracing::info!(%shard, %from, %to, "a shard is in another group from now on");
    }

    /// The group could not be reached when this process began: it is down until it is written to.
    pub fn away(&self, group: GroupId) {
        *self.selector(group).lock().unwrap_or_else(PoisonError::into_inner) = Selector::down(self.settings.selector);
        tracing::error!(group = %self.map().name(group), "a shard group cannot be reached; it is down from the beginning");
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
        let selector = self.selector(group);
        selector.lock().unwrap_or_else(PoisonError::into_inner).state()
    }

    /// Whether orders are sent to the shard.
    pub fn is_used(&self, shard: ShardId) -> bool {
        self.state(self.group_of(shard)).is_used()
    }

    /// Whether there is anywhere to hop to.
    pub fn can_hop(&self, home: ShardId) -> bool {
        let map = self.map();
        map.after(map.group_of(home)).next().is_some()
    }

    /// Takes in what was seen of a group by a call that began at `began`.
    pub fn see(&self, group: GroupId, seen: Seen, began: Instant) -> GroupState {
        let (before, after) = {
            let selector = self.selector(group);
            let mut selector = selector.lock().unwrap_or_else(PoisonError::into_inner);
            let before = selector.state();
            (before, selector.see(seen, began, self.now()))
        };
        if before == after {
            return after;
        }
        let map = self.map();
        let name = map.name(group);
        match (before, after) {
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
        route(order, &self.map(), stand_in, |group| self.state(group))
    }

    /// Notes that a hop is about to be sent to `taker`.
    pub fn hop(self: &Arc<Self>, home: ShardId, taker: ShardId) -> Underway {
        self.owed().sent(home, taker);
        Underway {
            groups: Arc::clone(self),
            home,
            taker,
        }
    }

    /// Whether a hop of `home` may be open in a group that cannot be asked now.
    pub fn may_be_unseen(&self, home: ShardId) -> bool {
        self.owed().is_owed(home, |taker| !self.is_used(taker))
    }

    /// Whether a hop of `home` may be open in a shard for which `is_meant` holds.
    pub fn may_be_open_in(&self, home: ShardId, is_meant: impl Fn(ShardId) -> bool) -> bool {
        self.owed().is_owed(home, is_meant)
    }

    /// Whether a hop of `home` may be open anywhere.
    pub fn may_be_open(&self, home: ShardId) -> bool {
        self.owed().is_owed(home, |_| true)
    }

    /// To be called before the open hops of a shard are listed.
    pub fn mark(&self) -> Mark {
        self.owed().mark()
    }

    /// All open hops that a shard took in, as a listing found them that began at `began`, are of these homes.
    pub fn listed(&self, taker: ShardId, began: Mark, homes: &BTreeSet<ShardId>) {
        self.owed().listed(taker, began, homes);
    }

    fn selector(&self, group: GroupId) -> Arc<Mutex<Selector>> {
        let placed = self.placed();
        let selector = placed.selectors.get(group.place());
        Arc::clone(selector.expect("there is a selector for every group of the map"))
    }

    fn placed(&self) -> RwLockReadGuard<'_, Placed> {
        self.placed.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Placed> {
        self.placed.write().unwrap_or_else(PoisonError::into_inner)
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
            .field("map", &self.map())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
