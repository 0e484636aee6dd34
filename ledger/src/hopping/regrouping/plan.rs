//! Which shards go where when a group is added or removed, from what the databases say. Pure.
//!
//! What an earlier order left half done comes first, so that the same order again goes on where it broke off: shards on their
//! way, then what lies behind in groups that shards have left.

use std::collections::{BTreeMap, BTreeSet};

use ledger_model::ShardId;

use crate::hopping::map::{GroupId, GroupMap, GroupName};
use crate::hopping::survey::Said;
use crate::store::postgres::Residence;

/// What an operator wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// These shards; none named: its share of all of them.
    Add {
        name: GroupName,
        shards: Vec<ShardId>,
    },
    Remove {
        name: GroupName,
    },
}

/// One shard that goes from one group to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) shard: ShardId,
    pub(super) from: GroupId,
    pub(super) to: GroupId,
}

/// Why nothing is moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the group {group} is there already, with shards {shards}")]
    ThereAlready { group: GroupName, shards: String },
    #[error("there are as many groups as shards already")]
    NoShare,
    #[error("{0} is the last group that holds shards")]
    LastGroup(GroupName),
    #[error("the group {0} is down")]
    Down(GroupName),
}

/// What is to be done, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// Moves that were done but for what they left behind.
    pub(super) rests: Vec<Step>,
}

impl Order {
    pub const fn group(&self) -> &GroupName {
        match self {
            Self::Add { name, .. } | Self::Remove { name } => name,
        }
    }
}

/// `said` is by place of the group in the map, none where it is down; `group` is the one the order is about.
pub(super) fn plan(order: &Order, group: GroupId, map: &GroupMap, said: &[Said]) -> Result<Plan, Refusal> {
    let view = View { group, map, said };
    let rests = view.rests(order);
    let steps = match order {
        Order::Add { shards, .. } => view.added(shards, !rests.is_empty())?,
        Order::Remove { .. } => view.removed()?,
    };
    let own = matches!(order, Order::Add { .. }).then_some(group);
    let mut asked = steps.iter().flat_map(|step| [step.from, step.to]).chain(own);
    if let Some(down) = asked.find(|group| view.said_by(*group).is_none()) {
        return Err(Refusal::Down(map.name(down).clone()));
    }
    Ok(Plan { steps, rests })
}

struct View<'a> {
    group: GroupId,
    map: &'a GroupMap,
    said: &'a [Said],
}

impl View<'_> {
    fn added(&self, wanted: &[ShardId], has_rests: bool) -> Result<Vec<Step>, Refusal> {
        let mut steps = self.on_the_way();
        steps.retain(|(_, step)| step.to == self.group);
        let mut steps: Vec<Step> = steps.into_iter().map(|(_, step)| step).collect();
        let is_coming = |shard: ShardId, steps: &[Step]| steps.iter().any(|step| step.shard == shard);
        if wanted.is_empty() {
            self.share(&mut steps)?;
        }
        for shard in wanted {
            if self.lives(*shard) != self.group && !is_coming(*shard, &steps) {
                steps.push(self.step(*shard));
            }
        }
        if steps.is_empty() && !has_rests {
            let shards: Vec<String> = self.shards_of(self.group).iter().map(ToString::to_string).collect();
            return Err(Refusal::ThereAlready {
                group: self.map.name(self.group).clone(),
                shards: shards.join(", "),
            });
        }
        Ok(steps)
    }

    /// From the fullest group, the first of those in the ring, one by one.
    fn share(&self, steps: &mut Vec<Step>) -> Result<(), Refusal> {
        let mut held = self.held();
        let all: usize = held.values().map(Vec::len).sum();
        for step in steps.iter() {
            for shards in held.values_mut() {
                shards.retain(|shard| *shard != step.shard);
            }
            held.entry(self.group).or_default().push(step.shard);
        }
        held.entry(self.group).or_default();
        let share = all.checked_div(held.len()).unwrap_or_default().max(1);
        while held.get(&self.group).map_or(0, Vec::len) < share {
            let others = held.iter_mut().filter(|(group, _)| **group != self.group);
            // of several that are as full, `max_by_key` would take the last
            let fullest = others.rev().max_by_key(|(_, shards)| shards.len());
            let given = fullest.filter(|(_, shards)| shards.len() > 1);
            let given = given.and_then(|(_, shards)| shards.pop());
            let given = given.ok_or(Refusal::NoShare)?;
            steps.push(self.step(given));
            held.entry(self.group).or_default().push(given);
        }
        Ok(())
    }

    /// Each shard to the remaining group that its number picks.
    fn removed(&self) -> Result<Vec<Step>, Refusal> {
        let remaining: Vec<GroupId> = self.held().into_keys().filter(|group| *group != self.group).collect();
        let begun = self.on_the_way().into_iter();
        // what had not left yet when its arrival here broke off stays where it is
        let begun = begun.filter(|(has_left, step)| step.from == self.group || (*has_left && step.to == self.group));
        let mut steps: Vec<Step> = begun.map(|(_, step)| step).collect();
        let mut leaving: BTreeSet<ShardId> = self.shards_of(self.group).into_iter().collect();
        leaving.extend(steps.iter().filter(|step| step.to == self.group).map(|step| step.shard));
        leaving.retain(|shard| !steps.iter().any(|step| step.from == self.group && step.shard == *shard));
        for shard in leaving {
            let place = shard.index().checked_rem(remaining.len());
            let to = place.and_then(|place| remaining.get(place));
            let to = *to.ok_or_else(|| Refusal::LastGroup(self.map.name(self.group).clone()))?;
            steps.push(Step {
                shard,
                from: self.group,
                to,
            });
        }
        Ok(steps)
    }

    /// Shards that have begun to move, and whether they have left already; those that have come first.
    fn on_the_way(&self) -> Vec<(bool, Step)> {
        let mut begun = Vec::new();
        for (to, shard, residence) in self.rows() {
            let Residence::Arriving { from } = residence else {
                continue;
            };
            let Some(from) = self.map.find(from) else {
                continue;
            };
            let has_left = match self.said_by(from).and_then(|said| said.get(&shard)) {
                Some(Residence::Here) => false,
                Some(Residence::Moved { to: marked }) if *marked == *self.map.name(to).as_str() => true,
                // of an attempt that something else came after
                Some(Residence::Moved { .. } | Residence::Arriving { .. }) | None => continue,
            };
            begun.push((has_left, Step { shard, from, to }));
        }
        begun.sort_by_key(|(has_left, step)| (!has_left, step.shard.number()));
        begun
    }

    /// What shards left behind that are in their new group by now.
    fn rests(&self, order: &Order) -> Vec<Step> {
        let signposts = self.rows().filter_map(|(from, shard, residence)| {
            let Residence::Moved { to } = residence else {
                return None;
            };
            let to = self.map.find(to)?;
            let is_open = matches!(self.said_by(to)?.get(&shard), Some(Residence::Here));
            let is_ours = match order {
                Order::Add { .. } => to == self.group,
                Order::Remove { .. } => from == self.group,
            };
            (is_open && is_ours).then_some(Step { shard, from, to })
        });
        signposts.collect()
    }

    fn rows(&self) -> impl Iterator<Item = (GroupId, ShardId, &Residence)> {
        self.map.groups().flat_map(|group| {
            let said = self.said_by(group).into_iter().flatten();
            said.map(move |(shard, residence)| (group, *shard, residence))
        })
    }

    fn step(&self, shard: ShardId) -> Step {
        Step {
            shard,
            from: self.lives(shard),
            to: self.group,
        }
    }

    fn lives(&self, shard: ShardId) -> GroupId {
        let mut rows = self.rows();
        let here = rows.find(|(_, of, residence)| *of == shard && **residence == Residence::Here);
        here.map_or_else(|| self.map.group_of(shard), |(group, _, _)| group)
    }

    fn shards_of(&self, group: GroupId) -> Vec<ShardId> {
        self.held().remove(&group).unwrap_or_default()
    }

    /// The groups that hold shards.
    fn held(&self) -> BTreeMap<GroupId, Vec<ShardId>> {
        let mut held: BTreeMap<GroupId, Vec<ShardId>> = BTreeMap::new();
        let all = self.map.groups().flat_map(|group| self.map.shards_of(group));
        let mut all: Vec<ShardId> = all.collect();
        all.sort();
        for shard in all {
            held.entry(self.lives(shard)).or_default().push(shard);
        }
        held
    }

    fn said_by(&self, group: GroupId) -> Option<&BTreeMap<ShardId, Residence>> {
        self.said.get(group.place()).and_then(Option::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use ledger_model::ShardCount;

    use super::*;

    const SIX: ShardCount = ShardCount::new(6).unwrap();

    /// What the groups a, b and c say, as `0 1 2<b 3>c`: shards that are here, arrive or have moved; `?` is down. What they
    /// do not say is as in the map, where a group holds what is here or has left it.
    fn check(said: [&str; 3], order: &str, expected: &str) {
        let rows: Vec<Said> = said.iter().map(|text| rows(text)).collect();
        let mut shards: [Vec<u8>; 3] = Default::default();
        for shard in SIX.all() {
            let place = rows.iter().position(|said| {
                said.as_ref()
                    .is_some_and(|said| matches!(said.get(&shard), Some(Residence::Here | Residence::Moved { .. })))
            });
            // those of a group that is down are the rest
            let place = place
                .or_else(|| said.iter().position(|text| *text == "?"))
                .unwrap_or_default();
            shards[place].push(shard.number());
        }
        let [a, b, c] = shards;
        let groups = [("a", a), ("b", b), ("c", c)].map(|(name, shards)| (name.parse().unwrap(), shards));
        let map = GroupMap::new(SIX, &groups).unwrap();
        let words: Vec<&str> = order.split(' ').collect();
        let name: GroupName = words[1].parse().unwrap();
        let group = map.find(words[1]).unwrap();
        let shards = words[2..]
            .iter()
            .map(|number| SIX.shard(number.parse().unwrap()).unwrap());
        let order = match words[0] {
            "add" => Order::Add {
                name,
                shards: shards.collect(),
            },
            _ => Order::Remove { name },
        };
        let told = |steps: &[Step]| -> String {
            let steps = steps
                .iter()
                .map(|step| format!("{}:{}>{}", step.shard, map.name(step.from), map.name(step.to)));
            steps.collect::<Vec<_>>().join(" ")
        };
        let found = match plan(&order, group, &map, &rows) {
            Ok(Plan { steps, rests }) if rests.is_empty() => told(&steps),
            Ok(Plan { steps, rests }) => format!("{} rest {}", told(&steps), told(&rests)),
            Err(refusal) => refusal.to_string(),
        };
        assert_eq!(found, expected, "{said:?} {order:?}");
    }

    fn rows(text: &str) -> Said {
        if text == "?" {
            return None;
        }
        let rows = text.split_whitespace().map(|row| {
            let (number, rest) = row.split_at(1);
            let residence = match rest.split_at_checked(1) {
                Some(("<", from)) => Residence::Arriving { from: from.to_owned() },
                Some((_, to)) => Residence::Moved { to: to.to_owned() },
                None => Residence::Here,
            };
            (SIX.shard(number.parse().unwrap()).unwrap(), residence)
        });
        Some(rows.collect())
    }

    #[test]
    fn a_group_that_is_added_gets_its_share_from_the_fullest() {
        check(["0 1 2 3 4 5", "", ""], "add b", "5:a>b 4:a>b 3:a>b");
        check(["0 1 2", "3 4 5", ""], "add c", "2:a>c 5:b>c");
        check(["0 1 2 3", "4 5", ""], "add c", "3:a>c 2:a>c");
        check(["0 1 2 3", "4 5", ""], "add c 5 0", "5:b>c 0:a>c");
        check(
            ["0 1", "2 3", "4 5"],
            "add c",
            "the group c is there already, with shards 4, 5",
        );
        check(
            ["0 1", "2 3", "4 5"],
            "add c 4",
            "the group c is there already, with shards 4, 5",
        );
        check(["0 1 2", "3 4 5", "?"], "add c", "the group c is down");
        check(["0 1 2", "?", ""], "add c", "the group b is down");
        // nothing of b is needed
        check(["0 1 2 3", "?", ""], "add c 1", "1:a>c");
    }

    #[test]
    fn a_group_that_is_removed_gives_each_shard_to_the_one_its_number_picks() {
        check(["0 1", "2 3", "4 5"], "remove a", "0:a>b 1:a>c");
        check(["0 1", "2 3", "4 5"], "remove c", "4:c>a 5:c>b");
        check(["0 1 2", "3 4 5", ""], "remove b", "3:b>a 4:b>a 5:b>a");
        check(
            ["0 1 2 3 4 5", "", ""],
            "remove a",
            "a is the last group that holds shards",
        );
        check(["0 1 2", "3 4 5", ""], "remove c", "");
        check(["0 1", "2 3", "?"], "remove c", "the group c is down");
        check(["0 1 2", "3 4 5", "?"], "remove c", "");
        check(["0 1", "2 3", "?"], "remove a", "the group c is down");
    }

    #[test]
    fn the_same_order_again_goes_on_where_it_broke_off() {
        // while it was copied; after it had left; with what it left behind not deleted yet
        check(["0 1 2", "3 4 5", "2<a"], "add c", "2:a>c 5:b>c");
        check(["0 1 2>c", "3 4 5", "2<a"], "add c", "2:a>c 5:b>c");
        check(["0 1 2>c", "3 4 5", "2"], "add c", "5:b>c rest 2:a>c");
        check(["0 1 2>c", "3 4 5>c", "2 5<b"], "add c", "5:b>c rest 2:a>c");
        check(["0 1 4>c", "2 3", "4 5"], "add c", " rest 4:a>c");
        check(["0 1", "2 3 4<c", "4 5"], "remove c", "4:c>b 5:c>b");
        check(["0 1 4", "2 3 5<c", "4>a 5>b"], "remove c", "5:c>b rest 4:c>a");
        // an arrival that was given up stays where it is; one that has left comes first, to go on from there
        check(["0 1 2", "3 4 5", "2<a"], "remove c", "");
        check(["0 1 2>c", "3 4 5", "2<a"], "remove c", "2:a>c 2:c>a");
    }
}
