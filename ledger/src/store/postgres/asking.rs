//! What a writer asks of the tables in the middle of a group.

use futures::future::try_join_all;
use ledger_model::TransferKey;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::digest::Digest;
use super::held::{self, Unknown};
use super::link::CallFault;
use super::reader::column;
use super::{Open, PostgresStore};
use crate::books::HopRow;
use crate::store::StoreFault;
use crate::view::Wanted;

/// What is asked of the database for a group.
pub(super) struct Asked {
    pub(super) held: Vec<Row>,
    /// Keys, by range.
    pub(super) ranges: Vec<Vec<Row>>,
    /// Both those that were looked for and those beside new ones.
    pub(super) transfers: Vec<Row>,
}

/// Transfers that are asked for, in the order of their digests.
pub(super) struct WantedTransfers<'a> {
    /// Wherever they are.
    known: Vec<(Digest, &'a TransferKey)>,
    /// Where the group's own would not meet them: the others refuse its commit.
    new: Vec<(Digest, &'a TransferKey)>,
}

impl<'a> WantedTransfers<'a> {
    pub(super) fn of(wanted: &'a Wanted) -> Self {
        fn ordered(keys: &[TransferKey]) -> Vec<(Digest, &TransferKey)> {
            let mut digests: Vec<_> = keys.iter().map(|key| (Digest::of(key), key)).collect();
            digests.sort_unstable();
            digests
        }
        Self {
            known: ordered(&wanted.transfers),
            new: ordered(&wanted.new),
        }
    }

    /// Whose digest it is.
    pub(super) fn key_of(&self, digest: Digest) -> Option<&'a TransferKey> {
        let mut lists = [&self.known, &self.new].into_iter();
        lists.find_map(|list| {
            let place = list.binary_search_by_key(&digest, |(known, _)| *known).ok();
            place.and_then(|place| list.get(place)).map(|(_, key)| *key)
        })
    }
}

impl PostgresStore {
    /// Rows of the table and transfers, in one round trip.
    pub(super) fn ask(&self, unknown: &Unknown, wanted: &WantedTransfers<'_>) -> Result<Asked, StoreFault> {
        let Unknown { keys, ranges } = unknown;
        let Open { client, writing } = self.session().map_err(CallFault::unreachable)?;
        let rows = async {
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            client.query(&writing.held, &[&keys]).await
        };
        let ranges = ranges.iter().map(async |range| {
            let read_max = i64::try_from(held::READ_MAX).unwrap_or(i64::MAX);
            let wanted: [&(dyn ToSql + Sync); 3] = [&range.first(), &range.end(), &read_max];
            client.query(&writing.held_keys, &wanted).await
        });
        let find = async |statement, keys: &[(Digest, &TransferKey)]| {
            if keys.is_empty() {
                return Ok(Vec::new());
            }
            let digests: Vec<Digest> = keys.iter().map(|(digest, _)| *digest).collect();
            client.query(statement, &[&digests]).await
        };
        let known = find(&writing.transfers, &wanted.known);
        let beside = find(&writing.transfers_beside, &wanted.new);
        let asked = async { futures::try_join!(rows, try_join_all(ranges), known, beside) };
        let answered = self.link.bounded(self.link.deadline(), asked);
        let (held, ranges, mut transfers, beside) = answered.map_err(|fault| {
            self.is_broken.set(true);
            fault.unreachable()
        })?;
        transfers.extend(beside);
        Ok(Asked {
            held,
            ranges,
            transfers,
        })
    }

    /// Hops that are open or unapplied.
    pub(super) fn unsettled(&self) -> Result<Vec<HopRow>, StoreFault> {
        let [from, to] = held::hops_between(self.shard);
        let Open { client, writing } = self.session().map_err(CallFault::unreachable)?;
        let rows = self.link.bounded(self.link.deadline(), async {
            let wanted: [&(dyn ToSql + Sync); 2] = [&from.as_slice(), &to.as_slice()];
            client.query(&writing.find_hops, &wanted).await
        });
        let rows = rows.map_err(|fault| {
            self.is_broken.set(true);
            fault.unreachable()
        })?;
        let hops = rows
            .iter()
            .map(|row| held::unpack_hop(column(row, 0)?, column(row, 1)?));
        hops.collect()
    }
}
