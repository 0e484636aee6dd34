//! What crosses the wire comes back the same, is bounded, and prints nothing of a message.
#![cfg(test)]

use signer_protocol::{
    Answer, EncryptedField, Failure, FieldKind, KeyHealth, MalformedWork, Open, Rejection, Reveal, Revealed, Seal,
    Sealed, Sign, Signature, Suite, Tokenise, Tokens, Work, limits, wire,
};

const KINDS: [FieldKind; 4] = [
    FieldKind::AccountNumber,
    FieldKind::Name,
    FieldKind::DocumentNumber,
    FieldKind::Mobile,
];

fn open() -> Open {
    let fields = KINDS.map(|kind| EncryptedField {
        kind,
        ciphertext: vec![0x5E; 16],
    });
    Open {
        signed: b"<root>6222021234567890123</root>".to_vec(),
        signature: vec![1; 71],
        signing_serial: "4000000101".to_owned(),
        issuer: "G4000311000018".to_owned(),
        encryption_serial: "4000000113".to_owned(),
        envelope: vec![2; 125],
        fields: fields.to_vec(),
    }
}

fn seal() -> Seal {
    Seal {
        encryption_serial: "4000000113".to_owned(),
        envelope: vec![2; 125],
        fields: vec![vec![3; 16], vec![4; 32]],
        receiver: "G4000311000018".to_owned(),
    }
}

fn reveal() -> Reveal {
    Reveal {
        encryption_serial: "4000000113".to_owned(),
        envelope: vec![2; 125],
        field: EncryptedField {
            kind: FieldKind::Mobile,
            ciphertext: vec![3; 16],
        },
        purpose: "sms gateway".to_owned(),
    }
}

fn every_work() -> Vec<Work> {
    let sign = Suite::ALL.map(|suite| {
        Work::Sign(Sign {
            suite,
            signed: b"6222021234567890123".to_vec(),
            signing_serial: "4000000111".to_owned(),
        })
    });
    let tokenise = KINDS.map(|kind| {
        Work::Tokenise(Tokenise {
            kind,
            plaintexts: vec!["6222021234567890123".to_owned()],
        })
    });
    [
        vec![Work::Open(open()), Work::Seal(seal()), Work::Reveal(reveal())],
        sign.to_vec(),
        tokenise.to_vec(),
    ]
    .concat()
}

fn every_answer() -> Vec<Answer> {
    let failures = [
        Failure::Expired,
        Failure::Busy,
        Failure::NoKey,
        Failure::MalformedWork,
        Failure::Internal,
        Failure::KeyUnavailable,
        Failure::NotAllowed,
    ];
    let rest = [
        Answer::Sealed(Sealed {
            encryption_serial: "4000000103".to_owned(),
            envelope: vec![1],
            fields: vec![vec![2]],
        }),
        Answer::Signed(Signature {
            serial: "4000000111".to_owned(),
            bytes: vec![3; 71],
        }),
        Answer::Tokens(Tokens {
            tokens: vec![[4; 32], [5; 32]],
            other_generation: vec![[7; 32], [8; 32]],
        }),
        Answer::Revealed(Revealed(b"13800000000".to_vec())),
    ];
    [
        Suite::ALL
            .map(|suite| Answer::Opened {
                suite,
                tokens: Tokens {
                    tokens: vec![[6; 32]],
                    ..Tokens::default()
                },
            })
            .to_vec(),
        Rejection::ALL.map(Answer::Rejected).to_vec(),
        failures
            .map(|failure| Answer::Failed(failure, "why".to_owned()))
            .to_vec(),
        rest.to_vec(),
    ]
    .concat()
}

#[test]
fn work_and_answers_come_back_the_same() {
    for work in every_work() {
        assert_eq!(Work::read(Some(work.clone().into())), Ok(work));
    }
    for answer in every_answer() {
        assert_eq!(Answer::try_from(wire::reply::What::from(answer.clone())), Ok(answer));
    }
    for suite in Suite::ALL {
        let (serial, usage, not_after) = ("1".to_owned(), "sign".to_owned(), "2045-01-01T00:00:00Z".to_owned());
        let health = KeyHealth {
            serial,
            suite,
            usage,
            not_after,
            works: true,
            provider: "software".to_owned(),
        };
        assert_eq!(KeyHealth::try_from(wire::KeyHealth::from(health.clone())), Ok(health));
    }
}

#[test]
fn messages_beyond_a_limit_are_malformed() {
    type Change = fn(&mut Open, usize);
    #[track_caller]
    fn check(work: Work, expected: Option<&'static str>) {
        assert_eq!(Work::read(Some(work.into())).err(), expected.map(MalformedWork));
    }
    let opening = |change: Change, len: usize| {
        let mut open = open();
        change(&mut open, len);
        Work::Open(open)
    };
    let of_open: [(Change, usize, &'static str); 7] = [
        (
            |open, len| open.signed = vec![0; len],
            limits::SIGNED_BYTES_MAX,
            "signed is too long",
        ),
        (
            |open, len| open.signature = vec![0; len],
            limits::SIGNATURE_BYTES_MAX,
            "signature is too long",
        ),
        (
            |open, len| open.signing_serial = "1".repeat(len),
            limits::SERIAL_BYTES_MAX,
            "signing_serial is too long",
        ),
        (
            |open, len| open.issuer = "Z".repeat(len),
            limits::INSTITUTION_BYTES_MAX,
            "issuer is too long",
        ),
        (
            |open, len| open.envelope = vec![0; len],
            limits::ENVELOPE_BYTES_MAX,
            "envelope is too long",
        ),
        (
            |open, len| open.fields = vec![open.fields[0].clone(); len],
            limits::FIELDS_MAX,
            "too many fields",
        ),
        (
            |open, len| open.fields[1].ciphertext = vec![0; len],
            limits::FIELD_BYTES_MAX,
            "a field is too long",
        ),
    ];
    for (change, max, expected) in of_open {
        check(opening(change, max), None);
        check(opening(change, max + 1), Some(expected));
    }
}

#[test]
fn lists_beyond_a_limit_are_malformed() {
    #[track_caller]
    fn check(work: Work, expected: Option<&'static str>) {
        assert_eq!(Work::read(Some(work.into())).err(), expected.map(MalformedWork));
    }
    let tokenising = |count: usize, len: usize| {
        Work::Tokenise(Tokenise {
            kind: FieldKind::Name,
            plaintexts: vec!["x".repeat(len); count],
        })
    };
    check(tokenising(limits::PLAINTEXTS_MAX, 1), None);
    check(tokenising(limits::PLAINTEXTS_MAX + 1, 1), Some("too many plaintexts"));
    check(
        tokenising(1, limits::PLAINTEXT_BYTES_MAX + 1),
        Some("a plaintext is too long"),
    );
    check(
        Work::Seal(Seal {
            fields: vec![vec![]; limits::FIELDS_MAX + 1],
            ..seal()
        }),
        Some("too many fields"),
    );
    assert_eq!(Work::read(None), Err(MalformedWork("work of no known kind")));
}

#[test]
fn answers_that_do_not_read() {
    let short = wire::reply::What::Tokens(wire::Tokens {
        tokens: vec![vec![0; 31]],
        other_generation: Vec::new(),
    });
    assert_eq!(Answer::try_from(short), Err(MalformedWork("a token is not 32 bytes")));
    let no_reason = wire::reply::What::Rejected(wire::Rejected { reason: 0 });
    assert_eq!(
        Answer::try_from(no_reason),
        Err(MalformedWork("a rejection without a reason"))
    );
}

#[test]
fn debug_prints_no_message_and_no_plaintext() {
    for work in every_work() {
        let on_the_wire = wire::WorkBatch {
            items: vec![wire::Work {
                number: 1,
                budget_ms: 2,
                what: Some(work.clone().into()),
            }],
        };
        for printed in [format!("{on_the_wire:?}"), format!("{work:?}")] {
            assert!(
                !printed.contains("62220212") && !printed.contains("54, 50, 50"),
                "{printed}"
            );
            assert!(!printed.contains("94, 94"), "no ciphertexts either: {printed}");
        }
    }
}
