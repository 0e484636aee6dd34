//! What goes over the wire comes out as it went in; what is not as the contract says is told by its field.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ledger_model::{
    Account, AccountLimits, AccountStatus, AccountToken, Agreement, AgreementStatus, AgreementTerms, Amount, ChinaTime,
    ContentField, Currency, Decision, DetailsDigest, Instruction, NameToken, Payee, Payment, Payout, Refund, Refusal,
    Reversal, Side, Supplement, SupplementAgainst, Transfer, TransferKey, TransferKind,
};
use ledger_protocol::{
    Evidence, JournalBase, Malformed, MovedShard, MovingShard, NewAccount, OrderedRegrouping, RegroupOrder, Regrouped,
    ReleaseOrder, ReleasedRecords, Releasing, SeenPositions, ShardGroup, ShardGroups, ShardPosition, ShipReport,
    ShipState, wire,
};
use proptest::prelude::*;

fn any_key() -> impl Strategy<Value = TransferKey> {
    (
        "[CZG][0-9A-Z]{13}",
        "[0-9]{4}",
        "20260[1-9]0[1-9][0-9A-Za-z]{17}[0-9]{6}",
    )
        .prop_map(|(issuer, category, id)| TransferKey {
            issuer: issuer.parse().unwrap(),
            category: category.parse().unwrap(),
            id: id.parse().unwrap(),
        })
}

fn any_amount() -> impl Strategy<Value = Amount> {
    (1..i64::MAX, "[A-Z]{3}").prop_map(|(minor, code)| Amount::new(minor, code.parse().unwrap()).unwrap())
}

fn cny(minor: i64) -> Amount {
    Amount::new(minor, Currency::CNY).unwrap()
}

fn any_time() -> impl Strategy<Value = ChinaTime> {
    (0..253_370_736_000_i64).prop_map(|seconds| ChinaTime::from_unix_seconds(seconds).unwrap())
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    (any::<Vec<u8>>(), any::<Vec<u8>>(), "[0-9A-F]{0,20}").prop_map(|(signed, signature, signing_serial)| Evidence {
        signed,
        signature,
        signing_serial,
    })
}

fn any_payee() -> impl Strategy<Value = Payee> {
    prop_oneof![
        "[0-9A-Za-z]{1,34}".prop_map(|number| Payee::Agreement(number.parse().unwrap())),
        (any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(token, name)| Payee::Account {
            token: AccountToken::new(token),
            name: NameToken::new(name)
        }),
    ]
}

#[expect(
    clippy::too_many_lines,
    reason = "one arm for each kind of instruction, field by field"
)]
fn any_instruction() -> impl Strategy<Value = Instruction> {
    let named = (
        any_key(),
        any_amount(),
        "B202603[0-2][1-9][0-9]{4}",
        "[CZG][0-9A-Z]{13}",
        any_time(),
        any::<[u8; 32]>(),
    );
    let said = (
        "[0-9A-Za-z]{1,34}",
        any_key(),
        any_amount(),
        prop::option::of("[0-9A-Za-z]{1,32}"),
        any_payee(),
        prop::sample::select(TransferKind::ALL.to_vec()),
        (
            any::<[u8; 32]>(),
            prop::sample::select(vec![Side::Debit, Side::Credit]),
            prop::sample::select(SupplementAgainst::ALL.to_vec()),
        ),
    );
    (named, said).prop_map(|(named, said)| {
        let (key, amount, batch, institution, ordered_at, details) = named;
        let (agreement, original, original_amount, original_serial, payee, kind, (account, side, against)) = said;
        let (batch, institution) = (batch.parse().unwrap(), institution.parse().unwrap());
        let (agreement, details) = (agreement.parse().unwrap(), DetailsDigest::new(details));
        match kind {
            TransferKind::Payment => Instruction::Payment(Payment {
                key,
                amount,
                batch,
                institution,
                agreement,
                ordered_at,
                details,
            }),
            TransferKind::Refund => Instruction::Refund(Refund {
                key,
                amount,
                batch,
                institution,
                agreement,
                original,
                original_amount,
                original_serial: original_serial.map(|serial| serial.parse().unwrap()),
                ordered_at,
                details,
            }),
            TransferKind::Payout => Instruction::Payout(Payout {
                key,
                amount,
                batch,
                institution,
                payee,
                ordered_at,
                details,
            }),
            TransferKind::Reversal => Instruction::Reversal(Reversal {
                key,
                amount,
                batch,
                institution,
                original,
                ordered_at,
                details,
            }),
            TransferKind::Supplement => Instruction::Supplement(Supplement {
                key,
                amount,
                batch,
                institution,
                account: AccountToken::new(account),
                side,
                against,
                ordered_at,
                details,
            }),
        }
    })
}

fn any_transfer() -> impl Strategy<Value = Transfer> {
    let decision = prop_oneof![
        Just(Decision::Posted),
        prop::sample::select(Refusal::ALL.to_vec()).prop_map(Decision::Refused)
    ];
    (
        any_instruction(),
        prop::option::of(any::<[u8; 32]>()),
        (prop::option::of("[0-9A-Za-z]{1,34}"), prop::option::of(any_key())),
        decision,
        "[0-9A-Za-z]{1,32}",
        any_time(),
    )
        .prop_map(
            |(instruction, account, (agreement, original), decision, serial, decided_at)| Transfer {
                key: *instruction.key(),
                kind: instruction.kind(),
                amount: instruction.amount(),
                batch: instruction.batch(),
                institution: instruction.institution(),
                agreement: agreement.map(|number| number.parse().unwrap()),
                account: account.map(AccountToken::new),
                original,
                details: instruction.details(),
                decision,
                serial: serial.parse().unwrap(),
                decided_at,
            },
        )
}

proptest! {
    #[test]
    fn instructions_with_their_evidence(instruction in any_instruction(), evidence in any_evidence()) {
        let post = wire::Post::from((&instruction, evidence.clone()));
        prop_assert_eq!(<(Instruction, Evidence)>::try_from(post), Ok((instruction, evidence)));
    }

    #[test]
    fn transfers(transfer in any_transfer()) {
        prop_assert_eq!(Transfer::try_from(wire::Transfer::from(&transfer)), Ok(transfer));
    }
}

#[test]
fn accounts_and_agreements() {
    for status in AccountStatus::ALL {
        let (token, name) = (AccountToken::new([1; 32]), NameToken::new([2; 32]));
        let account = Account {
            token,
            name,
            status,
            balance: cny(700).money(),
        };
        assert_eq!(Account::try_from(wire::NewAccount::from(&account)), Ok(account.clone()));
        let limits = AccountLimits {
            single_max: cny(100),
            daily_max: cny(200),
            daily_count_max: 3,
        };
        for limits in [None, Some(limits)] {
            let account = account.clone();
            let new = NewAccount { account, limits };
            assert_eq!(NewAccount::try_from(wire::NewAccount::from(&new)), Ok(new));
        }
    }
    for status in AgreementStatus::ALL {
        let expires = "2030-12-31".parse().unwrap();
        let agreement = Agreement {
            number: "1000000000000000017".parse().unwrap(),
            account: AccountToken::new([1; 32]),
            institution: "Z2000133000019".parse().unwrap(),
            status,
            terms: AgreementTerms {
                single_max: cny(100),
                daily_max: cny(200),
                daily_count_max: 3,
                expires,
            },
        };
        assert_eq!(Agreement::try_from(wire::NewAgreement::from(&agreement)), Ok(agreement));
    }
}

#[test]
fn positions_and_fields() {
    let sums = vec![ledger_protocol::CurrencySum {
        currency: Currency::CNY,
        debit_minor: 7,
        credit_minor: 8,
    }];
    let report = |state| ShipReport {
        state,
        since: "2026-03-02T03:04:05".parse().unwrap(),
        why: "the broker could not say where a partition ends".to_owned(),
        lag_seconds: 125,
        alarm: true,
    };
    for state in ShipState::ALL {
        let report = report(state);
        assert_eq!(ShipReport::try_from(wire::ShipReport::from(&report)), Ok(report));
    }
    let position = ShardPosition {
        shard: 3,
        sequence: 9,
        head: [4; 32],
        shipped: 8,
        transfers_posted: 5,
        transfers_refused: 1,
        sums,
        shipping: Some(report(ShipState::Unreachable)),
        closed_through: Some("2026-03-01".parse().unwrap()),
        base: Some(JournalBase {
            sequence: 4,
            head: [6; 32],
            operator: "li.wei (user:1000)".parse().unwrap(),
            reason: "the year is archived".parse().unwrap(),
            released_at: "2026-03-02T03:04:05".parse().unwrap(),
        }),
    };
    assert_eq!(
        ShardPosition::try_from(wire::ShardPosition::from(&position)),
        Ok(position.clone())
    );
    let seen = SeenPositions {
        positions: vec![position],
        unseen: vec![1, 2],
    };
    assert_eq!(SeenPositions::try_from(wire::PositionsReply::from(&seen)), Ok(seen));
    for field in ContentField::ALL {
        assert_eq!(ContentField::try_from(wire::Conflict::from(field)), Ok(field));
    }
}

#[test]
fn releases_come_out_as_they_went_in() {
    let order = ReleaseOrder {
        shard: 3,
        through: 4_711,
        head: [7; 32],
        is_dry_run: true,
        operator: "li.wei".parse().unwrap(),
        reason: "the year is archived".parse().unwrap(),
    };
    let request = wire::ReleaseRequest::from(&order);
    assert_eq!(ReleaseOrder::try_from(request.clone()), Ok(order));
    let shorter = wire::ReleaseRequest {
        head: vec![7; 31],
        ..request
    };
    assert_eq!(ReleaseOrder::try_from(shorter), Err(Malformed { field: "head" }));
    let released = |kept_for| ReleasedRecords {
        before: 1,
        through: 2,
        head: [8; 32],
        kept_for,
    };
    for releasing in [
        Releasing::Released(released(None)),
        Releasing::Released(released(Some("Kafka has come to record 2 only".to_owned()))),
        Releasing::Refused("the archive is not of this shard's journal".to_owned()),
    ] {
        assert_eq!(
            Releasing::try_from(wire::ReleaseReply::from(releasing.clone())),
            Ok(releasing)
        );
    }
}

#[test]
fn groups_come_out_as_they_went_in() {
    let moved = MovedShard {
        shard: 7,
        from: "a".to_owned(),
        to: "b".to_owned(),
    };
    let moving = MovingShard {
        moved: moved.clone(),
        place: 2,
        of: 3,
        step: "copying".to_owned(),
        rows: 10,
        rows_of: 20,
    };
    let listed = ShardGroups {
        groups: vec![ShardGroup {
            name: "a".to_owned(),
            state: "up".to_owned(),
            shards: vec![0, 63],
            hosts: vec!["db:5432".to_owned()],
        }],
        moving: Some(moving.clone()),
    };
    assert_eq!(
        ShardGroups::try_from(wire::ListGroupsReply::from(listed.clone())),
        Ok(listed)
    );
    let (add, remove) = (
        RegroupOrder::Add {
            name: "b".to_owned(),
            shards: vec![3, 4],
        },
        RegroupOrder::Remove { name: "a".to_owned() },
    );
    for order in [add, remove] {
        let ordered = OrderedRegrouping {
            order,
            operator: "li.wei".parse().unwrap(),
            reason: "more room".parse().unwrap(),
        };
        assert_eq!(
            OrderedRegrouping::try_from(wire::RegroupRequest::from(&ordered)),
            Ok(ordered)
        );
    }
    let (refused, broke_off) = (
        Regrouped::Refused("why".to_owned()),
        Regrouped::BrokeOff("why".to_owned()),
    );
    for told in [
        Regrouped::Moving(moving),
        Regrouped::Done(vec![moved]),
        refused,
        broke_off,
    ] {
        assert_eq!(Regrouped::try_from(wire::RegroupReply::from(told.clone())), Ok(told));
    }
    let far = wire::MovedShard {
        shard: 256,
        from: String::new(),
        to: String::new(),
    };
    assert_eq!(MovedShard::try_from(far), Err(Malformed { field: "shard" }));
}

/// A post as the contract says.
fn good() -> wire::Post {
    let key = |id: &str| wire::Key {
        issuer: "G4000311000018".into(),
        category: "0110".into(),
        id: id.into(),
    };
    let amount = |minor| {
        Some(wire::Amount {
            minor,
            currency: "CNY".into(),
        })
    };
    wire::Post {
        key: Some(key("2026030212345678901234560000001")),
        amount: amount(100),
        batch: "B202603020001".into(),
        institution: "Z2000133000019".into(),
        ordered_at: "2026-03-02T10:00:00".into(),
        details: vec![0; 32],
        evidence: Some(wire::Evidence::default()),
        kind: Some(wire::post::Kind::Payment(wire::Payment {
            agreement: "1000000000000000017".into(),
        })),
    }
}

#[test]
fn work_that_is_not_as_the_contract_says_is_told_by_its_field() {
    fn check(change: impl Fn(&mut wire::Post), field: &'static str) {
        let mut post = good();
        change(&mut post);
        assert_eq!(
            <(Instruction, Evidence)>::try_from(post).err(),
            Some(Malformed { field })
        );
    }
    assert!(<(Instruction, Evidence)>::try_from(good()).is_ok());
    check(|post| post.key = None, "key");
    check(|post| post.key.as_mut().unwrap().issuer.clear(), "issuer");
    check(|post| post.key.as_mut().unwrap().category.push('0'), "category");
    check(|post| post.key.as_mut().unwrap().id.push('0'), "id");
    check(|post| post.amount = None, "amount");
    check(|post| post.amount.as_mut().unwrap().minor = 0, "amount");
    check(|post| post.amount.as_mut().unwrap().currency.clear(), "currency");
    check(|post| post.batch.clear(), "batch");
    check(|post| post.institution.clear(), "institution");
    check(|post| post.ordered_at.push('Z'), "ordered_at");
    check(|post| post.details.truncate(31), "details");
    check(|post| post.evidence = None, "evidence");
    check(|post| post.kind = None, "kind");
    check(
        |post| post.kind = Some(wire::post::Kind::Payment(wire::Payment::default())),
        "agreement",
    );
    check(
        |post| post.kind = Some(wire::post::Kind::Refund(wire::Refund::default())),
        "agreement",
    );
    let refund = || wire::Refund {
        agreement: "1".into(),
        ..wire::Refund::default()
    };
    check(|post| post.kind = Some(wire::post::Kind::Refund(refund())), "original");
    check(
        |post| post.kind = Some(wire::post::Kind::Payout(wire::Payout::default())),
        "account",
    );
    let both = || wire::Payout {
        agreement: "1".into(),
        account: vec![0; 32],
        name: Vec::new(),
    };
    check(|post| post.kind = Some(wire::post::Kind::Payout(both())), "payout");
    check(
        |post| post.kind = Some(wire::post::Kind::Reversal(wire::Reversal::default())),
        "original",
    );
    let supplement = |side: &str, against: &str| {
        Some(wire::post::Kind::Supplement(wire::Supplement {
            account: vec![0; 32],
            side: side.into(),
            against: against.into(),
        }))
    };
    check(|post| post.kind = supplement("left", "fee"), "side");
    check(|post| post.kind = supplement("debit", "opening_balances"), "against");
    let nameless = || wire::Payout {
        account: vec![0; 32],
        ..wire::Payout::default()
    };
    check(|post| post.kind = Some(wire::post::Kind::Payout(nameless())), "name");
}

#[test]
fn a_body_is_never_printed() {
    let secret = Evidence {
        signed: b"<root>6222".to_vec(),
        signature: vec![1; 70],
        signing_serial: "4000000101".into(),
    };
    assert_eq!(
        format!("{secret:?}"),
        "Evidence(10 signed bytes, 70 of signature by 4000000101)"
    );
    assert_eq!(
        format!("{:?}", wire::Evidence::from(secret)),
        "Evidence(10 signed bytes, 70 of signature)"
    );
}
