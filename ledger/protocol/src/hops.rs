//! Transfers that hopped and are not at rest yet.

use ledger_model::{Refusal, Transfer};

use crate::convert::Malformed;
use crate::wire;

/// A transfer taken in by another shard than its home, and not brought home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsettledHop {
    /// As it was answered.
    pub transfer: Transfer,
    /// The shard that took it in.
    pub taken_in: u8,
    pub home: u8,
    /// 1 where the home had certainly done nothing, 2 where it may have.
    pub attempt: u8,
    /// Why the home refused it; none while it waits for the home.
    pub refusal: Option<Refusal>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnsettledHops {
    /// The oldest, of each shard those that wait before those that were refused.
    pub hops: Vec<UnsettledHop>,
    /// Of all that wait, in the shards that could be asked.
    pub open: u64,
    /// Shards that could not be asked.
    pub unseen_shards: Vec<u8>,
}

impl From<UnsettledHops> for wire::HopsReply {
    fn from(hops: UnsettledHops) -> Self {
        let UnsettledHops {
            hops,
            open,
            unseen_shards,
        } = hops;
        let hops = hops.into_iter().map(|hop| wire::UnsettledHop {
            transfer: Some((&hop.transfer).into()),
            taken_in: hop.taken_in.into(),
            home: hop.home.into(),
            attempt: hop.attempt.into(),
            refusal: hop
                .refusal
                .map_or_else(String::new, |refusal| refusal.name().to_owned()),
        });
        Self {
            hops: hops.collect(),
            open,
            unseen_shards: unseen_shards.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::HopsReply> for UnsettledHops {
    type Error = Malformed;

    fn try_from(reply: wire::HopsReply) -> Result<Self, Malformed> {
        let hops = reply.hops.into_iter().map(TryInto::try_into);
        let unseen = reply
            .unseen_shards
            .into_iter()
            .map(|number| small("unseen_shards", number));
        Ok(Self {
            hops: hops.collect::<Result<_, _>>()?,
            open: reply.open,
            unseen_shards: unseen.collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<wire::UnsettledHop> for UnsettledHop {
    type Error = Malformed;

    fn try_from(hop: wire::UnsettledHop) -> Result<Self, Malformed> {
        let wire::UnsettledHop {
            transfer,
            taken_in,
            home,
            attempt,
            refusal,
        } = hop;
        let refusal = match refusal.as_str() {
            "" => None,
            name => Some(Refusal::from_name(name).ok_or(Malformed { field: "refusal" })?),
        };
        Ok(Self {
            transfer: transfer.ok_or(Malformed { field: "transfer" })?.try_into()?,
            taken_in: small("taken_in", taken_in)?,
            home: small("home", home)?,
            attempt: small("attempt", attempt)?,
            refusal,
        })
    }
}

fn small(field: &'static str, number: u32) -> Result<u8, Malformed> {
    u8::try_from(number).map_err(|_| Malformed { field })
}
