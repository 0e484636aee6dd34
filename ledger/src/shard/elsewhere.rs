//! What other shards hold under a key (invariant L4): an order may have been decided there, or have hopped there.
//!
//! A group of jobs asks each neighbour once, but for those of its own shard group, whose keys its store looks up with its
//! own; which these are may change from one group of jobs to the next. Shards of groups that are down are not asked: what
//! hopped into them is the affair of [`crate::hopping`].

use std::sync::Arc;

use ledger_model::{Instruction, ShardId, TransferKey};
use ledger_protocol::NothingPosted;

use super::Job;
use super::group::Working;
use super::worker::Worker;
use crate::books::{Books, Remembered};
use crate::hash::FastMap;
use crate::hopping::map::GroupId;
use crate::hopping::selector::Seen;
use crate::store::{Reader, StoreFault};

/// What other shards hold under the keys of a group of jobs.
#[derive(Default)]
pub(super) struct Elsewhere {
    known: FastMap<TransferKey, Remembered>,
    /// Groups that are thought to live and did not answer.
    silent: Vec<GroupId>,
    /// Neighbours of which some keys do not read: asked again one by one, so that the others are worked.
    one_by_one: Vec<Arc<dyn Reader>>,
    /// Shards that were not asked, since their group is down.
    unasked: Vec<ShardId>,
}

impl Elsewhere {
    fn learn(&mut self, row: Remembered) {
        let before = self.known.get(&row.transfer.key).map(Remembered::precedence);
        if before < Some(row.precedence()) {
            self.known.insert(row.transfer.key, row);
        }
    }
}

impl Worker {
    /// Whether other shards are asked what they hold under the order's key.
    fn is_asked_elsewhere(&self, working: &Working, instruction: &Instruction) -> bool {
        let here = working.view().transfer(instruction.key());
        here.is_none_or(|here| here.is_refused() && hops(instruction) && self.parts.groups.can_hop(self.shard))
    }

    /// Whether an order of this home may have been posted by a shard that was not asked.
    pub(super) fn may_be_posted_unseen(&self, home: ShardId, instruction: &Instruction, elsewhere: &Elsewhere) -> bool {
        let is_unasked = |taker| elsewhere.unasked.contains(&taker);
        let groups = &self.parts.groups;
        let is_taken_in = groups.stands_in() || !matches!(instruction, Instruction::Payment(_));
        hops(instruction) && is_taken_in && groups.may_be_open_in(home, is_unasked)
    }

    /// Under the keys of these jobs of which this shard holds nothing, or a refusal after which another may have taken the
    /// order in. Their claims keep that from changing.
    pub(super) fn elsewhere(&self, working: &Working, jobs: &[Job]) -> Elsewhere {
        let mut keys: Vec<TransferKey> = Vec::with_capacity(jobs.len());
        for job in jobs {
            if let Job::Post(post) = job {
                let key = post.instruction.key();
                keys.extend(self.is_asked_elsewhere(working, &post.instruction).then_some(*key));
            }
        }
        let mut elsewhere = Elsewhere::default();
        if keys.is_empty() {
            return elsewhere;
        }
        #[cfg(feature = "mutations")]
        if crate::mutation::is(crate::mutation::Mutation::OtherShardsIgnored) {
            return elsewhere;
        }
        let kept_here = keys
            .iter()
            .filter_map(|key| Some((*key, self.parts.store.elsewhere(key)?)));
        elsewhere.known.extend(kept_here);
        let groups = &self.parts.groups;
        let map = groups.map();
        for (shard, neighbour) in self.kept_apart() {
            let group = map.group_of(shard);
            if !groups.state(group).is_used() {
                elsewhere.unasked.push(shard);
                continue;
            }
            if elsewhere.silent.contains(&group) {
                continue;
            }
            let began = groups.now();
            match neighbour.transfers(&keys) {
                Ok(found) => found.into_iter().for_each(|row| elsewhere.learn(row)),
                Err(fault @ StoreFault::Unreachable(_)) => {
                    tracing::error!(%shard, %fault, cause = ?fault, "another shard could not be asked");
                    if groups.see(group, Seen::Failed, began).is_used() {
                        elsewhere.silent.push(group);
                    } else {
                        elsewhere.unasked.push(shard);
                    }
                }
                Err(_told_when_it_is_asked_again) => elsewhere.one_by_one.push(Arc::clone(neighbour)),
            }
        }
        elsewhere
    }

    /// The other shards, without those whose keys this shard's store keeps together with its own, as the shards lie now.
    fn kept_apart(&self) -> impl Iterator<Item = (ShardId, &Arc<dyn Reader>)> {
        let others = self.parts.neighbours.iter().map(|(shard, reader)| (*shard, reader));
        others.filter(|(shard, _)| !self.parts.store.keeps_keys_with(*shard))
    }

    /// Of one of those jobs; what is answered to it where that cannot be known.
    pub(super) fn known_elsewhere(
        &self,
        working: &Working,
        instruction: &Instruction,
        elsewhere: &mut Elsewhere,
    ) -> Result<Option<Remembered>, NothingPosted> {
        let key = instruction.key();
        if !self.is_asked_elsewhere(working, instruction) {
            return Ok(None);
        }
        if let Some(remembered) = elsewhere.known.remove(key) {
            return Ok(Some(remembered));
        }
        if !elsewhere.silent.is_empty() {
            return Err(NothingPosted::Store);
        }
        for neighbour in &elsewhere.one_by_one {
            match neighbour.transfer(key) {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(fault) => {
                    tracing::error!(shard = %self.shard, %fault, cause = ?fault, "another shard could not be read");
                    return Err(NothingPosted::Store);
                }
            }
        }
        Ok(None)
    }

    /// Under one key, in the groups that are not down.
    pub(super) fn elsewhere_of(&self, key: &TransferKey) -> Result<Option<Remembered>, StoreFault> {
        if let Some(remembered) = self.parts.store.elsewhere(key) {
            return Ok(Some(remembered));
        }
        for (shard, neighbour) in self.kept_apart() {
            if !self.parts.groups.is_used(shard) {
                continue;
            }
            if let Some(remembered) = neighbour.transfer(key)? {
                return Ok(Some(remembered));
            }
        }
        Ok(None)
    }
}

/// Whether orders of its kind are taken in by other shards.
const fn hops(instruction: &Instruction) -> bool {
    match instruction {
        Instruction::Payment(_) | Instruction::Payout(_) => true,
        Instruction::Refund(_) | Instruction::Reversal(_) | Instruction::Supplement(_) => false,
    }
}
