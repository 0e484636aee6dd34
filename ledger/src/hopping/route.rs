//! Where an order goes, given the map, the states of the groups and what is known of the order so far. Pure.

use ledger_model::ShardId;

use super::map::{GroupId, GroupMap};
use super::selector::GroupState;

/// What kind of order it is, as far as its way depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKind {
    /// Credits a customer and needs nothing of the home to be accepted.
    Payout,
    /// Debits a customer, whose balance and limits only the home knows.
    Payment,
    /// Needs the home's books: refunds, reversals, supplements.
    BoundToHome,
}

/// What came of the order at its home so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtHome {
    NotTried,
    /// It was tried, and certainly nothing is there.
    Nothing,
    /// It was tried, and may be there.
    InDoubt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandIn {
    Off,
    On,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    pub home: ShardId,
    pub kind: OrderKind,
    pub at_home: AtHome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    Home,
    /// Accepted by this shard, to be settled at home later.
    Hop(ShardId),
    /// Debited in advance by this shard, within the limit.
    StandIn(ShardId),
    /// Nothing was posted: the home's group is down.
    HomeDown,
    /// May be posted.
    InProcess,
}

/// The one decision. `state` says how a group stands.
pub fn route(order: Order, map: &GroupMap, stand_in: StandIn, state: impl Fn(GroupId) -> GroupState) -> Route {
    let home = map.group_of(order.home);
    let is_used = |group: &GroupId| state(*group).is_used();
    match (order.at_home, order.kind) {
        (AtHome::NotTried, _) if is_used(&home) => return Route::Home,
        (AtHome::NotTried | AtHome::Nothing, OrderKind::BoundToHome) => return Route::HomeDown,
        (AtHome::InDoubt, OrderKind::BoundToHome | OrderKind::Payment) => return Route::InProcess,
        (AtHome::NotTried | AtHome::Nothing, OrderKind::Payment) => {
            // the next group alone: a limit counted in two places would be no limit
            let next = map.after(home).next().filter(is_used);
            let taker = match stand_in {
                StandIn::On => next.and_then(|group| map.stand_in_for(order.home, group)),
                StandIn::Off => None,
            };
            return taker.map_or(Route::HomeDown, Route::StandIn);
        }
        (_, OrderKind::Payout) => {}
    }
    let taker = map
        .after(home)
        .find(is_used)
        .and_then(|group| map.stand_in_for(order.home, group));
    match (taker, order.at_home) {
        (Some(taker), _) => Route::Hop(taker),
        (None, AtHome::InDoubt) => Route::InProcess,
        (None, AtHome::NotTried | AtHome::Nothing) => Route::HomeDown,
    }
}

#[cfg(test)]
mod tests {
    use ledger_model::ShardCount;

    use super::*;

    const SIX: ShardCount = ShardCount::new(6).unwrap();

    fn shard(number: u8) -> ShardId {
        SIX.shard(number).unwrap()
    }

    /// Groups a, b and c hold two shards each; `U`p, `S`uspect, `D`own, `R`ecovering stand for their states.
    fn routed(states: &str, home: u8, kind: OrderKind, at_home: AtHome, stand_in: StandIn) -> Route {
        let groups: Vec<_> = [("a", [0, 3]), ("b", [1, 4]), ("c", [2, 5])]
            .into_iter()
            .map(|(name, shards)| (name.parse().unwrap(), shards.to_vec()))
            .collect();
        let map = GroupMap::new(SIX, &groups).unwrap();
        let states: Vec<GroupState> = states
            .chars()
            .map(|sign| match sign {
                'U' => GroupState::Up,
                'S' => GroupState::Suspect,
                'D' => GroupState::Down,
                'R' => GroupState::Recovering,
                _ => panic!("no such state"),
            })
            .collect();
        let order = Order {
            home: shard(home),
            kind,
            at_home,
        };
        route(order, &map, stand_in, |group| states[group.place()])
    }

    /// Of a payout, a payment without stand-in, a payment with it, and what is bound to its home, all of shard 3, which
    /// is in group a.
    fn check(states: &str, at_home: AtHome, expected: [Route; 4]) {
        let kinds = [
            (OrderKind::Payout, StandIn::Off),
            (OrderKind::Payment, StandIn::Off),
            (OrderKind::Payment, StandIn::On),
            (OrderKind::BoundToHome, StandIn::On),
        ];
        let routes = kinds.map(|(kind, stand_in)| routed(states, 3, kind, at_home, stand_in));
        assert_eq!(routes, expected, "{states} {at_home:?}");
    }

    #[test]
    fn orders_go_home_while_it_lives_and_elsewhere_as_their_kind_allows() {
        use Route::{Home, HomeDown, Hop, InProcess, StandIn};
        // states       at home             payout             payment    standing in        bound
        let cases = [
            ("UUU", AtHome::NotTried, [Home, Home, Home, Home]),
            ("SUU", AtHome::NotTried, [Home, Home, Home, Home]),
            (
                "DUU",
                AtHome::NotTried,
                [Hop(shard(4)), HomeDown, StandIn(shard(4)), HomeDown],
            ),
            (
                "RUU",
                AtHome::NotTried,
                [Hop(shard(4)), HomeDown, StandIn(shard(4)), HomeDown],
            ),
            (
                "DSU",
                AtHome::NotTried,
                [Hop(shard(4)), HomeDown, StandIn(shard(4)), HomeDown],
            ),
            // the next but one takes payouts, never stand-ins
            ("DDU", AtHome::NotTried, [Hop(shard(5)), HomeDown, HomeDown, HomeDown]),
            ("DRU", AtHome::NotTried, [Hop(shard(5)), HomeDown, HomeDown, HomeDown]),
            ("DDD", AtHome::NotTried, [HomeDown, HomeDown, HomeDown, HomeDown]),
            // it was there and had nothing: as if down, whatever is thought of it
            (
                "UUU",
                AtHome::Nothing,
                [Hop(shard(4)), HomeDown, StandIn(shard(4)), HomeDown],
            ),
            ("UDD", AtHome::Nothing, [HomeDown, HomeDown, HomeDown, HomeDown]),
            // it may be there: only what can be compensated is tried again
            ("DUU", AtHome::InDoubt, [Hop(shard(4)), InProcess, InProcess, InProcess]),
            ("UUU", AtHome::InDoubt, [Hop(shard(4)), InProcess, InProcess, InProcess]),
            ("DDD", AtHome::InDoubt, [InProcess, InProcess, InProcess, InProcess]),
        ];
        for (states, at_home, expected) in cases {
            check(states, at_home, expected);
        }
    }

    #[test]
    fn shards_of_a_home_spread_over_the_shards_of_the_next() {
        let taker = |home| routed("UDU", home, OrderKind::Payout, AtHome::NotTried, StandIn::Off);
        assert_eq!([1, 4].map(taker), [Route::Hop(shard(5)), Route::Hop(shard(2))]);
    }

    #[test]
    fn with_one_group_there_is_nowhere_to_go() {
        let order = Order {
            home: shard(3),
            kind: OrderKind::Payout,
            at_home: AtHome::NotTried,
        };
        let single = GroupMap::single(SIX);
        assert_eq!(route(order, &single, StandIn::On, |_| GroupState::Up), Route::Home);
        assert_eq!(
            route(order, &single, StandIn::On, |_| GroupState::Down),
            Route::HomeDown
        );
    }
}
