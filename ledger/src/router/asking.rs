//! What is asked of the stores beside their shards' threads: about a key, about how far the shards have come.

use std::sync::Arc;

use ledger_model::{Instruction, ShardId, TransferKey};
use ledger_protocol::{KeptEvidence, NothingPosted, ShardPosition};

use super::Ledger;
use crate::books::{Arrival, Precedence, Remembered};
use crate::engine::{account_named, agreement_named};
use crate::hopping::selector::Seen;
use crate::outcome::Outcome;
use crate::reading::evidence::{Place, find};
use crate::shard::Shard;
use crate::store::StoreFault;

impl Ledger {
    /// What is known of a key. Reads every shard, so call it off the executor.
    ///
    /// A transfer decided long ago is told even while a resend of it is under way. One that is not found is denied only
    /// where no post of it was under way before the look-up began, and every group could be asked.
    pub fn query(&self, key: &TransferKey) -> Outcome {
        if self.is_halted() {
            return Outcome::InProcess;
        }
        // the claim first: once it is gone, whatever its post left behind can be read
        let mut is_uncertain = self.claims.is_held(key);
        let mut found: Option<(ShardId, Remembered)> = None;
        for (reader, (id, shard)) in self.readers.0.iter().zip(self.count.all().zip(&self.shards)) {
            if !self.groups.is_used(id) {
                is_uncertain = true;
                #[cfg(feature = "mutations")]
                if crate::mutation::is(crate::mutation::Mutation::DeniedWhileDown) {
                    is_uncertain = false;
                }
                continue;
            }
            let began = self.groups.now();
            match reader.transfer(key) {
                Ok(None) => {}
                Ok(Some(remembered)) if remembered.sequence <= shard.committed().borrow().sequence => {
                    let is_last = remembered.precedence() == Precedence::Last;
                    #[cfg(feature = "mutations")]
                    let is_last = is_last || crate::mutation::is(crate::mutation::Mutation::FirstFoundTold);
                    if is_last {
                        return Outcome::Decided {
                            transfer: remembered.transfer,
                            repeat: true,
                        };
                    }
                    let before = found.as_ref().map(|(_, before)| before.precedence());
                    if before < Some(remembered.precedence()) {
                        found = Some((id, remembered));
                    }
                }
                // readers owe nothing early; this is not left to them alone (invariant S2)
                Ok(Some(_)) => return Outcome::InProcess,
                Err(fault) => {
                    tracing::error!(%fault, cause = ?fault, "a transfer could not be looked up");
                    if !matches!(fault, StoreFault::Unreachable(_)) {
                        return Outcome::NothingPosted(NothingPosted::Store);
                    }
                    self.groups.see(self.groups.group_of(id), Seen::Failed, began);
                    is_uncertain = true;
                }
            }
        }
        match found {
            // another shard may have told it as posted since, and cannot be asked now
            Some((home, remembered)) if remembered.is_refused() && is_uncertain && self.groups.may_be_open(home) => {
                Outcome::InProcess
            }
            Some((_, remembered)) => Outcome::Decided {
                transfer: remembered.transfer,
                repeat: true,
            },
            None if is_uncertain => Outcome::InProcess,
            None => Outcome::NotFound,
        }
    }

    /// What is kept about a decided transfer. Reads every shard, so call it off the executor.
    pub fn evidence(&self, key: &TransferKey, following: u32) -> Result<Option<KeptEvidence>, StoreFault> {
        let places = self.shards.iter().zip(&self.readers.0).map(|(shard, reader)| Place {
            state: shard.state(),
            reader: Arc::clone(reader),
        });
        find(&places.collect::<Vec<_>>(), key, following)
    }

    /// Of the shards whose state was ever read.
    pub fn positions(&self) -> Vec<ShardPosition> {
        let board = self.shipping.get();
        let of_shard = |(id, shard): (ShardId, &Shard)| ShardPosition {
            shipping: board.and_then(|board| board.report(id)),
            base: shard.base().told(),
            ..shard.state().position()
        };
        let seen = self.count.all().zip(&self.shards).filter(|(_, shard)| shard.is_seen());
        seen.map(of_shard).collect()
    }

    /// Number of the last record of a shard that Kafka is known to have; `None` where this ledger never shipped.
    pub(crate) fn shipped(&self, shard: ShardId) -> Option<u64> {
        let shipped = self.shard(shard).state().shipped;
        // another process may ship what this one does not
        (self.shipping.get().is_some() || shipped > 0).then_some(shipped)
    }

    /// The others: their groups could not be reached since the ledger began.
    pub fn unseen(&self) -> Vec<u8> {
        let unseen = self.count.all().zip(&self.shards).filter(|(_, shard)| !shard.is_seen());
        unseen.map(|(id, _)| id.number()).collect()
    }

    /// Reads the stores for a reversal, so call it off the executor then.
    pub(crate) fn home(&self, instruction: &Instruction) -> Result<ShardId, StoreFault> {
        if let Instruction::Reversal(reversal) = instruction {
            let home = self.home_of(&reversal.original)?;
            return Ok(home.unwrap_or_else(|| self.count.of_stray(instruction.key())));
        }
        let by_account = account_named(instruction).map(|token| self.count.of_account(token));
        let by_agreement = || agreement_named(instruction).and_then(|number| self.count.of_agreement(&number));
        let home = by_account.or_else(by_agreement);
        Ok(home.unwrap_or_else(|| self.count.of_stray(instruction.key())))
    }

    /// The shard whose customer a transfer moved the money of. `None` where it is not found; its refusal says so.
    fn home_of(&self, key: &TransferKey) -> Result<Option<ShardId>, StoreFault> {
        let mut unread = None;
        for (shard, reader) in self.count.all().zip(&self.readers.0) {
            match reader.transfer(key) {
                Ok(Some(found)) if found.arrival != Arrival::Hopped => return Ok(Some(shard)),
                Ok(_) => {}
                Err(fault) => unread = Some(fault),
            }
        }
        // "not found" would be final
        unread.map_or(Ok(None), Err)
    }
}
