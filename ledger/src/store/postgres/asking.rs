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

/// What is asked of the database for a group.
pub(super) struct Asked {
    pub(super) held: Vec<Row>,
    /// Keys, by range.
    pub(super) ranges: Vec<Vec<Row>>,
    pub(super) transfers: Vec<Row>,
}

impl PostgresStore {
    /// Rows of the table and transfers, in one round trip.
    pub(super) fn ask(&self, unknown: &Unknown, transfers: &[(Digest, &TransferKey)]) -> Result<Asked, StoreFault> {
        let Unknown { keys, ranges } = unknown;
        let digests: Vec<Digest> = transfers.iter().map(|(digest, _)| *digest).collect();
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
        let known = async {
            if digests.is_empty() {
                return Ok(Vec::new());
            }
            client.query(&writing.transfers, &[&digests]).await
        };
        let asked = async { futures::try_join!(rows, try_join_all(ranges), known) };
        let answered = self.link.bounded(self.link.deadline(), asked);
        let (held, ranges, transfers) = answered.map_err(|fault| {
            self.is_broken.set(true);
            fault.unreachable()
        })?;
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
