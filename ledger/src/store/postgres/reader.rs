//! What any thread may read of a shard: what is committed, by whichever process it was.
//!
//! A commit is seen by others only after it is durable, with one exception: a primary that crashed and came back shows
//! commits whose standby may not have them yet. So a session begins with a small commit of its own, which waits for
//! the standby, and with it for everything before it.
//!
//! A shard that moves is followed. With every answer comes, asked after it, where the shard lives: what was read of a shard
//! that still lived there was all there was. While a shard is between two groups, the one it left still has all of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ledger_model::{ShardCount, ShardId, TransferKey};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::digest::Digest;
use super::frame::{evidence_of, item, records, signed, unsigned};
use super::kept::kept;
use super::link::{CallFault, Deadline, Link};
use super::residence::{NeverHere, Residence};
use super::schema;
use super::settings::GroupSettings;
use super::statements::Reading;
use super::taking::{Astray, GROUPS_MAX};
use super::whereabouts::Whereabouts;
use crate::books::Remembered;
use crate::store::row::remembered;
use crate::store::{Kept, Reader, StoreFault};

pub(super) const BARRIER: &str = "SELECT pg_logical_emit_message(true, 'ledger', '')";

pub(super) struct PostgresReader {
    whereabouts: Arc<dyn Whereabouts>,
    shards: ShardCount,
    shard: ShardId,
    session: Mutex<Session>,
}

struct Session {
    link: Link,
    open: Option<Open>,
}

struct Open {
    client: Client,
    reading: Reading,
}

/// A row that is read as it should be, or a fault of ours.
pub(super) fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, place: usize) -> Result<T, StoreFault> {
    row.try_get(place).map_err(StoreFault::engine("read a column"))
}

/// Transfers as `TRANSFERS` tells them, of those wanted: the shard that decided each.
pub(super) fn transfers<'a>(
    wanted: impl Fn(Digest) -> Option<&'a TransferKey>,
    rows: &[Row],
) -> Result<Vec<(u8, Remembered)>, StoreFault> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let digest: Digest = column(row, 0)?;
        let shard: i16 = column(row, 1)?;
        let shard = u8::try_from(shard).map_err(|_| StoreFault::Inconsistent("there is no such shard"))?;
        let returned: i64 = column(row, 2)?;
        let bytes: &[u8] = column(row, 3)?;
        let key = wanted(digest).ok_or(StoreFault::Inconsistent("a transfer came that was not asked for"))?;
        let known = remembered(key, item(bytes)?, returned)?;
        found.extend(known.map(|known| (shard, known)));
    }
    Ok(found)
}

impl PostgresReader {
    /// Connects when it is first asked.
    pub(super) fn new(whereabouts: Arc<dyn Whereabouts>, shards: ShardCount, shard: ShardId) -> Self {
        let session = Session {
            link: Link::new(whereabouts.servers(shard)),
            open: None,
        };
        Self {
            whereabouts,
            shards,
            shard,
            session: Mutex::new(session),
        }
    }

    pub(super) fn shard(&self) -> i16 {
        i16::from(self.shard.number())
    }

    /// Asks in the group where the shard lives.
    pub(super) fn ask<T>(
        &self,
        question: &impl AsyncFn(&Client, &Reading) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreFault> {
        // what could panic under the lock leaves nothing half done
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = session.link.deadline();
        let mut left: Option<(Arc<GroupSettings>, T)> = None;
        for _ in 0..GROUPS_MAX {
            session.turn_to(self.whereabouts.servers(self.shard));
            let (answer, residence) = self.ask_there(&mut session, deadline, question)?;
            match residence {
                Residence::Here => return Ok(answer),
                Residence::Moved { to } => {
                    left = Some((Arc::clone(session.link.settings()), answer));
                    self.whereabouts.moved(self.shard, &to)?;
                }
                Residence::Arriving { from } => match left.take() {
                    Some((group, answer)) if group.name == from => return Ok(answer),
                    _ => self.whereabouts.moved(self.shard, &from)?,
                },
            }
        }
        Err(StoreFault::Unreachable(Box::new(Astray)))
    }

    /// Asks; once more on a new session, where the one there was has been lost.
    fn ask_there<T>(
        &self,
        session: &mut Session,
        deadline: Deadline,
        question: &impl AsyncFn(&Client, &Reading) -> Result<T, tokio_postgres::Error>,
    ) -> Result<(T, Residence), StoreFault> {
        let shard = self.shard();
        let and_where = async |client: &Client, reading: &Reading| {
            let wanted: [&(dyn ToSql + Sync); 1] = [&shard];
            let residence = client.query_opt(&reading.residence, &wanted);
            futures::try_join!(question(client, reading), residence)
        };
        let had_one = session.open.is_some();
        let asked = match session.ask(deadline, self.shards, &and_where) {
            Err(CallFault::Lost(_) | CallFault::Closed) if had_one => session.ask(deadline, self.shards, &and_where),
            asked => asked,
        };
        let (answer, row) = asked.map_err(CallFault::unreachable)?;
        let row = row.ok_or_else(|| StoreFault::Unreachable(Box::new(NeverHere(shard))))?;
        Ok((answer, Residence::of(&row, 0)?))
    }
}

impl Session {
    fn turn_to(&mut self, servers: Arc<GroupSettings>) {
        let is_other = servers.name != self.link.settings().name;
        if is_other || (self.open.is_none() && !Arc::ptr_eq(&servers, self.link.settings())) {
            self.open = None;
            self.link.close();
            self.link = Link::new(servers);
        }
    }

    fn ask<T>(
        &mut self,
        deadline: Deadline,
        shards: ShardCount,
        question: &impl AsyncFn(&Client, &Reading) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, CallFault> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.connect(deadline, shards)?,
        };
        let answer = self.link.bounded(deadline, question(&open.client, &open.reading));
        match &answer {
            Ok(_) | Err(CallFault::Refused(_)) => self.open = Some(open),
            Err(_) => self.link.close(),
        }
        answer
    }

    fn connect(&mut self, deadline: Deadline, shards: ShardCount) -> Result<Open, CallFault> {
        let client = self.link.connect(deadline)?;
        let (made_for, reading) = self.link.bounded(deadline, async {
            let made_for = client.query_one(schema::MADE_FOR, &[]).await?;
            let ((), reading) = futures::try_join!(client.batch_execute(BARRIER), Reading::prepare(&client))?;
            Ok((made_for, reading))
        })?;
        schema::check(&made_for, shards).map_err(CallFault::NotOurs)?;
        Ok(Open { client, reading })
    }
}

impl Reader for PostgresReader {
    fn committed(&self) -> Result<u64, StoreFault> {
        let row = self.ask(&async |client, reading| client.query_one(&reading.committed, &[&self.shard()]).await)?;
        unsigned(column(&row, 0)?)
    }

    fn is_shared(&self) -> bool {
        true
    }

    /// Of this shard.
    fn transfer(&self, key: &TransferKey) -> Result<Option<Remembered>, StoreFault> {
        let digest = Digest::of(key);
        let rows =
            self.ask(&async |client, reading| client.query(&reading.transfers, &[&[digest].as_slice()]).await)?;
        let found = transfers(|found| (found == digest).then_some(key), &rows)?;
        let here = found.into_iter().find(|(shard, _)| *shard == self.shard.number());
        Ok(here.map(|(_, known)| known))
    }

    fn transfers(&self, keys: &[TransferKey]) -> Result<Vec<Remembered>, StoreFault> {
        let wanted: BTreeMap<Digest, &TransferKey> = keys.iter().map(|key| (Digest::of(key), key)).collect();
        let digests: Vec<Digest> = wanted.keys().copied().collect();
        let rows = self.ask(&async |client, reading| client.query(&reading.transfers, &[&digests]).await)?;
        let found = transfers(|digest| wanted.get(&digest).copied(), &rows)?.into_iter();
        let here = found.filter(|(shard, _)| *shard == self.shard.number());
        Ok(here.map(|(_, known)| known).collect())
    }

    fn journal(&self, from: u64, bytes_max: usize) -> Result<Vec<Vec<u8>>, StoreFault> {
        let first = signed(from)?;
        let wanted = i64::try_from(bytes_max).unwrap_or(i64::MAX);
        let rows =
            self.ask(&async |client, reading| client.query(&reading.journal, &[&self.shard(), &first, &wanted]).await)?;
        let mut found: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0_usize;
        for row in &rows {
            let begins: i64 = column(row, 0)?;
            let items: &[u8] = column(row, 1)?;
            for (number, record) in (unsigned(begins)?..).zip(records(items)?) {
                if number < from {
                    continue;
                }
                if !found.is_empty() && bytes >= bytes_max {
                    return Ok(found);
                }
                bytes = bytes.saturating_add(record.len());
                found.push(record.to_vec());
            }
        }
        Ok(found)
    }

    fn kept(&self, from: u64, bytes_max: usize) -> Result<Vec<Kept>, StoreFault> {
        kept(self, from, bytes_max)
    }

    fn evidence(&self, sequence: u64) -> Result<Option<Vec<u8>>, StoreFault> {
        let wanted = signed(sequence)?;
        let row =
            self.ask(&async |client, reading| client.query_opt(&reading.evidence, &[&self.shard(), &wanted]).await)?;
        let Some(row) = row else {
            return Ok(None);
        };
        let first: i64 = column(&row, 0)?;
        evidence_of(column(&row, 1)?, unsigned(first)?, sequence)
    }
}
