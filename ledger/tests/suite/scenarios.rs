//! Runs `scenarios/*.txt`: each line is a step, and after `→` stands what it comes to. Comments begin with `#`.
//! `UPDATE_EXPECT=1` writes what came instead; read the difference before you keep it.

mod hops;
mod step;

use expect_test::{ExpectFile, expect_file};
use ledger::books::{Books, InternalAccount, Sides, UsageKey};
use ledger::engine::Changes;
use ledger::outcome::Outcome;
use ledger::shard::group::{
    Act, Loaded, Working, wanted_by_act, wanted_by_agreement, wanted_by_loading, wanted_first, wanted_second,
};
use ledger::state::ShardState;
use ledger::view::{Rows, Wanted};
use ledger_model::{
    Account, AccountStatus, Agreement, AgreementStatus, Decision, Instruction, ShardCount, UsageSubject,
};
use ledger_protocol::NewAccount;

use self::step::{ONE, Step};
use crate::bank::{amount, name, now, sealed, token};

struct Scenario {
    working: Working,
    /// Another shard, which takes transfers in while this one cannot be reached.
    other: Working,
    /// Names of accounts, as they came.
    accounts: Vec<String>,
}

impl Scenario {
    fn new() -> Self {
        let state = ShardState::empty(ONE.shard(0).unwrap());
        let two = ShardCount::new(2).unwrap();
        Self {
            working: Working::over(ONE, state, now()),
            other: Working::over(ONE, ShardState::empty(two.shard(1).unwrap()), now()),
            accounts: Vec::new(),
        }
    }

    fn admit(&mut self, wanted: Wanted) {
        admit(&mut self.working, wanted);
    }

    fn run(&mut self, line: &str) -> String {
        let step = Step::of(line);
        match step.verb {
            "account" => self.open(&step),
            "agreement" => self.record(&step),
            "becomes" => self.change(&step),
            "status" | "limits" | "terms" | "close" => self.administer(&step),
            "show" => self.show(&step),
            verb if hops::VERBS.contains(&verb) => self.hop(&step),
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
        let limited = step.rest.contains_key("single");
        let new = NewAccount {
            account,
            limits: limited.then(|| step.limits()),
        };
        let mut wanted = Wanted::default();
        wanted_by_loading(&new, &mut wanted);
        self.admit(wanted);
        let loaded = self.working.load_account(&new, &"load".parse().unwrap()).unwrap();
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
            terms: step.terms(),
        };
        let mut wanted = Wanted::default();
        wanted_by_agreement(&agreement, &mut wanted);
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
        wanted_first(instruction, &mut first);
        self.admit(first);
        let mut second = Wanted::default();
        wanted_second(instruction, self.working.view(), &mut second);
        self.admit(second);
        outcome(&self.working.post(instruction, sealed(instruction), None).unwrap())
    }

    fn administer(&mut self, step: &Step<'_>) -> String {
        let act = step.act();
        let mut wanted = Wanted::default();
        wanted_by_act(&act, &mut wanted);
        self.admit(wanted);
        let (operator, reason) = ("li.wei".parse().unwrap(), "as the customer asked".parse().unwrap());
        match self.working.administer(&act, &operator, &reason) {
            Act::Done => "done".to_owned(),
            Act::Unchanged => "unchanged".to_owned(),
            Act::Refused(reason) => format!("refused: {reason}"),
        }
    }

    /// The bank's own accounts in both shards, debits/credits in minor units.
    fn show_internal(&mut self) -> String {
        let named = [
            ("opening balances", InternalAccount::OpeningBalances),
            ("suspense", InternalAccount::Suspense),
            ("fee", InternalAccount::Fee),
            ("advance", InternalAccount::StandInAdvance),
        ];
        let mut shown = Vec::new();
        for (place, working) in [("here", &mut self.working), ("there", &mut self.other)] {
            for (name, account) in named {
                let key = account.in_currency(amount("CNY1.00").currency());
                let internal = vec![key];
                admit(
                    working,
                    Wanted {
                        internal,
                        ..Wanted::default()
                    },
                );
                let sums = working.view().internal(&key);
                if sums != Sides::default() {
                    shown.push(format!("{name} {place} {}/{}", sums.debit_minor, sums.credit_minor));
                }
            }
        }
        shown.join(", ")
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
                let subject = match step.rest.get("account") {
                    Some(account) => UsageSubject::Account(token(Step::number(account))),
                    None => UsageSubject::Agreement(Step::agreement(step.word("of"))),
                };
                let date = step.date();
                let key = UsageKey { subject, date };
                self.admit(Wanted {
                    usages: vec![key],
                    ..Wanted::default()
                });
                let used = self.working.view().usage(&key);
                format!("{} times, {}", used.count, used.sum_minor)
            }
            "hops" => hops::shown(&self.other),
            "internal" => self.show_internal(),
            other => panic!("show {other}?"),
        }
    }
}

/// What is not in the books yet is not there: nothing is fetched from anywhere.
fn admit(working: &mut Working, wanted: Wanted) {
    let wanted = working.view().missing(wanted);
    working.view_mut().admit(wanted, Rows::default());
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Decided { transfer, repeat } => {
            let again = if *repeat { "again " } else { "" };
            let serial = transfer.serial;
            match transfer.decision {
                Decision::Posted => format!("{again}posted, serial {serial}"),
                Decision::Refused(refusal) => format!("{again}refused: {}, serial {serial}", refusal.name()),
            }
        }
        Outcome::Conflict(field) => format!("conflict: {}", field.name()),
        Outcome::NothingPosted(reason) => format!("nothing posted: {reason:?}"),
        other => panic!("{other:?}"),
    }
}

fn told(loaded: Loaded) -> String {
    match loaded {
        Loaded::New => "new".to_owned(),
        Loaded::Unchanged => "unchanged".to_owned(),
        Loaded::Kept => "kept".to_owned(),
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
    scenario.other.into_group(0).unwrap();
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
fn limits_of_accounts() {
    check(&expect_file!["scenarios/limits.txt"]);
}

#[test]
fn adjustments() {
    check(&expect_file!["scenarios/adjustments.txt"]);
}

#[test]
fn administration() {
    check(&expect_file!["scenarios/administration.txt"]);
}

#[test]
fn closing_of_dates() {
    check(&expect_file!["scenarios/closing.txt"]);
}

#[test]
fn hops() {
    check(&expect_file!["scenarios/hops.txt"]);
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
        include_str!("scenarios/limits.txt"),
        include_str!("scenarios/adjustments.txt"),
        include_str!("scenarios/closing.txt"),
    ];
    for refusal in ledger_model::Refusal::ALL {
        let case = format!("refused: {}", refusal.name());
        assert!(
            all.iter().any(|scenario| scenario.contains(&case)),
            "{case} has no case"
        );
    }
}
