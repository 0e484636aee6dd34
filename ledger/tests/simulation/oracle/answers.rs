//! What a client may be told.

use ledger::outcome::Outcome;
use ledger_model::{
    AccountToken, AgreementNumber, Amount, BankSerial, ContentField, Decision, Instruction, NameToken, Payee, Side,
    SupplementAgainst, Transfer, TransferKey,
};
use ledger_protocol::NothingPosted;

use super::{Check, Oracle, Rule, Standing, must};

/// What the answer is judged by beyond the books.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    pub(crate) now_ms: u64,
    /// Days in `yyyyMMdd` before which nothing is kept.
    pub(crate) first_day: ledger_model::BusinessDate,
    /// Whether a store failed since the request was sent, or while a query was answered.
    pub(crate) store_failed: bool,
    /// Whether so many waited that there may have been no room.
    pub(crate) may_be_busy: bool,
    /// Whether every shard group answers and is used.
    pub(crate) all_to_be_asked: bool,
}

impl Oracle {
    /// Request `place` was answered.
    pub(crate) fn told(&mut self, place: usize, outcome: &Outcome, at: Circumstances) -> Check {
        let order = self.orders[place].clone();
        must(order.standing == Standing::Waiting, Rule::Repeat, || {
            format!("request {place} is answered twice")
        })?;
        self.orders[place].standing = Standing::Over;
        let key = *order.instruction.key();
        let posted = self.known(key).any(|(_, order)| order == place);
        match outcome {
            Outcome::Decided { transfer, repeat } => {
                must(self.known(key).next().is_some(), Rule::S2, || {
                    format!("request {place} is told what is not in the journal: {transfer:?}")
                })?;
                // it may find elsewhere what it left in doubt itself
                let as_it_was = *repeat != posted || *repeat && at.store_failed;
                must(as_it_was, Rule::L4, || {
                    format!("request {place} is told repeat: {repeat}; it posted: {posted}")
                })?;
                if !repeat {
                    self.is_not_decided_anew(place, &key)?;
                }
                self.told_decision(place, transfer)
            }
            Outcome::Conflict(field) => {
                let known = self.known(key);
                let due: Vec<_> = known.map(|(_, order)| self.difference(order, place)).collect();
                must(due.contains(&Some(*field)) && !posted, Rule::Conflict, || {
                    format!("request {place} is told a conflict in {field:?}; the difference is {due:?}")
                })
            }
            Outcome::NothingPosted(reason) => {
                must(!posted, Rule::Denied, || {
                    format!("request {place} is told {reason:?}, and it posted")
                })?;
                must(may_be(*reason, &order, at), Rule::Liveness, || {
                    format!("request {place} is told {reason:?} for no reason")
                })
            }
            Outcome::InProcess => {
                self.orders[place].standing = Standing::InProcess;
                let others = self.orders.iter().enumerate();
                let others = others.filter(|(other, order)| *other != place && *order.instruction.key() == key);
                let deferred = others.count() > 0;
                must(deferred || at.store_failed, Rule::Liveness, || {
                    format!("request {place} is told it is in process for no reason")
                })
            }
            Outcome::NotFound => must(false, Rule::InProcess, || {
                format!("request {place} is told that it is not found")
            }),
        }
    }

    /// What is known of a key and by which request, at home and where it was taken in. What a hop has taken the place of
    /// may have been found just before.
    fn known(&self, key: TransferKey) -> impl Iterator<Item = (&Transfer, usize)> {
        let at_home = self.decided.get(&key).into_iter().chain(self.superseded_of(key));
        let at_home = at_home.map(|decided| (&decided.transfer, decided.order));
        let hops = self.hops_of(key).map(|hopped| (&hopped.transfer, hopped.order));
        at_home.chain(hops)
    }

    fn told_decision(&mut self, place: usize, transfer: &Transfer) -> Check {
        let key = *self.orders[place].instruction.key();
        let is_same = |(known, order): (&Transfer, usize)| known == transfer && self.difference(order, place).is_none();
        if !self.known(key).any(is_same) {
            let known: Vec<_> = self.known(key).collect();
            let differs = |(_, order): &(&Transfer, usize)| self.difference(*order, place);
            let difference = known.iter().find_map(differs);
            must(difference.is_none(), Rule::Conflict, || {
                format!("request {place} differs in {difference:?} and is told another's decision")
            })?;
            must(false, Rule::Repeat, || {
                format!("request {place} is told {transfer:?}; decided was {known:?}")
            })?;
        }
        self.told_of(transfer)
    }

    fn told_of(&mut self, transfer: &Transfer) -> Check {
        match transfer.decision {
            Decision::Refused(_) => self.stays_posted(transfer),
            Decision::Posted => {
                self.told_as_posted(transfer);
                Ok(())
            }
        }
    }

    /// The request that brought about what is told.
    pub(super) fn request_of(&self, transfer: &Transfer) -> Option<usize> {
        let mut known = self.known(transfer.key);
        known.find(|(known, _)| *known == transfer).map(|(_, order)| order)
    }

    /// A query was answered. `may_appear` says whether a store may still bring the key in.
    pub(crate) fn queried(
        &mut self,
        key: &TransferKey,
        outcome: &Outcome,
        may_appear: bool,
        at: Circumstances,
    ) -> Check {
        let decided: Vec<_> = self.known(*key).collect();
        match outcome {
            Outcome::Decided { transfer, .. } => {
                let is_known = decided.iter().any(|(known, _)| *known == transfer);
                must(is_known, Rule::S2, || {
                    format!("a query is told {transfer:?}; decided is {decided:?}")
                })?;
                if at.all_to_be_asked && !at.store_failed {
                    self.is_not_taken_back(transfer)?;
                }
                self.told_of(transfer)
            }
            Outcome::NotFound => {
                let under_way = self.orders.iter().position(|order| {
                    order.standing == Standing::Waiting
                        && order.instruction.key() == key
                        && order.deadline_ms > at.now_ms
                });
                must(
                    decided.is_empty() && under_way.is_none() && !may_appear,
                    Rule::InProcess,
                    || {
                        format!(
                            "{} is told as not found; decided: {decided:?}, under way: {under_way:?}, may appear: \
                             {may_appear}",
                            key.id
                        )
                    },
                )
            }
            Outcome::InProcess => {
                let known = self.orders.iter().any(|order| order.instruction.key() == key);
                must(known || at.store_failed, Rule::Liveness, || {
                    format!("{} is in process, and nobody sent it", key.id)
                })
            }
            Outcome::NothingPosted(reason) => must(*reason == NothingPosted::Store, Rule::Denied, || {
                format!("a query is told {reason:?}")
            }),
            Outcome::Conflict(field) => must(false, Rule::Conflict, || {
                format!("a query is told a conflict in {field:?}")
            }),
        }
    }

    /// The first field in which a request differs from an earlier one of its key.
    pub(super) fn difference(&self, before: usize, place: usize) -> Option<ContentField> {
        let [before, order] = [before, place].map(|place| &self.orders[place].instruction);
        let fields = [
            (ContentField::Kind, before.kind() == order.kind()),
            (ContentField::Amount, before.amount() == order.amount()),
            (ContentField::Batch, before.batch() == order.batch()),
            (ContentField::Institution, before.institution() == order.institution()),
            (ContentField::Agreement, agreement(before) == agreement(order)),
            (ContentField::Account, account(before) == account(order)),
            (ContentField::Original, original(before) == original(order)),
            (
                ContentField::Side,
                supplement(before).map(|posting| posting.0) == supplement(order).map(|posting| posting.0),
            ),
            (ContentField::Against, supplement(before) == supplement(order)),
            (
                ContentField::Details,
                before.details() == order.details() && before.ordered_at() == order.ordered_at(),
            ),
        ];
        fields.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
    }
}

fn may_be(reason: NothingPosted, order: &super::Order, at: Circumstances) -> bool {
    let day = match &order.instruction {
        Instruction::Payment(payment) => payment.ordered_at.date().min(payment.key.id.date()),
        other => other.key().id.date(),
    };
    match reason {
        NothingPosted::Expired => order.deadline_ms <= at.now_ms,
        NothingPosted::MalformedWork => day < at.first_day,
        NothingPosted::Busy => at.may_be_busy,
        NothingPosted::Store | NothingPosted::HomeDown => at.store_failed,
        NothingPosted::NotSent => false,
    }
}

pub(super) fn agreement(order: &Instruction) -> Option<AgreementNumber> {
    match order {
        Instruction::Payment(payment) => Some(payment.agreement),
        Instruction::Refund(refund) => Some(refund.agreement),
        Instruction::Payout(payout) => match payout.payee {
            Payee::Agreement(number) => Some(number),
            Payee::Account { .. } => None,
        },
        Instruction::Reversal(_) | Instruction::Supplement(_) => None,
    }
}

/// The account a message names, and the name it gives with it.
fn account(order: &Instruction) -> Option<(AccountToken, Option<NameToken>)> {
    match order {
        Instruction::Payout(payout) => match payout.payee {
            Payee::Account { token, name } => Some((token, Some(name))),
            Payee::Agreement(_) => None,
        },
        Instruction::Supplement(supplement) => Some((supplement.account, None)),
        Instruction::Payment(_) | Instruction::Refund(_) | Instruction::Reversal(_) => None,
    }
}

fn original(order: &Instruction) -> Option<(TransferKey, Option<Amount>, Option<BankSerial>)> {
    match order {
        Instruction::Refund(refund) => Some((refund.original, Some(refund.original_amount), refund.original_serial)),
        Instruction::Reversal(reversal) => Some((reversal.original, None, None)),
        Instruction::Payment(_) | Instruction::Payout(_) | Instruction::Supplement(_) => None,
    }
}

fn supplement(order: &Instruction) -> Option<(Side, SupplementAgainst)> {
    match order {
        Instruction::Supplement(supplement) => Some((supplement.side, supplement.against)),
        Instruction::Payment(_) | Instruction::Refund(_) | Instruction::Payout(_) | Instruction::Reversal(_) => None,
    }
}
