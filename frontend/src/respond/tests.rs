//! The tables of what the network sees, one line for each thing that can come of a message; see `tables/`.

use expect_test::{ExpectFile, expect_file};
use frontend_messages::{FrameFault, MessageType, Text};
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER};
use ledger_model::{
    Amount, BankSerial, ContentField, Currency, Decision, DetailsDigest, Refusal, Transfer, TransferKey,
};
use ledger_protocol::NothingPosted;
use signer_protocol::{Rejection, SignerFault};

use super::*;
use crate::stages::TransferEcho;

fn origin(direction: Option<&str>) -> Origin {
    Origin {
        direction: direction.and_then(Direction::from_code),
        ..Origin::default()
    }
}

fn direction_of(kind: TransferKind) -> &'static str {
    match kind {
        TransferKind::Payment => "22",
        TransferKind::Refund | TransferKind::Payout | TransferKind::Reversal | TransferKind::Supplement => "23",
    }
}

fn now() -> ChinaTime {
    "2026-03-02T10:00:01".parse().unwrap()
}

fn transfer(kind: TransferKind, decision: Decision) -> Transfer {
    Transfer {
        key: TransferKey {
            issuer: "G4000311000018".parse().unwrap(),
            category: "0110".parse().unwrap(),
            id: "2026030212345678901234560000001".parse().unwrap(),
        },
        kind,
        amount: Amount::new(51_817, Currency::CNY).unwrap(),
        batch: "B202603020001".parse().unwrap(),
        institution: "Z2000133000019".parse().unwrap(),
        agreement: None,
        account: None,
        original: None,
        details: DetailsDigest::new([0; 32]),
        decision,
        serial: "2026030201".parse::<BankSerial>().unwrap(),
        decided_at: now(),
    }
}

fn echo() -> Echo {
    let same = transfer(TransferKind::Payment, Decision::Posted);
    Echo::Transfer(TransferEcho {
        rp_flag: Some("1".parse::<Text>().unwrap()),
        category: same.key.category,
        id: same.key.id,
        amount: same.amount,
        batch: same.batch,
        institution: same.institution,
    })
}

fn system_line(draft: &Draft) -> String {
    let system = draft.answer.system();
    let kind = draft.answer.message_type().number();
    let direction = draft.direction.code();
    format!(
        "{:12} {kind} {direction} {} {:?}",
        draft.outcome, system.code, system.description
    )
}

fn transfer_line(draft: &Draft) -> String {
    let Answer::Transfer(answer) = &draft.answer else {
        panic!("{draft:?}")
    };
    let TransferOutcome {
        status,
        business,
        serial,
        finished_at,
        ..
    } = &answer.outcome;
    let serial = match serial {
        Some(SidedSerial::Debtor(_)) => "debtor",
        Some(SidedSerial::Creditor(_)) => "creditor",
        None => "-",
    };
    let finished = if finished_at.is_some() { "finished" } else { "-" };
    let (code, text) = business
        .as_ref()
        .map_or(("-", "-"), |said| (&said.code, &said.description));
    format!(
        "{} {} {code} {serial} {finished} {text}",
        answer.system.code,
        status.code()
    )
}

fn settle(kind: TransferKind, outcome: Outcome) -> Draft {
    let settled = Settled::Transfer {
        outcome,
        kind,
        echo: echo(),
        origin: origin(Some(direction_of(kind))),
    };
    to_settled(settled, &CodeTable::built_in(), now())
}

fn check(lines: impl IntoIterator<Item = String>, expected: &ExpectFile) {
    let mut table = lines.into_iter().collect::<Vec<_>>().join("\n");
    table.push('\n');
    expected.assert_eq(&table);
}

#[test]
fn refusals_in_order_of_precedence() {
    let lines = TransferKind::OF_MESSAGES.into_iter().flat_map(|kind| {
        Refusal::ALL.map(|refusal| {
            let outcome = Outcome::Refused(transfer(kind, Decision::Refused(refusal)));
            format!("{} {}", kind.name(), transfer_line(&settle(kind, outcome)))
        })
    });
    check(lines, &expect_file!["tables/refusals.txt"]);
}

#[test]
fn outcomes_of_transfers() {
    let lines = TransferKind::OF_MESSAGES.into_iter().flat_map(|kind| {
        let refused = Decision::Refused(Refusal::AccountFrozen);
        let outcomes = [
            Outcome::Posted(transfer(kind, Decision::Posted)),
            Outcome::Repeat(transfer(kind, Decision::Posted)),
            Outcome::Repeat(transfer(kind, refused)),
            Outcome::Unknown,
        ];
        let conflicts = ContentField::ALL.map(Outcome::Conflict);
        outcomes.into_iter().chain(conflicts).map(move |outcome| {
            let draft = settle(kind, outcome);
            format!("{} {} {}", kind.name(), draft.outcome, transfer_line(&draft))
        })
    });
    check(lines, &expect_file!["tables/outcomes.txt"]);
}

#[test]
fn findings_of_queries() {
    let findings = || {
        [
            Finding::Found(transfer(TransferKind::Payment, Decision::Posted)),
            Finding::Found(transfer(
                TransferKind::Payout,
                Decision::Refused(Refusal::AccountClosed),
            )),
            Finding::NotFound,
            Finding::InProcess,
            Finding::Unanswered,
        ]
    };
    let lines = ["22", "23", "21"].into_iter().flat_map(|direction| {
        findings().into_iter().map(move |finding| {
            let settled = Settled::Query {
                finding,
                origin: origin(Some(direction)),
            };
            let draft = to_settled(settled, &CodeTable::built_in(), now());
            let Answer::Query(answer) = &draft.answer else {
                panic!("{draft:?}")
            };
            let original = match &answer.original {
                None => "nothing said".to_owned(),
                Some(OriginalOutcome::NotFound(said)) => format!("- {} {}", said.code, said.description),
                Some(OriginalOutcome::Known(known)) => {
                    let business = known.business.as_ref().map_or("-", |said| said.code.as_str());
                    format!("{} {business} {:?}", known.status.code(), known.serial)
                }
            };
            format!("{} | {original}", system_line(&draft))
        })
    });
    check(lines, &expect_file!["tables/findings.txt"]);
}

#[test]
fn faults_by_side() {
    let faults = || {
        let ours = [
            Fault::Signer(SignerFault::Busy),
            Fault::SignerBrokeContract,
            Fault::NothingPosted(NothingPosted::Store),
        ];
        let theirs = [
            Fault::Frame(FrameFault::SecondRoot),
            Fault::HeaderLine("MsgTp"),
            Fault::Untimely,
            Fault::OtherBank("root/MsgBody/PyerInf/PyerAcctIssrId"),
            Fault::NotTheNetwork,
        ];
        theirs
            .into_iter()
            .chain(Rejection::ALL.map(Fault::Rejected))
            .chain(ours)
    };
    let sides = [Some("22"), Some("23"), Some("21"), Some("12"), None];
    let lines = sides.into_iter().flat_map(|direction| {
        faults().map(move |fault| {
            let setback = Setback::new(origin(direction), fault);
            let draft = to_setback(&setback, &CodeTable::built_in(), now()).unwrap();
            assert_eq!(draft.answer.message_type(), MessageType::M303);
            format!("{} | {}", direction.unwrap_or("??"), system_line(&draft))
        })
    });
    check(lines, &expect_file!["tables/faults.txt"]);
}

#[test]
fn what_is_no_frame_gets_no_xml() {
    let setback = Setback::new(Origin::default(), Fault::NotAFrame(FrameFault::DeclarationMissing));
    assert_eq!(
        to_setback(&setback, &CodeTable::built_in(), now()).unwrap_err(),
        HttpRefusal::NotAFrame
    );
}

#[test]
fn descriptions_end_at_the_profiles_length() {
    let entry = Entry {
        code: "PS500022".to_owned(),
        text: "错".repeat(100),
    };
    assert_eq!(
        description(&entry, Some(&"误".repeat(100)), ": ").chars().count(),
        DESCRIPTION_CHARS_MAX
    );
}

#[test]
fn plain_refusals() {
    let all = [
        HttpRefusal::NotAFrame,
        HttpRefusal::BodyBroken,
        HttpRefusal::NoSuchPath,
        HttpRefusal::MethodNotAllowed,
        HttpRefusal::BodyTooSlow,
        HttpRefusal::TooLarge,
        HttpRefusal::ContentType,
        HttpRefusal::Shed,
        HttpRefusal::Unavailable,
    ];
    let lines = all.map(|refusal| {
        let response = Reply::Refused(refusal).into_response();
        let line = |name| {
            response
                .headers()
                .get(name)
                .map_or("-", |value: &HeaderValue| value.to_str().unwrap())
        };
        let status = response.status().as_u16();
        format!(
            "{refusal:?} {status} allow {} retry-after {}",
            line(ALLOW),
            line(RETRY_AFTER)
        )
    });
    check(lines, &expect_file!["tables/plain_refusals.txt"]);
}
