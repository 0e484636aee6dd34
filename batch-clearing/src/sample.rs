//! Journals, transfers and names for the tests of this package; compiled into tests only.

use ledger_journal::{ChainHash, Event, EvidenceDigest, JournalRecord};
use ledger_model::{
    Account, AccountStatus, AccountToken, Agreement, AgreementNumber, AgreementStatus, AgreementTerms, Amount,
    BankSerial, BatchId, ChinaTime, Currency, Decision, DetailsDigest, Entry, InstitutionId, LedgerAccount, Money,
    NameToken, Refusal, ShardCount, ShardId, Side, Transfer, TransferKey, TransferKind,
};

pub(crate) fn bank() -> InstitutionId {
    "C1030131001234".parse().unwrap()
}

pub(crate) fn institution(number: u64) -> InstitutionId {
    format!("Z{:013}", 2_000_000_000_000 + number).parse().unwrap()
}

pub(crate) fn shard(number: u8) -> ShardId {
    ShardCount::new(ShardCount::MAX).unwrap().shard(number).unwrap()
}

pub(crate) fn batch(number: u64) -> BatchId {
    format!("B20260302{number:04}").parse().unwrap()
}

pub(crate) fn time() -> ChinaTime {
    "2026-03-02T10:00:00".parse().unwrap()
}

pub(crate) fn amount(minor: i64) -> Amount {
    Amount::new(minor, Currency::CNY).unwrap()
}

pub(crate) fn key(number: u64, category: &str) -> TransferKey {
    TransferKey {
        issuer: "G4000311000018".parse().unwrap(),
        category: category.parse().unwrap(),
        id: format!("20260302{number:016}0000000").parse().unwrap(),
    }
}

/// A posted transfer of the batch 1 to 4 and institution 1 to 5 its number gives, with its two entries.
pub(crate) fn transfer(kind: TransferKind, number: u64, minor: i64) -> (Transfer, Vec<Entry>) {
    let category = match kind {
        TransferKind::Payment => "0110",
        TransferKind::Refund => "0121",
        TransferKind::Payout => "0120",
        TransferKind::Reversal => "9001",
        TransferKind::Supplement => "9002",
    };
    let account = AccountToken::new([7; 32]);
    let transfer = Transfer {
        key: key(number, category),
        kind,
        amount: amount(minor),
        batch: batch(1 + number % 4),
        institution: institution(1 + number % 5),
        agreement: None,
        account: Some(account),
        original: (kind == TransferKind::Refund).then(|| key(number, "0110")),
        details: DetailsDigest::new([9; 32]),
        decision: Decision::Posted,
        serial: BankSerial::issue(time().date(), shard(0), number),
        decided_at: time(),
    };
    let (customer, clearing) = match kind {
        TransferKind::Payment => (Side::Debit, Side::Credit),
        TransferKind::Refund | TransferKind::Payout | TransferKind::Reversal | TransferKind::Supplement => {
            (Side::Credit, Side::Debit)
        }
    };
    let amount = transfer.amount;
    let entries = vec![
        Entry {
            account: LedgerAccount::Customer(account),
            side: customer,
            amount,
        },
        Entry {
            account: LedgerAccount::NetworkClearing(transfer.batch),
            side: clearing,
            amount,
        },
    ];
    (transfer, entries)
}

pub(crate) fn refused(number: u64, minor: i64) -> Transfer {
    let (transfer, _) = transfer(TransferKind::Payment, number, minor);
    Transfer {
        decision: Decision::Refused(Refusal::BalanceShort),
        ..transfer
    }
}

pub(crate) fn decided(transfer: Transfer, entries: Vec<Entry>) -> Event {
    Event::TransferDecided {
        transfer,
        entries,
        evidence: EvidenceDigest([5; 32]),
    }
}

/// An account with an opening balance, its agreement, then payments, refunds, payouts and a refusal in turn, all of one
/// batch.
pub(crate) fn journal(shard: ShardId, length: usize) -> Vec<Vec<u8>> {
    journal_of_amount(shard, length, 1_000)
}

pub(crate) fn journal_of_amount(shard: ShardId, length: usize, minor: i64) -> Vec<Vec<u8>> {
    let decisions = (0..).map(|number: u64| {
        let distinct = u64::from(shard.number()) * 1_000_000 + number;
        let kind = match number % 4 {
            0 => TransferKind::Payment,
            1 => TransferKind::Refund,
            2 => TransferKind::Payout,
            _ => {
                return decided(
                    Transfer {
                        batch: batch(1),
                        ..refused(distinct, minor)
                    },
                    Vec::new(),
                );
            }
        };
        let (mut transfer, mut entries) = transfer(kind, distinct, minor);
        transfer.batch = batch(1);
        entries[1].account = LedgerAccount::NetworkClearing(transfer.batch);
        decided(transfer, entries)
    });
    let opening = [account_opened(minor), agreement_recorded(shard)];
    chain(shard, opening.into_iter().chain(decisions).take(length))
}

pub(crate) fn chain(shard: ShardId, events: impl IntoIterator<Item = Event>) -> Vec<Vec<u8>> {
    let mut previous = ChainHash::START;
    let numbered = (1..).zip(events);
    numbered
        .map(|(sequence, event)| {
            let record = JournalRecord {
                shard,
                sequence,
                previous,
                committed_at: time(),
                event,
            };
            let encoded = record.encode();
            previous = ChainHash::of(&encoded);
            encoded
        })
        .collect()
}

fn account_opened(minor: i64) -> Event {
    let token = AccountToken::new([7; 32]);
    let account = Account {
        token,
        name: NameToken::new([8; 32]),
        status: AccountStatus::Open,
        balance: Money::new(minor, Currency::CNY),
    };
    let entries = vec![
        Entry {
            account: LedgerAccount::OpeningBalances,
            side: Side::Debit,
            amount: amount(minor),
        },
        Entry {
            account: LedgerAccount::Customer(token),
            side: Side::Credit,
            amount: amount(minor),
        },
    ];
    Event::AccountOpened { account, entries }
}

fn agreement_recorded(shard: ShardId) -> Event {
    let terms = AgreementTerms {
        single_max: amount(100_000),
        daily_max: amount(1_000_000),
        daily_count_max: 100,
        expires: "2045-01-01".parse().unwrap(),
    };
    let agreement = Agreement {
        number: AgreementNumber::issue(shard, 1),
        account: AccountToken::new([7; 32]),
        institution: institution(1),
        status: AgreementStatus::Normal,
        terms,
    };
    Event::AgreementRecorded { agreement }
}
