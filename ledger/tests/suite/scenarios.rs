//! Runs `scenarios/*.txt`: each line is a step, and after `→` stands what it comes to. Comments begin with `#`.
//! `UPDATE_EXPECT=1` writes what came instead; read the difference before you keep it.

use std::collections::BTreeMap;

use expect_test::{ExpectFile, expect_file};
use ledger::books::{Books, InternalAccount, UsageKey};
use ledger::engine::Changes;
use ledger::outcome::Outcome;
use ledger::shard::group::{Loaded, Working, wanted_by_account};
use ledger::state::ShardState;
use ledger::view::{Rows, Wanted};
use ledger_model::{
    Account, AccountStatus, AccountToken, Agreement, AgreementNumber, AgreementStatus, AgreementTerms, BankSerial,
    BatchId, BusinessDate, Decision, DetailsDigest, Instruction, Payee, Payment, Payout, Refund, ShardCount,
    TransferKey, UsageSubject,
};

use crate::bank::{BATCH, INSTITUTIONS, amount, key, name, now, sealed, token};

/// One shard holds all the names of a scenario.
const ONE: ShardCount = ShardCount::new(1).unwrap();

/// A line's words: a verb, a name, then pairs of a keyword and its value.
struct Step<'a> {
    verb: &'a str,
    name: &'a str,
    rest: BTreeMap<&'a str, &'a str>,
}

impl<'a> Step<'a> {
    fn of(line: &'a str) -> Self {
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

    fn word(&self, keyword: &str) -> &'a str {
        self.rest
            .get(keyword)
            .unwrap_or_else(|| panic!("{} {} {keyword} what?", self.verb, self.name))
    }

    fn or(&self, keyword: &str, default: &'a str) -> &'a str {
        self.rest.get(keyword).copied().unwrap_or(default)
    }

    /// A name stands for the same number everywhere.
    fn number(name: &str) -> u64 {
        name.bytes()
            .fold(0, |sum, byte| (sum * 64 + u64::from(byte)) % 999_999_999_989)
    }

    fn account(&self, keyword: &str) -> AccountToken {
        token(Self::number(self.word(keyword)))
    }

    fn agreement(name: &str) -> AgreementNumber {
        let shard = if name.starts_with("other") {
            ShardCount::new(64).unwrap().shard(9)
        } else {
            ONE.shard(0)
        };
        AgreementNumber::issue(shard.unwrap(), Self::number(name))
    }

    fn date(&self) -> BusinessDate {
        self.or("ordered", "2026-03-02").parse().unwrap()
    }

    fn batch(&self) -> BatchId {
        self.rest
            .get("batch")
            .map_or(BATCH.to_owned(), |date| format!("B{}0001", date.replace('-', "")))
            .parse()
            .unwrap()
    }

    fn institution(&self) -> ledger_model::InstitutionId {
        INSTITUTIONS[usize::from(self.or("by", "Z1") == "Z2")].parse().unwrap()
    }

    fn details(&self) -> DetailsDigest {
        DetailsDigest::new([u8::try_from(self.or("saying", "nothing").len()).unwrap(); 32])
    }

    fn key(category: &str, name: &str) -> TransferKey {
        key(category, Self::number(name))
    }

    fn instruction(&self) -> Instruction {
        let (amount, batch, institution) = (amount(self.word("amount")), self.batch(), self.institution());
        let (details, ordered_at) = (self.details(), self.date().at_midnight());
        match self.verb {
            "pay" => Instruction::Payment(Payment {
                key: Self::key("0110", self.name),
                amount,
                batch,
                institution,
                agreement: Self::agreement(self.word("under")),
                ordered_at,
                details,
            }),
            "refund" => {
                let category = if self.rest.contains_key("of-payout") {
                    "0120"
                } else {
                    "0110"
                };
                let original = self.rest.get("of").or_else(|| self.rest.get("of-payout")).unwrap();
                Instruction::Refund(Refund {
                    key: Self::key("0121", self.name),
                    amount,
                    batch,
                    institution,
                    agreement: Self::agreement(self.word("under")),
                    original: Self::key(category, original),
                    original_amount: self::amount(self.word("was")),
                    original_serial: self
                        .rest
                        .get("serial")
                        .map(|serial| serial.parse::<BankSerial>().unwrap()),
                    ordered_at,
                    details,
                })
            }
            "payout" => {
                let payee = match self.rest.get("under") {
                    Some(agreement) => Payee::Agreement(Self::agreement(agreement)),
                    None => Payee::Account {
                        token: self.account("to"),
                        name: name(Self::number(self.or("named", self.word("to")))),
                    },
                };
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
                    payee,
                    ordered_at,
                    details,
                })
            }
            other => panic!("{other} is no step"),
        }
    }
}

struct Scenario {
    working: Working,
    /// Names of accounts, as they came.
    accounts: Vec<String>,
}

impl Scenario {
    fn new() -> Self {
        let state = ShardState::empty(ONE.shard(0).unwrap());
        Self {
            working: Working::over(ONE, state, now()),
            accounts: Vec::new(),
        }
    }

    /// What is not in the books yet is not there: nothing is fetched from anywhere.
    fn admit(&mut self, wanted: Wanted) {
        let wanted = self.working.view().missing(wanted);
        self.working.view_mut().admit(wanted, Rows::default());
    }

    fn run(&mut self, line: &str) -> String {
        let step = Step::of(line);
        match step.verb {
            "account" => self.open(&step),
            "agreement" => self.record(&step),
            "becomes" => self.change(&step),
            "show" => self.show(&step),
            _ => self.post(&step.instruction()),
        }
    }

    fn open(&mut self, step: &Step<'_>) -> String {
        let number = Step::number(step.name);
        let account = Account {
            token: token(number),
            name: name(number),
            status: AccountStatus::from_name(step.or("is", "open")).unwrap(),
            balance: step.word("holds").parse().unwrap(),
        };
        let mut wanted = Wanted::default();
        wanted_by_account(&account, &mut wanted);
        self.admit(wanted);
        let loaded = self.working.open_account(&account).unwrap();
        if loaded == Loaded::New {
            self.accounts.push(step.name.to_owned());
        }
        told(loaded)
    }

    fn record(&mut self, step: &Step<'_>) -> String {
        let agreement = Agreement {
            number: Step::agreement(step.name),
            account: step.account("for"),
            institution: step.institution(),
            status: AgreementStatus::from_name(step.or("is", "normal")).unwrap(),
            terms: AgreementTerms {
                single_max: amount(step.or("single", "CNY500.00")),
                daily_max: amount(step.or("daily", "CNY800.00")),
                daily_count_max: step.or("times", "3").parse().unwrap(),
                expires: step.or("until", "2026-12-31").parse().unwrap(),
            },
        };
        let wanted = Wanted {
            accounts: vec![agreement.account],
            agreements: vec![agreement.number],
            ..Wanted::default()
        };
        self.admit(wanted);
        told(self.working.record_agreement(&agreement))
    }

    /// What the bank does to an account or agreement between two messages.
    fn change(&mut self, step: &Step<'_>) -> String {
        let mut changes = Changes::default();
        if let Some(account) = step.rest.get("account") {
            let mut held = self
                .working
                .view()
                .account(&token(Step::number(account)))
                .unwrap()
                .clone();
            held.account.status = AccountStatus::from_name(step.name).unwrap();
            changes.accounts.push(held);
        }
        if let Some(agreement) = step.rest.get("agreement") {
            let mut agreement = self
                .working
                .view()
                .agreement(&Step::agreement(agreement))
                .unwrap()
                .clone();
            agreement.status = AgreementStatus::from_name(step.name).unwrap();
            changes.agreements.push(agreement);
        }
        self.working.view_mut().apply(changes);
        "done".to_owned()
    }

    fn post(&mut self, instruction: &Instruction) -> String {
        let mut first = Wanted::default();
        ledger::shard::group::wanted_first(instruction, &mut first);
        self.admit(first);
        let mut second = Wanted::default();
        ledger::shard::group::wanted_second(instruction, self.working.view(), &mut second);
        self.admit(second);
        match self.working.post(instruction, sealed(instruction), None).unwrap() {
            Outcome::Decided { transfer, repeat } => {
                let again = if repeat { "again " } else { "" };
                let serial = transfer.serial;
                match transfer.decision {
                    Decision::Posted => format!("{again}posted, serial {serial}"),
                    Decision::Refused(refusal) => format!("{again}refused: {}, serial {serial}", refusal.name()),
                }
            }
            Outcome::Conflict(field) => format!("conflict: {}", field.name()),
            other => panic!("{other:?}"),
        }
    }

    fn show(&mut self, step: &Step<'_>) -> String {
        match step.name {
            "accounts" => {
                let view = self.working.view();
                let balance = |name: &String| {
                    let held = view.account(&token(Step::number(name))).unwrap();
                    format!("{name} {}", held.account.balance)
                };
                self.accounts.iter().map(balance).collect::<Vec<_>>().join(", ")
            }
            "batch" => {
                let batch = step.batch();
                let key = InternalAccount::NetworkClearing(batch).in_currency(amount("CNY1.00").currency());
                self.admit(Wanted {
                    internal: vec![key],
                    ..Wanted::default()
                });
                let sums = self.working.view().internal(&key);
                format!("{batch} debits {} credits {}", sums.debit_minor, sums.credit_minor)
            }
            "usage" => {
                let key = UsageKey {
                    subject: UsageSubject::Agreement(Step::agreement(step.word("of"))),
                    date: step.date(),
                };
                self.admit(Wanted {
                    usages: vec![key],
                    ..Wanted::default()
                });
                let used = self.working.view().usage(&key);
                format!("{} times, {}", used.count, used.sum_minor)
            }
            other => panic!("show {other}?"),
        }
    }
}

fn told(loaded: Loaded) -> String {
    match loaded {
        Loaded::New => "new".to_owned(),
        Loaded::Unchanged => "unchanged".to_owned(),
        Loaded::Refused(reason) => format!("refused: {reason}"),
    }
}

fn check(expected: &ExpectFile) {
    let mut scenario = Scenario::new();
    let mut came = String::new();
    for line in expected.data().lines() {
        let step = line.split('→').next().unwrap().trim_end();
        came.push_str(step);
        if !step.is_empty() && !step.starts_with('#') {
            let outcome = scenario.run(step);
            came.push_str(" → ");
            came.push_str(&outcome);
        }
        came.push('\n');
    }
    scenario.working.into_group(0).unwrap();
    expected.assert_eq(&came);
}

#[test]
fn payments() {
    check(&expect_file!["scenarios/payments.txt"]);
}

#[test]
fn refunds() {
    check(&expect_file!["scenarios/refunds.txt"]);
}

#[test]
fn payouts() {
    check(&expect_file!["scenarios/payouts.txt"]);
}

#[test]
fn precedence_of_refusals() {
    check(&expect_file!["scenarios/precedence.txt"]);
}

#[test]
fn repeats_and_conflicts() {
    check(&expect_file!["scenarios/repeats.txt"]);
}

#[test]
fn loading() {
    check(&expect_file!["scenarios/loading.txt"]);
}

/// Every refusal there is stands in some scenario, by name.
#[test]
fn every_refusal_has_a_case() {
    let all = [
        include_str!("scenarios/payments.txt"),
        include_str!("scenarios/refunds.txt"),
        include_str!("scenarios/payouts.txt"),
    ];
    for refusal in ledger_model::Refusal::ALL {
        let case = format!("refused: {}", refusal.name());
        assert!(
            all.iter().any(|scenario| scenario.contains(&case)),
            "{case} has no case"
        );
    }
}
