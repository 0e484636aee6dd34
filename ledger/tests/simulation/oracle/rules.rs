//! The rules of the business, told a second time: which refusal comes first, and which entries a posting has.

use ledger::books::Arrival;
use ledger_model::{
    Account, AccountLimits, AccountStatus, AccountToken, Agreement, AgreementStatus, Amount, BatchId, BusinessDate,
    Decision, Entry, Instruction, LedgerAccount, Payee, Payment, Payout, Refund, Refusal, Reversal, ShardId, Side,
    Supplement, SupplementAgainst, Transfer, TransferKey, TransferKind, UsageSubject,
};

use super::{Held, Oracle};

/// What must come of an order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) decision: Decision,
    pub(super) account: Option<AccountToken>,
    pub(super) entries: Vec<Entry>,
}

/// An account, where it is looked for.
#[derive(Debug, Clone, Copy)]
struct Customer {
    shard: ShardId,
    token: AccountToken,
}

/// What a refund or a reversal is of, as a shard has it.
struct Original<'a> {
    transfer: &'a Transfer,
    order: usize,
    /// In the books of this shard, of its own customer.
    moved_money: bool,
    refunded: i64,
    reversed: bool,
}

/// The first refusal whose condition holds.
fn first(conditions: &[(bool, Refusal)]) -> Option<Refusal> {
    conditions.iter().find(|(holds, _)| *holds).map(|(_, refusal)| *refusal)
}

fn pair(account: AccountToken, side: Side, amount: Amount, against: LedgerAccount) -> Vec<Entry> {
    [(LedgerAccount::Customer(account), side), (against, opposite(side))]
        .map(|(account, side)| Entry { account, side, amount })
        .to_vec()
}

fn opposite(side: Side) -> Side {
    match side {
        Side::Debit => Side::Credit,
        Side::Credit => Side::Debit,
    }
}

fn clearing(batch: BatchId) -> LedgerAccount {
    LedgerAccount::NetworkClearing(batch)
}

fn against(what: SupplementAgainst, batch: BatchId) -> LedgerAccount {
    match what {
        SupplementAgainst::NetworkClearing => clearing(batch),
        SupplementAgainst::Suspense => LedgerAccount::Suspense,
        SupplementAgainst::Fee => LedgerAccount::Fee,
        SupplementAgainst::StandInAdvance => LedgerAccount::StandInAdvance,
    }
}

impl Due {
    pub(super) fn refused(refusal: Refusal, account: Option<AccountToken>) -> Self {
        Self {
            decision: Decision::Refused(refusal),
            account,
            entries: Vec::new(),
        }
    }

    fn of(refusal: Option<Refusal>, account: AccountToken, entries: impl FnOnce() -> Vec<Entry>) -> Self {
        match refusal {
            Some(refusal) => Self::refused(refusal, Some(account)),
            None => Self {
                decision: Decision::Posted,
                account: Some(account),
                entries: entries(),
            },
        }
    }
}

impl Oracle {
    /// What must come of an order that is decided in `shard` now.
    pub(super) fn due(&self, shard: ShardId, instruction: &Instruction) -> Due {
        if self.is_closed(shard, instruction) {
            return Due::refused(Refusal::BatchClosed, super::hops::account_named(instruction));
        }
        match instruction {
            Instruction::Payment(payment) => self.payment(shard, payment, clearing(payment.batch)),
            Instruction::Refund(refund) => self.refund(shard, refund),
            Instruction::Payout(payout) => self.payout(shard, payout, clearing(payout.batch)),
            Instruction::Reversal(reversal) => self.reversal(shard, reversal),
            Instruction::Supplement(supplement) => self.supplement(shard, supplement),
        }
    }

    /// What must come of a hop that is settled at its home now: the rules are the same, the other side is what was kept
    /// meanwhile, and a day that was closed meanwhile does not matter.
    pub(super) fn due_of_hop(&self, shard: ShardId, instruction: &Instruction) -> Due {
        match instruction {
            Instruction::Payment(payment) => self.payment(shard, payment, LedgerAccount::StandInAdvance),
            Instruction::Payout(payout) => self.payout(shard, payout, LedgerAccount::Suspense),
            other => panic!("never hops: {other:?}"),
        }
    }

    /// What was used of a day, as this order would find it.
    fn used(&self, shard: ShardId, subject: UsageSubject, date: BusinessDate) -> (u32, i64) {
        let used = &self.books[shard.index()].used;
        used.get(&(subject, date)).copied().unwrap_or_default()
    }

    fn agreement(&self, shard: ShardId, number: ledger_model::AgreementNumber) -> Option<&Agreement> {
        let known = self.agreements.get(&number);
        known.filter(|agreement| crate::bank::home(self.site.shards, agreement.account) == shard)
    }

    fn account(&self, shard: ShardId, token: AccountToken) -> Option<&Held> {
        let known = self.accounts.get(&token);
        known.filter(|_| crate::bank::home(self.site.shards, token) == shard)
    }

    fn payment(&self, shard: ShardId, payment: &Payment, other: LedgerAccount) -> Due {
        let Some(agreement) = self.agreement(shard, payment.agreement) else {
            return Due::refused(Refusal::NoSuchAgreement, None);
        };
        let token = agreement.account;
        let Some(held) = self.account(shard, token) else {
            return Due::refused(Refusal::NoSuchAccount, Some(token));
        };
        let date = payment.ordered_at.date();
        let amount = payment.amount;
        let by_agreement = self.used(shard, UsageSubject::Agreement(agreement.number), date);
        let by_account = self.used(shard, UsageSubject::Account(token), date);
        let terms = &agreement.terms;
        let of_agreement = AccountLimits {
            single_max: terms.single_max,
            daily_max: terms.daily_max,
            daily_count_max: terms.daily_count_max,
        };
        let limits = self.limits.get(&token);
        let account = &held.account;
        let foreign = |bound: Amount| bound.currency() != amount.currency();
        let any_foreign = foreign(terms.single_max)
            || limits.is_some_and(|limits| foreign(limits.single_max))
            || account.balance.currency() != amount.currency();
        let refusal = not_in_force(agreement, payment.institution, payment.ordered_at, payment.batch)
            .or_else(|| takes_no_debit(account))
            .or_else(|| first(&[(any_foreign, Refusal::CurrencyDiffers)]))
            .or_else(|| {
                let names = [
                    Refusal::OverSingleAmount,
                    Refusal::OverDailyCount,
                    Refusal::OverDailyAmount,
                ];
                over(amount, by_agreement, &of_agreement, names)
            })
            .or_else(|| {
                let names = [
                    Refusal::OverAccountSingleAmount,
                    Refusal::OverAccountDailyCount,
                    Refusal::OverAccountDailyAmount,
                ];
                limits.and_then(|limits| over(amount, by_account, limits, names))
            })
            .or_else(|| first(&[(account.balance.minor() < amount.minor(), Refusal::BalanceShort)]));
        Due::of(refusal, token, || pair(token, Side::Debit, amount, other))
    }

    fn original_in(&self, shard: ShardId, key: &TransferKey) -> Option<Original<'_>> {
        let at_home = self.decided.get(key).filter(|decided| decided.shard == shard);
        let at_home = at_home.map(|decided| Original {
            transfer: &decided.transfer,
            order: decided.order,
            moved_money: match decided.arrival {
                Arrival::Settled(decision) => decision == Decision::Posted,
                Arrival::Direct | Arrival::Hopped => decided.transfer.decision == Decision::Posted,
            },
            refunded: decided.refunded,
            reversed: decided.reversed,
        });
        at_home.or_else(|| {
            let hopped = self.hops.get(&(*key, shard))?;
            Some(Original {
                transfer: &hopped.transfer,
                order: hopped.order,
                moved_money: false,
                refunded: 0,
                reversed: false,
            })
        })
    }

    fn refund(&self, shard: ShardId, refund: &Refund) -> Due {
        let original = self.original_in(shard, &refund.original);
        let Some(original) = original.filter(|original| original.transfer.kind == TransferKind::Payment) else {
            return Due::refused(Refusal::OriginalNotFound, None);
        };
        let paid = original.transfer;
        let Instruction::Payment(said) = &self.orders[original.order].instruction else {
            return Due::refused(Refusal::OriginalNotFound, None);
        };
        let differs = paid.amount != refund.original_amount
            || refund.original_serial.is_some_and(|serial| serial != paid.serial)
            || said.agreement != refund.agreement
            || paid.institution != refund.institution;
        let age_days = refund.ordered_at.date().days_since(said.ordered_at.date());
        let before_account = first(&[
            (!original.moved_money, Refusal::OriginalNotSuccessful),
            (differs, Refusal::OriginalDiffers),
            (original.reversed, Refusal::AlreadyReversed),
            (age_days > 366, Refusal::RefundTooLate),
        ]);
        if let Some(refusal) = before_account {
            return Due::refused(refusal, paid.account);
        }
        let token = paid.account.expect("what was posted has an account");
        let Some(held) = self.account(shard, token) else {
            return Due::refused(Refusal::NoSuchAccount, Some(token));
        };
        let refusal = takes_no_credit(&held.account).or_else(|| {
            first(&[
                (
                    refund.amount.currency() != paid.amount.currency(),
                    Refusal::CurrencyDiffers,
                ),
                (
                    original.refunded + refund.amount.minor() > paid.amount.minor(),
                    Refusal::RefundExceedsRest,
                ),
            ])
        });
        Due::of(refusal, token, || {
            pair(token, Side::Credit, refund.amount, clearing(refund.batch))
        })
    }

    fn payout(&self, shard: ShardId, payout: &Payout, other: LedgerAccount) -> Due {
        let (token, name) = match payout.payee {
            Payee::Account { token, name } => (token, Some(name)),
            Payee::Agreement(number) => {
                let Some(agreement) = self.agreement(shard, number) else {
                    return Due::refused(Refusal::NoSuchAgreement, None);
                };
                if let Some(refusal) = not_in_force(agreement, payout.institution, payout.ordered_at, payout.batch) {
                    return Due::refused(refusal, Some(agreement.account));
                }
                (agreement.account, None)
            }
        };
        let Some(held) = self.account(shard, token) else {
            return Due::refused(Refusal::NoSuchAccount, Some(token));
        };
        let account = &held.account;
        let refusal = first(&[(name.is_some_and(|name| name != account.name), Refusal::NameDiffers)])
            .or_else(|| takes_no_credit(account))
            .or_else(|| {
                first(&[(
                    account.balance.currency() != payout.amount.currency(),
                    Refusal::CurrencyDiffers,
                )])
            });
        Due::of(refusal, token, || pair(token, Side::Credit, payout.amount, other))
    }

    fn reversal(&self, shard: ShardId, reversal: &Reversal) -> Due {
        let original = self.original_in(shard, &reversal.original);
        let Some(original) = original.filter(|original| original.transfer.kind != TransferKind::Reversal) else {
            return Due::refused(Refusal::OriginalNotFound, None);
        };
        let before = original.transfer;
        let differs = before.amount != reversal.amount || before.institution != reversal.institution;
        let before_account = first(&[
            (!original.moved_money, Refusal::OriginalNotSuccessful),
            (differs, Refusal::OriginalDiffers),
            (original.reversed, Refusal::AlreadyReversed),
            (original.refunded != 0, Refusal::OriginalRefunded),
        ]);
        if let Some(refusal) = before_account {
            return Due::refused(refusal, before.account);
        }
        let (side, other) = match &self.orders[original.order].instruction {
            Instruction::Payment(_) => (Side::Credit, clearing(reversal.batch)),
            Instruction::Supplement(supplement) => {
                let other = against(supplement.against, reversal.batch);
                (opposite(supplement.side), other)
            }
            Instruction::Refund(_) | Instruction::Payout(_) | Instruction::Reversal(_) => {
                (Side::Debit, clearing(reversal.batch))
            }
        };
        let token = before.account.expect("what was posted has an account");
        let customer = Customer { shard, token };
        self.by_the_bank(customer, side, reversal.amount, other)
    }

    fn supplement(&self, shard: ShardId, supplement: &Supplement) -> Due {
        let other = against(supplement.against, supplement.batch);
        let customer = Customer {
            shard,
            token: supplement.account,
        };
        self.by_the_bank(customer, supplement.side, supplement.amount, other)
    }

    /// The bank's own orders pass over the limits of payments, and over nothing else.
    fn by_the_bank(&self, customer: Customer, side: Side, amount: Amount, other: LedgerAccount) -> Due {
        let Customer { shard, token } = customer;
        let Some(held) = self.account(shard, token) else {
            return Due::refused(Refusal::NoSuchAccount, Some(token));
        };
        let account = &held.account;
        let refusal = match side {
            Side::Debit => takes_no_debit(account),
            Side::Credit => takes_no_credit(account),
        };
        let short = side == Side::Debit && account.balance.minor() < amount.minor();
        let foreign = account.balance.currency() != amount.currency();
        let refusal = refusal.or_else(|| first(&[(foreign, Refusal::CurrencyDiffers), (short, Refusal::BalanceShort)]));
        Due::of(refusal, token, || pair(token, side, amount, other))
    }
}

fn over(amount: Amount, used: (u32, i64), limits: &AccountLimits, names: [Refusal; 3]) -> Option<Refusal> {
    let crossed = [
        amount.minor() > limits.single_max.minor(),
        used.0 + 1 > limits.daily_count_max,
        used.1 + amount.minor() > limits.daily_max.minor(),
    ];
    let place = crossed.iter().position(|crossed| *crossed)?;
    Some(names[place])
}

fn takes_no_debit(account: &Account) -> Option<Refusal> {
    first(&[
        (account.status == AccountStatus::Closed, Refusal::AccountClosed),
        (account.status != AccountStatus::Open, Refusal::AccountFrozen),
    ])
}

fn not_in_force(
    agreement: &Agreement,
    institution: ledger_model::InstitutionId,
    ordered_at: ledger_model::ChinaTime,
    batch: ledger_model::BatchId,
) -> Option<Refusal> {
    let last = agreement.terms.expires;
    first(&[
        (agreement.institution != institution, Refusal::NoSuchAgreement),
        (agreement.status != AgreementStatus::Normal, Refusal::AgreementRescinded),
        (
            ordered_at.date() > last || batch.date() > last,
            Refusal::AgreementExpired,
        ),
    ])
}

fn takes_no_credit(account: &Account) -> Option<Refusal> {
    first(&[
        (account.status == AccountStatus::Closed, Refusal::AccountClosed),
        (account.status == AccountStatus::Frozen, Refusal::AccountFrozen),
    ])
}
