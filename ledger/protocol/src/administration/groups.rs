//! Shard groups: what they hold, and adding and removing one.

use ledger_model::{Operator, Reason};

use crate::convert::{Malformed, text};
use crate::wire;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardGroup {
    pub name: String,
    /// up, suspect, down, recovering
    pub state: String,
    /// As far as the process knows.
    pub shards: Vec<u8>,
    /// `host:port`.
    pub hosts: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardGroups {
    /// In the order of the ring.
    pub groups: Vec<ShardGroup>,
    /// By an order to the process that was asked.
    pub moving: Option<MovingShard>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegroupOrder {
    /// These shards; none named: its share of all of them.
    Add {
        name: String,
        shards: Vec<u8>,
    },
    Remove {
        name: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderedRegrouping {
    pub order: RegroupOrder,
    pub operator: Operator,
    pub reason: Reason,
}

/// A shard, and the groups it goes from and to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedShard {
    pub shard: u8,
    pub from: String,
    pub to: String,
}

/// How far a shard has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovingShard {
    pub moved: MovedShard,
    /// Among those that move by the order, from 1.
    pub place: u32,
    pub of: u32,
    /// copying, `catching_up`, `handing_over`, clearing; empty before it has begun.
    pub step: String,
    /// Rows and records of the step, and how many there were when it began.
    pub rows: u64,
    pub rows_of: u64,
}

/// What is told of an order; after any but the first nothing more comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Regrouped {
    Moving(MovingShard),
    Done(Vec<MovedShard>),
    /// Nothing was moved; why.
    Refused(String),
    /// What was moved stays moved; why the rest was not.
    BrokeOff(String),
}

fn numbers(field: &'static str, shards: Vec<u32>) -> Result<Vec<u8>, Malformed> {
    let shards = shards.into_iter().map(|number| small(field, number));
    shards.collect()
}

fn small(field: &'static str, number: u32) -> Result<u8, Malformed> {
    u8::try_from(number).map_err(|_| Malformed { field })
}

impl From<&OrderedRegrouping> for wire::RegroupRequest {
    fn from(ordered: &OrderedRegrouping) -> Self {
        use wire::regroup_request::Order;
        let order = match &ordered.order {
            RegroupOrder::Add { name, shards } => Order::Add(wire::AddGroup {
                name: name.clone(),
                shards: shards.iter().copied().map(Into::into).collect(),
            }),
            RegroupOrder::Remove { name } => Order::Remove(wire::RemoveGroup { name: name.clone() }),
        };
        Self {
            order: Some(order),
            operator: ordered.operator.to_string(),
            reason: ordered.reason.to_string(),
        }
    }
}

impl TryFrom<wire::RegroupRequest> for OrderedRegrouping {
    type Error = Malformed;

    fn try_from(request: wire::RegroupRequest) -> Result<Self, Malformed> {
        use wire::regroup_request::Order;
        let order = match request.order.ok_or(Malformed { field: "order" })? {
            Order::Add(wire::AddGroup { name, shards }) => RegroupOrder::Add {
                name,
                shards: numbers("shards", shards)?,
            },
            Order::Remove(wire::RemoveGroup { name }) => RegroupOrder::Remove { name },
        };
        Ok(Self {
            order,
            operator: text("operator", &request.operator)?,
            reason: text("reason", &request.reason)?,
        })
    }
}

impl From<MovedShard> for wire::MovedShard {
    fn from(moved: MovedShard) -> Self {
        let MovedShard { shard, from, to } = moved;
        Self {
            shard: shard.into(),
            from,
            to,
        }
    }
}

impl TryFrom<wire::MovedShard> for MovedShard {
    type Error = Malformed;

    fn try_from(moved: wire::MovedShard) -> Result<Self, Malformed> {
        let wire::MovedShard { shard, from, to } = moved;
        Ok(Self {
            shard: small("shard", shard)?,
            from,
            to,
        })
    }
}

impl From<MovingShard> for wire::MovingShard {
    fn from(moving: MovingShard) -> Self {
        let MovingShard {
            moved,
            place,
            of,
            step,
            rows,
            rows_of,
        } = moving;
        Self {
            shard: Some(moved.into()),
            place,
            of,
            step,
            rows,
            rows_of,
        }
    }
}

impl TryFrom<wire::MovingShard> for MovingShard {
    type Error = Malformed;

    fn try_from(moving: wire::MovingShard) -> Result<Self, Malformed> {
        let wire::MovingShard {
            shard,
            place,
            of,
            step,
            rows,
            rows_of,
        } = moving;
        Ok(Self {
            moved: shard.ok_or(Malformed { field: "shard" })?.try_into()?,
            place,
            of,
            step,
            rows,
            rows_of,
        })
    }
}

impl From<Regrouped> for wire::RegroupReply {
    fn from(regrouped: Regrouped) -> Self {
        use wire::regroup_reply::What;
        let what = match regrouped {
            Regrouped::Moving(moving) => What::Moving(moving.into()),
            Regrouped::Done(moved) => What::Done(wire::RegroupDone {
                moved: moved.into_iter().map(Into::into).collect(),
            }),
            Regrouped::Refused(why) => What::Refused(why),
            Regrouped::BrokeOff(why) => What::BrokeOff(why),
        };
        Self { what: Some(what) }
    }
}

impl TryFrom<wire::RegroupReply> for Regrouped {
    type Error = Malformed;

    fn try_from(reply: wire::RegroupReply) -> Result<Self, Malformed> {
        use wire::regroup_reply::What;
        Ok(match reply.what.ok_or(Malformed { field: "what" })? {
            What::Moving(moving) => Self::Moving(moving.try_into()?),
            What::Done(wire::RegroupDone { moved }) => {
                Self::Done(moved.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
            }
            What::Refused(why) => Self::Refused(why),
            What::BrokeOff(why) => Self::BrokeOff(why),
        })
    }
}

impl From<ShardGroups> for wire::ListGroupsReply {
    fn from(listed: ShardGroups) -> Self {
        let groups = listed.groups.into_iter().map(|group| wire::ShardGroup {
            name: group.name,
            state: group.state,
            shards: group.shards.into_iter().map(Into::into).collect(),
            hosts: group.hosts,
        });
        Self {
            groups: groups.collect(),
            moving: listed.moving.map(Into::into),
        }
    }
}

impl TryFrom<wire::ListGroupsReply> for ShardGroups {
    type Error = Malformed;

    fn try_from(reply: wire::ListGroupsReply) -> Result<Self, Malformed> {
        let groups = reply.groups.into_iter().map(|group| {
            Ok(ShardGroup {
                name: group.name,
                state: group.state,
                shards: numbers("shards", group.shards)?,
                hosts: group.hosts,
            })
        });
        Ok(Self {
            groups: groups.collect::<Result<_, _>>()?,
            moving: reply.moving.map(TryInto::try_into).transpose()?,
        })
    }
}
