//! One shard's way from its source to its writer.

use std::time::Duration;

use ledger_model::InstitutionId;
use operations::stop::Stop;
use tokio::time::Instant;

use super::ReplicateFault;
use super::metrics::Metrics;
use crate::chunk::{Chunk, Incoming};
use crate::clock;
use crate::config::Config;
use crate::shard_writer::{CommitFault, ShardWriter, StoredPosition};
use crate::source::{ShardSource, SourceFault};

/// A commit that takes longer than this is given up; whether it happened is seen when the shard is opened again.
const COMMIT_LIMIT: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct Lane {
    writer: ShardWriter,
    position: StoredPosition,
    bank: InstitutionId,
    records_max: usize,
    linger: Duration,
    metrics: Metrics,
}

impl Lane {
    pub(super) fn new(writer: ShardWriter, position: StoredPosition, config: &Config, metrics: &Metrics) -> Self {
        Self {
            writer,
            position,
            bank: config.bank,
            records_max: config.replicate.chunk_records_max,
            linger: Duration::from_millis(config.replicate.commit_every_ms),
            metrics: metrics.clone(),
        }
    }

    /// Commits chunk after chunk until the stop or a fault. A chunk that is being committed is finished.
    pub(super) async fn run<S: ShardSource>(mut self, mut source: S, stop: Stop) -> Result<(), ReplicateFault> {
        loop {
            let incoming = tokio::select! {
                () = stop.requested() => return Ok(()),
                gathered = gather(&mut source, self.records_max, self.linger) => gathered?,
            };
            let (position, bank) = (self.position.chain, self.bank);
            // decoding, hashing and laying out some thousand records is too much for the executor
            let prepared = tokio::task::spawn_blocking(move || Chunk::prepare(position, &incoming, bank));
            let chunk = prepared.await.expect("preparing a chunk does not panic")?;
            self.metrics.duplicates.inc_by(chunk.duplicates());
            if chunk.records() > 0 {
                self.commit(chunk).await?;
            }
        }
    }

    async fn commit(&mut self, chunk: Chunk) -> Result<(), ReplicateFault> {
        let (records, after) = (chunk.records(), chunk.after());
        let begun = Instant::now();
        let Ok(committed) = tokio::time::timeout(COMMIT_LIMIT, self.writer.commit(chunk)).await else {
            return Err(CommitFault::TimedOut { shard: after.shard }.into());
        };
        let committed = committed?;
        self.position.chain = after;
        if committed.late > 0 {
            let shard = after.shard.number();
            tracing::warn!(
                shard,
                transfers = committed.late,
                "transfers arrived for a business date already closed"
            );
        }
        self.metrics
            .committed(after, records, committed.late, begun.elapsed(), clock::unix_seconds());
        Ok(())
    }
}

/// Waits for the first record, then for more until the chunk is full or the first has waited long enough.
async fn gather<S: ShardSource>(
    source: &mut S,
    records_max: usize,
    linger: Duration,
) -> Result<Vec<Incoming>, SourceFault> {
    let mut incoming = Vec::new();
    source.next(&mut incoming, records_max).await?;
    let due = Instant::now() + linger;
    while incoming.len() < records_max {
        let more = records_max - incoming.len();
        match tokio::time::timeout_at(due, source.next(&mut incoming, more)).await {
            Ok(added) => added?,
            Err(_) => break,
        }
    }
    Ok(incoming)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Delivers its pieces one by one, then nothing.
    struct Pieces(Vec<usize>);

    impl ShardSource for Pieces {
        async fn next(&mut self, into: &mut Vec<Incoming>, _more: usize) -> Result<(), SourceFault> {
            if self.0.is_empty() {
                std::future::pending::<()>().await;
            }
            let piece = self.0.remove(0);
            into.extend((0..piece).map(|_| Incoming {
                encoded: Vec::new(),
                next_offset: None,
            }));
            Ok(())
        }
    }

    async fn check(pieces: &[usize], records_max: usize, expected: usize) {
        let mut source = Pieces(pieces.to_vec());
        let gathered = gather(&mut source, records_max, Duration::from_millis(5))
            .await
            .unwrap();
        assert_eq!(gathered.len(), expected, "{pieces:?}");
    }

    #[tokio::test]
    async fn a_chunk_is_what_came_in_time_and_no_more_than_fits() {
        check(&[1], 10, 1).await;
        check(&[1, 2, 3], 10, 6).await;
        check(&[4, 4, 4], 8, 8).await;
        check(&[20, 1], 8, 20).await;
    }
}
