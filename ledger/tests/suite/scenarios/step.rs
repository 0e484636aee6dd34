//! One line of a scenario, read.

use std::collections::BTreeMap;

use ledger_model::{
    AccountLimits, AccountStatus, AccountToken, Administration, AgreementNumber, AgreementStatus, AgreementTerms,
    BankSerial, BatchId, BusinessDate, DetailsDigest, Instruction, Payee, Payment, Payout, Refund, Reversal,
    ShardCount, Side, Supplement, SupplementAgainst, TransferKey,
};

use crate::bank::{BATCH, INSTITUTIONS, amount, key, name, token};

/// One shard holds all the names of a scenario.
pub(super) const ONE: ShardCount = ShardCount::new(1).unwrap();

/// A line's words: a verb, a name, then pairs of a keyword and its value.
pub(super) struct Step<'a> {
    pub(super) verb: &'a str,
    pub(super) name: &'a str,
    pub(super) rest: BTreeMap<&'a str, &'a str>,
}

impl<'a> Step<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        let mut words = line.split_whitespace();
        let verb = words.next().unwrap();
        let name = words.next().unwrap_or_default();
        let mut rest = BTreeMap::new();
        while let Some(keyword) = words.next() {
            rest.insert(
                keyword,
                words.next().unwrap_or_else(|| panic!("{keyword} of what? {line}")),
            );
        }
        Self { verb, name, rest }
    }

    pub(super) fn word(&self, keyword: &str) -> &'a str {
        self.rest
            .get(keyword)
            .unwrap_or_else(|| panic!("{} {} {keyword} what?", self.verb, self.name))
    }

    pub(super) fn or(&self, keyword: &str, default: &'a str) -> &'a str {
        self.rest.get(keyword).copied().unwrap_or(default)
    }

    /// A name stands for the same number everywhere.
    pub(super) fn number(name: &str) -> u64 {
        name.bytes()
            .fold(0, |sum, byte| (sum * 64 + u64::from(byte)) % 999_999_999_989)
    }

    pub(super) fn account(&self, keyword: &str) -> AccountToken {
        token(Self::number(self.word(keyword)))
    }

    pub(super) fn agreement(name: &str) -> AgreementNumber {
        let shard = if name.starts_with("other") {
            ShardCount::new(64).unwrap().shard(9)
        } else {
            ONE.shard(0)
        };
        AgreementNumber::issue(shard.unwrap(), Self::number(name))
    }

    pub(super) fn date(&self) -> BusinessDate {
        self.or("ordered", "2026-03-02").parse().unwrap()
    }

    pub(super) fn batch(&self) -> BatchId {
        self.rest
            .get("batch")
            .map_or(BATCH.to_owned(), |date| format!("B{}0001", date.replace('-', "")))
            .parse()
            .unwrap()
    }

    pub(super) fn institution(&self) -> ledger_model::InstitutionId {
        INSTITUTIONS[usize::from(self.or("by", "Z1") == "Z2")].parse().unwrap()
    }

    pub(super) fn details(&self) -> DetailsDigest {
        DetailsDigest::new([u8::try_from(self.or("saying", "nothing").len()).unwrap(); 32])
    }

    pub(super) fn key(category: &str, name: &str) -> TransferKey {
        key(category, Self::number(name))
    }

    /// The transfer that is taken back: `of` a payment, or of what else is said.
    fn original(&self) -> TransferKey {
        let of = |(word, category): (&str, &str)| Some(Self::key(category, self.rest.get(word)?));
        let kinds = [
            ("of", "0110"),
            ("of-refund", "0121"),
            ("of-payout", "0120"),
            ("of-reversal", "9001"),
            ("of-supplement", "9002"),
        ];
        kinds.into_iter().find_map(of).unwrap()
    }

    pub(super) fn limits(&self) -> AccountLimits {
        AccountLimits {
            single_max: amount(self.or("single", "CNY500.00")),
            daily_max: amount(self.or("daily", "CNY800.00")),
            daily_count_max: self.or("times", "3").parse().unwrap(),
        }
    }

    pub(super) fn terms(&self) -> AgreementTerms {
        let AccountLimits {
            single_max,
            daily_max,
            daily_count_max,
        } = self.limits();
        AgreementTerms {
            single_max,
            daily_max,
            daily_count_max,
            expires: self.or("until", "2026-12-31").parse().unwrap(),
        }
    }

    /// What an operator does.
    pub(super) fn act(&self) -> Administration {
        let of_account = |name: &&str| token(Self::number(name));
        match (
            self.verb,
            self.rest.get("account").map(of_account),
            self.rest.get("agreement"),
        ) {
            ("status", Some(account), None) => Administration::AccountStatus {
                account,
                status: AccountStatus::from_name(self.name).unwrap(),
            },
            ("limits", Some(account), None) => Administration::AccountLimits {
                account,
                limits: (self.name != "none").then(|| self.limits()),
            },
            ("status", None, Some(agreement)) => Administration::AgreementStatus {
                number: Self::agreement(agreement),
                status: AgreementStatus::from_name(self.name).unwrap(),
            },
            ("terms", None, Some(agreement)) => Administration::AgreementTerms {
                number: Self::agreement(agreement),
                terms: self.terms(),
            },
            ("close", None, None) => Administration::CloseThrough {
                date: self.word("through").parse().unwrap(),
            },
            other => panic!("{other:?} is nothing an operator does"),
        }
    }

    fn payee(&self) -> Payee {
        match self.rest.get("under") {
            Some(agreement) => Payee::Agreement(Self::agreement(agreement)),
            None => Payee::Account {
                token: self.account("to"),
                name: name(Self::number(self.or("named", self.word("to")))),
            },
        }
    }

    pub(super) fn instruction(&self) -> Instruction {
        let (amount, batch, institution) = (amount(self.word("amount")), self.batch(), self.institution());
        let (details, ordered_at) = (self.details(), self.date().at_midnight());
        // a transfer that hops is asked for in the same words
        match self.verb.trim_start_matches("hop-") {
            "pay" => Instruction::Payment(Payment {
                key: Self::key("0110", self.name),
                amount,
                batch,
                institution,
                agreement: Self::agreement(self.word("under")),
                ordered_at,
                details,
            }),
            "refund" => Instruction::Refund(Refund {
                key: Self::key("0121", self.name),
                amount,
                batch,
                institution,
                agreement: Self::agreement(self.word("under")),
                original: self.original(),
                original_amount: self::amount(self.word("was")),
                original_serial: self
                    .rest
                    .get("serial")
                    .map(|serial| serial.parse::<BankSerial>().unwrap()),
                ordered_at,
                details,
            }),
            "payout" => {
                Instruction::Payout(Payout {
                    // a key is used for another kind only to show that this is noticed
                    key: Self::key(
                        if self.rest.contains_key("reusing") {
                            "0110"
                        } else {
                            "0120"
                        },
                        self.name,
                    ),
                    amount,
                    batch,
                    institution,
                    payee: self.payee(),
                    ordered_at,
                    details,
                })
            }
            "reverse" => Instruction::Reversal(Reversal {
                key: Self::key("9001", self.name),
                amount,
                batch,
                institution,
                original: self.original(),
                ordered_at,
                details,
            }),
            "supplement" => Instruction::Supplement(Supplement {
                key: Self::key("9002", self.name),
                amount,
                batch,
                institution,
                account: self.account("for"),
                side: Side::from_name(self.word("side")).unwrap(),
                against: SupplementAgainst::from_name(self.word("against")).unwrap(),
                ordered_at,
                details,
            }),
            other => panic!("{other} is no step"),
        }
    }
}
