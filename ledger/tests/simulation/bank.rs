//! A handful of customers, and the instructions that concern them.

use ledger_model::{
    Account, AccountStatus, AccountToken, Agreement, AgreementNumber, AgreementStatus, AgreementTerms, Amount, BatchId,
    BusinessDate, ChinaTime, Currency, DetailsDigest, InstitutionId, Money, NameToken, ShardCount, ShardId,
    TransferKey,
};
use ledger_protocol::Evidence;

use crate::chance::Chance;

pub(crate) fn token(number: u64) -> AccountToken {
    let mut bytes = [9; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    AccountToken::new(bytes)
}

pub(crate) fn name(number: u64) -> NameToken {
    NameToken::new(token(number).bytes())
}

/// Home of an account: the leading eight bytes of its token as a number, by the count of shards.
pub(crate) fn home(shards: ShardCount, account: AccountToken) -> ShardId {
    let bytes = account.bytes();
    let leading = u64::from_be_bytes(bytes[..8].try_into().unwrap());
    let place = leading % u64::from(shards.count());
    shards.shard(u8::try_from(place).unwrap()).unwrap()
}

pub(crate) fn cny(minor: i64) -> Amount {
    Amount::new(minor, Currency::CNY).unwrap()
}

pub(crate) fn dollars(minor: i64) -> Amount {
    Amount::new(minor, "USD".parse().unwrap()).unwrap()
}

pub(crate) fn institution(number: u64) -> InstitutionId {
    ["Z2000133000019", "Z2000231000010"][usize::try_from(number % 2).unwrap()]
        .parse()
        .unwrap()
}

pub(crate) fn details(number: u8) -> DetailsDigest {
    DetailsDigest::new([number; 32])
}

pub(crate) fn batch(date: BusinessDate, number: u64) -> BatchId {
    format!("B{}{number:04}", date.compact()).parse().unwrap()
}

pub(crate) fn key(category: &str, date: BusinessDate, number: u64) -> TransferKey {
    TransferKey {
        issuer: "G4000311000018".parse().unwrap(),
        category: category.parse().unwrap(),
        id: format!("{}{number:016}0000000", date.compact()).parse().unwrap(),
    }
}

/// What only this request said.
pub(crate) fn evidence(request: usize) -> Evidence {
    Evidence {
        signed: format!("<root>{request}</root>").into_bytes(),
        signature: vec![0x30; 8],
        signing_serial: "4000000101".to_owned(),
    }
}

/// Accounts and agreements of a run.
#[derive(Debug, Clone)]
pub(crate) struct Bank {
    pub(crate) accounts: Vec<Account>,
    pub(crate) agreements: Vec<Agreement>,
}

impl Bank {
    pub(crate) fn drawn(chance: &mut Chance, shards: ShardCount, now: ChinaTime) -> Self {
        let count = chance.between(2, 6);
        let accounts: Vec<Account> = (1..=count).map(|number| account(chance, number)).collect();
        let mut agreements = Vec::new();
        for number in 1..=count + chance.between(0, 2) {
            let of = chance.between(1, count);
            agreements.push(agreement(chance, shards, now, number, of));
        }
        Self { accounts, agreements }
    }
}

fn account(chance: &mut Chance, number: u64) -> Account {
    let status = [
        AccountStatus::Open,
        AccountStatus::DebitBlocked,
        AccountStatus::Frozen,
        AccountStatus::Closed,
    ][chance.weighted(&[12, 1, 1, 1])];
    let minor = [0, 1_000, 5_000, 100_000][chance.below(4)];
    let currency = if chance.per_mille(100) {
        "USD".parse().unwrap()
    } else {
        Currency::CNY
    };
    Account {
        token: token(number),
        name: name(number),
        status,
        balance: Money::new(minor, currency),
    }
}

fn agreement(chance: &mut Chance, shards: ShardCount, now: ChinaTime, number: u64, of: u64) -> Agreement {
    let status = [AgreementStatus::Normal, AgreementStatus::Rescinded][chance.weighted(&[12, 1])];
    let today = now.date();
    let later = now.plus_seconds(30 * 24 * 3600).unwrap().date();
    Agreement {
        number: AgreementNumber::issue(home(shards, token(of)), number),
        account: token(of),
        institution: institution(chance.next()),
        status,
        terms: AgreementTerms {
            single_max: cny([500, 2_000, 100_000][chance.below(3)]),
            daily_max: cny([1_000, 4_000, 1_000_000][chance.below(3)]),
            daily_count_max: [2, 5, 100][chance.below(3)],
            expires: [today, later][chance.weighted(&[1, 6])],
        },
    }
}
