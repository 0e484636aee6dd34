//! The committed journal of one shard, read from a number on and followed as it grows. Shipping and the journal stream
//! both read it; neither can see a record before it is durable (invariant L6).
//!
//! What this process commits is known at once. Where other processes commit to the shard as well, the store is asked now
//! and then.

use std::sync::Arc;
use std::time::Duration;

use ledger_model::ShardId;
use tokio::sync::watch;

use crate::state::ShardState;
use crate::store::{Reader, StoreFault};

/// Records read at a time come to about this.
const CHUNK_BYTES: usize = 256 << 10;
/// How often a store that others write as well is asked.
const ASK_EVERY: Duration = Duration::from_millis(200);

#[derive(Clone)]
pub struct Feed {
    pub shard: ShardId,
    pub reader: Arc<dyn Reader>,
    /// Of this process.
    pub committed: watch::Receiver<ShardState>,
}

impl Feed {
    /// Number of the last record this process has committed.
    pub fn committed(&self) -> u64 {
        self.committed.borrow().sequence
    }

    /// Number of the last record anybody has committed. Asks a store that others write as well, so call it off the
    /// executor.
    pub fn known(&self) -> Result<u64, StoreFault> {
        let by_others = if self.reader.is_shared() {
            self.reader.committed()?
        } else {
            0
        };
        Ok(by_others.max(self.committed()))
    }

    /// Waits until records after number `after` may be there, for `limit` at the most.
    pub async fn wait_past(&mut self, after: u64, limit: Duration) {
        let limit = if self.reader.is_shared() {
            limit.max(ASK_EVERY)
        } else {
            limit
        };
        let grown = tokio::time::timeout(limit, self.committed.wait_for(|state| state.sequence > after));
        if matches!(grown.await, Ok(Err(_))) {
            // the shard has ended, and says so at once each time
            tokio::time::sleep(limit).await;
        }
    }

    /// Records from number `from` on, waiting for the first of them. Ends empty when the shard has ended.
    pub async fn read(&mut self, from: u64) -> Result<Vec<Vec<u8>>, StoreFault> {
        loop {
            let ended = self.wait_for(from).await.is_err();
            let reader = Arc::clone(&self.reader);
            let read = tokio::task::spawn_blocking(move || reader.journal(from, CHUNK_BYTES));
            let records = read
                .await
                .unwrap_or(Err(StoreFault::Inconsistent("reading its journal panicked")))?;
            if ended || !records.is_empty() {
                return Ok(records);
            }
        }
    }

    /// Until record `from` is there, or it is time to ask whether somebody else has written it.
    async fn wait_for(&mut self, from: u64) -> Result<(), watch::error::RecvError> {
        let is_shared = self.reader.is_shared();
        let grown = self.committed.wait_for(|state| state.sequence >= from);
        if is_shared {
            tokio::time::timeout(ASK_EVERY, grown)
                .await
                .map_or(Ok(()), |grown| grown.map(drop))
        } else {
            grown.await.map(drop)
        }
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Feed(shard {})", self.shard)
    }
}
