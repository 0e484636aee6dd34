//! A small bank to test with: names, accounts, agreements, instructions, and a ledger that runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ledger::clock::Clock;
use ledger::evidence::{SealedEvidence, seal};
use ledger::hopping::groups::Groups;
use ledger::meters::Meters;
use ledger::outcome::{Answer, Outcome, ReplyTo};
use ledger::router::{Ledger, LedgerParts};
use ledger::shard::{Fatal, ShardLimits};
use ledger::store::Store;
use ledger_model::{
    Account, AccountStatus, AccountToken, Agreement, AgreementNumber, AgreementStatus, AgreementTerms, Amount,
    ChinaTime, DetailsDigest, InstitutionId, Instruction, NameToken, Payee, Payment, Payout, Refund, Reversal,
    ShardCount, ShardId, Side, Supplement, SupplementAgainst, TransferKey,
};
use ledger_protocol::Evidence;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

pub(crate) const SHARDS: ShardCount = ShardCount::new(4).unwrap();
pub(crate) const INSTITUTIONS: [&str; 2] = ["Z2000133000019", "Z2000231000010"];
pub(crate) const BATCH: &str = "B202603020001";
pub(crate) const WAIT: Duration = Duration::from_secs(20);

pub(crate) fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

/// A token whose shard is spread by its number.
pub(crate) fn token(number: u64) -> AccountToken {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    bytes[8..16].copy_from_slice(&number.to_be_bytes());
    AccountToken::new(bytes)
}

pub(crate) fn name(number: u64) -> NameToken {
    NameToken::new(token(number).bytes())
}

pub(crate) fn institution(place: usize) -> InstitutionId {
    INSTITUTIONS[place].parse().unwrap()
}

/// `category` 0110 is a payment, 0121 a refund, 0120 a payout.
pub(crate) fn key(category: &str, number: u64) -> TransferKey {
    TransferKey {
        issuer: "G4000311000018".parse().unwrap(),
        category: category.parse().unwrap(),
        id: format!("20260302{number:016}0000000").parse().unwrap(),
    }
}

pub(crate) fn now() -> ChinaTime {
    "2026-03-02T10:00:00".parse().unwrap()
}

pub(crate) fn account(number: u64, balance: &str) -> Account {
    Account {
        token: token(number),
        name: name(number),
        status: AccountStatus::Open,
        balance: balance.parse().unwrap(),
    }
}

/// The agreement of account `number` with the first institution; wide limits.
pub(crate) fn agreement(number: u64) -> Agreement {
    Agreement {
        number: agreement_number(number),
        account: token(number),
        institution: institution(0),
        status: AgreementStatus::Normal,
        terms: AgreementTerms {
            single_max: amount("CNY50000.00"),
            daily_max: amount("CNY1000000.00"),
            daily_count_max: 1_000_000,
            expires: "2030-12-31".parse().unwrap(),
        },
    }
}

pub(crate) fn agreement_number(number: u64) -> AgreementNumber {
    AgreementNumber::issue(SHARDS.of_account(token(number)), number)
}

/// The first account of a shard.
pub(crate) fn first_of(shard: ShardId) -> u64 {
    (1..1_000)
        .find(|number| SHARDS.of_account(token(*number)) == shard)
        .unwrap()
}

/// An account of another shard than `number` is of.
pub(crate) fn elsewhere_than(number: u64) -> u64 {
    let shard = SHARDS.of_account(token(number));
    first_of(SHARDS.all().find(|other| *other != shard).unwrap())
}

pub(crate) fn details() -> DetailsDigest {
    DetailsDigest::new([3; 32])
}

pub(crate) fn payment(number: u64, from: u64, minor: i64) -> Instruction {
    Instruction::Payment(Payment {
        key: key("0110", number),
        amount: Amount::new(minor, amount("CNY1.00").currency()).unwrap(),
        batch: BATCH.parse().unwrap(),
        institution: institution(0),
        agreement: agreement_number(from),
        ordered_at: now(),
        details: details(),
    })
}

pub(crate) fn refund(number: u64, original: u64, of: u64, original_minor: i64, minor: i64) -> Instruction {
    let money = |minor| Amount::new(minor, amount("CNY1.00").currency()).unwrap();
    Instruction::Refund(Refund {
        key: key("0121", number),
        amount: money(minor),
        batch: BATCH.parse().unwrap(),
        institution: institution(0),
        agreement: agreement_number(of),
        original: key("0110", original),
        original_amount: money(original_minor),
        original_serial: None,
        ordered_at: now(),
        details: details(),
    })
}

pub(crate) fn payout(number: u64, to: u64, minor: i64) -> Instruction {
    Instruction::Payout(Payout {
        key: key("0120", number),
        amount: Amount::new(minor, amount("CNY1.00").currency()).unwrap(),
        batch: BATCH.parse().unwrap(),
        institution: institution(0),
        payee: Payee::Account {
            token: token(to),
            name: name(to),
        },
        ordered_at: now(),
        details: details(),
    })
}

pub(crate) fn reversal(number: u64, original: &Instruction) -> Instruction {
    Instruction::Reversal(Reversal {
        key: key("9001", number),
        amount: original.amount(),
        batch: BATCH.parse().unwrap(),
        institution: original.institution(),
        original: *original.key(),
        ordered_at: now(),
        details: details(),
    })
}

/// Credits the account against suspense.
pub(crate) fn supplement(number: u64, to: u64, minor: i64) -> Instruction {
    Instruction::Supplement(Supplement {
        key: key("9002", number),
        amount: Amount::new(minor, amount("CNY1.00").currency()).unwrap(),
        batch: BATCH.parse().unwrap(),
        institution: institution(0),
        account: token(to),
        side: Side::Credit,
        against: SupplementAgainst::Suspense,
        ordered_at: now(),
        details: details(),
    })
}

pub(crate) fn evidence(instruction: &Instruction) -> Evidence {
    Evidence {
        signed: format!("<root>{}</root>", instruction.key().id).into_bytes(),
        signature: vec![0x30; 70],
        signing_serial: "4000000101".to_owned(),
    }
}

pub(crate) fn sealed(instruction: &Instruction) -> SealedEvidence {
    seal(&evidence(instruction)).unwrap()
}

/// A ledger that runs, and the faults that would have ended its process.
pub(crate) struct Running {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) faults: Arc<Mutex<Vec<String>>>,
    pub(crate) meters: Arc<Meters>,
    next: AtomicU64,
}

pub(crate) const LIMITS: ShardLimits = ShardLimits {
    queue_max: 4096,
    commit_batch_max: 256,
    kept_days: 400,
    calm_groups: 3,
};

impl Running {
    pub(crate) fn start(stores: Vec<Box<dyn Store>>) -> Self {
        Self::start_with(stores, LIMITS)
    }

    pub(crate) fn start_with(stores: Vec<Box<dyn Store>>, limits: ShardLimits) -> Self {
        Self::start_over(Groups::single(SHARDS), stores, limits)
    }

    pub(crate) fn start_over(groups: Arc<Groups>, stores: Vec<Box<dyn Store>>, limits: ShardLimits) -> Self {
        let faults: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&faults);
        let fatal: Fatal = Arc::new(move |fault| noted.lock().unwrap().push(fault.to_string()));
        let clock: Clock = Arc::new(now);
        let meters = Meters::registered(&mut Registry::default());
        let parts = LedgerParts {
            stores,
            shards: SHARDS,
            limits,
            clock,
            meters: Arc::clone(&meters),
            fatal,
        };
        let ledger = Ledger::start_over(groups, parts).unwrap();
        Self {
            ledger,
            faults,
            meters,
            next: AtomicU64::new(0),
        }
    }

    pub(crate) async fn load(&self, numbers: impl Iterator<Item = u64> + Clone, balance: &str) {
        let accounts = numbers
            .clone()
            .zip(0..)
            .map(|(number, place)| (place, account(number, balance)));
        let agreements = numbers.zip(0..).map(|(number, place)| (place, agreement(number)));
        let reply = self
            .ledger
            .load(accounts.collect(), agreements.collect())
            .await
            .unwrap();
        assert_eq!(reply.refused, []);
    }

    /// Posts; `None` when no answer comes, as when the shard ended.
    pub(crate) async fn post_within(&self, instruction: &Instruction, limit: Duration) -> Option<Outcome> {
        let (sender, mut receiver) = mpsc::channel::<Answer>(1);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let reply = ReplyTo {
            number,
            place: sender.reserve_owned().await.unwrap(),
        };
        self.ledger.post(
            instruction.clone(),
            &evidence(instruction),
            Instant::now() + limit,
            reply,
        );
        let answer = tokio::time::timeout(WAIT, receiver.recv()).await.unwrap()?;
        assert_eq!(answer.number, number);
        Some(answer.outcome)
    }

    pub(crate) async fn post(&self, instruction: &Instruction) -> Outcome {
        self.post_within(instruction, WAIT).await.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ledger.stop();
    }
}
