//! Which shard group holds which shard.
//!
//! Every shard is in exactly one group. A group may be without shards: one that was just added, or that was emptied. A map
//! never changes; another one is made of it. Groups are only ever appended, so that an id stays what it was.

use std::fmt;

use ledger_model::{ShardCount, ShardId};

/// A shard group by its place in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(usize);

/// Name of a shard group in configuration, metrics and logs: 1 to 32 of `a-z`, `0-9`, `-`, `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapFault {
    #[error("the name of a group is 1 to 32 of a-z, 0-9, - and _, not {0:?}")]
    Name(String),
    #[error("two groups are named {0}")]
    NameTwice(GroupName),
    #[error("shard {0} is in no group")]
    Nowhere(u8),
    #[error("shard {0} is in two groups")]
    Twice(u8),
    #[error("there is no shard {0}")]
    NoSuchShard(u8),
}

/// The groups in the order of the ring, and where each shard is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMap {
    names: Vec<GroupName>,
    /// By number of the shard.
    homes: Vec<GroupId>,
    shards: ShardCount,
}

impl GroupName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for GroupName {
    type Err = MapFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_sign = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if (1..=32).contains(&text.len()) && text.bytes().all(is_sign) {
            Ok(Self(text.to_owned()))
        } else {
            Err(MapFault::Name(text.to_owned()))
        }
    }
}

impl GroupId {
    /// Place in the ring, from 0.
    pub const fn place(self) -> usize {
        self.0
    }
}

impl GroupMap {
    /// Groups in the order of the ring, each with the numbers of its shards.
    pub fn new(shards: ShardCount, groups: &[(GroupName, Vec<u8>)]) -> Result<Self, MapFault> {
        let mut homes: Vec<Option<GroupId>> = shards.all().map(|_| None).collect();
        let mut names: Vec<GroupName> = Vec::with_capacity(groups.len());
        for (place, (name, numbers)) in groups.iter().enumerate() {
            if names.contains(name) {
                return Err(MapFault::NameTwice(name.clone()));
            }
            names.push(name.clone());
            for number in numbers {
                let home = homes.get_mut(usize::from(*number));
                let home = home.ok_or(MapFault::NoSuchShard(*number))?;
                if home.replace(GroupId(place)).is_some() {
                    return Err(MapFault::Twice(*number));
                }
            }
        }
        let placed = |(shard, home): (ShardId, Option<GroupId>)| home.ok_or(MapFault::Nowhere(shard.number()));
        let homes = shards.all().zip(homes).map(placed).collect::<Result<_, _>>()?;
        Ok(Self { names, homes, shards })
    }

    /// All shards in one group: the embedded store, or a single primary.
    pub fn single(shards: ShardCount) -> Self {
        Self {
            names: vec![GroupName("local".to_owned())],
            homes: shards.all().map(|_| GroupId(0)).collect(),
            shards,
        }
    }

    pub fn group_of(&self, shard: ShardId) -> GroupId {
        *self
            .homes
            .get(shard.index())
            .expect("every shard of the ledger is in a group")
    }

    pub fn groups(&self) -> impl Iterator<Item = GroupId> + use<> {
        (0..self.names.len()).map(GroupId)
    }

    pub fn find(&self, name: &str) -> Option<GroupId> {
        self.groups().find(|group| self.name(*group).as_str() == name)
    }

    /// With one more group at the end of the ring, which holds nothing yet.
    pub fn with_group(&self, name: GroupName) -> Result<(Self, GroupId), MapFault> {
        if self.names.contains(&name) {
            return Err(MapFault::NameTwice(name));
        }
        let mut wider = self.clone();
        wider.names.push(name);
        Ok((wider, GroupId(self.names.len())))
    }

    /// With a shard in another group.
    #[must_use]
    pub fn moved(&self, shard: ShardId, to: GroupId) -> Self {
        let mut moved = self.clone();
        let home = moved.homes.get_mut(shard.index());
        *home.expect("every shard of the ledger is in a group") = to;
        moved
    }

    pub fn name(&self, group: GroupId) -> &GroupName {
        self.names.get(group.0).expect("a group id is made by the map")
    }

    /// In the order of their numbers.
    pub fn shards_of(&self, group: GroupId) -> impl Iterator<Item = ShardId> + '_ {
        self.shards.all().filter(move |shard| self.group_of(*shard) == group)
    }

    /// Whether the group holds no shard.
    pub fn is_empty(&self, group: GroupId) -> bool {
        self.shards_of(group).next().is_none()
    }

    /// The groups that follow `group` in the ring and hold shards, each once, without itself.
    pub fn after(&self, group: GroupId) -> impl Iterator<Item = GroupId> + '_ {
        let count = self.names.len();
        (1..count)
            .map(move |step| GroupId((group.0 + step) % count))
            .filter(|next| !self.is_empty(*next))
    }

    /// The shard of `group` that takes in what hops from `home`: the same one as long as the map stays. `None` for a group
    /// without shards.
    pub fn stand_in_for(&self, home: ShardId, group: GroupId) -> Option<ShardId> {
        let shards: Vec<ShardId> = self.shards_of(group).collect();
        let place = home.index().checked_rem(shards.len())?;
        shards.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE: ShardCount = ShardCount::new(5).unwrap();

    fn map(groups: &[(&str, &[u8])]) -> Result<GroupMap, MapFault> {
        let groups = groups
            .iter()
            .map(|(name, shards)| Ok((name.parse()?, shards.to_vec())))
            .collect::<Result<Vec<_>, MapFault>>()?;
        GroupMap::new(FIVE, &groups)
    }

    fn check_refused(groups: &[(&str, &[u8])], expected: &str) {
        assert_eq!(map(groups).unwrap_err().to_string(), expected);
    }

    #[test]
    fn every_shard_is_in_exactly_one_group() {
        map(&[("a", &[0, 3]), ("b", &[1, 2, 4]), ("empty", &[])]).unwrap();
        check_refused(&[("a", &[0, 1, 2, 3])], "shard 4 is in no group");
        check_refused(&[("a", &[0, 1, 2]), ("b", &[2, 3, 4])], "shard 2 is in two groups");
        check_refused(&[("a", &[0, 1, 2, 3, 4, 5])], "there is no shard 5");
        check_refused(&[("a", &[0, 1, 2]), ("a", &[3, 4])], "two groups are named a");
        let name = "the name of a group is 1 to 32 of a-z, 0-9, - and _, not \"A\"";
        check_refused(&[("A", &[0, 1, 2, 3, 4])], name);
    }

    fn check_ring(place: usize, expected: &[(&str, u8)]) {
        let map = map(&[("a", &[0, 3]), ("b", &[1, 4]), ("empty", &[]), ("c", &[2])]).unwrap();
        let home = FIVE.shard(3).unwrap();
        let ring: Vec<(String, u8)> = map
            .after(GroupId(place))
            .map(|group| {
                let taker = map.stand_in_for(home, group).unwrap();
                (map.name(group).to_string(), taker.number())
            })
            .collect();
        let expected: Vec<(String, u8)> = expected
            .iter()
            .map(|(name, shard)| ((*name).to_owned(), *shard))
            .collect();
        assert_eq!(ring, expected);
    }

    #[test]
    fn another_map_is_made_by_adding_a_group_and_by_moving_a_shard() {
        let first = map(&[("a", &[0, 3]), ("b", &[1, 2, 4])]).unwrap();
        let (wider, added) = first.with_group("c".parse().unwrap()).unwrap();
        assert_eq!((wider.find("c"), wider.is_empty(added)), (Some(added), true));
        assert_eq!(first.find("c"), None, "the first stays what it was");
        let moved = wider.moved(FIVE.shard(3).unwrap(), added);
        let numbers = |map: &GroupMap, name| -> Vec<u8> {
            let group = map.find(name).unwrap();
            map.shards_of(group).map(ShardId::number).collect()
        };
        assert_eq!(
            [numbers(&moved, "a"), numbers(&moved, "b"), numbers(&moved, "c")],
            [vec![0], vec![1, 2, 4], vec![3]]
        );
        let refused = moved.with_group("a".parse().unwrap()).unwrap_err();
        assert_eq!(refused.to_string(), "two groups are named a");
    }

    #[test]
    fn the_ring_goes_round_past_groups_without_shards() {
        check_ring(0, &[("b", 4), ("c", 2)]);
        check_ring(1, &[("c", 2), ("a", 3)]);
        check_ring(3, &[("a", 3), ("b", 4)]);
    }
}
