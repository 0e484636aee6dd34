//! A group's commit: what is sent for it, and what its answers mean.
//!
//! Every statement and the commit itself are sent at once. A statement that is refused turns the commit that follows it into
//! a rollback, so a refusal is definite; an answer that is missing leaves the group in doubt.

use ledger_model::{Packed, ShardId};
use tokio_postgres::types::ToSql;

use super::digest::Digest;
use super::expiry::Expired;
use super::frame::{Decided, Items, pack_evidence, pack_rows, signed};
use super::held::{self, Change, Due, Span};
use super::link::CallFault;
use super::{Open, PostgresStore};
use crate::books::Arrival;
use crate::store::row::returned;
use crate::store::{Group, StoreFault};

type Parameter<'a> = &'a (dyn ToSql + Sync);

/// A group as it is sent.
pub(super) struct Draft {
    pub(super) span: Span,
    pub(super) frame: Option<FramePart>,
    /// Transfers of earlier groups, what was taken back of each, and which of them were taken in for another shard.
    returned: Vec<(Digest, bool, i64)>,
    hops: Hops,
    pub(super) due: Due,
    pub(super) changes: Vec<Change>,
    state: Vec<u8>,
    expiring: Option<Expiring>,
}

/// What has been kept long enough.
struct Expiring {
    /// Of days before this one.
    first_day: u32,
    /// Hops are looked at that have keys above the first and below the second.
    hops: [Vec<u8>; 2],
}

pub(super) struct FramePart {
    items: Items,
    rows: Vec<u8>,
    evidence: Vec<u8>,
}

/// What became of a commit that was sent whole.
pub(super) enum Sent {
    Durable {
        /// Where something was due.
        expired: Option<Expired>,
    },
    /// A statement before it was refused, so nothing of it is there.
    Refused(CallFault),
    Unknown(CallFault),
}

impl PostgresStore {
    pub(super) fn draft(&self, group: &Group) -> Result<Draft, StoreFault> {
        let span = Span {
            first: group.first_sequence(),
            last: group.state.sequence,
        };
        let changes = held::changes(self.shard, &group.rows);
        if group.records.is_empty() && !changes.is_empty() {
            return Err(StoreFault::Inconsistent("a group changes rows without a record"));
        }
        let frame = match group.records.last() {
            None => None,
            Some((last, _)) if *last == span.last && span.first == self.state.sequence + 1 => Some(FramePart {
                items: Items::of(group)?,
                rows: pack_rows(&changes)?,
                evidence: pack_evidence(group)?,
            }),
            Some(_) => return Err(StoreFault::Inconsistent("a group's records are not those that follow")),
        };
        let earlier = group.rows.transfers.iter().filter(|row| row.sequence < span.first);
        let mut earlier: Vec<_> = earlier
            .map(|row| {
                let is_hopped = row.arrival == Arrival::Hopped;
                (Digest::of(&row.transfer.key), is_hopped, returned(row))
            })
            .collect();
        earlier.sort_unstable();
        let due = if frame.is_some() {
            self.held.borrow().due(self.limits(), &changes, span)
        } else {
            Due::default()
        };
        let mut state = Vec::with_capacity(192);
        group.state.pack(&mut state);
        Ok(Draft {
            span,
            frame,
            returned: earlier,
            hops: Hops::of(self.shard, group),
            due,
            changes,
            state,
            expiring: self.expiry.first_day.map(|first_day| Expiring {
                first_day,
                hops: self.expiry.hops_left(self.shard),
            }),
        })
    }

    /// Everything at once, with the commit at its end; waits for every answer.
    pub(super) fn send(&self, draft: &Draft) -> Result<Sent, StoreFault> {
        let Ok(open) = self.session() else {
            return Ok(Sent::Refused(CallFault::Closed));
        };
        let place = Place {
            shard: self.number(),
            first: signed(draft.span.first)?,
            last: signed(draft.span.last)?,
        };
        let before = signed(self.state.sequence)?;
        let flushed = signed(self.flushed.max(draft.due.flushed))?;
        let settled: [Parameter<'_>; 6] = [&place.shard, &self.epoch, &before, &place.last, &flushed, &draft.state];
        let sent = self.link.bounded(self.link.deadline(), async {
            let (new, given, rows, hops, expired, shard, committed) = futures::join!(
                draft.add(open, place),
                draft.give_back(open, place.shard),
                draft.write(open),
                draft.open_hops(open),
                draft.expire(open, self.shard),
                open.client.execute(&open.writing.settle, &settled),
                open.client.batch_execute("COMMIT"),
            );
            // the first refusal is the one that tells why
            let written = new.and(given).and(rows).and(hops).and(shard).and(expired);
            Ok((written, committed))
        });
        Ok(match sent {
            Err(fault) => Sent::Unknown(fault),
            Ok((Err(source), _)) if source.as_db_error().is_some() => Sent::Refused(CallFault::of(source)),
            Ok((Err(source), _) | (Ok(_), Err(source))) => Sent::Unknown(CallFault::Lost(source)),
            Ok((Ok(expired), Ok(()))) => Sent::Durable { expired },
        })
    }
}

/// Where a group belongs.
#[derive(Debug, Clone, Copy)]
struct Place {
    shard: i16,
    first: i64,
    last: i64,
}

/// How many rows a statement touched.
type Touched = Result<u64, tokio_postgres::Error>;

/// The statements of a group. Each is sent when it is first polled, and is nothing where there is nothing to send.
impl Draft {
    async fn add(&self, open: &Open, place: Place) -> Touched {
        let Open { client, writing } = open;
        let Some(FramePart { items, rows, evidence }) = &self.frame else {
            return Ok(0);
        };
        let Place { shard, first, last } = place;
        let new = Columns::of(items, |decided| !decided.may_replace);
        let frame: [Parameter<'_>; 6] = [&shard, &last, &first, &items.bytes, rows, evidence];
        let transfers: [Parameter<'_>; 7] = [
            &new.digests,
            &new.sequences,
            &new.returned,
            &new.hopped,
            &new.places,
            &new.lengths,
            &shard,
        ];
        let (_, added, _) = futures::try_join!(
            client.execute(&writing.add_frame, &frame),
            client.execute(&writing.add_transfers, &transfers),
            self.replace(open, items, shard),
        )?;
        Ok(added)
    }

    async fn replace(&self, Open { client, writing }: &Open, items: &Items, shard: i16) -> Touched {
        let new = Columns::of(items, |decided| decided.may_replace);
        if new.digests.is_empty() {
            return Ok(0);
        }
        let changed: [Parameter<'_>; 5] = [&new.digests, &new.sequences, &new.places, &new.lengths, &shard];
        client.execute(&writing.replace_transfers, &changed).await
    }

    async fn give_back(&self, Open { client, writing }: &Open, shard: i16) -> Touched {
        if self.returned.is_empty() {
            return Ok(0);
        }
        let (digests, hopped, sums) = self.returned.iter().copied().collect::<(Vec<_>, Vec<_>, Vec<_>)>();
        let changed: [Parameter<'_>; 4] = [&digests, &hopped, &sums, &shard];
        client.execute(&writing.give_back, &changed).await
    }

    async fn write(&self, Open { client, writing }: &Open) -> Touched {
        let Hops { rows, opened, closed } = &self.hops;
        let due = self.due.rows.iter();
        let due = due.filter(|row| !opened.contains(&row.key) && !closed.contains(&row.key));
        let (keys, values): (Vec<&[u8]>, Vec<&[u8]>) = due
            .chain(rows)
            .map(|row| (row.key.as_slice(), row.value.as_slice()))
            .unzip();
        if keys.is_empty() {
            return Ok(0);
        }
        client.execute(&writing.write, &[&keys, &values]).await
    }

    async fn open_hops(&self, Open { client, writing }: &Open) -> Touched {
        let Hops { opened, closed, .. } = &self.hops;
        if opened.is_empty() && closed.is_empty() {
            return Ok(0);
        }
        client.execute(&writing.open_hops, &[closed, opened]).await
    }

    async fn expire(
        &self,
        Open { client, writing }: &Open,
        shard: ShardId,
    ) -> Result<Option<Expired>, tokio_postgres::Error> {
        let Some(Expiring { first_day, hops }) = &self.expiring else {
            return Ok(None);
        };
        let first = Digest::first_of(*first_day);
        let [from, to] = [0, *first_day].map(|day| held::usages_from(shard, day));
        let (digests, usages): ([Parameter<'_>; 1], [Parameter<'_>; 2]) = ([&first], [&from, &to]);
        let [after, end] = hops;
        let day = first_day.to_string().into_bytes();
        let hops: [Parameter<'_>; 3] = [after, end, &day];
        let (transfers, rows, seen) = futures::try_join!(
            client.execute(&writing.expire_transfers, &digests),
            client.execute(&writing.expire_held, &usages),
            client.query_opt(&writing.expire_hops, &hops),
        )?;
        let hops_seen = seen.map(|row| row.try_get(0)).transpose()?;
        Ok(Some(Expired {
            rows: transfers + rows,
            hops_seen,
        }))
    }
}

/// Hops the group changes. They are few, and readers ask for the open ones, so they are written with their group.
#[derive(Default)]
struct Hops {
    rows: Vec<Change>,
    opened: Vec<Vec<u8>>,
    closed: Vec<Vec<u8>>,
}

impl Hops {
    fn of(shard: ShardId, group: &Group) -> Self {
        let mut hops = Self::default();
        for row in &group.rows.hops {
            let change = held::hop(shard, row);
            let keys = if held::is_unsettled(row) {
                &mut hops.opened
            } else {
                &mut hops.closed
            };
            keys.push(change.key.clone());
            hops.rows.push(change);
        }
        hops
    }
}

/// The new transfers, column by column.
#[derive(Default)]
struct Columns {
    digests: Vec<Digest>,
    sequences: Vec<i64>,
    returned: Vec<i64>,
    hopped: Vec<bool>,
    places: Vec<i32>,
    lengths: Vec<i32>,
}

impl Columns {
    fn of(items: &Items, is_meant: impl Fn(&Decided) -> bool) -> Self {
        let mut columns = Self::default();
        for decided in items.decided.iter().filter(|decided| is_meant(decided)) {
            columns.digests.push(decided.digest);
            columns.sequences.push(decided.sequence);
            columns.returned.push(decided.returned);
            columns.hopped.push(decided.is_hopped);
            columns.places.push(decided.place);
            columns.lengths.push(decided.length);
        }
        columns
    }
}
