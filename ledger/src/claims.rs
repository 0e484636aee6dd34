//! Keys in flight (invariant L4): at most one post of a key is under way in the whole ledger.
//!
//! A post holds its key's [`Claim`] from before it is routed until what it came to is durable. Two posts of one key that
//! name different accounts go to different shards; the second waits for the first here, and then finds what the first
//! left. A query for a claimed key that finds nothing answers "in process": it may be there in a moment.
//!
//! Mutexes are held for a look-up in a map, never across an await.

use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger_model::TransferKey;
use tokio::sync::oneshot;

use crate::hash::{FastMap, FastState};

/// Independent maps, so that threads seldom meet.
const PARTS: usize = 64;

type Waiters = Vec<oneshot::Sender<()>>;

#[derive(Debug)]
pub struct Claims {
    parts: Vec<Mutex<FastMap<TransferKey, Waiters>>>,
}

/// The key is this post's until it is dropped.
#[derive(Debug)]
pub struct Claim {
    claims: Arc<Claims>,
    key: TransferKey,
}

impl Claims {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
        })
    }

    /// The claim, or what ends when the holder's ends.
    pub fn claim(self: &Arc<Self>, key: TransferKey) -> Result<Claim, oneshot::Receiver<()>> {
        let mut part = self.part(&key);
        if let Some(waiters) = part.get_mut(&key) {
            let (sender, receiver) = oneshot::channel();
            waiters.push(sender);
            return Err(receiver);
        }
        part.insert(key, Waiters::new());
        drop(part);
        Ok(Claim {
            claims: Arc::clone(self),
            key,
        })
    }

    pub fn is_held(&self, key: &TransferKey) -> bool {
        self.part(key).contains_key(key)
    }

    fn part(&self, key: &TransferKey) -> MutexGuard<'_, FastMap<TransferKey, Waiters>> {
        let hash = FastState::default().hash_one(key);
        // by bits that the maps themselves use little
        let place = usize::try_from(hash >> 32).expect("half of 64 bits") % PARTS;
        let part = self.parts.get(place).expect("a remainder is within the parts");
        // nothing that could panic is done under the lock
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    /// Wakes whoever waits: their senders are dropped.
    fn drop(&mut self) {
        let waiters = self.claims.part(&self.key).remove(&self.key);
        drop(waiters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(last: char) -> TransferKey {
        let id = format!("202603021234567890123456000000{last}");
        TransferKey {
            issuer: "G4000311000018".parse().unwrap(),
            category: "0110".parse().unwrap(),
            id: id.parse().unwrap(),
        }
    }

    #[tokio::test]
    async fn one_holder_at_a_time_and_the_next_is_woken() {
        let claims = Claims::new();
        let first = claims.claim(key('1')).unwrap();
        let waiting = claims.claim(key('1')).unwrap_err();
        let other = claims.claim(key('2')).unwrap();
        assert!(claims.is_held(&key('1')));
        drop(first);
        assert!(waiting.await.is_err());
        assert!(!claims.is_held(&key('1')));
        let next = claims.claim(key('1')).unwrap();
        assert!(claims.is_held(&key('1')) && claims.is_held(&key('2')));
        drop((next, other));
        assert!(!claims.is_held(&key('2')));
    }
}
