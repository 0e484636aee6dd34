//! Where the shards are and how their groups are reached, for the stores, readers and probes of one process.
//!
//! The databases say which shards live in them; this is what the process has learned of it: at the start by asking all of
//! them, afterwards by what its stores meet, and when a group comes back by asking it. The configuration says which groups
//! there are and how they are reached, and where a shard is made that no group ever had. A group that a database names and
//! this process does not know is looked for in the configuration file, which may have been written to meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger_model::{ShardCount, ShardId};

use super::groups::Groups;
use super::homecoming::{Probe, Probes, Reach};
use super::map::{GroupId, GroupMap, GroupName, MapFault};
use super::survey::{Found, Said, SurveyFault, survey};
use crate::store::postgres::{
    GroupSettings, PostgresProbe, PostgresStore, Residence, UnknownGroup, Whereabouts, make, residents,
};
use crate::store::{Store, StoreFault};

/// A shard that moves while the groups are asked, one a little later than the other, seems to be in both or in none.
const SURVEYS_MAX: usize = 3;

/// The groups as the configuration has them now.
pub type Configured =
    Box<dyn Fn() -> Result<Vec<GroupSettings>, Box<dyn std::error::Error + Send + Sync>> + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum PlacementFault {
    #[error("the group {group} cannot be used")]
    Group {
        group: GroupName,
        #[source]
        source: StoreFault,
    },
    #[error("the store of shard {shard} cannot be opened")]
    Shard {
        shard: u8,
        #[source]
        source: StoreFault,
    },
    #[error(transparent)]
    Survey(#[from] SurveyFault),
    #[error("the groups could not be asked")]
    Panicked,
    #[error("the configuration does not read now")]
    Configuration(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the configuration has no group {0}")]
    NotConfigured(String),
    #[error(transparent)]
    Name(#[from] MapFault),
}

/// What the groups said, by place in the ring, and where the shards are by it.
type Surveyed = (Vec<Said>, Vec<(ShardId, Found)>);

/// How a group is reached.
struct Servers {
    settings: Arc<GroupSettings>,
    probe: Arc<dyn Probe>,
    /// Its tables are there, and are this ledger's.
    is_asked: bool,
}

/// Of a group that could not be asked yet: what it is to write to may have to be made first.
struct FirstProbe {
    settings: Arc<GroupSettings>,
    shards: ShardCount,
    probe: Arc<dyn Probe>,
}

impl Probe for FirstProbe {
    fn write(&self) -> Result<(), StoreFault> {
        residents(&self.settings, self.shards)?;
        self.probe.write()
    }
}

pub struct Placement {
    groups: Arc<Groups>,
    shards: ShardCount,
    /// Where the configuration had the shards at the start, over the groups there were.
    at_start: GroupMap,
    /// By place of the group in the ring.
    servers: Mutex<Vec<Servers>>,
    configured: Configured,
}

impl Placement {
    /// Before anything is asked: shards are where the configuration has them. `servers` are by place in the ring of the
    /// groups' map, and of the same names.
    pub fn new(
        groups: Arc<Groups>,
        shards: ShardCount,
        servers: Vec<GroupSettings>,
        configured: Configured,
    ) -> Arc<Self> {
        let map = groups.map();
        let names = map.groups().map(|group| map.name(group).as_str());
        let same = names.eq(servers.iter().map(|settings| settings.name.as_str()));
        assert!(same, "every group of the map has its servers, in order");
        Arc::new(Self {
            at_start: GroupMap::clone(&map),
            groups,
            shards,
            servers: Mutex::new(servers.into_iter().map(Servers::of).collect()),
            configured,
        })
    }

    /// Finds every shard. A group that cannot be reached is down from then on; its shards are those found nowhere else. Shards
    /// that no group ever had are made. Waits for servers.
    pub fn survey(&self) -> Result<(), PlacementFault> {
        let map = self.groups.map();
        let (said, found) = self.found(&map, None)?;
        for (group, _) in map.groups().zip(&said).filter(|(_, said)| said.is_none()) {
            self.groups.away(group);
        }
        for (shard, found) in found {
            match found {
                Found::In(group) | Found::Away(group) => self.groups.moved(shard, group),
                Found::Nowhere => self.make(shard)?,
            }
        }
        Ok(())
    }

    /// The stores of all shards, in order. Those whose group cannot be reached connect when it is back. Waits for servers.
    pub fn open(self: &Arc<Self>) -> Result<Vec<Box<dyn Store>>, PlacementFault> {
        let stores = self.shards.all().map(|shard| self.open_one(shard));
        stores.collect()
    }

    fn open_one(self: &Arc<Self>, shard: ShardId) -> Result<Box<dyn Store>, PlacementFault> {
        let whereabouts: Arc<dyn Whereabouts> = Arc::<Self>::clone(self);
        let mut store = PostgresStore::unconnected(whereabouts, self.shards, shard);
        if !self.groups.is_used(shard) {
            return Ok(Box::new(store));
        }
        match store.begin() {
            Ok(state) => {
                tracing::info!(%shard, sequence = state.sequence, head = %state.head, "opened a shard's store");
            }
            Err(fault @ StoreFault::Unreachable(_)) => {
                tracing::error!(%shard, %fault, cause = ?fault, "a shard's store cannot be opened yet");
            }
            Err(source) => {
                let shard = shard.number();
                return Err(PlacementFault::Shard { shard, source });
            }
        }
        store.abandon();
        Ok(Box::new(store))
    }

    /// What the group's database says of the shards. Waits.
    pub fn residents(&self, group: GroupId) -> Result<BTreeMap<ShardId, Residence>, StoreFault> {
        let said = residents(&self.settings(group), self.shards)?;
        if let Some(servers) = self.servers().get_mut(group.place()) {
            servers.is_asked = true;
        }
        Ok(said)
    }

    pub fn groups(&self) -> &Arc<Groups> {
        &self.groups
    }

    pub fn shards(&self) -> ShardCount {
        self.shards
    }

    pub fn settings(&self, group: GroupId) -> Arc<GroupSettings> {
        let servers = self.servers();
        let servers = servers.get(group.place());
        Arc::clone(
            &servers
                .expect("every group has its servers before it is in the map")
                .settings,
        )
    }

    /// A group by its name: one that is known, or that the configuration file has by now. It holds nothing that it is
    /// not known to hold.
    pub fn meet(&self, name: &str) -> Result<GroupId, PlacementFault> {
        // one at a time: the place of the servers must be that of the group
        let mut servers = self.servers();
        if let Some(known) = self.groups.map().find(name) {
            return Ok(known);
        }
        let configured = (self.configured)().map_err(PlacementFault::Configuration)?;
        let settings = configured.into_iter().find(|settings| settings.name == name);
        let settings = settings.ok_or_else(|| PlacementFault::NotConfigured(name.to_owned()))?;
        let group: GroupName = name.parse()?;
        servers.push(Servers::of(settings));
        let added = self.groups.add(&group);
        debug_assert_eq!(
            added.place() + 1,
            servers.len(),
            "groups and servers are appended together"
        );
        Ok(added)
    }

    /// What the groups say, and where the shards are by it. Of all groups, or of `again` and those that are used.
    fn found(&self, map: &GroupMap, again: Option<GroupId>) -> Result<Surveyed, PlacementFault> {
        let mut tries = 1;
        loop {
            let said = self.ask(map, again)?;
            match survey(&self.configured_over(map), self.shards.all(), &said) {
                Ok(found) => return Ok((said, found)),
                Err(_) if tries < SURVEYS_MAX => tries += 1,
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    /// All at once, each within its own limit.
    fn ask(&self, map: &GroupMap, again: Option<GroupId>) -> Result<Vec<Said>, PlacementFault> {
        let is_asked = |group| again.is_none_or(|again| again == group || self.groups.state(group).is_used());
        // one that was to be added, and cannot be used, is nobody's affair
        let must_be_ours = |group| again.is_none_or(|again| again == group) || !map.is_empty(group);
        std::thread::scope(|scope| {
            let asking: Vec<_> = map
                .groups()
                .map(|group| is_asked(group).then(|| scope.spawn(move || self.residents(group))))
                .collect();
            let mut all = Vec::with_capacity(asking.len());
            for (group, thread) in map.groups().zip(asking) {
                let said = thread.map(|thread| thread.join().map_err(|_| PlacementFault::Panicked));
                all.push(match said.transpose()? {
                    Some(Ok(residents)) => Some(residents),
                    Some(Err(StoreFault::Unreachable(source))) => {
                        tracing::warn!(group = %map.name(group), %source, "a shard group cannot be asked");
                        None
                    }
                    Some(Err(source)) if !must_be_ours(group) => {
                        tracing::warn!(group = %map.name(group), %source, "a shard group without shards cannot be used");
                        None
                    }
                    Some(Err(source)) => {
                        let group = map.name(group).clone();
                        return Err(PlacementFault::Group { group, source });
                    }
                    None => None,
                });
            }
            Ok(all)
        })
    }

    /// The groups there are now, with the shards where the configuration had them.
    fn configured_over(&self, map: &GroupMap) -> GroupMap {
        let mut configured = map.clone();
        for shard in self.shards.all() {
            configured = configured.moved(shard, self.at_start.group_of(shard));
        }
        configured
    }

    fn make(&self, shard: ShardId) -> Result<(), PlacementFault> {
        let group = self.at_start.group_of(shard);
        self.groups.moved(shard, group);
        match make(&self.settings(group), self.shards, shard) {
            Ok(()) => {
                tracing::info!(%shard, group = %self.at_start.name(group), "an empty shard was made");
                Ok(())
            }
            // it is made when the group is back
            Err(StoreFault::Unreachable(_)) => {
                self.groups.away(group);
                Ok(())
            }
            Err(source) => {
                let group = self.at_start.name(group).clone();
                Err(PlacementFault::Group { group, source })
            }
        }
    }

    fn servers(&self) -> MutexGuard<'_, Vec<Servers>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Servers {
    fn of(settings: GroupSettings) -> Self {
        Self {
            probe: Arc::new(PostgresProbe::new(settings.clone())),
            settings: Arc::new(settings),
            is_asked: false,
        }
    }

    fn probe(&self, shards: ShardCount) -> Arc<dyn Probe> {
        if self.is_asked {
            return Arc::clone(&self.probe);
        }
        Arc::new(FirstProbe {
            settings: Arc::clone(&self.settings),
            shards,
            probe: Arc::clone(&self.probe),
        })
    }
}

impl Whereabouts for Placement {
    fn servers(&self, shard: ShardId) -> Arc<GroupSettings> {
        self.settings(self.groups.group_of(shard))
    }

    fn moved(&self, shard: ShardId, to: &str) -> Result<(), StoreFault> {
        match self.meet(to) {
            Ok(group) => {
                self.groups.moved(shard, group);
                Ok(())
            }
            Err(fault) => {
                tracing::error!(%shard, to, %fault, cause = ?fault, "a shard lives in a group that is not known here");
                Err(StoreFault::Unreachable(Box::new(UnknownGroup(to.to_owned()))))
            }
        }
    }
}

impl Reach for Placement {
    fn probes(&self) -> Probes {
        let servers = self.servers();
        let probes = self.groups.map().groups().zip(servers.iter());
        probes
            .map(|(group, servers)| (group, servers.probe(self.shards)))
            .collect()
    }

    /// Its shards may have moved while it could not be asked, or it is met for the first time.
    fn look_again(&self, group: GroupId) -> Result<(), StoreFault> {
        let map = self.groups.map();
        let looked = self.found(&map, Some(group));
        let looked = looked.and_then(|(said, found)| {
            if said.get(group.place()).is_none_or(Option::is_none) {
                return Ok(false);
            }
            for (shard, found) in found {
                match found {
                    Found::In(group) => self.groups.moved(shard, group),
                    Found::Away(_) => {}
                    Found::Nowhere => self.make(shard)?,
                }
            }
            Ok(true)
        });
        match looked {
            Ok(true) => Ok(()),
            Ok(false) => Err(StoreFault::Unreachable("the group could not be asked".into())),
            Err(fault) => Err(StoreFault::Unreachable(Box::new(fault))),
        }
    }
}

impl std::fmt::Debug for Placement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Placement")
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}
