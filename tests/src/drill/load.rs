//! The orders of a drill, and what the callers are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ledger_model::{
    Account, AccountStatus, AccountToken, Agreement, AgreementNumber, AgreementStatus, AgreementTerms, Amount,
    BusinessDate, ChinaTime, Currency, DetailsDigest, Instruction, Money, NameToken, Payee, Payment, Payout,
    ShardCount, TransferKey,
};
use ledger_protocol::{Evidence, LedgerClient, NothingPosted, PostReply};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::DrillFault;

pub(super) const INSTITUTION: &str = "Z2000133000019";
const ISSUER: &str = "G4000311000018";
const CURRENCY: &str = "CNY";
/// A caller gives up after this, and would ask again.
const PATIENCE: Duration = Duration::from_secs(3);
/// For what was left open to be settled by resending it.
const RESEND_LIMIT: Duration = Duration::from_secs(90);
const RESEND_PAUSE: Duration = Duration::from_millis(100);
const OPENING_MINOR: i64 = 100_000_000;
const EVIDENCE_BYTES: usize = 600;

/// The accounts and the day of a drill.
#[derive(Debug)]
pub(super) struct Bank {
    pub(super) shards: ShardCount,
    pub(super) accounts: u64,
    pub(super) now: ChinaTime,
}

/// What a caller was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// With the serial of the answer.
    Posted(String),
    /// Definite, by a home that is down.
    HomeDown,
    /// Definite, for another reason.
    Nothing,
    InProcess,
    /// What no order of a drill should be told.
    Wrong(String),
}

#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) instruction: Instruction,
    pub(super) account: AccountToken,
}

#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) order: Order,
    pub(super) told: Told,
    /// Since the load began.
    pub(super) answered_at: Duration,
    pub(super) took: Duration,
}

/// Callers that ask one order after another until they are stopped.
#[derive(Debug)]
pub(super) struct Callers {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Vec<Asked>>,
    began: Instant,
}

impl Bank {
    fn token(number: u64) -> AccountToken {
        let mut bytes = [7; 32];
        let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        let plain = number.to_be_bytes();
        let text = spread.into_iter().chain(plain);
        bytes.iter_mut().zip(text).for_each(|(place, byte)| *place = byte);
        AccountToken::new(bytes)
    }

    fn name(number: u64) -> NameToken {
        NameToken::new(Self::token(number).bytes())
    }

    fn agreement_number(&self, number: u64) -> AgreementNumber {
        AgreementNumber::issue(self.shards.of_account(Self::token(number)), number)
    }

    fn money(minor: i64) -> Amount {
        let currency: Currency = CURRENCY.parse().expect("the name of a currency");
        Amount::new(minor, currency).expect("more than nothing")
    }

    pub(super) fn account(number: u64) -> Account {
        let currency: Currency = CURRENCY.parse().expect("the name of a currency");
        Account {
            token: Self::token(number),
            name: Self::name(number),
            status: AccountStatus::Open,
            balance: Money::new(OPENING_MINOR, currency),
        }
    }

    pub(super) fn agreement(&self, number: u64) -> Agreement {
        let most = Self::money(OPENING_MINOR);
        let expires: BusinessDate = "2099-12-31".parse().expect("a date");
        Agreement {
            number: self.agreement_number(number),
            account: Self::token(number),
            institution: INSTITUTION.parse().expect("the form of an institution"),
            status: AgreementStatus::Normal,
            terms: AgreementTerms {
                single_max: most,
                daily_max: most,
                daily_count_max: u32::MAX,
                expires,
            },
        }
    }

    /// The order of that number: three payouts to two payments, over all accounts.
    fn order(&self, number: u64) -> Order {
        let of = number.wrapping_mul(0x2545_F491_4F6C_DD1D) % self.accounts;
        let is_payout = number % 5 < 3;
        let category = if is_payout { "0120" } else { "0110" };
        let date = self.now.date().compact();
        let key = TransferKey {
            issuer: ISSUER.parse().expect("the form of an institution"),
            category: category.parse().expect("the form of a category"),
            id: format!("{date}{number:016}0000000").parse().expect("the form of an id"),
        };
        let amount = Self::money(i64::try_from(number % 90).unwrap_or(0) + 1);
        let batch = format!("B{date}0001").parse().expect("the form of a batch");
        let institution = INSTITUTION.parse().expect("the form of an institution");
        let details = DetailsDigest::new([3; 32]);
        let instruction = if is_payout {
            Instruction::Payout(Payout {
                key,
                amount,
                batch,
                institution,
                payee: Payee::Account {
                    token: Self::token(of),
                    name: Self::name(of),
                },
                ordered_at: self.now,
                details,
            })
        } else {
            Instruction::Payment(Payment {
                key,
                amount,
                batch,
                institution,
                agreement: self.agreement_number(of),
                ordered_at: self.now,
                details,
            })
        };
        Order {
            instruction,
            account: Self::token(of),
        }
    }
}

impl Callers {
    pub(super) fn start(client: &LedgerClient, bank: &Arc<Bank>, count: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let numbers = Arc::new(AtomicU64::new(1));
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let (client, bank) = (client.clone(), Arc::clone(bank));
            let (stop, numbers) = (Arc::clone(&stop), Arc::clone(&numbers));
            tasks.spawn(async move {
                let mut all = Vec::new();
                while !stop.load(Ordering::Acquire) {
                    let order = bank.order(numbers.fetch_add(1, Ordering::Relaxed));
                    let asked_at = Instant::now();
                    let told = ask(&client, &order).await;
                    all.push(Asked {
                        order,
                        told,
                        answered_at: began.elapsed(),
                        took: asked_at.elapsed(),
                    });
                }
                all
            });
        }
        Self { stop, tasks, began }
    }

    /// Since the load began.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) async fn stop(mut self) -> Vec<Asked> {
        self.stop.store(true, Ordering::Release);
        let mut all = Vec::new();
        while let Some(asked) = self.tasks.join_next().await {
            all.extend(asked.unwrap_or_default());
        }
        all
    }
}

async fn ask(client: &LedgerClient, order: &Order) -> Told {
    let evidence = Evidence {
        signed: vec![b'x'; EVIDENCE_BYTES],
        signature: vec![0x30; 70],
        signing_serial: "4000000101".to_owned(),
    };
    let deadline = Instant::now() + PATIENCE;
    match client.post(order.instruction.clone(), evidence, deadline).await {
        PostReply::Decided { transfer, .. } => match transfer.decision {
            ledger_model::Decision::Posted => Told::Posted(transfer.serial.to_string()),
            ledger_model::Decision::Refused(refusal) => Told::Wrong(format!("refused: {}", refusal.name())),
        },
        PostReply::Conflict(field) => Told::Wrong(format!("conflict: {}", field.name())),
        PostReply::Unknown => Told::InProcess,
        PostReply::NothingPosted(NothingPosted::HomeDown) => Told::HomeDown,
        PostReply::NothingPosted(NothingPosted::MalformedWork) => Told::Wrong("malformed".to_owned()),
        PostReply::NothingPosted(_) => Told::Nothing,
    }
}

/// Sends again what was not posted, as the network would, until each is; how many were sent again.
pub(super) async fn resend(client: &LedgerClient, asked: &[Asked]) -> Result<usize, DrillFault> {
    let open = asked.iter().filter(|asked| !matches!(asked.told, Told::Posted(_)));
    let mut left: Vec<&Order> = open.map(|asked| &asked.order).collect();
    let count = left.len();
    let until = Instant::now() + RESEND_LIMIT;
    while !left.is_empty() {
        let mut next = Vec::new();
        for some in left.chunks(64) {
            let told = futures::future::join_all(some.iter().map(|order| ask(client, order))).await;
            next.extend(
                some.iter()
                    .zip(told)
                    .filter(|(_, told)| !matches!(told, Told::Posted(_))),
            );
        }
        if let Some((_, told)) = next.first().filter(|_| Instant::now() > until) {
            return Err(DrillFault::NotSettled {
                left: next.len(),
                told: format!("{told:?}"),
            });
        }
        left = next.into_iter().map(|(order, _)| *order).collect();
        if !left.is_empty() {
            tokio::time::sleep(RESEND_PAUSE).await;
        }
    }
    Ok(count)
}
