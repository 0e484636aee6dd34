//! The work that is measured: accounts, instructions and evidence, each a function of its number.

use ledger_model::{
    Account, AccountStatus, AccountToken, Agreement, AgreementNumber, AgreementStatus, AgreementTerms, Amount, BatchId,
    ChinaTime, DetailsDigest, InstitutionId, Instruction, Money, NameToken, Payee, Payment, Payout, Refund, ShardCount,
    TransferCategory, TransferKey,
};
use ledger_protocol::Evidence;

pub(crate) const SHARDS: ShardCount = ShardCount::new(4).unwrap();
const SIGNED_BYTES: usize = 600;
pub(crate) const HOT_PERCENT: u64 = 70;
/// A refund is of a payment so much earlier that it is durable.
const REFUND_DISTANCE: u64 = 50_000;

/// How postings spread over the accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// By Zipf's law with exponent 1.
    Zipf,
    Uniform,
    /// 70 % on the first so many accounts, the others uniform.
    Hot(u64),
}

/// Work from number `first` on, all of one spread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) first: u64,
    pub(crate) spread: Spread,
}

/// Splitmix64.
pub(crate) fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

pub(crate) fn token(account: u64) -> AccountToken {
    let mut bytes = [0; 32];
    for (place, part) in (1_u64..).zip(bytes.chunks_exact_mut(8)) {
        part.copy_from_slice(&mixed(account.wrapping_mul(5).wrapping_add(place)).to_be_bytes());
    }
    AccountToken::new(bytes)
}

/// What all instructions of a run have in common.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) accounts: u64,
    now: ChinaTime,
    day: String,
    batch: BatchId,
    institution: InstitutionId,
    issuer: InstitutionId,
    categories: [TransferCategory; 3],
    template: Vec<u8>,
}

fn money(minor: i64) -> Amount {
    Amount::new(minor, "CNY".parse().unwrap()).unwrap()
}

impl Work {
    pub(crate) fn new(accounts: u64, now: ChinaTime) -> Self {
        let day = now.date().compact();
        Self {
            accounts,
            now,
            batch: format!("B{day}0001").parse().unwrap(),
            day,
            institution: "Z2000133000019".parse().unwrap(),
            issuer: "G4000311000018".parse().unwrap(),
            categories: ["0110", "0121", "0120"].map(|category| category.parse().unwrap()),
            template: template(),
        }
    }

    pub(crate) fn account(number: u64) -> Account {
        Account {
            token: token(number),
            name: NameToken::new(token(number).bytes()),
            status: AccountStatus::Open,
            balance: Money::new(100_000_000_000, "CNY".parse().unwrap()),
        }
    }

    fn agreement_number(number: u64) -> AgreementNumber {
        AgreementNumber::issue(SHARDS.of_account(token(number)), number)
    }

    pub(crate) fn agreement(&self, number: u64) -> Agreement {
        Agreement {
            number: Self::agreement_number(number),
            account: token(number),
            institution: self.institution,
            status: AgreementStatus::Normal,
            terms: AgreementTerms {
                single_max: money(5_000_000),
                daily_max: money(100_000_000_000),
                daily_count_max: 100_000_000,
                expires: "2099-12-31".parse().unwrap(),
            },
        }
    }

    /// Account of the work.
    pub(crate) fn account_of(&self, stretch: Stretch, number: u64) -> u64 {
        let drawn = mixed(number ^ 0x5A5A_5A5A);
        match stretch.spread {
            Spread::Zipf => {
                // the inverse of its distribution
                let uniform = (drawn >> 11) as f64 / (1_u64 << 53) as f64;
                let rank = (self.accounts as f64).powf(uniform) as u64;
                rank.min(self.accounts - 1)
            }
            Spread::Hot(count) if drawn % 100 < HOT_PERCENT => drawn / 100 % count,
            Spread::Uniform | Spread::Hot(_) => drawn / 100 % self.accounts,
        }
    }

    fn share_of(number: u64) -> u64 {
        mixed(number) % 100
    }

    fn minor_of(number: u64) -> i64 {
        1 + (mixed(number ^ 0x4D) % 100_000).cast_signed()
    }

    fn key(&self, category: usize, number: u64) -> TransferKey {
        let mut id = [b'0'; 31];
        id.iter_mut()
            .zip(self.day.bytes())
            .for_each(|(place, digit)| *place = digit);
        let mut left = number;
        for place in id.iter_mut().skip(8).take(16).rev() {
            *place = b'0' + (left % 10) as u8;
            left /= 10;
        }
        TransferKey {
            issuer: self.issuer,
            category: *self.categories.get(category).unwrap(),
            id: std::str::from_utf8(&id).unwrap().parse().unwrap(),
        }
    }

    fn details(number: u64) -> DetailsDigest {
        DetailsDigest::new(token(number ^ 0xFFFF).bytes())
    }

    /// 80 % payments, 12 % payouts, 8 % refunds.
    pub(crate) fn instruction(&self, stretch: Stretch, number: u64) -> Instruction {
        let account = self.account_of(stretch, number);
        let payment = |number: u64, account: u64| Payment {
            key: self.key(0, number),
            amount: money(Self::minor_of(number)),
            batch: self.batch,
            institution: self.institution,
            agreement: Self::agreement_number(account),
            ordered_at: self.now,
            details: Self::details(number),
        };
        match Self::share_of(number) {
            0..12 => Instruction::Payout(Payout {
                key: self.key(2, number),
                amount: money(Self::minor_of(number)),
                batch: self.batch,
                institution: self.institution,
                payee: Payee::Account {
                    token: token(account),
                    name: NameToken::new(token(account).bytes()),
                },
                ordered_at: self.now,
                details: Self::details(number),
            }),
            12..20 if number > stretch.first + 2 * REFUND_DISTANCE => {
                let mut original = number - REFUND_DISTANCE;
                while Self::share_of(original) < 20 {
                    original -= 1;
                }
                let original = payment(original, self.account_of(stretch, original));
                Instruction::Refund(Refund {
                    key: self.key(1, number),
                    amount: money(1),
                    batch: self.batch,
                    institution: self.institution,
                    agreement: original.agreement,
                    original: original.key,
                    original_amount: original.amount,
                    original_serial: None,
                    ordered_at: self.now,
                    details: Self::details(number),
                })
            }
            _ => Instruction::Payment(payment(number, account)),
        }
    }

    /// A signed request of 600 bytes, of which about 130 are its own, and a signature.
    pub(crate) fn evidence(&self, number: u64) -> Evidence {
        let mut signed = self.template.clone();
        let mut fresh = mixed(number);
        for (place, digit) in signed.iter_mut().filter(|byte| **byte == b'#').zip(0_u64..) {
            if digit % 16 == 0 {
                fresh = mixed(fresh);
            }
            *place = b"0123456789ABCDEF"
                .get((fresh >> (digit % 16 * 4) & 15) as usize)
                .copied()
                .unwrap();
        }
        let mut signature = Vec::with_capacity(72);
        for part in 0..9 {
            signature.extend_from_slice(&mixed(number.wrapping_mul(9).wrapping_add(part)).to_be_bytes());
        }
        Evidence {
            signed,
            signature,
            signing_serial: "4000000101".to_owned(),
        }
    }
}

/// As a request looks; `#` stands for a digit of its own.
fn template() -> Vec<u8> {
    let text = "<root xmlns=\"namespace_string\"><MsgHeader><SndDt>2026-03-02T10:00:##</SndDt><MsgTp>epcc.201.001.01</MsgTp>\
        <IssrId>G4000311000018</IssrId><Drctn>11</Drctn><SignSN>4000000101</SignSN></MsgHeader><MsgBody><SgnInf><SgnNo>1##0000########\
        </SgnNo></SgnInf><TrxInf><TrxCtgy>0110</TrxCtgy><TrxId>20260302################0######</TrxId><TrxDtTm>2026-03-02T10:00:##\
        </TrxDtTm><TrxAmt>CNY###.##</TrxAmt></TrxInf><AcctInf>################################################</AcctInf><OrdrId>\
        20260302####################</OrdrId><BatchId>B202603020001</BatchId></MsgBody></root>";
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(SIGNED_BYTES, b' ');
    bytes
}
