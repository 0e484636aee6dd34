//! The codec: golden bytes of every version, round trips, and bytes that are not a record.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod generated;

use expect_test::{ExpectFile, expect_file};
use generated::any_record;
use ledger_journal::{ChainFault, ChainHash, ChainPosition, DecodeFault, Event, EvidenceDigest, JournalRecord};
use ledger_model::{
    Account, AccountLimits, AccountStatus, AccountToken, Administration, Agreement, AgreementNumber, AgreementStatus,
    AgreementTerms, Amount, BankSerial, ChinaTime, Currency, Decision, DetailsDigest, Entry, Hop, HopState,
    LedgerAccount, Money, NameToken, Refusal, ShardCount, ShardId, Side, Transfer, TransferKey, TransferKind,
    UnpackFault,
};
use proptest::prelude::*;

const RECORDED_AT: i64 = 1_772_416_800;

fn shard(number: u8) -> ShardId {
    ShardCount::new(64).unwrap().shard(number).unwrap()
}

fn cny(minor: i64) -> Amount {
    Amount::new(minor, Currency::CNY).unwrap()
}

fn account() -> Account {
    Account {
        token: AccountToken::new([0xA1; 32]),
        name: NameToken::new([0xB2; 32]),
        status: AccountStatus::DebitBlocked,
        balance: Money::new(1_000_000, Currency::CNY),
    }
}

fn agreement() -> Agreement {
    Agreement {
        number: AgreementNumber::issue(shard(3), 4711),
        account: AccountToken::new([0xA1; 32]),
        institution: "Z2000133000019".parse().unwrap(),
        status: AgreementStatus::Normal,
        terms: AgreementTerms {
            single_max: cny(500_000),
            daily_max: cny(2_000_000),
            daily_count_max: 20,
            expires: "2030-12-31".parse().unwrap(),
        },
    }
}

fn key(id: &str) -> TransferKey {
    TransferKey {
        issuer: "G4000311000018".parse().unwrap(),
        category: "0110".parse().unwrap(),
        id: id.parse().unwrap(),
    }
}

fn payment(decision: Decision) -> Transfer {
    Transfer {
        key: key("2026030212345678901234560000001"),
        kind: TransferKind::Payment,
        amount: cny(51_817),
        batch: "B202603020001".parse().unwrap(),
        institution: "Z2000133000019".parse().unwrap(),
        agreement: Some(AgreementNumber::issue(shard(3), 4711)),
        account: Some(AccountToken::new([0xA1; 32])),
        original: None,
        details: DetailsDigest::new([0xC3; 32]),
        decision,
        serial: BankSerial::issue("2026-03-02".parse().unwrap(), shard(3), 3),
        decided_at: ChinaTime::from_unix_seconds(RECORDED_AT).unwrap(),
    }
}

fn posting() -> Vec<Entry> {
    let batch = LedgerAccount::NetworkClearing("B202603020001".parse().unwrap());
    vec![
        Entry {
            account: LedgerAccount::Customer(AccountToken::new([0xA1; 32])),
            side: Side::Debit,
            amount: cny(51_817),
        },
        Entry {
            account: batch,
            side: Side::Credit,
            amount: cny(51_817),
        },
    ]
}

fn record(sequence: u64, event: Event) -> JournalRecord {
    JournalRecord {
        shard: shard(3),
        sequence,
        previous: ChainHash([0xD4; 32]),
        committed_at: ChinaTime::from_unix_seconds(RECORDED_AT).unwrap(),
        event,
    }
}

/// Hexadecimal, 32 bytes a line.
fn lines(bytes: &[u8]) -> String {
    let lines: Vec<String> = bytes.chunks(32).map(hex::encode).collect();
    lines.join("\n") + "\n"
}

/// Golden bytes of an earlier version: they read as ever, and differ from what is written today in nothing but the version.
fn check_old(version: u8, record: &JournalRecord, expected: &ExpectFile) {
    let golden = hex::decode(expected.data().split_whitespace().collect::<String>()).unwrap();
    assert_eq!(golden[0], version);
    assert_eq!(JournalRecord::decode(&golden).as_ref(), Ok(record));
    assert_eq!(record.encode()[1..], golden[1..]);
}

fn check_golden(record: &JournalRecord, expected: &ExpectFile) {
    let encoded = record.encode();
    expected.assert_eq(&lines(&encoded));
    let golden = hex::decode(expected.data().split_whitespace().collect::<String>()).unwrap();
    assert_eq!(golden[0], 2);
    assert_eq!(JournalRecord::decode(&golden).as_ref(), Ok(record));
}

fn entry(account: LedgerAccount, side: Side) -> Entry {
    let amount = cny(51_817);
    Entry { account, side, amount }
}

const EVIDENCE: EvidenceDigest = EvidenceDigest([0xE5; 32]);

fn opened() -> JournalRecord {
    let opening = [
        (LedgerAccount::OpeningBalances, Side::Debit),
        (LedgerAccount::Customer(AccountToken::new([0xA1; 32])), Side::Credit),
    ];
    let entries = opening.map(|(account, side)| Entry {
        account,
        side,
        amount: cny(1_000_000),
    });
    let opened = Event::AccountOpened {
        account: account(),
        entries: entries.to_vec(),
    };
    record(1, opened)
}

fn posted() -> JournalRecord {
    let posted = Event::TransferDecided {
        transfer: payment(Decision::Posted),
        entries: posting(),
        evidence: EVIDENCE,
    };
    record(3, posted)
}

#[test]
fn golden_bytes_of_version_1() {
    check_old(1, &opened(), &expect_file!["../golden/v1/account_opened.hex"]);

    let recorded = Event::AgreementRecorded { agreement: agreement() };
    check_old(
        1,
        &record(2, recorded),
        &expect_file!["../golden/v1/agreement_recorded.hex"],
    );
    check_old(1, &posted(), &expect_file!["../golden/v1/payment_posted.hex"]);

    let mut refund = payment(Decision::Refused(Refusal::OriginalNotFound));
    refund.kind = TransferKind::Refund;
    refund.account = None;
    refund.original = Some(key("2026030112345678901234560000001"));
    let refused = Event::TransferDecided {
        transfer: refund,
        entries: Vec::new(),
        evidence: EVIDENCE,
    };
    check_old(1, &record(4, refused), &expect_file!["../golden/v1/refund_refused.hex"]);
}

fn adjustments() -> [Event; 2] {
    let mut reversal = payment(Decision::Posted);
    reversal.kind = TransferKind::Reversal;
    reversal.agreement = None;
    reversal.original = Some(key("2026030112345678901234560000001"));
    let mut supplement = payment(Decision::Refused(Refusal::OverAccountDailyAmount));
    supplement.kind = TransferKind::Supplement;
    supplement.agreement = None;
    [
        Event::TransferDecided {
            transfer: reversal,
            entries: posting(),
            evidence: EVIDENCE,
        },
        Event::TransferDecided {
            transfer: supplement,
            entries: vec![
                entry(LedgerAccount::Fee, Side::Debit),
                entry(LedgerAccount::Suspense, Side::Credit),
            ],
            evidence: EVIDENCE,
        },
    ]
}

fn hopped() -> Event {
    let mut payout = payment(Decision::Posted);
    payout.kind = TransferKind::Payout;
    Event::TransferHopped {
        transfer: payout,
        entries: vec![
            entry(
                LedgerAccount::NetworkClearing("B202603020001".parse().unwrap()),
                Side::Debit,
            ),
            entry(LedgerAccount::Suspense, Side::Credit),
        ],
        evidence: EVIDENCE,
        hop: Hop {
            home: shard(1),
            attempt: 2,
            epoch: 7,
        },
    }
}

fn administered(act: Administration) -> Event {
    Event::Administered {
        act,
        operator: "li.wei".parse().unwrap(),
        reason: "case 4711".parse().unwrap(),
    }
}

#[test]
fn golden_bytes_of_version_2() {
    check_golden(&opened(), &expect_file!["../golden/v2/account_opened.hex"]);
    check_golden(&posted(), &expect_file!["../golden/v2/payment_posted.hex"]);
    let [reversal, supplement] = adjustments();
    check_golden(&record(5, reversal), &expect_file!["../golden/v2/reversal_posted.hex"]);
    check_golden(
        &record(6, supplement),
        &expect_file!["../golden/v2/supplement_refused.hex"],
    );
    check_golden(&record(7, hopped()), &expect_file!["../golden/v2/payout_hopped.hex"]);
    let settled = Event::HopSettled {
        transfer: payment(Decision::Posted),
        decision: Decision::Refused(Refusal::AccountClosed),
        entries: Vec::new(),
    };
    check_golden(&record(8, settled), &expect_file!["../golden/v2/hop_settled.hex"]);
    let closed = Event::HopClosed {
        transfer: payment(Decision::Posted),
        state: HopState::Unapplied(Refusal::AccountClosed),
        entries: Vec::new(),
    };
    check_golden(&record(9, closed), &expect_file!["../golden/v2/hop_closed.hex"]);
    let limits = AccountLimits {
        single_max: cny(1),
        daily_max: cny(2),
        daily_count_max: 3,
    };
    let limited = Administration::AccountLimits {
        account: AccountToken::new([0xA1; 32]),
        limits: Some(limits),
    };
    check_golden(
        &record(10, administered(limited)),
        &expect_file!["../golden/v2/account_limited.hex"],
    );
    let rescinded = Administration::AgreementStatus {
        number: AgreementNumber::issue(shard(3), 4711),
        status: AgreementStatus::Rescinded,
    };
    check_golden(
        &record(11, administered(rescinded)),
        &expect_file!["../golden/v2/agreement_rescinded.hex"],
    );
}

/// Version 1 had no words for it, so no record of version 1 says it.
#[test]
fn version_1_says_nothing_that_came_later() {
    let [reversal, supplement] = adjustments();
    let open = administered(Administration::AccountStatus {
        account: AccountToken::new([0xA1; 32]),
        status: AccountStatus::Open,
    });
    for event in [reversal, supplement, hopped(), open] {
        let mut bytes = record(2, event).encode();
        bytes[0] = 1;
        assert_eq!(JournalRecord::decode(&bytes), Err(DecodeFault::Later));
    }
}

#[test]
fn bytes_that_are_not_a_record() {
    fn check(change: impl Fn(&mut Vec<u8>), expected: DecodeFault) {
        let mut bytes = record(2, Event::AgreementRecorded { agreement: agreement() }).encode();
        change(&mut bytes);
        assert_eq!(JournalRecord::decode(&bytes), Err(expected));
    }
    check(Vec::clear, DecodeFault::Content(UnpackFault::CutShort));
    check(|bytes| bytes[0] = 0, DecodeFault::Version(0));
    check(|bytes| bytes[0] = 3, DecodeFault::Version(3));
    check(|bytes| bytes[1] = 64, DecodeFault::Shard(64));
    check(|bytes| bytes[50] = 9, DecodeFault::Event(9));
    check(|bytes| bytes.push(0), DecodeFault::Content(UnpackFault::TrailingBytes));
    check(|bytes| bytes.truncate(100), DecodeFault::Content(UnpackFault::CutShort));
}

#[test]
fn a_chain_is_followed_record_by_record() {
    let start = ChainPosition::start(shard(3));
    let mut first = record(1, Event::AgreementRecorded { agreement: agreement() });
    first.previous = ChainHash::START;
    let bytes = first.encode();
    let after_first = start.follow(&first, &bytes).unwrap();
    assert_eq!((after_first.sequence, after_first.head), (1, ChainHash::of(&bytes)));

    let check = |change: fn(&mut JournalRecord), expected: ChainFault| {
        let mut second = record(2, Event::AgreementRecorded { agreement: agreement() });
        second.previous = after_first.head;
        change(&mut second);
        assert_eq!(after_first.follow(&second, &second.encode()), Err(expected));
    };
    check(
        |second| second.shard = shard(4),
        ChainFault::OtherShard {
            expected: shard(3),
            found: shard(4),
        },
    );
    check(
        |second| second.sequence = 1,
        ChainFault::OutOfSequence {
            shard: shard(3),
            expected: 2,
            found: 1,
        },
    );
    check(
        |second| second.sequence = 3,
        ChainFault::OutOfSequence {
            shard: shard(3),
            expected: 2,
            found: 3,
        },
    );
    check(
        |second| second.previous = ChainHash::START,
        ChainFault::Broken {
            shard: shard(3),
            sequence: 2,
        },
    );
}

proptest! {
    #[test]
    fn a_record_reads_back_what_it_wrote(record in any_record()) {
        prop_assert_eq!(JournalRecord::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = JournalRecord::decode(&bytes);
    }

    /// Bytes near a record: whatever still reads is the one encoding of what was read.
    #[test]
    fn what_reads_is_canonical(record in any_record(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = record.encode();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(read) = JournalRecord::decode(&bytes) {
            // the version alone may be an earlier one
            prop_assert_eq!(&read.encode()[1..], &bytes[1..]);
        }
    }

    #[test]
    fn no_record_reads_when_cut_short(record in any_record(), length in any::<prop::sample::Index>()) {
        let bytes = record.encode();
        let length = length.index(bytes.len());
        prop_assert!(JournalRecord::decode(&bytes[..length]).is_err());
    }
}

#[test]
fn an_evidence_digest_keeps_its_parts_apart() {
    let digest = EvidenceDigest::over(b"<root>", b"signature", "4000000101");
    assert_eq!(digest, EvidenceDigest::over(b"<root>", b"signature", "4000000101"));
    assert_ne!(digest, EvidenceDigest::over(b"<root>s", b"ignature", "4000000101"));
    assert_ne!(digest, EvidenceDigest::over(b"<root>", b"signature4", "000000101"));
}
