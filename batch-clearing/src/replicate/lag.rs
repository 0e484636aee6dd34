//! How far the copy is behind the ledger, asked of the ledger now and then. Only for the metric: nothing depends on it.

use std::time::Duration;

use ledger_protocol::LedgerClient;
use operations::stop::Stop;

use super::metrics::Metrics;

const ASK_EVERY: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn watch(ledger: LedgerClient, metrics: Metrics, stop: Stop) {
    loop {
        match tokio::time::timeout(ANSWER_LIMIT, ledger.positions()).await {
            Ok(Ok(positions)) => {
                for position in positions {
                    metrics.ledger_stands_at(position.shard, position.sequence);
                }
            }
            Ok(Err(_)) | Err(_) => metrics.lag_unknown(),
        }
        tokio::select! {
            () = tokio::time::sleep(ASK_EVERY) => {}
            () = stop.requested() => return,
        }
    }
}
