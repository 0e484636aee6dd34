//! The Postgres store: a shard's journal and rows in the database of a shard group, which is a PostgreSQL primary with
//! its standbys, or anything that speaks its protocol and keeps its promises.
//!
//! ```text
//!   begin    BEGIN · lock the shard's row, read how it stands · groups of other processes since    one round trip, or two
//!   fetch    rows that are not in memory · transfers, by primary key                               one
//!   commit   frame · transfers · rows due · the shard's row · COMMIT                               one
//! ```
//!
//! * **Order.** Whoever writes a shard, in whichever process, locks the shard's row first and keeps it until its commit
//!   is done. So groups of a shard are committed one after another, each begins with what the one before left, and records
//!   are numbered and chained without gaps in the order of commits (invariant L5). Of different shards nothing is ordered.
//! * **Once.** The primary key of `transfer` is over all shards of the database: two processes that decide one key at the same
//!   time in two shards cannot both commit (invariant L4). The later one is told that nothing was written. Keys are added
//!   in their order, so that two groups never wait for each other.
//! * **Rows.** A group is one row of `frame`; what it changed is taken from there until it is due in its table, see `held`.
//! * **Late commits.** A session that writes begins by raising the shard's epoch in a transaction of its own. It gets the row
//!   only when every earlier transaction on it has ended, and its commit is acknowledged only when the standby has
//!   everything before it. So after a commit that was not answered, the next `begin` finds out for good.
//! * **Whereabouts.** Which group a shard lives in is said by the databases, see `residence`; a shard moves while it is in use, see
//!   `moving`. Whoever writes learns it with the lock, whoever reads with the answer, and follows.
//! * **Patience.** No call takes longer than the group's call limit. A commit that was sent and not answered is in doubt; it
//!   is never cancelled, since a commit that waits for its standby would be cancelled into standing on the primary alone.

mod asking;
mod commit;
mod digest;
mod expiry;
mod frame;
mod held;
mod kept;
mod link;
mod moving;
mod probe;
mod reader;
mod residence;
mod schema;
mod settings;
mod statements;
mod taking;
mod whereabouts;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

use ledger_model::{ShardCount, ShardId, TransferKey};
use tokio_postgres::Client;

use self::asking::WantedTransfers;
use self::commit::{Draft, Sent};
use self::expiry::Expiry;
use self::held::{Change, Held, HeldLimits, Unknown};
use self::link::{CallFault, Link};
pub use self::moving::{Move, MoveFault, MoveProgress, MoveStep};
pub use self::probe::PostgresProbe;
use self::reader::{PostgresReader, column, transfers};
pub use self::residence::{Residence, make, residents};
pub use self::settings::{CALL_LIMIT, GroupSettings, Host, Password, SettingsFault};
use self::statements::Writing;
use self::taking::Neighbours;
pub use self::whereabouts::{Fixed, UnknownGroup, Whereabouts};
use super::{Group, OpenHops, Reader, Store, StoreFault, oldest_first};
use crate::books::{HopRow, Remembered};
use crate::hash::FastMap;
use crate::state::ShardState;
use crate::view::{Rows, Wanted};

/// The store of one shard, in whichever group it lives.
pub struct PostgresStore {
    whereabouts: Arc<dyn Whereabouts>,
    link: Link,
    open: Option<Open>,
    shards: ShardCount,
    shard: ShardId,
    neighbours: Neighbours,
    state: ShardState,
    /// Number of the last record that was ever seen committed: a database that has fewer has lost some.
    seen: u64,
    epoch: i64,
    /// The table has what groups up to this record left behind.
    flushed: u64,
    /// Whether `held` has what groups up to the state's last record left behind; nothing is held where not.
    is_current: bool,
    held: RefCell<Held>,
    /// Of keys fetched since `begin`, what other shards of the database hold under them.
    elsewhere: RefCell<FastMap<TransferKey, Remembered>>,
    /// The session failed; another is made before it is used.
    is_broken: Cell<bool>,
    in_transaction: bool,
    expiry: Expiry,
}

struct Open {
    client: Client,
    writing: Writing,
}

impl PostgresStore {
    /// Opens the store of `shard`, which is in one of the groups. Refuses a database of another version or made for another
    /// count of shards.
    pub fn open(whereabouts: Arc<dyn Whereabouts>, shards: ShardCount, shard: ShardId) -> Result<Self, StoreFault> {
        let mut store = Self::unconnected(whereabouts, shards, shard);
        store.begin()?;
        store.abandon();
        Ok(store)
    }

    /// Connects when it is first used; how the shard stands is not known before.
    pub fn unconnected(whereabouts: Arc<dyn Whereabouts>, shards: ShardCount, shard: ShardId) -> Self {
        Self {
            link: Link::new(whereabouts.servers(shard)),
            whereabouts,
            open: None,
            shards,
            shard,
            neighbours: Neighbours::default(),
            state: ShardState::empty(shard),
            seen: 0,
            epoch: 0,
            flushed: 0,
            is_current: false,
            held: RefCell::default(),
            elsewhere: RefCell::default(),
            is_broken: Cell::new(false),
            in_transaction: false,
            expiry: Expiry::default(),
        }
    }

    fn number(&self) -> i16 {
        i16::from(self.shard.number())
    }

    fn limits(&self) -> HeldLimits {
        let settings = self.link.settings();
        HeldLimits {
            pending_max: settings.pending_rows_max,
            remembered_max: settings.remembered_rows_max,
        }
    }

    /// Nothing that is in memory is believed any more.
    pub(super) fn doubt(&mut self) {
        self.is_current = false;
        self.held.get_mut().forget();
    }

    /// The group is there.
    fn settle(&mut self, group: Group, draft: Draft, expired: u64) {
        let Draft {
            span,
            frame,
            due,
            changes,
            first_day,
            ..
        } = draft;
        let limits = self.limits();
        if frame.is_some() {
            self.flushed = self.flushed.max(due.flushed);
            self.held.get_mut().committed(limits, due, changes, span);
        }
        self.seen = group.state.sequence;
        self.state = group.state;
        if first_day.is_some() && expired == 0 {
            self.expiry.first_day = None;
        }
        let decided = group
            .rows
            .transfers
            .iter()
            .map(|row| row.transfer.decided_at.date())
            .max();
        if let Some(today) = decided {
            self.expiry.day_of_group(today, self.link.settings().kept_days);
        }
    }
}

impl Store for PostgresStore {
    fn is_seen(&self) -> bool {
        self.epoch > 0
    }

    /// How often the right to write the shard was taken anew, by whichever process.
    fn epoch(&self) -> u64 {
        u64::try_from(self.epoch).unwrap_or_default()
    }

    /// On a new session, which raises the epoch.
    fn fence(&mut self) -> Result<u64, StoreFault> {
        self.give_up();
        self.begin()?;
        self.abandon();
        Ok(self.epoch())
    }

    fn begin(&mut self) -> Result<ShardState, StoreFault> {
        self.abandon();
        self.elsewhere.get_mut().clear();
        let deadline = self.link.deadline();
        let row = self.take_where_it_lives(deadline)?;
        if let Err(fault) = self.catch_up(deadline, &row) {
            self.doubt();
            self.give_up();
            return Err(fault);
        }
        Ok(self.state.clone())
    }

    fn state(&self) -> &ShardState {
        &self.state
    }

    fn fetch(&self, wanted: &Wanted) -> Result<Rows, StoreFault> {
        let mut held = self.held.borrow_mut();
        let unknown = held.unknown(held::keys(self.shard, wanted));
        let transfers_wanted = WantedTransfers::of(wanted);
        let asked = self.ask(&unknown, &transfers_wanted)?;
        let Unknown { keys, ranges } = unknown;
        for (range, keys) in ranges.into_iter().zip(&asked.ranges) {
            let keys = keys
                .iter()
                .map(|row| column(row, 0))
                .collect::<Result<Vec<&[u8]>, _>>()?;
            held.learn_range(range, keys.into_iter());
        }
        let mut found = Vec::with_capacity(asked.held.len());
        for row in &asked.held {
            found.push(Change {
                key: column(row, 0)?,
                value: column(row, 1)?,
            });
        }
        held.learn(self.limits(), keys, found);
        let mut fetched = held.rows(self.shard, wanted)?;
        let mut here = FastMap::default();
        for (shard, known) in transfers(|digest| transfers_wanted.key_of(digest), &asked.transfers)? {
            let map = if shard == self.shard.number() {
                &mut here
            } else {
                &mut *self.elsewhere.borrow_mut()
            };
            map.insert(known.transfer.key, known);
        }
        let keys = wanted.transfers.iter().chain(&wanted.new);
        fetched.transfers = keys.filter_map(|key| here.remove(key)).collect();
        Ok(fetched)
    }

    fn open_hops(&self, homes: &BTreeSet<ShardId>, limit: usize) -> Result<OpenHops, StoreFault> {
        let open = self.unsettled()?.into_iter().filter(held::is_open);
        Ok(OpenHops::among(open, homes, limit))
    }

    fn unapplied_hops(&self, limit: usize) -> Result<Vec<HopRow>, StoreFault> {
        let mut refused = self.unsettled()?;
        refused.retain(|row| !held::is_open(row));
        oldest_first(&mut refused, limit);
        Ok(refused)
    }

    fn commit(&mut self, group: Group) -> Result<(), StoreFault> {
        let sent = self.draft(&group).and_then(|draft| Ok((self.send(&draft)?, draft)));
        let (sent, draft) = match sent {
            Ok(sent) => sent,
            Err(fault) => {
                self.abandon();
                return Err(fault);
            }
        };
        match sent {
            Sent::Durable { expired } => {
                self.in_transaction = false;
                self.settle(group, draft, expired);
                Ok(())
            }
            Sent::Refused(fault) => {
                // the commit that followed has ended the transaction as a rollback
                self.in_transaction = false;
                if fault.is_key_taken() {
                    return Err(StoreFault::KeyTaken);
                }
                self.doubt();
                if matches!(fault, CallFault::Lost(_)) {
                    self.give_up();
                }
                Err(StoreFault::NotWritten(std::io::Error::other(fault)))
            }
            Sent::Unknown(fault) => {
                self.doubt();
                self.give_up();
                Err(StoreFault::InDoubt(Box::new(fault)))
            }
        }
    }

    fn abandon(&mut self) {
        if !std::mem::take(&mut self.in_transaction) {
            return;
        }
        let rolled_back = self.session().and_then(|open| {
            self.link
                .bounded(self.link.deadline(), open.client.batch_execute("ROLLBACK"))
        });
        if rolled_back.is_err() {
            self.give_up();
        }
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(PostgresReader::new(
            Arc::clone(&self.whereabouts),
            self.shards,
            self.shard,
        ))
    }

    fn has_other_writers(&self) -> bool {
        true
    }

    fn keeps_keys_with(&self, shard: ShardId) -> bool {
        let group = &self.link.settings().name;
        if self.neighbours.has(group, shard) {
            return true;
        }
        if self.whereabouts.servers(shard).name == *group {
            self.neighbours.may_have_come();
        }
        false
    }

    fn elsewhere(&self, key: &TransferKey) -> Option<Remembered> {
        self.elsewhere.borrow().get(key).cloned()
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("link", &self.link)
            .field("state", &self.state)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
