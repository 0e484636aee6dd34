//! Asks ejected signers whether they work again: a health call, which uses every current key both ways. One task for a
//! pool; it ends when the last client is gone.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Signers;
use super::balance::{NextProbe, Place};
use crate::client::health;

/// A probe uses every key of the signer once.
const PROBE_LIMIT: Duration = Duration::from_secs(1);
/// When nothing is due, only a wake-up tells; this is how long one may be waited for at once.
const LONG: Duration = Duration::from_hours(1);

pub(super) async fn run(signers: Weak<Signers>, wake: Arc<Notify>) {
    let mut probes = FuturesUnordered::new();
    loop {
        let next = {
            let Some(signers) = signers.upgrade() else {
                return;
            };
            signers.balance().next_probe(Instant::now())
        };
        let look_again = match next {
            NextProbe::Now(place) => {
                probes.push(probe(signers.clone(), place));
                continue;
            }
            NextProbe::At(due) => due,
            NextProbe::None => Instant::now() + LONG,
        };
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep_until(look_again) => {}
            Some(()) = probes.next() => {}
        }
    }
}

/// Holds when every key the signer has current works.
async fn probe(signers: Weak<Signers>, place: Place) {
    // only the connection is kept while waiting, so that the pool can end meanwhile
    let rpc = signers
        .upgrade()
        .and_then(|signers| Some(signers.connections.get(place.0)?.rpc.clone()));
    let Some(rpc) = rpc else {
        return;
    };
    let keys = health(&rpc, Instant::now() + PROBE_LIMIT).await;
    let holds = keys.is_ok_and(|keys| keys.iter().all(|key| key.works));
    if let Some(signers) = signers.upgrade() {
        signers.balance().end_probe(place, holds, Instant::now());
        tracing::info!(
            endpoint = signers.connections.get(place.0).map(|connection| &*connection.endpoint),
            holds,
            "probed a signer"
        );
    }
}
