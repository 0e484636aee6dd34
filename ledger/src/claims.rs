//! Keys in flight (invariant L4): at most one post of a key is under way in the whole ledger.
//!
//! A post holds its key's [`Claim`] from before it is routed until what it came to is durable. Two posts of one key that
//! name different accounts go to different shards; the second waits for the first here, and then finds what the first
//! left. A query for a claimed key that finds nothing answers "in process": it may be there in a moment. A claim goes from
//! hand to hand: while anybody waits for it there is no moment at which the key is free, and so could be denied.
//!
//! Mutexes are held for a look-up in a map, never across an await.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger_model::TransferKey;
use tokio::sync::oneshot;

use crate::hash::{FastMap, FastState};

/// Independent maps, so that threads seldom meet.
const PARTS: usize = 64;

/// In the order they came.
type Waiters = VecDeque<oneshot::Sender<Claim>>;

#[derive(Debug)]
pub struct Claims {
    parts: Vec<Mutex<FastMap<TransferKey, Waiters>>>,
}

/// The key is this post's until it is dropped; then it is the next one's who waits for it.
#[derive(Debug)]
pub struct Claim {
    /// `None` once it was passed on.
    claims: Option<Arc<Claims>>,
    key: TransferKey,
}

impl Claims {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
        })
    }

    /// The claim, or where it arrives after whoever else has it or waits for it.
    pub fn claim(self: &Arc<Self>, key: TransferKey) -> Result<Claim, oneshot::Receiver<Claim>> {
        let mut part = self.part(&key);
        if let Some(waiters) = part.get_mut(&key) {
            #[cfg(feature = "mutations")]
            if crate::mutation::is(crate::mutation::Mutation::ClaimSharedOut) {
                return Ok(Claim { claims: None, key });
            }
            let (sender, receiver) = oneshot::channel();
            waiters.push_back(sender);
            return Err(receiver);
        }
        part.insert(key, Waiters::new());
        drop(part);
        Ok(Claim {
            claims: Some(Arc::clone(self)),
            key,
        })
    }

    /// Who is next; where nobody waits the key is free.
    fn next_waiter(&self, key: &TransferKey) -> Option<oneshot::Sender<Claim>> {
        let mut part = self.part(key);
        let next = part.get_mut(key).and_then(VecDeque::pop_front);
        if next.is_none() {
            part.remove(key);
        }
        next
    }

    pub fn is_held(&self, key: &TransferKey) -> bool {
        #[cfg(feature = "mutations")]
        if crate::mutation::is(crate::mutation::Mutation::UnderWayDenied) {
            return false;
        }
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
    fn drop(&mut self) {
        let Some(claims) = self.claims.take() else {
            return;
        };
        while let Some(next) = claims.next_waiter(&self.key) {
            let claim = Self {
                claims: Some(Arc::clone(&claims)),
                key: self.key,
            };
            match next.send(claim) {
                Ok(()) => return,
                // gave up waiting; what comes back must not go through this again for each of many
                Err(mut unwanted) => unwanted.claims = None,
            }
        }
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
    async fn one_holder_at_a_time_and_the_key_goes_from_hand_to_hand() {
        let claims = Claims::new();
        let first = claims.claim(key('1')).unwrap();
        let second = claims.claim(key('1')).unwrap_err();
        let third = claims.claim(key('1')).unwrap_err();
        let other = claims.claim(key('2')).unwrap();
        drop(first);
        assert!(claims.is_held(&key('1')), "the second has it, whether it looked or not");
        assert!(claims.claim(key('1')).is_err());
        // the second gave up, with the claim on its way
        drop(second);
        let third = third.await.unwrap();
        assert!(claims.is_held(&key('1')) && claims.is_held(&key('2')));
        drop((third, other));
        assert!(!claims.is_held(&key('1')) && !claims.is_held(&key('2')));
    }

    #[tokio::test]
    async fn whoever_gave_up_is_passed_over() {
        let claims = Claims::new();
        let first = claims.claim(key('1')).unwrap();
        let waiting: Vec<_> = (0..10_000).map(|_| claims.claim(key('1')).unwrap_err()).collect();
        let last = claims.claim(key('1')).unwrap_err();
        drop(waiting);
        drop(first);
        drop(last.await.unwrap());
        assert!(!claims.is_held(&key('1')));
    }
}
