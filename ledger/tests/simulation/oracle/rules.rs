//! The rules of the business, told a second time: which refusal comes first, and which entries a posting has.

use ledger_model::{
    Account, AccountStatus, AccountToken, Agreement, AgreementStatus, Amount, Decision, Entry, Instruction,
    LedgerAccount, Payee, Payment, Payout, Refund, Refusal, ShardId, Side, TransferKind,
};

use super::{Decided, Held, Oracle};

/// What must come of an order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) decision: Decision,
    pub(super) account: Option<AccountToken>,
    pub(super) entries: Vec<Entry>,
}

/// The first refusal whose condition holds.
fn first(conditions: &[(bool, Refusal)]) -> Option<Refusal> {
    conditions.iter().find(|(holds, _)| *holds).map(|(_, refusal)| *refusal)
}

fn pair(account: AccountToken, side: Side, amount: Amount, batch: ledger_model::BatchId) -> Vec<Entry> {
    let (other, clearing) = match side {
        Side::Debit => (Side::Credit, LedgerAccount::NetworkClearing(batch)),
        Side::Credit => (Side::Debit, LedgerAccount::NetworkClearing(batch)),
    };
    [(LedgerAccount::Customer(account), side), (clearing, other)]
        .map(|(account, side)| Entry { account, side, amount })
        .to_vec()
}

impl Due {
    fn refused(refusal: Refusal, account: Option<AccountToken>) -> Self {
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
        match instruction {
            Instruction::Payment(payment) => self.payment(shard, payment),
            Instruction::Refund(refund) => self.refund(shard, refund),
            Instruction::Payout(payout) => self.payout(shard, payout),
        }
    }

    fn agreement(&self, shard: ShardId, number: ledger_model::AgreementNumber) -> Option<&Agreement> {
        let known = self.agreements.get(&number);
        known.filter(|agreement| crate::bank::home(self.shards, agreement.account) == shard)
    }

    fn account(&self, shard: ShardId, token: AccountToken) -> Option<&Held> {
        let known = self.accounts.get(&token);
        known.filter(|_| crate::bank::home(self.shards, token) == shard)
    }

    fn payment(&self, shard: ShardId, payment: &Payment) -> Due {
        let Some(agreement) = self.agreement(shard, payment.agreement) else {
            return Due::refused(Refusal::NoSuchAgreement, None);
        };
        let token = agreement.account;
        let Some(held) = self.account(shard, token) else {
            return Due::refused(Refusal::NoSuchAccount, Some(token));
        };
        let minor = payment.amount.minor();
        let day = (agreement.number, payment.ordered_at.date());
        let (count, sum) = self.books[shard.index()].used.get(&day).copied().unwrap_or_default();
        let terms = &agreement.terms;
        let account = &held.account;
        let currency = payment.amount.currency();
        let refusal = not_in_force(agreement, payment.institution, payment.ordered_at, payment.batch).or_else(|| {
            first(&[
                (account.status == AccountStatus::Closed, Refusal::AccountClosed),
                (account.status != AccountStatus::Open, Refusal::AccountFrozen),
                (
                    account.balance.currency() != currency || terms.single_max.currency() != currency,
                    Refusal::CurrencyDiffers,
                ),
                (minor > terms.single_max.minor(), Refusal::OverSingleAmount),
                (count + 1 > terms.daily_count_max, Refusal::OverDailyCount),
                (sum + minor > terms.daily_max.minor(), Refusal::OverDailyAmount),
                (account.balance.minor() < minor, Refusal::BalanceShort),
            ])
        });
        Due::of(refusal, token, || {
            pair(token, Side::Debit, payment.amount, payment.batch)
        })
    }

    fn refund(&self, shard: ShardId, refund: &Refund) -> Due {
        let original = self.decided.get(&refund.original);
        let original = original.filter(|original| original.shard == shard && is_payment(original));
        let Some(original) = original else {
            return Due::refused(Refusal::OriginalNotFound, None);
        };
        let paid = &original.transfer;
        let Instruction::Payment(said) = &self.orders[original.order].instruction else {
            return Due::refused(Refusal::OriginalNotFound, None);
        };
        let differs = paid.amount != refund.original_amount
            || refund.original_serial.is_some_and(|serial| serial != paid.serial)
            || said.agreement != refund.agreement
            || paid.institution != refund.institution;
        let age_days = refund.ordered_at.date().days_since(said.ordered_at.date());
        let before_account = first(&[
            (paid.decision != Decision::Posted, Refusal::OriginalNotSuccessful),
            (differs, Refusal::OriginalDiffers),
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
            pair(token, Side::Credit, refund.amount, refund.batch)
        })
    }

    fn payout(&self, shard: ShardId, payout: &Payout) -> Due {
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
        Due::of(refusal, token, || {
            pair(token, Side::Credit, payout.amount, payout.batch)
        })
    }
}

fn is_payment(decided: &Decided) -> bool {
    decided.transfer.kind == TransferKind::Payment
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
