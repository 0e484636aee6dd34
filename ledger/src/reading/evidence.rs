//! What is kept about one transfer, found by its key in the committed journal of any shard.

use std::sync::Arc;

use ledger_model::TransferKey;
use ledger_protocol::{KeptEvidence, KeptRecord};

use crate::evidence;
use crate::state::ShardState;
use crate::store::{Kept, Reader, StoreFault};

/// Records that may be asked for beyond the transfer's own.
pub const FOLLOWING_MAX: u32 = 1000;

/// A shard to look in: how it stands, and its reader.
pub struct Place {
    pub state: ShardState,
    pub reader: Arc<dyn Reader>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({:?})", self.state)
    }
}

/// `following`: how many records are wanted after the transfer's own, of those there are. `None` where no transfer has the
/// key.
pub fn find(places: &[Place], key: &TransferKey, following: u32) -> Result<Option<KeptEvidence>, StoreFault> {
    for Place { state, reader } in places {
        let Some(remembered) = reader.transfer(key)? else {
            continue;
        };
        // committed since the state was taken
        if remembered.sequence > state.sequence {
            continue;
        }
        let sequence = remembered.sequence;
        // a hop that was settled here has its evidence where it was taken in
        let Some(sealed) = reader.evidence(sequence)? else {
            continue;
        };
        let last = sequence
            .saturating_add(following.min(FOLLOWING_MAX).into())
            .min(state.sequence);
        let mut records = Vec::new();
        let mut next = sequence;
        while next <= last {
            let chunk = reader.journal(next, 1)?;
            if chunk.is_empty() {
                return Err(StoreFault::Inconsistent("its journal ends before its state"));
            }
            for record in chunk
                .into_iter()
                .take(usize::try_from(last - next + 1).unwrap_or(usize::MAX))
            {
                records.push(record);
                next += 1;
            }
        }
        return Ok(Some(KeptEvidence {
            shard: state.shard.number(),
            sequence,
            evidence: evidence::open(&sealed).map_err(StoreFault::content("piece of evidence"))?,
            records,
            head_sequence: state.sequence,
            head: state.head.0,
        }));
    }
    Ok(None)
}

/// A record with its evidence as that was given.
pub fn opened(kept: Kept) -> Result<KeptRecord, StoreFault> {
    let Kept { record, evidence } = kept;
    let evidence = evidence.map(|sealed| evidence::open(&sealed)).transpose();
    let evidence = evidence.map_err(StoreFault::content("piece of evidence"))?;
    Ok(KeptRecord { record, evidence })
}
