//! A group's commit: what is sent for it, and what its answers mean.
//!
//! Every statement and the commit itself are sent at once. A statement that is refused turns the commit that follows it into
//! a rollback, so a refusal is definite; an answer that is missing leaves the group in doubt.

use futures::future::OptionFuture;
use ledger_model::{Packed, ShardId};
use tokio_postgres::types::ToSql;

use super::digest::Digest;
use super::frame::{Items, pack_evidence, pack_rows, signed};
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
    pub(super) first_day: Option<u32>,
}

pub(super) struct FramePart {
    items: Items,
    rows: Vec<u8>,
    evidence: Vec<u8>,
}

/// What became of a commit that was sent whole.
pub(super) enum Sent {
    Durable {
        expired: u64,
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
            first_day: self.expiry.first_day,
        })
    }

    /// Everything at once, with the commit at its end; waits for every answer.
    pub(super) fn send(&self, draft: &Draft) -> Result<Sent, StoreFault> {
        let deadline = self.link.deadline();
        let Ok(open) = self.session() else {
            return Ok(Sent::Refused(CallFault::Closed));
        };
        let Open { client, writing } = open;
        let shard = self.number();
        let (first, last) = (signed(draft.span.first)?, signed(draft.span.last)?);
        let (before, flushed) = (
            signed(self.state.sequence)?,
            signed(self.flushed.max(draft.due.flushed))?,
        );
        let columns = draft.frame.as_ref().map(|frame| Columns::of(&frame.items));
        let add = columns.as_ref().zip(draft.frame.as_ref());
        let add = add.map(|(new, frame)| async {
            let items = &frame.items.bytes;
            let frame: [Parameter<'_>; 6] = [&shard, &last, &first, items, &frame.rows, &frame.evidence];
            let transfers: [Parameter<'_>; 7] = [
                &new.digests,
                &new.sequences,
                &new.returned,
                &new.hopped,
                &new.places,
                &new.lengths,
                &shard,
            ];
            futures::try_join!(
                client.execute(&writing.add_frame, &frame),
                client.execute(&writing.add_transfers, &transfers),
            )
        });
        let (digests, hopped, sums) = draft.returned.iter().copied().collect::<(Vec<_>, Vec<_>, Vec<_>)>();
        let give_back =
            (!sums.is_empty()).then(|| async { client.execute(&writing.give_back, &[&digests, &hopped, &sums]).await });
        let Hops { opened, closed, .. } = &draft.hops;
        let hop_keys = [opened.as_slice(), closed.as_slice()].concat();
        let due = draft.due.rows.iter().filter(|row| !hop_keys.contains(&row.key));
        let written: Vec<&Change> = due.chain(&draft.hops.rows).collect();
        let keys: Vec<&[u8]> = written.iter().map(|row| row.key.as_slice()).collect();
        let values: Vec<&[u8]> = written.iter().map(|row| row.value.as_slice()).collect();
        let write = (!keys.is_empty()).then(|| async { client.execute(&writing.write, &[&keys, &values]).await });
        let open_hops = (!opened.is_empty() || !closed.is_empty())
            .then(|| async { client.execute(&writing.open_hops, &[closed, opened]).await });
        let expire = draft.first_day.map(|day| async move {
            let first = Digest::first_of(day);
            let [from, to] = [0, day].map(|day| held::usages_from(self.shard, day));
            let (digests, usages): ([Parameter<'_>; 1], [Parameter<'_>; 2]) = ([&first], [&from, &to]);
            futures::try_join!(
                client.execute(&writing.expire_transfers, &digests),
                client.execute(&writing.expire_held, &usages),
            )
        });
        let settled: [Parameter<'_>; 6] = [&shard, &self.epoch, &before, &last, &flushed, &draft.state];
        let sent = self.link.bounded(deadline, async {
            let (added, given_back, written, hops, expired, settled, committed) = futures::join!(
                OptionFuture::from(add),
                OptionFuture::from(give_back),
                OptionFuture::from(write),
                OptionFuture::from(open_hops),
                OptionFuture::from(expire),
                client.execute(&writing.settle, &settled),
                client.batch_execute("COMMIT"),
            );
            let written = async {
                added.transpose()?;
                given_back.transpose()?;
                written.transpose()?;
                hops.transpose()?;
                settled?;
                let (transfers, rows) = expired.transpose()?.unwrap_or_default();
                Ok::<_, tokio_postgres::Error>(transfers + rows)
            };
            Ok((written.await, committed))
        });
        Ok(match sent {
            Err(fault) => Sent::Unknown(fault),
            Ok((Err(source), _)) if source.as_db_error().is_some() => Sent::Refused(CallFault::of(source)),
            Ok((Err(source), _) | (Ok(_), Err(source))) => Sent::Unknown(CallFault::Lost(source)),
            Ok((Ok(expired), Ok(()))) => Sent::Durable { expired },
        })
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
    fn of(items: &Items) -> Self {
        let mut columns = Self::default();
        for decided in &items.decided {
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
