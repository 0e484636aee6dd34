//! What a client may be told.

use ledger::outcome::Outcome;
use ledger_model::{
    AccountToken, AgreementNumber, Amount, BankSerial, ContentField, Instruction, NameToken, Payee, Side,
    SupplementAgainst, TransferKey,
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
        let posted = self.decided.get(&key).is_some_and(|decided| decided.order == place);
        match outcome {
            Outcome::Decided { transfer, repeat } => {
                must(self.decided.contains_key(&key), Rule::S2, || {
                    format!("request {place} is told what is not in the journal: {transfer:?}")
                })?;
                must(*repeat != posted, Rule::L4, || {
                    format!("request {place} is told repeat: {repeat}; it posted: {posted}")
                })?;
                self.told_decision(place, &order.instruction, transfer)
            }
            Outcome::Conflict(field) => {
                let due = self.difference(&key, &order.instruction);
                must(due == Some(*field) && !posted, Rule::Conflict, || {
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

    fn told_decision(&mut self, place: usize, instruction: &Instruction, transfer: &ledger_model::Transfer) -> Check {
        let key = *instruction.key();
        let difference = self.difference(&key, instruction);
        must(difference.is_none(), Rule::Conflict, || {
            format!("request {place} differs in {difference:?} and is told another's decision")
        })?;
        let decided = self.decided.get_mut(&key).expect("looked up before");
        must(decided.transfer == *transfer, Rule::Repeat, || {
            format!(
                "request {place} is told {transfer:?}; decided was {:?}",
                decided.transfer
            )
        })?;
        let again = decided.order == place && std::mem::replace(&mut decided.told_as_new, true);
        must(!again, Rule::L4, || format!("request {place} is told as new twice"))
    }

    /// A query was answered. `may_appear` says whether a store may still bring the key in.
    pub(crate) fn queried(&self, key: &TransferKey, outcome: &Outcome, may_appear: bool, at: Circumstances) -> Check {
        let decided = self.decided.get(key);
        match outcome {
            Outcome::Decided { transfer, .. } => must(
                decided.is_some_and(|decided| decided.transfer == *transfer),
                Rule::S2,
                || format!("a query is told {transfer:?}; decided is {decided:?}"),
            ),
            Outcome::NotFound => {
                let under_way = self.orders.iter().position(|order| {
                    order.standing == Standing::Waiting
                        && order.instruction.key() == key
                        && order.deadline_ms > at.now_ms
                });
                must(
                    decided.is_none() && under_way.is_none() && !may_appear,
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

    /// The first field in which an order differs from what was decided under its key.
    fn difference(&self, key: &TransferKey, order: &Instruction) -> Option<ContentField> {
        let decided = self.decided.get(key)?;
        let before = &self.orders[decided.order].instruction;
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
