//! What a database says of where shards live. Each shard has one row in the database of every group it was ever in, and lives
//! where its row says neither that it left nor that it still arrives.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger_model::{Packed, ShardCount, ShardId};
use tokio_postgres::Row;

use super::link::{CallFault, Link};
use super::reader::column;
use super::schema;
use super::settings::GroupSettings;
use crate::state::ShardState;
use crate::store::StoreFault;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Residence {
    Here,
    /// It is being brought from the group of this name, and lives there until that database says it left.
    Arriving {
        from: String,
    },
    Moved {
        to: String,
    },
}

/// There is no row of the shard: it was never in the database.
#[derive(Debug, thiserror::Error)]
#[error("shard {0} was never in this group's database")]
pub(super) struct NeverHere(pub(super) i16);

const RESIDENTS: &str = "SELECT shard, moved_to, arrives_from FROM shard ORDER BY shard";

const MAKE: &str = "INSERT INTO shard (shard, epoch, sequence, flushed, state) VALUES ($1, 0, 0, 0, $2) \
     ON CONFLICT (shard) DO NOTHING";

impl Residence {
    /// Of two columns, `moved_to` and, after it, `arrives_from`.
    pub(super) fn of(row: &Row, place: usize) -> Result<Self, StoreFault> {
        let to: Option<String> = column(row, place)?;
        let from: Option<String> = column(row, place + 1)?;
        match (to, from) {
            (None, None) => Ok(Self::Here),
            (None, Some(from)) => Ok(Self::Arriving { from }),
            (Some(to), None) => Ok(Self::Moved { to }),
            (Some(_), Some(_)) => Err(StoreFault::Inconsistent("a shard that has left arrives as well")),
        }
    }
}

/// What the group's database says of the shards it ever had. Makes its tables or brings them up to date; refuses a database
/// of a later version or made for another count of shards. Waits, one call limit for a server that is away.
pub fn residents(
    settings: &Arc<GroupSettings>,
    shards: ShardCount,
) -> Result<BTreeMap<ShardId, Residence>, StoreFault> {
    let mut link = Link::new(Arc::clone(settings));
    let client = schema::prepare(&mut link, shards)?;
    let rows = link.bounded(link.deadline(), client.query(RESIDENTS, &[]));
    let rows = rows.map_err(CallFault::unreachable)?;
    link.close();
    rows.iter()
        .map(|row| {
            let number: i16 = column(row, 0)?;
            let number = u8::try_from(number).ok();
            let shard = number.and_then(|number| shards.shard(number));
            let shard = shard.ok_or(StoreFault::Inconsistent("there is no such shard"))?;
            Ok((shard, Residence::of(row, 1)?))
        })
        .collect()
}

/// Makes an empty shard in the group, where its database never had it. Only for a shard that no group has.
pub fn make(settings: &Arc<GroupSettings>, shards: ShardCount, shard: ShardId) -> Result<(), StoreFault> {
    let mut link = Link::new(Arc::clone(settings));
    let client = schema::prepare(&mut link, shards)?;
    let mut state = Vec::new();
    ShardState::empty(shard).pack(&mut state);
    let number = i16::from(shard.number());
    let made = link.bounded(link.deadline(), client.execute(MAKE, &[&number, &state]));
    link.close();
    made.map_err(CallFault::unreachable).map(|_| ())
}
