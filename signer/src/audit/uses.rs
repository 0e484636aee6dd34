//! Uses of keys that wait to be written, gathered by key, caller and what was done.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::digest::Digest;
use super::record::{Event, Moment};

/// Of one record.
const DIGESTS_MAX: usize = 256;

/// What a private key was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    Sign,
    Open,
    Seal,
    Reveal,
    /// A trial of the key by the signer itself.
    Health,
}

#[derive(Debug, Default)]
pub(crate) struct Uses {
    batches: BTreeMap<(Use, Arc<str>, Arc<str>), Batch>,
}

#[derive(Debug)]
struct Batch {
    from: Moment,
    to: Moment,
    digests: Vec<Digest>,
}

impl Use {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Open => "open",
            Self::Seal => "seal",
            Self::Reveal => "reveal",
            Self::Health => "health",
        }
    }
}

impl Uses {
    pub(crate) fn add(&mut self, operation: Use, key: &Arc<str>, caller: &Arc<str>, at: Moment, digest: Digest) {
        let key = (operation, Arc::clone(key), Arc::clone(caller));
        let batch = self.batches.entry(key).or_insert_with(|| Batch {
            from: at,
            to: at,
            digests: Vec::new(),
        });
        batch.from = batch.from.min(at);
        batch.to = batch.to.max(at);
        batch.digests.push(digest);
    }

    /// As records, in the order of what was done, key and caller.
    pub(crate) fn into_events(self) -> Vec<Event> {
        let mut events = Vec::new();
        for ((operation, key, caller), batch) in self.batches {
            for digests in batch.digests.chunks(DIGESTS_MAX) {
                events.push(Event::KeyUse {
                    operation: operation.name().to_owned(),
                    key: key.to_string(),
                    caller: caller.to_string(),
                    from: batch.from,
                    to: batch.to,
                    count: u64::try_from(digests.len()).unwrap_or(u64::MAX),
                    digests: digests.to_vec(),
                });
            }
        }
        events
    }
}
