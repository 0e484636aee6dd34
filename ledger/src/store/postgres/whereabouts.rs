//! Where shards are, as a process knows it. Databases have the last word, see `residence`: what is known here may be out of
//! date, and whoever comes to the wrong group is told so there. Nothing that must be right rests on it.

use std::sync::Arc;

use ledger_model::ShardId;

use super::settings::GroupSettings;
use crate::store::StoreFault;

/// Shared by every store and reader of a ledger.
pub trait Whereabouts: Send + Sync {
    /// How the group is reached that holds the shard now.
    fn servers(&self, shard: ShardId) -> Arc<GroupSettings>;

    /// A database says that the shard lives in the group of this name: from now on [`Self::servers`] says so.
    ///
    /// [`StoreFault::Unreachable`] where this process does not know that group.
    fn moved(&self, shard: ShardId, to: &str) -> Result<(), StoreFault>;
}

/// Every shard in one group, for good.
#[derive(Debug)]
pub struct Fixed(Arc<GroupSettings>);

#[derive(Debug, thiserror::Error)]
#[error("a shard lives in the group {0}, which is not configured here")]
pub struct UnknownGroup(pub String);

impl Fixed {
    pub fn new(settings: GroupSettings) -> Self {
        Self(Arc::new(settings))
    }
}

impl Whereabouts for Fixed {
    fn servers(&self, _shard: ShardId) -> Arc<GroupSettings> {
        Arc::clone(&self.0)
    }

    fn moved(&self, _shard: ShardId, to: &str) -> Result<(), StoreFault> {
        if to == self.0.name {
            return Ok(());
        }
        Err(StoreFault::Unreachable(Box::new(UnknownGroup(to.to_owned()))))
    }
}
