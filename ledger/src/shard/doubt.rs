//! Keys of orders that may be in a shard's books although nobody was told so: their group was in doubt when it was
//! committed. They stay claimed until the shard is taken again, which settles it; until then a query must not deny them,
//! nor a resend decide them anew. An order may go on to another shard meanwhile, and be in doubt there too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::claims::Claim;
use crate::outcome::Outcome;

/// Of one shard.
#[derive(Debug, Clone, Default)]
pub struct InDoubt(Arc<Mutex<Vec<Kept>>>);

#[derive(Debug)]
struct Kept {
    claim: Claim,
    /// The shard where it was in doubt before.
    also: Option<InDoubt>,
}

impl InDoubt {
    /// Until the shard is taken again, and after that until `also` is.
    pub(super) fn keep(&self, claim: Claim, also: Option<Self>) {
        self.kept().push(Kept { claim, also });
    }

    /// Of an order that is answered, and may be posted in the shard of `place`: not before that is settled, unless it is
    /// known what came of it elsewhere.
    pub(super) fn let_go(claim: Claim, place: Option<Self>, outcome: &Outcome) {
        #[cfg(feature = "mutations")]
        let place = place.filter(|_| !crate::mutation::is(crate::mutation::Mutation::DoubtLostOnTheWay));
        match (place, outcome) {
            (Some(place), Outcome::InProcess) => place.keep(claim, None),
            (_, _) => drop(claim),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept().is_empty()
    }

    /// The shard was taken: whatever was in doubt is there to be found, or will never be.
    pub(super) fn settled(&self) {
        // not under the lock: a claim goes to whoever waits for it
        let settled = std::mem::take(&mut *self.kept());
        for Kept { claim, also } in settled {
            if let Some(also) = also {
                also.keep(claim, None);
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use ledger_model::TransferKey;

    use super::*;
    use crate::claims::Claims;

    #[test]
    fn a_key_in_doubt_in_two_places_is_claimed_until_both_are_settled() {
        let key = TransferKey {
            issuer: "G4000311000018".parse().unwrap(),
            category: "0120".parse().unwrap(),
            id: "2026030212345678901234560000001".parse().unwrap(),
        };
        let claims = Claims::new();
        let (home, taker) = (InDoubt::default(), InDoubt::default());
        taker.keep(claims.claim(key).unwrap(), Some(home.clone()));
        home.settled();
        assert!(claims.is_held(&key) && home.is_empty());
        taker.settled();
        assert!(claims.is_held(&key) && taker.is_empty() && !home.is_empty());
        home.settled();
        assert!(!claims.is_held(&key) && home.is_empty());
    }
}
