//! Taking in accounts and agreements, batch by batch.

use std::sync::Arc;

use ledger_model::{Agreement, Operator};
use ledger_protocol::{LoadReply, Malformed, NewAccount, NothingPosted, RefusedItem, wire};
use operations::stop::Stop;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::router::{Ledger, Loading};

/// Batches of one load that wait for their commits.
const BATCHES_UNANSWERED_MAX: usize = 16;

/// Several batches are under way at a time, since each waits for its commit; they are queued and answered in order.
pub(super) async fn read(
    ledger: Arc<Ledger>,
    operator: Operator,
    stop: Stop,
    mut batches: Streaming<wire::LoadBatch>,
    replies: mpsc::Sender<Result<wire::LoadReply, Status>>,
) {
    let (queued, mut unanswered) = mpsc::channel::<Queued>(BATCHES_UNANSWERED_MAX);
    let answering = tokio::spawn(async move {
        while let Some(batch) = unanswered.recv().await {
            let reply = batch.answered().await.map(Into::into);
            let reply = reply.map_err(|_| Status::unavailable("the batch could not be loaded"));
            let failed = reply.is_err();
            if replies.send(reply).await.is_err() || failed {
                return;
            }
        }
    });
    loop {
        let batch = tokio::select! {
            () = stop.requested() => break,
            batch = batches.message() => batch,
        };
        let Ok(Some(batch)) = batch else {
            break;
        };
        if queued.send(queue_batch(&ledger, &operator, batch).await).await.is_err() {
            break;
        }
    }
    drop(queued);
    if answering.await.is_err() {
        tracing::error!("answering a load panicked");
    }
}

/// A batch of a load that waits for its commits.
struct Queued {
    loading: Result<Loading, NothingPosted>,
    /// What did not read.
    refused: Vec<RefusedItem>,
}

impl Queued {
    async fn answered(self) -> Result<LoadReply, NothingPosted> {
        let mut reply = self.loading?.loaded().await?;
        reply.refused.extend(self.refused);
        reply.refused.sort_by_key(|refused| refused.place);
        Ok(reply)
    }
}

/// What does not read is refused by its place, the rest is loaded.
async fn queue_batch(ledger: &Arc<Ledger>, operator: &Operator, batch: wire::LoadBatch) -> Queued {
    let mut refused = Vec::new();
    let mut accounts: Vec<(u32, NewAccount)> = Vec::with_capacity(batch.accounts.len());
    let mut agreements: Vec<(u32, Agreement)> = Vec::with_capacity(batch.agreements.len());
    // the place is taken after the item, so that none is lost where the accounts end
    let mut places = 0_u32..;
    for (account, place) in batch.accounts.into_iter().zip(places.by_ref()) {
        match account.try_into() {
            Ok(account) => accounts.push((place, account)),
            Err(malformed) => refused.push(refusal(place, malformed)),
        }
    }
    for (agreement, place) in batch.agreements.into_iter().zip(places) {
        match agreement.try_into() {
            Ok(agreement) => agreements.push((place, agreement)),
            Err(malformed) => refused.push(refusal(place, malformed)),
        }
    }
    Queued {
        loading: ledger.queue_load(accounts, agreements, operator).await,
        refused,
    }
}

fn refusal(place: u32, malformed: Malformed) -> RefusedItem {
    RefusedItem {
        place,
        reason: malformed.to_string(),
    }
}
