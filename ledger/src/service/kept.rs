//! Records with what is kept with them, for whoever archives: read a chunk at a time, off the executor, and only as fast
//! as they are taken.

use std::ops::RangeInclusive;
use std::sync::Arc;

use ledger_protocol::wire;
use operations::stop::Stop;
use tokio::sync::mpsc;
use tonic::Status;

use crate::feed::Feed;
use crate::reading::evidence::opened;
use crate::store::{Reader, StoreFault};

/// Records and evidence read at a time come to about this. One record more is a megabyte or two at the most, which a
/// message holds.
const CHUNK_BYTES: usize = 1 << 20;

/// `records` are committed.
pub(super) async fn read(
    feed: Feed,
    records: RangeInclusive<u64>,
    stop: Stop,
    chunks: mpsc::Sender<Result<wire::KeptChunk, Status>>,
) {
    let (mut next, last) = records.into_inner();
    while next <= last {
        let reader = Arc::clone(&feed.reader);
        let reading = tokio::task::spawn_blocking(move || chunk(reader.as_ref(), next, last));
        let read = tokio::select! {
            () = stop.requested() => return,
            () = chunks.closed() => return,
            read = reading => read,
        };
        let read = read.unwrap_or(Err(StoreFault::Inconsistent("reading its journal panicked")));
        let chunk = read.map_err(|fault| {
            if matches!(fault, StoreFault::Released { .. }) {
                return Status::out_of_range(format!("shard {}: {fault}", feed.shard));
            }
            tracing::error!(shard = %feed.shard, %fault, cause = ?fault, "records could not be read with their evidence");
            Status::unavailable("the records could not be read")
        });
        let count = chunk.as_ref().map_or(0, |chunk| chunk.records.len());
        next = next.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if chunks.send(chunk).await.is_err() || count == 0 {
            return;
        }
    }
}

fn chunk(reader: &dyn Reader, next: u64, last: u64) -> Result<wire::KeptChunk, StoreFault> {
    let numbered = (next..=last).zip(reader.kept(next, CHUNK_BYTES)?);
    let records = numbered.map(|(_, kept)| Ok(opened(kept)?.into()));
    Ok(wire::KeptChunk {
        records: records.collect::<Result<_, StoreFault>>()?,
    })
}
