//! What operators do: each act is in the journal once if it was told as done, and changes what the rules allow.

use ledger_model::{AccountStatus, Administration, ShardId};
use ledger_protocol::Administered;

use super::{Check, Oracle, Rule, must};
use crate::bank::home;

/// An act that was asked for, under an operator's name that nobody else has.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    act: Administration,
    /// Where it is in the journal.
    done: Option<(ShardId, u64)>,
    over: bool,
}

impl Oracle {
    /// An operator is about to ask for this; the number of the act.
    pub(crate) fn asks(&mut self, act: Administration) -> usize {
        self.acts.push(Asked {
            act,
            done: None,
            over: false,
        });
        self.acts.len() - 1
    }

    /// An act is in the journal of a shard.
    pub(super) fn administered(&mut self, shard: ShardId, act: &Administration, operator: &str) -> Check {
        let place = operator.parse::<usize>().ok();
        let asked = place.and_then(|place| self.acts.get(place));
        let fits = asked.is_some_and(|asked| asked.act == *act && asked.done.is_none() && !asked.over);
        must(fits, Rule::Decision, || {
            format!("nobody asked for {act:?} as {operator} does, or it is there twice")
        })?;
        let sequence = self.sequence(shard);
        let place = place.expect("an act that was asked for has a number");
        self.acts[place].done = Some((shard, sequence));
        let allowed = self.apply(shard, act);
        must(allowed, Rule::Decision, || {
            format!("{act:?} is not allowed, or changes nothing")
        })
    }

    /// Whether it changes something, and may.
    fn apply(&mut self, shard: ShardId, act: &Administration) -> bool {
        match act {
            Administration::AccountStatus { account, status } => {
                let Some(held) = self.accounts.get_mut(account) else {
                    return false;
                };
                let before = held.account.status;
                held.account.status = *status;
                let closes_money = *status == AccountStatus::Closed && held.account.balance.minor() != 0;
                before != AccountStatus::Closed && before != *status && !closes_money
            }
            Administration::AccountLimits { account, limits } => {
                let before = self.limits.get(account).copied();
                match limits {
                    Some(limits) => drop(self.limits.insert(*account, *limits)),
                    None => drop(self.limits.remove(account)),
                }
                before != *limits && home(self.site.shards, *account) == shard
            }
            Administration::AgreementStatus { number, status } => {
                let Some(agreement) = self.agreements.get_mut(number) else {
                    return false;
                };
                std::mem::replace(&mut agreement.status, *status) != *status
            }
            Administration::CloseThrough { date } => {
                self.reached.days_closed += 1;
                let closed = &mut self.books[shard.index()].closed_through;
                let before = closed.replace(*date);
                before < Some(*date)
            }
            Administration::AgreementTerms { .. } => false,
        }
    }

    /// What an operator is told of an act; `None` where nothing definite is.
    pub(crate) fn operator_told(&mut self, place: usize, told: Option<&Administered>) -> Check {
        let asked = &mut self.acts[place];
        asked.over = true;
        let (done, holds) = match told {
            Some(Administered::Done(at)) => {
                let found = asked.done.map(|(shard, sequence)| (shard.number(), sequence));
                (found, found == Some((at.shard, at.sequence)))
            }
            Some(Administered::Unchanged | Administered::Refused(_)) => (None, asked.done.is_none()),
            // the shard could not write it, or lost sight of it: it may get there with the group it came in
            None => {
                asked.over = false;
                (None, true)
            }
        };
        must(holds, Rule::S2, || {
            format!("operator {place} is told {told:?}; in the journal: {done:?}")
        })
    }

    /// What operators asked of the process that is gone is over.
    pub(super) fn operators_gone(&mut self) {
        self.acts.iter_mut().for_each(|asked| asked.over = true);
    }
}
