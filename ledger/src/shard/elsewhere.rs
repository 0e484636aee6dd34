//! What other shards hold under a key (invariant L4): an order may have been decided there, or have hopped there.

use ledger_model::Instruction;
use ledger_protocol::NothingPosted;

use super::group::Working;
use super::worker::Worker;
use crate::books::{Books, Remembered};
use crate::hopping::map::GroupId;
use crate::hopping::selector::Seen;
use crate::outcome::Outcome;
use crate::store::StoreFault;

/// Groups of neighbours that did not answer while one group of jobs was worked.
#[derive(Default)]
pub(super) struct Asked {
    silent: Vec<GroupId>,
}

impl Worker {
    /// What another shard holds under the key, where this one holds nothing. The claim keeps it from changing. Groups that
    /// are down are not asked; one that does not answer is asked once for all that is worked together.
    pub(super) fn elsewhere(
        &self,
        working: &Working,
        instruction: &Instruction,
        asked: &mut Asked,
    ) -> Result<Option<Remembered>, Outcome> {
        let key = instruction.key();
        if working.view().transfer(key).is_some() {
            return Ok(None);
        }
        let groups = &self.parts.groups;
        for (shard, neighbour) in &self.parts.neighbours {
            let group = groups.map().group_of(*shard);
            if !groups.state(group).is_used() {
                continue;
            }
            if asked.silent.contains(&group) {
                return Err(Outcome::NothingPosted(NothingPosted::Store));
            }
            let began = groups.now();
            match neighbour.transfer(key) {
                Ok(None) => {}
                Ok(Some(remembered)) => return Ok(Some(remembered)),
                Err(fault) => {
                    tracing::error!(%shard, %fault, cause = ?fault, "another shard could not be read");
                    let is_unreachable = matches!(fault, StoreFault::Unreachable(_));
                    if is_unreachable && !groups.see(group, Seen::Failed, began).is_used() {
                        continue;
                    }
                    asked.silent.push(group);
                    return Err(Outcome::NothingPosted(NothingPosted::Store));
                }
            }
        }
        Ok(None)
    }
}
