//! Any record there could be.

use ledger_journal::{ChainHash, Event, EvidenceDigest, JournalRecord};
use ledger_model::{
    Account, AccountLimits, AccountStatus, AccountToken, Administration, Agreement, AgreementNumber, AgreementStatus,
    AgreementTerms, Amount, BatchId, ChinaTime, Currency, Decision, DetailsDigest, Entry, Hop, HopState, InstitutionId,
    LedgerAccount, Money, NameToken, Refusal, ShardCount, ShardId, Side, Transfer, TransferKey, TransferKind,
};
use proptest::prelude::*;

fn shard(number: u8) -> ShardId {
    ShardCount::new(64).unwrap().shard(number).unwrap()
}

fn any_amount() -> impl Strategy<Value = Amount> {
    (1..=i64::MAX, "[A-Z]{3}").prop_map(|(minor, code)| Amount::new(minor, code.parse().unwrap()).unwrap())
}

fn any_institution() -> impl Strategy<Value = InstitutionId> {
    "[CZG][0-9A-Z]{13}".prop_map(|text| text.parse().unwrap())
}

fn any_batch() -> impl Strategy<Value = BatchId> {
    "B20[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|1[0-9]|2[0-8])[0-9]{4}".prop_map(|text| text.parse().unwrap())
}

fn any_key() -> impl Strategy<Value = TransferKey> {
    (
        any_institution(),
        "[0-9]{4}",
        "20[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|1[0-9]|2[0-8])[0-9A-Za-z]{17}[0-9]{6}",
    )
        .prop_map(|(issuer, category, id)| TransferKey {
            issuer,
            category: category.parse().unwrap(),
            id: id.parse().unwrap(),
        })
}

fn any_agreement_number() -> impl Strategy<Value = AgreementNumber> {
    "[0-9A-Za-z]{1,34}".prop_map(|text| text.parse().unwrap())
}

fn any_time() -> impl Strategy<Value = ChinaTime> {
    (0..253_370_736_000_i64).prop_map(|seconds| ChinaTime::from_unix_seconds(seconds).unwrap())
}

fn any_entries() -> impl Strategy<Value = Vec<Entry>> {
    let account = prop_oneof![
        any::<[u8; 32]>().prop_map(|bytes| LedgerAccount::Customer(AccountToken::new(bytes))),
        any_batch().prop_map(LedgerAccount::NetworkClearing),
        Just(LedgerAccount::OpeningBalances),
        Just(LedgerAccount::Suspense),
        Just(LedgerAccount::Fee),
        Just(LedgerAccount::StandInAdvance),
    ];
    let side = prop_oneof![Just(Side::Debit), Just(Side::Credit)];
    let entry = (account, side, any_amount()).prop_map(|(account, side, amount)| Entry { account, side, amount });
    prop::collection::vec(entry, 0..5)
}

fn any_account() -> impl Strategy<Value = Account> {
    let status = prop::sample::select(AccountStatus::ALL.to_vec());
    (any::<[u8; 32]>(), any::<[u8; 32]>(), status, any::<i64>()).prop_map(|(token, name, status, minor)| Account {
        token: AccountToken::new(token),
        name: NameToken::new(name),
        status,
        balance: Money::new(minor, Currency::CNY),
    })
}

fn any_terms() -> impl Strategy<Value = AgreementTerms> {
    (any_amount(), any_amount(), any::<u32>(), any_time()).prop_map(|(single_max, daily_max, daily_count_max, at)| {
        AgreementTerms {
            single_max,
            daily_max,
            daily_count_max,
            expires: at.date(),
        }
    })
}

fn any_agreement() -> impl Strategy<Value = Agreement> {
    let status = prop::sample::select(AgreementStatus::ALL.to_vec());
    (
        any_agreement_number(),
        any::<[u8; 32]>(),
        any_institution(),
        status,
        any_terms(),
    )
        .prop_map(|(number, account, institution, status, terms)| Agreement {
            number,
            account: AccountToken::new(account),
            institution,
            status,
            terms,
        })
}

fn any_limits() -> impl Strategy<Value = AccountLimits> {
    (any_amount(), any_amount(), any::<u32>()).prop_map(|(single_max, daily_max, daily_count_max)| AccountLimits {
        single_max,
        daily_max,
        daily_count_max,
    })
}

fn any_act() -> impl Strategy<Value = Administration> {
    let token = || any::<[u8; 32]>().prop_map(AccountToken::new);
    prop_oneof![
        (token(), prop::sample::select(AccountStatus::ALL.to_vec()))
            .prop_map(|(account, status)| Administration::AccountStatus { account, status }),
        (token(), prop::option::of(any_limits()))
            .prop_map(|(account, limits)| Administration::AccountLimits { account, limits }),
        (
            any_agreement_number(),
            prop::sample::select(AgreementStatus::ALL.to_vec())
        )
            .prop_map(|(number, status)| Administration::AgreementStatus { number, status }),
        (any_agreement_number(), any_terms())
            .prop_map(|(number, terms)| Administration::AgreementTerms { number, terms }),
        any_time().prop_map(|at| Administration::CloseThrough { date: at.date() }),
    ]
}

fn any_decision() -> impl Strategy<Value = Decision> {
    prop_oneof![
        Just(Decision::Posted),
        prop::sample::select(Refusal::ALL.to_vec()).prop_map(Decision::Refused)
    ]
}

fn any_hop_state() -> impl Strategy<Value = HopState> {
    prop_oneof![
        Just(HopState::Open),
        Just(HopState::Settled),
        Just(HopState::Compensated),
        prop::sample::select(Refusal::ALL.to_vec()).prop_map(HopState::Unapplied),
    ]
}

fn any_transfer() -> impl Strategy<Value = Transfer> {
    let named = (
        any_key(),
        prop::sample::select(TransferKind::ALL.to_vec()),
        any_amount(),
        any_batch(),
    );
    let parties = (
        any_institution(),
        prop::option::of(any_agreement_number()),
        prop::option::of(any::<[u8; 32]>()),
        prop::option::of(any_key()),
    );
    let decided = (any::<[u8; 32]>(), any_decision(), "[0-9A-Za-z]{1,32}", any_time());
    (named, parties, decided).prop_map(|(named, parties, decided)| Transfer {
        key: named.0,
        kind: named.1,
        amount: named.2,
        batch: named.3,
        institution: parties.0,
        agreement: parties.1,
        account: parties.2.map(AccountToken::new),
        original: parties.3,
        details: DetailsDigest::new(decided.0),
        decision: decided.1,
        serial: decided.2.parse().unwrap(),
        decided_at: decided.3,
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (any_account(), any_entries()).prop_map(|(account, entries)| Event::AccountOpened { account, entries }),
        any_agreement().prop_map(|agreement| Event::AgreementRecorded { agreement }),
        (any_transfer(), any_entries(), any::<[u8; 32]>()).prop_map(|(transfer, entries, evidence)| {
            Event::TransferDecided {
                transfer,
                entries,
                evidence: EvidenceDigest(evidence),
            }
        }),
        any_later_event(),
    ]
}

/// What only version 2 can say.
fn any_later_event() -> impl Strategy<Value = Event> {
    let hop = (0..64_u8, any::<u8>(), any::<u64>()).prop_map(|(home, attempt, epoch)| Hop {
        home: shard(home),
        attempt,
        epoch,
    });
    prop_oneof![
        (any_transfer(), any_entries(), any::<[u8; 32]>(), hop).prop_map(|(transfer, entries, evidence, hop)| {
            Event::TransferHopped {
                transfer,
                entries,
                evidence: EvidenceDigest(evidence),
                hop,
            }
        }),
        (any_transfer(), any_decision(), any_entries()).prop_map(|(transfer, decision, entries)| Event::HopSettled {
            transfer,
            decision,
            entries,
        }),
        (any_transfer(), any_hop_state(), any_entries()).prop_map(|(transfer, state, entries)| Event::HopClosed {
            transfer,
            state,
            entries
        }),
        (any_act(), "[a-z]{1,64}", "[a-z0-9]([a-z0-9 ]{0,198}[a-z0-9])?").prop_map(|(act, operator, reason)| {
            Event::Administered {
                act,
                operator: operator.parse().unwrap(),
                reason: reason.parse().unwrap(),
            }
        }),
    ]
}

pub(crate) fn any_record() -> impl Strategy<Value = JournalRecord> {
    (0..64_u8, any::<u64>(), any::<[u8; 32]>(), any_time(), any_event()).prop_map(
        |(number, sequence, previous, committed_at, event)| JournalRecord {
            shard: shard(number),
            sequence,
            previous: ChainHash(previous),
            committed_at,
            event,
        },
    )
}
