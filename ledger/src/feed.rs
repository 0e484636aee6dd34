//! The committed journal of one shard, read from a number on and followed as it grows. Shipping and the journal stream
//! both read it; neither can see a record before it is durable (invariant L6).

use std::sync::Arc;

use ledger_model::ShardId;
use tokio::sync::watch;

use crate::state::ShardState;
use crate::store::{Reader, StoreFault};

/// Records read at a time come to about this.
const CHUNK_BYTES: usize = 256 << 10;

#[derive(Clone)]
pub struct Feed {
    pub shard: ShardId,
    pub reader: Arc<dyn Reader>,
    pub committed: watch::Receiver<ShardState>,
}

impl Feed {
    /// Number of the last committed record.
    pub fn committed(&self) -> u64 {
        self.committed.borrow().sequence
    }

    /// Records from number `from` on, waiting for the first of them. Ends empty when the shard has ended.
    pub async fn read(&mut self, from: u64) -> Result<Vec<Vec<u8>>, StoreFault> {
        if self.committed.wait_for(|state| state.sequence >= from).await.is_err() && self.committed() < from {
            return Ok(Vec::new());
        }
        let reader = Arc::clone(&self.reader);
        let read = tokio::task::spawn_blocking(move || reader.journal(from, CHUNK_BYTES));
        read.await
            .unwrap_or(Err(StoreFault::Inconsistent("reading its journal panicked")))
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Feed(shard {})", self.shard)
    }
}
