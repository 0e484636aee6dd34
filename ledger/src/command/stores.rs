//! The stores of a ledger that is to run: in its directory, or in its shard groups.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ledger_model::{ShardCount, ShardId};

use crate::config::{self, Config, ShardGroups};
use crate::hopping::groups::Groups;
use crate::hopping::placement::{Configured, Placement, PlacementFault};
use crate::store::embedded::{EmbeddedStore, StoreOptions};
use crate::store::{Store, StoreFault};

#[derive(Debug, thiserror::Error)]
pub(super) enum StoresFault {
    #[error("the directory of the stores cannot be made")]
    Directory(#[source] std::io::Error),
    #[error("opening a store panicked")]
    Panicked,
    #[error("the shards of the groups cannot be opened")]
    Placement(#[source] PlacementFault),
    #[error("the store of shard {shard} cannot be opened")]
    Store {
        shard: u8,
        #[source]
        source: StoreFault,
    },
}

/// Open stores, and the groups they are in.
pub(super) struct Stores {
    pub by_shard: Vec<Box<dyn Store>>,
    pub groups: Arc<Groups>,
    /// None where the stores are in the directory.
    pub placement: Option<Arc<Placement>>,
}

/// Waits for disks or servers.
pub(super) fn open(config: &Config) -> Result<Stores, StoresFault> {
    match &config.groups {
        Some(groups) => in_groups(config, groups),
        None => Ok(Stores {
            by_shard: in_directory(config)?,
            groups: Groups::single(config.shards),
            placement: None,
        }),
    }
}

/// Groups that cannot be reached do not keep a ledger from starting: they are down from the beginning.
fn in_groups(config: &Config, configured: &ShardGroups) -> Result<Stores, StoresFault> {
    let ShardGroups { map, servers } = configured;
    let groups = Groups::new(map.clone(), config.hopping.settings, Arc::new(Instant::now));
    let file = config.file.clone();
    let read_again: Configured = Box::new(move || {
        let groups = config::read(&file)?.groups;
        Ok(groups.map_or_else(Vec::new, |groups| groups.servers))
    });
    let placement = Placement::new(Arc::clone(&groups), config.shards, servers.clone(), read_again);
    placement.survey().map_err(StoresFault::Placement)?;
    let by_shard = placement.open().map_err(StoresFault::Placement)?;
    Ok(Stores {
        by_shard,
        groups,
        placement: Some(placement),
    })
}

fn in_directory(config: &Config) -> Result<Vec<Box<dyn Store>>, StoresFault> {
    let options = StoreOptions {
        snapshot_bytes: config.snapshot_bytes,
        kept_days: config.limits.kept_days,
        ..StoreOptions::default()
    };
    std::fs::create_dir_all(&config.directory).map_err(StoresFault::Directory)?;
    open_directory(&config.directory, config.shards, &options)
}

/// The first shard alone: a directory of another ledger is refused before anything is made in it. Then the others at
/// once, since each has its own log to read after a crash.
fn open_directory(
    directory: &Path,
    shards: ShardCount,
    options: &StoreOptions,
) -> Result<Vec<Box<dyn Store>>, StoresFault> {
    let open = |shard: ShardId| -> Result<Box<dyn Store>, StoresFault> {
        let store = EmbeddedStore::open_with(directory, shards, shard, options.clone());
        let store = store.map_err(|source| fault(shard, source))?;
        let state = store.state();
        tracing::info!(%shard, sequence = state.sequence, head = %state.head, "opened a shard's store");
        Ok(Box::new(store))
    };
    let (first, others): (Vec<ShardId>, Vec<ShardId>) = shards.all().partition(|shard| shard.number() == 0);
    let mut stores = first.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
    std::thread::scope(|scope| {
        let opening: Vec<_> = others
            .into_iter()
            .map(|shard| scope.spawn(move || open(shard)))
            .collect();
        for thread in opening {
            stores.push(thread.join().unwrap_or(Err(StoresFault::Panicked))?);
        }
        Ok(stores)
    })
}

fn fault(shard: ShardId, source: StoreFault) -> StoresFault {
    StoresFault::Store {
        shard: shard.number(),
        source,
    }
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores")
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}
