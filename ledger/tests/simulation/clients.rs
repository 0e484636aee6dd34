//! What clients send: new orders, and earlier ones again with something changed.

use ledger_model::{
    AccountLimits, AccountStatus, AccountToken, Administration, AgreementNumber, AgreementStatus, Amount, BankSerial,
    BatchId, ChinaTime, Instruction, Payee, Payment, Payout, Refund, Reversal, Side, Supplement, SupplementAgainst,
    TransferKey,
};

use crate::bank::{self, Bank, batch, cny, details, dollars, institution, key, name, token};
use crate::chance::Chance;

/// What a client goes by.
pub(crate) struct Client<'a> {
    pub(crate) chance: &'a mut Chance,
    pub(crate) bank: &'a Bank,
    pub(crate) now: ChinaTime,
    /// Orders sent so far.
    pub(crate) sent: &'a [Instruction],
    /// Serials told for payments.
    pub(crate) serials: &'a [(TransferKey, BankSerial)],
}

const PAYMENT: &str = "0110";
const REFUND: &str = "0121";
const PAYOUT: &str = "0120";
const REVERSAL: &str = "9001";
const SUPPLEMENT: &str = "9002";
/// Longer ago than anything is kept.
const LONG_AGO_SECONDS: i64 = 500 * 24 * 3600;

impl Client<'_> {
    /// An order nobody sent before, mostly under a key nobody used before.
    pub(crate) fn new_order(&mut self) -> Instruction {
        let number = u64::try_from(self.sent.len()).unwrap();
        let ordered_at = if self.chance.per_mille(15) {
            self.now.plus_seconds(-LONG_AGO_SECONDS).unwrap()
        } else {
            self.now
        };
        let mut order = match self.chance.weighted(&[10, 5, 5, 2, 1]) {
            0 => self.payment(number, ordered_at),
            1 => self.refund(number, ordered_at),
            2 => self.payout(number, ordered_at),
            3 => self.reversal(number, ordered_at),
            _ => self.supplement(number, ordered_at),
        };
        if self.chance.per_mille(40)
            && let Some(other) = self.chance.one_of(self.sent)
        {
            set_key(&mut order, *other.key());
        }
        order
    }

    fn yesterday(&self) -> ChinaTime {
        self.now.plus_seconds(-24 * 3600).unwrap()
    }

    /// One of today's, now and then one of yesterday's.
    fn batch(&mut self) -> BatchId {
        let of = if self.chance.per_mille(60) {
            self.yesterday()
        } else {
            self.now
        };
        batch(of.date(), self.chance.between(1, 2))
    }

    fn amount(&mut self) -> Amount {
        if self.chance.per_mille(30) {
            return dollars(100);
        }
        cny([1, 100, 300, 400, 501, 1_000, 2_500][self.chance.below(7)])
    }

    fn agreement(&mut self) -> AgreementNumber {
        match self.chance.weighted(&[30, 1, 1]) {
            0 => self.chance.one_of(&self.bank.agreements).unwrap().number,
            // no number of ours
            1 => "X9".parse().unwrap(),
            // one we might have issued
            _ => {
                let shard = self.chance.one_of(&self.bank.agreements).unwrap().number.shard_tag();
                let all = ledger_model::ShardCount::new(ledger_model::ShardCount::MAX).unwrap();
                AgreementNumber::issue(all.shard(shard.unwrap()).unwrap(), 999)
            }
        }
    }

    /// Who sends for an agreement: nearly always who has it.
    fn institution_of(&mut self, number: AgreementNumber) -> ledger_model::InstitutionId {
        let known = self.bank.agreements.iter().find(|agreement| agreement.number == number);
        match known {
            Some(agreement) if !self.chance.per_mille(40) => agreement.institution,
            _ => institution(self.chance.next()),
        }
    }

    fn payment(&mut self, number: u64, ordered_at: ChinaTime) -> Instruction {
        let agreement = self.agreement();
        Instruction::Payment(Payment {
            key: key(PAYMENT, ordered_at.date(), number),
            amount: self.amount(),
            batch: self.batch(),
            institution: self.institution_of(agreement),
            agreement,
            ordered_at,
            details: details(1),
        })
    }

    /// Of a payment that was sent, whatever came of it.
    fn refund(&mut self, number: u64, ordered_at: ChinaTime) -> Instruction {
        let paid: Vec<&Payment> = self.sent.iter().filter_map(as_payment).collect();
        let Some(paid) = self.chance.one_of(&paid).copied() else {
            return self.payout(number, ordered_at);
        };
        let told = self.serials.iter().find(|(of, _)| *of == paid.key);
        let original_serial = told.map(|(_, serial)| *serial).filter(|_| self.chance.per_mille(500));
        let minor = paid.amount.minor();
        let part = [minor, (minor / 2).max(1), (minor / 3).max(1), minor + 1];
        let minor = part[self.chance.weighted(&[4, 4, 4, 1])];
        Instruction::Refund(Refund {
            key: key(REFUND, ordered_at.date(), number),
            amount: Amount::new(minor, paid.amount.currency()).unwrap(),
            batch: self.batch(),
            institution: if self.chance.per_mille(30) {
                institution(self.chance.next())
            } else {
                paid.institution
            },
            agreement: if self.chance.per_mille(40) {
                self.agreement()
            } else {
                paid.agreement
            },
            original: paid.key,
            original_amount: if self.chance.per_mille(40) {
                self.amount()
            } else {
                paid.amount
            },
            original_serial,
            ordered_at,
            details: details(1),
        })
    }

    fn payout(&mut self, number: u64, ordered_at: ChinaTime) -> Instruction {
        let amount = self.amount();
        let mut institution = institution(self.chance.next());
        let payee = if self.chance.per_mille(250) {
            let agreement = self.agreement();
            institution = self.institution_of(agreement);
            Payee::Agreement(agreement)
        } else {
            let account = self.account();
            let named = if self.chance.per_mille(50) {
                account + 1
            } else {
                account
            };
            Payee::Account {
                token: token(account),
                name: name(named),
            }
        };
        Instruction::Payout(Payout {
            key: key(PAYOUT, ordered_at.date(), number),
            amount,
            batch: self.batch(),
            institution,
            payee,
            ordered_at,
            details: details(1),
        })
    }

    /// Of anything that was sent, whatever came of it.
    fn reversal(&mut self, number: u64, ordered_at: ChinaTime) -> Instruction {
        let Some(original) = self.chance.one_of(self.sent) else {
            return self.payout(number, ordered_at);
        };
        let differs = self.chance.per_mille(60);
        Instruction::Reversal(Reversal {
            key: key(REVERSAL, ordered_at.date(), number),
            amount: if differs { self.amount() } else { original.amount() },
            batch: self.batch(),
            institution: original.institution(),
            original: *original.key(),
            ordered_at,
            details: details(1),
        })
    }

    fn supplement(&mut self, number: u64, ordered_at: ChinaTime) -> Instruction {
        let against = SupplementAgainst::ALL[self.chance.below(SupplementAgainst::ALL.len())];
        Instruction::Supplement(Supplement {
            key: key(SUPPLEMENT, ordered_at.date(), number),
            amount: self.amount(),
            batch: self.batch(),
            institution: institution(self.chance.next()),
            account: token(self.account()),
            side: [Side::Debit, Side::Credit][self.chance.below(2)],
            against,
            ordered_at,
            details: details(1),
        })
    }

    /// Nearly always one that is there.
    fn account(&mut self) -> u64 {
        let count = u64::try_from(self.bank.accounts.len()).unwrap();
        self.chance
            .between(1, count + u64::from(self.chance.clone().per_mille(60)))
    }

    /// An order sent before, again: mostly as it was, else with one thing changed.
    pub(crate) fn again(&mut self) -> Option<Instruction> {
        let mut order = self.chance.one_of(self.sent)?.clone();
        if self.chance.per_mille(600) {
            return Some(order);
        }
        let (amount, agreement, account) = (self.amount(), self.agreement(), self.account());
        let what = self.chance.weighted(&[3, 2, 1, 4, 1, 1]);
        match &mut order {
            Instruction::Payment(payment) => match what {
                0 => payment.amount = amount,
                1 => payment.details = details(2),
                2 => payment.institution = institution(self.chance.next()),
                3 => payment.agreement = agreement,
                4 => payment.batch = batch(self.now.date(), 3),
                _ => return Some(as_payout(payment.key, payment, account)),
            },
            Instruction::Refund(refund) => match what {
                0 => refund.amount = amount,
                1 => refund.details = details(2),
                2 => refund.original_amount = amount,
                3 => refund.agreement = agreement,
                4 => refund.batch = batch(self.now.date(), 3),
                _ => refund.original.category = PAYOUT.parse().unwrap(),
            },
            Instruction::Payout(payout) => match what {
                0 => payout.amount = amount,
                1 => payout.details = details(2),
                2 => payout.institution = institution(self.chance.next()),
                3 => {
                    payout.payee = Payee::Account {
                        token: token(account),
                        name: name(account),
                    };
                }
                4 => payout.batch = batch(self.now.date(), 3),
                _ => payout.payee = Payee::Agreement(agreement),
            },
            Instruction::Reversal(reversal) => match what {
                0 => reversal.amount = amount,
                1 => reversal.details = details(2),
                _ => reversal.batch = batch(self.now.date(), 3),
            },
            Instruction::Supplement(supplement) => match what {
                0 => supplement.amount = amount,
                1 => supplement.details = details(2),
                2 => supplement.against = SupplementAgainst::Fee,
                3 => supplement.account = token(account),
                4 => supplement.side = Side::Credit,
                _ => supplement.batch = batch(self.now.date(), 3),
            },
        }
        Some(order)
    }

    /// What an operator does to a customer, and whose account it is about. A day is closed of a shard, which that names as
    /// well as anything.
    pub(crate) fn administration(&mut self) -> (Administration, AccountToken) {
        let agreement = self.chance.one_of(&self.bank.agreements).unwrap();
        let account = agreement.account;
        let status = AccountStatus::ALL[self.chance.weighted(&[6, 2, 2, 1])];
        let limits = AccountLimits {
            single_max: cny([400, 2_000][self.chance.below(2)]),
            daily_max: cny([600, 5_000][self.chance.below(2)]),
            daily_count_max: [2, 100][self.chance.below(2)],
        };
        let act = match self.chance.weighted(&[6, 4, 2, 4, 2]) {
            0 => Administration::AccountStatus { account, status },
            1 => Administration::AccountLimits {
                account,
                limits: Some(limits),
            },
            2 => Administration::AccountLimits { account, limits: None },
            4 => Administration::CloseThrough {
                date: self.yesterday().date(),
            },
            _ => Administration::AgreementStatus {
                number: agreement.number,
                status: AgreementStatus::ALL[self.chance.weighted(&[3, 1])],
            },
        };
        (act, account)
    }

    /// A key to ask about: mostly one that was used.
    pub(crate) fn asked_key(&mut self) -> TransferKey {
        match self.chance.one_of(self.sent) {
            Some(order) if !self.chance.per_mille(50) => *order.key(),
            _ => bank::key(PAYMENT, self.now.date(), 9_999_999),
        }
    }
}

fn as_payment(order: &Instruction) -> Option<&Payment> {
    match order {
        Instruction::Payment(payment) => Some(payment),
        Instruction::Refund(_) | Instruction::Payout(_) | Instruction::Reversal(_) | Instruction::Supplement(_) => None,
    }
}

/// The same key asks for something else altogether.
fn as_payout(key: TransferKey, payment: &Payment, account: u64) -> Instruction {
    Instruction::Payout(Payout {
        key,
        amount: payment.amount,
        batch: payment.batch,
        institution: payment.institution,
        payee: Payee::Account {
            token: token(account),
            name: name(account),
        },
        ordered_at: payment.ordered_at,
        details: payment.details,
    })
}

fn set_key(order: &mut Instruction, new: TransferKey) {
    match order {
        Instruction::Payment(payment) => payment.key = new,
        Instruction::Refund(refund) => refund.key = new,
        Instruction::Payout(payout) => payout.key = new,
        Instruction::Reversal(reversal) => reversal.key = new,
        Instruction::Supplement(supplement) => supplement.key = new,
    }
}
