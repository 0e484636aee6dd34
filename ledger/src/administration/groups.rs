//! Listing the shard groups, and adding and removing one, for the people who run the ledger.

use std::sync::Arc;

use ledger_model::ShardId;
use ledger_protocol::{MovedShard, MovingShard, RegroupOrder, Regrouped, ShardGroup, ShardGroups};
use tokio::sync::watch;

use crate::hopping::regrouping::{Moved, Moving, Order, Regrouping, Standing};
use crate::router::Ledger;
use crate::store::postgres::{Host, MoveStep};

impl Ledger {
    pub fn shard_groups(&self) -> ShardGroups {
        let map = self.groups().map();
        let groups = map.groups().map(|group| {
            let settings = self
                .regrouping()
                .map(|regrouping| regrouping.placement().settings(group));
            let hosts = settings.map_or_else(Vec::new, |settings| settings.hosts.iter().map(written).collect());
            ShardGroup {
                name: map.name(group).to_string(),
                state: self.groups().state(group).name().to_owned(),
                shards: map.shards_of(group).map(ShardId::number).collect(),
                hosts,
            }
        });
        ShardGroups {
            groups: groups.collect(),
            moving: self.regrouping().and_then(|regrouping| regrouping.moving()).map(shown),
        }
    }

    /// Or why it is refused at once.
    pub(super) fn regroup(&self, order: RegroupOrder) -> Result<watch::Receiver<Standing>, String> {
        let regrouping: Option<&Arc<Regrouping>> = self.regrouping();
        let regrouping =
            regrouping.ok_or("the stores are in the directory of the ledger; there are no shard groups")?;
        let shard = |number: u8| {
            let shard = self.count().shard(number);
            shard.ok_or_else(|| format!("there is no shard {number}"))
        };
        let order = match order {
            RegroupOrder::Add { name, shards } => Order::Add {
                name: name.parse().map_err(|fault| format!("{fault}"))?,
                shards: shards.into_iter().map(shard).collect::<Result<_, _>>()?,
            },
            RegroupOrder::Remove { name } => Order::Remove {
                name: name.parse().map_err(|fault| format!("{fault}"))?,
            },
        };
        Ok(regrouping.order(order))
    }
}

fn written(host: &Host) -> String {
    format!("{}:{}", host.name, host.port)
}

/// `None` where there is nothing to tell yet.
pub(super) fn told(standing: Standing) -> Option<Regrouped> {
    Some(match standing {
        Standing::Planning => return None,
        Standing::Moving(moving) => Regrouped::Moving(shown(moving)),
        Standing::Done(moved) => Regrouped::Done(moved.into_iter().map(named).collect()),
        Standing::Refused(why) => Regrouped::Refused(why),
        Standing::BrokeOff(why) => Regrouped::BrokeOff(why),
    })
}

fn shown(moving: Moving) -> MovingShard {
    let Moving {
        moved,
        place,
        of,
        progress,
    } = moving;
    let [place, of] = [place, of].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    MovingShard {
        moved: named(moved),
        place,
        of,
        step: progress.map_or("", |progress| step_name(progress.step)).to_owned(),
        rows: progress.map_or(0, |progress| progress.done),
        rows_of: progress.map_or(0, |progress| progress.of),
    }
}

const fn step_name(step: MoveStep) -> &'static str {
    match step {
        MoveStep::Copying => "copying",
        MoveStep::CatchingUp => "catching_up",
        MoveStep::HandingOver => "handing_over",
        MoveStep::Clearing => "clearing",
    }
}

fn named(moved: Moved) -> MovedShard {
    let Moved { shard, from, to } = moved;
    MovedShard { shard, from, to }
}
