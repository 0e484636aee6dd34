//! Which group holds which shard, worked out from what the databases of the groups say. Pure.
//!
//! A database says of each shard it ever had: here, arriving from another, or moved to another. A shard is *made* only where
//! every group was asked and none ever had it: one that is away may have it.

use std::collections::BTreeMap;

use ledger_model::ShardId;

use super::map::{GroupId, GroupMap, GroupName};
use crate::store::postgres::Residence;

/// What one database says; none where it could not be asked.
pub type Said = Option<BTreeMap<ShardId, Residence>>;

/// Where a shard is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    In(GroupId),
    /// No group has ever had it: it is to be made where the configuration says.
    Nowhere,
    /// In a group that cannot be asked; this one is the likeliest.
    Away(GroupId),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SurveyFault {
    #[error("shard {shard} is in the group {one} and in the group {other}")]
    Twice {
        shard: u8,
        one: GroupName,
        other: GroupName,
    },
    #[error("shard {shard} is in the group {group}, which is not configured")]
    Unknown { shard: u8, group: String },
    #[error("shard {shard} was moved to the group {group}, which does not have it")]
    Lost { shard: u8, group: GroupName },
}

/// Of every shard, in order. `said` is by place of the group in `configured`, where shards are as the configuration has them.
pub fn survey(
    configured: &GroupMap,
    shards: impl Iterator<Item = ShardId>,
    said: &[Said],
) -> Result<Vec<(ShardId, Found)>, SurveyFault> {
    let view = View { configured, said };
    shards.map(|shard| Ok((shard, view.find(shard)?))).collect()
}

/// What one database says of one shard.
enum Row<'a> {
    Unasked,
    /// It never had it.
    Never,
    Says(&'a Residence),
}

struct View<'a> {
    configured: &'a GroupMap,
    said: &'a [Said],
}

impl View<'_> {
    fn find(&self, shard: ShardId) -> Result<Found, SurveyFault> {
        let mut here = self.saying(shard, |residence| matches!(residence, Residence::Here).then_some(()));
        if let Some((one, ())) = here.next() {
            return match here.next() {
                None => Ok(Found::In(one)),
                Some((other, ())) => Err(SurveyFault::Twice {
                    shard: shard.number(),
                    one: self.configured.name(one).clone(),
                    other: self.configured.name(other).clone(),
                }),
            };
        }
        let arriving = self.saying(shard, |residence| match residence {
            Residence::Arriving { from } => Some(from.as_str()),
            Residence::Here | Residence::Moved { .. } => None,
        });
        for (to, from) in arriving {
            let from = self.known(shard, from)?;
            match self.of(from, shard) {
                // whoever asks for it there brings it to its end
                Row::Says(Residence::Moved { to: marked }) if *marked == *self.configured.name(to).as_str() => {
                    return Ok(Found::In(to));
                }
                // what it says when it is back decides
                Row::Unasked => return Ok(Found::Away(from)),
                // left over from a move that was broken off
                Row::Says(_) | Row::Never => {}
            }
        }
        self.follow(shard)
    }

    /// Nobody has it, nor brings it.
    fn follow(&self, shard: ShardId) -> Result<Found, SurveyFault> {
        let mut lost = None;
        let signposts = self.saying(shard, |residence| match residence {
            Residence::Moved { to } => Some(to.as_str()),
            Residence::Here | Residence::Arriving { .. } => None,
        });
        for (_, to) in signposts {
            let to = self.known(shard, to)?;
            match self.of(to, shard) {
                Row::Unasked => return Ok(Found::Away(to)),
                // it went on from there
                Row::Says(Residence::Moved { .. }) => {}
                Row::Says(Residence::Here | Residence::Arriving { .. }) | Row::Never => lost = Some(to),
            }
        }
        if let Some(group) = lost {
            return Err(SurveyFault::Lost {
                shard: shard.number(),
                group: self.configured.name(group).clone(),
            });
        }
        let own = self.configured.group_of(shard);
        let silent = |group: &GroupId| self.said_by(*group).is_none();
        let away = Some(own)
            .filter(silent)
            .or_else(|| self.configured.groups().find(silent));
        Ok(away.map_or(Found::Nowhere, Found::Away))
    }

    /// What the groups that could be asked say of a shard, as far as it is of a kind.
    fn saying<'a, T: 'a>(
        &'a self,
        shard: ShardId,
        kind: impl Fn(&'a Residence) -> Option<T> + 'a,
    ) -> impl Iterator<Item = (GroupId, T)> + 'a {
        self.configured
            .groups()
            .filter_map(move |group| match self.of(group, shard) {
                Row::Says(residence) => Some((group, kind(residence)?)),
                Row::Never | Row::Unasked => None,
            })
    }

    fn of(&self, group: GroupId, shard: ShardId) -> Row<'_> {
        let said = self.said_by(group).map(|said| said.get(&shard));
        said.map_or(Row::Unasked, |row| row.map_or(Row::Never, Row::Says))
    }

    fn said_by(&self, group: GroupId) -> Option<&BTreeMap<ShardId, Residence>> {
        self.said.get(group.place()).and_then(Option::as_ref)
    }

    fn known(&self, shard: ShardId, name: &str) -> Result<GroupId, SurveyFault> {
        self.configured.find(name).ok_or_else(|| SurveyFault::Unknown {
            shard: shard.number(),
            group: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use ledger_model::ShardCount;

    use super::*;

    const ONE: ShardCount = ShardCount::new(1).unwrap();

    /// What groups a, b and c say of the only shard, which is configured in a: `-` never had it, `?` away, `here`, `<x`
    /// arriving from x, `>x` moved to x.
    fn check(said: [&str; 3], expected: &str) {
        let shard = ONE.shard(0).unwrap();
        let names = ["a", "b", "c"].map(|name| (name.parse().unwrap(), if name == "a" { vec![0] } else { vec![] }));
        let map = GroupMap::new(ONE, &names).unwrap();
        let said = said.map(|text| {
            let residence = match text.split_at(1) {
                ("?", "") => return None,
                ("-", "") => return Some(BTreeMap::new()),
                ("<", from) => Residence::Arriving { from: from.to_owned() },
                (">", to) => Residence::Moved { to: to.to_owned() },
                _ => Residence::Here,
            };
            Some(BTreeMap::from([(shard, residence)]))
        });
        let found = match survey(&map, ONE.all(), &said).as_deref() {
            Ok([(_, Found::In(group))]) => format!("in {}", map.name(*group)),
            Ok([(_, Found::Away(group))]) => format!("away {}", map.name(*group)),
            Ok([(_, Found::Nowhere)]) => "nowhere".to_owned(),
            Ok(other) => panic!("{other:?}"),
            Err(fault) => fault.to_string(),
        };
        assert_eq!(found, expected, "{said:?}");
    }

    #[test]
    fn a_shard_is_where_its_row_says_it_lives() {
        check(["here", "-", "-"], "in a");
        check([">b", "here", "-"], "in b");
        check([">b", ">c", "here"], "in c");
        check(["?", "here", "?"], "in b");
        // it was moved away and came back
        check(["here", ">a", "-"], "in a");
        check(["here", "here", "-"], "shard 0 is in the group a and in the group b");
    }

    #[test]
    fn a_shard_on_its_way_is_where_it_goes_once_the_group_it_leaves_says_so() {
        check(["here", "<a", "-"], "in a");
        check([">b", "<a", "-"], "in b");
        check(["?", "<a", "-"], "away a");
        // broken off, and moved elsewhere afterwards
        check([">c", "<a", "here"], "in c");
        check([">c", "<a", "?"], "away c");
        check([">c", "<a", "<a"], "in c");
        check(["-", "<x", "-"], "shard 0 is in the group x, which is not configured");
    }

    #[test]
    fn a_shard_is_made_only_where_every_group_says_that_it_never_had_it() {
        check(["-", "-", "-"], "nowhere");
        check(["?", "-", "-"], "away a");
        check(["-", "?", "-"], "away b");
        check(["-", "-", "?"], "away c");
        check([">b", "?", "?"], "away b");
        check([">b", ">c", "?"], "away c");
        check(
            [">b", "-", "-"],
            "shard 0 was moved to the group b, which does not have it",
        );
        check([">x", "-", "-"], "shard 0 is in the group x, which is not configured");
    }
}
