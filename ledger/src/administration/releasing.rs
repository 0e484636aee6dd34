//! Releasing records that are archived, shard by shard.

use std::sync::Arc;

use ledger_journal::{ChainHash, ChainPosition};
use ledger_model::ChinaTime;
use ledger_protocol::{NothingPosted, ReleaseOrder, ReleasedRecords, Releasing};
use tokio::sync::oneshot;

use crate::causes::with_causes;
use crate::router::Ledger;
use crate::shard::Errand;
use crate::store::Reader;
use crate::store::release::{Release, ReleaseFault, ReleaseMode, Released, ReleasedBy, Surveyed};

impl Ledger {
    /// Releases the records of one shard that an archive has, as far as nothing needs them; what is told is durable. Where it
    /// is not known whether it was done, ordered again it goes on from there.
    pub async fn release(self: &Arc<Self>, order: ReleaseOrder, now: ChinaTime) -> Result<Releasing, NothingPosted> {
        let Some(shard) = self.count().shard(order.shard) else {
            return Ok(Releasing::Refused("there is no such shard".to_owned()));
        };
        let through = ChainPosition {
            shard,
            sequence: order.through,
            head: ChainHash(order.head),
        };
        let reader = self.feed(shard).reader;
        let surveyed = match survey(Arc::clone(&reader), through).await? {
            Ok(surveyed) => surveyed,
            Err(fault) => return Ok(refused(&fault)),
        };
        let mode = if order.is_dry_run {
            ReleaseMode::Rehearse
        } else {
            ReleaseMode::Release
        };
        let by = ReleasedBy {
            operator: order.operator,
            reason: order.reason,
            at: now,
        };
        let release = Box::new(Release {
            surveyed,
            shipped: self.shipped(shard),
            by: by.clone(),
            mode,
        });
        let (reply, answer) = oneshot::channel();
        self.shard(shard).errand(Errand::Release { release, reply });
        let released = match answer.await.map_err(|_| NothingPosted::Busy)? {
            Ok(released) => released,
            Err(fault) => return Ok(refused(&fault)),
        };
        let ReleasedBy { operator, reason, .. } = by;
        let Released { before, base, kept_for } = released;
        tracing::info!(%shard, %operator, %reason, ?mode, before, through = base.sequence, ?kept_for, "records are released");
        if mode == ReleaseMode::Release {
            clear(reader).await;
        }
        Ok(Releasing::Released(ReleasedRecords {
            before,
            through: base.sequence,
            head: base.head.0,
            kept_for: kept_for.map(|why| why.to_string()),
        }))
    }
}

async fn survey(
    reader: Arc<dyn Reader>,
    through: ChainPosition,
) -> Result<Result<Surveyed, ReleaseFault>, NothingPosted> {
    let surveyed = tokio::task::spawn_blocking(move || reader.survey(through)).await;
    surveyed.map_err(|_| NothingPosted::Store)
}

/// What cannot be removed now takes room and nothing else; the next release or start removes it.
async fn clear(reader: Arc<dyn Reader>) {
    let cleared = tokio::task::spawn_blocking(move || reader.clear()).await;
    if let Ok(Err(fault)) = cleared {
        tracing::warn!(%fault, cause = ?fault, "what was released could not be removed yet");
    }
}

fn refused(fault: &ReleaseFault) -> Releasing {
    tracing::warn!(%fault, cause = ?fault, "nothing was released");
    Releasing::Refused(with_causes(fault))
}
