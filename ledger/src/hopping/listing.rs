//! What has hopped and is not at rest, for the people who run the ledger.

use std::collections::BTreeSet;

use ledger_model::{HopState, ShardId};
use ledger_protocol::{UnsettledHop, UnsettledHops};
use tokio::sync::oneshot;

use crate::books::HopRow;
use crate::router::Ledger;
use crate::shard::Errand;

/// Rows of each kind that are shown of a shard, the oldest first.
const SHOWN_MAX: usize = 1_000;

/// As far as the shards can be asked.
pub async fn unsettled(ledger: &Ledger) -> UnsettledHops {
    let homes: BTreeSet<ShardId> = ledger.count().all().collect();
    let mut all = UnsettledHops::default();
    for shard in ledger.count().all() {
        let homes = homes.clone();
        let open = ask(ledger, shard, |reply| Errand::ListOpen {
            homes,
            limit: SHOWN_MAX,
            reply,
        });
        let unapplied = ask(ledger, shard, |reply| Errand::ListUnapplied {
            limit: SHOWN_MAX,
            reply,
        });
        let (Some(open), Some(unapplied)) = futures::join!(open, unapplied) else {
            all.unseen_shards.push(shard.number());
            continue;
        };
        all.open += open.tally.values().map(|tally| tally.count).sum::<u64>();
        let rows = open.rows.into_iter().chain(unapplied);
        all.hops.extend(rows.map(|row| shown(shard, row)));
    }
    all
}

async fn ask<T>(ledger: &Ledger, shard: ShardId, errand: impl FnOnce(oneshot::Sender<T>) -> Errand) -> Option<T> {
    let (reply, done) = oneshot::channel();
    ledger.shard(shard).errand(errand(reply));
    done.await.ok()
}

fn shown(taker: ShardId, row: HopRow) -> UnsettledHop {
    UnsettledHop {
        taken_in: taker.number(),
        home: row.hop.home.number(),
        attempt: row.hop.attempt,
        refusal: match row.state {
            HopState::Unapplied(refusal) => Some(refusal),
            HopState::Open | HopState::Settled | HopState::Compensated => None,
        },
        transfer: row.transfer,
    }
}
