//! What came of a message, whatever the ledger and the signer say.

use ledger_model::{ContentField, Decision, Instruction, Refusal};
use ledger_protocol::{NothingPosted, PostReply, QueryReply};
use signer_protocol::{Rejection, SignerFault, Suite};
use tokio::time::{Duration, Instant};

use crate::exchange::{answer_of, key, posted, send, shown, translated};
use crate::messages::{ORIGINAL, SEALED, lines, payment, payout, payout_by_agreement, query, refund};
use crate::stand_ins::{StandInBooks, StandInSigner, decided, desk, repeated, transfer};

/// Posts `root` to a ledger that answers so.
async fn check(
    number: u16,
    root: String,
    posts: impl Fn(&Instruction) -> PostReply + Send + Sync + 'static,
    expected: &str,
) {
    let desk = desk(StandInSigner::default(), StandInBooks::posting(posts));
    let answer = answer_of(&desk, number, &root).await;
    assert_eq!(answer, format!("{expected} by 4000000201"));
    assert_eq!(posted(&desk), 1, "the ledger is asked once");
}

const fn refused(refusal: Refusal) -> Decision {
    Decision::Refused(refusal)
}

fn posts(asked: &Instruction) -> PostReply {
    decided(asked, Decision::Posted)
}

const NOTHING_POSTED: [NothingPosted; 6] = [
    NothingPosted::Expired,
    NothingPosted::Busy,
    NothingPosted::Store,
    NothingPosted::HomeDown,
    NothingPosted::MalformedWork,
    NothingPosted::NotSent,
];
const SERIAL: &str = "202603020000000000000017";

#[tokio::test]
async fn what_the_ledger_says_of_a_payment() {
    let short = refused(Refusal::BalanceShort);
    let success = format!("206 12 00000000 00 00000000 {SERIAL}");
    let failure = format!("206 12 00000000 01 PB520011 {SERIAL}");
    check(201, payment(), posts, &success).await;
    check(201, payment(), |asked| repeated(asked, Decision::Posted), &success).await;
    check(201, payment(), move |asked| decided(asked, short), &failure).await;
    check(201, payment(), move |asked| repeated(asked, short), &failure).await;
    let conflict = |_: &Instruction| PostReply::Conflict(ContentField::Amount);
    check(201, payment(), conflict, "206 12 00000000 01 PB522099 -").await;
    check(201, payment(), |_| PostReply::Unknown, "206 12 PS500030 02 - -").await;
    for cause in NOTHING_POSTED {
        let nothing = move |_: &Instruction| PostReply::NothingPosted(cause);
        check(201, payment(), nothing, "303 12 PS500001 - - -").await;
    }
}

#[tokio::test]
async fn what_the_ledger_says_of_a_refund() {
    let rest = refused(Refusal::RefundExceedsRest);
    let success = format!("206 13 00000000 00 00000000 {SERIAL}");
    let failure = format!("206 13 00000000 01 RB622022 {SERIAL}");
    check(205, refund(), posts, &success).await;
    check(205, refund(), move |asked| decided(asked, rest), &failure).await;
    check(205, refund(), |_| PostReply::Unknown, "206 13 RS600030 02 - -").await;
}

#[tokio::test]
async fn what_the_ledger_says_of_a_payout() {
    let frozen = refused(Refusal::AccountFrozen);
    check(211, payout(SEALED), posts, "213 13 00000000 00 00000000 -").await;
    check(211, payout_by_agreement(), posts, "213 13 00000000 00 00000000 -").await;
    check(
        211,
        payout(SEALED),
        move |asked| decided(asked, frozen),
        "213 13 00000000 01 RB620006 -",
    )
    .await;
    let conflict = |_: &Instruction| PostReply::Conflict(ContentField::Account);
    check(211, payout(SEALED), conflict, "213 13 00000000 01 RB622099 -").await;
    check(211, payout(SEALED), |_| PostReply::Unknown, "213 13 RS600030 02 - -").await;
    for cause in NOTHING_POSTED {
        let nothing = move |_: &Instruction| PostReply::NothingPosted(cause);
        check(211, payout(SEALED), nothing, "303 13 RS600001 - - -").await;
    }
}

#[tokio::test]
async fn what_the_ledger_says_of_a_query() {
    async fn check(finds: QueryReply, expected: &str) {
        let desk = desk(StandInSigner::default(), StandInBooks::finding(finds));
        assert_eq!(answer_of(&desk, 301, &query()).await, expected);
        assert_eq!(posted(&desk), 0);
        let [asked] = desk.books.queried.lock().unwrap()[..] else {
            panic!("asked once")
        };
        assert_eq!(asked, key("0110", ORIGINAL));
    }
    let asked = translated(201, &payment()).await;
    check(
        QueryReply::Found(transfer(&asked, Decision::Posted)),
        "302 12 00000000 00 00000000 202603020000000000000017 by 4000000201",
    )
    .await;
    check(
        QueryReply::Found(transfer(&asked, Decision::Refused(Refusal::AgreementExpired))),
        "302 12 00000000 01 PB521015 202603020000000000000017 by 4000000201",
    )
    .await;
    check(QueryReply::NotFound, "302 12 00000000 - PB530001 - by 4000000201").await;
    check(QueryReply::InProcess, "302 12 00000000 02 - - by 4000000201").await;
    check(QueryReply::Unavailable, "302 12 PS500030 - - - by 4000000201").await;
}

#[tokio::test]
async fn what_the_signer_rejects_is_never_posted() {
    for rejection in Rejection::ALL {
        for (number, root, expected) in [
            (201, payment(), "303 12 PS500025 - - - by 4000000201"),
            (211, payout(SEALED), "303 13 RS600025 - - - by 4000000201"),
            (301, query(), "303 12 PS500025 - - - by 4000000201"),
        ] {
            let signer = StandInSigner {
                rejects: Some(rejection),
                ..StandInSigner::default()
            };
            let desk = desk(signer, StandInBooks::default());
            assert_eq!(answer_of(&desk, number, &root).await, expected, "{rejection:?}");
            assert_eq!(posted(&desk) + desk.books.queried.lock().unwrap().len(), 0);
        }
    }
}

#[tokio::test]
async fn faults_of_the_signer_before_the_posting_are_definite() {
    async fn check(signer: StandInSigner, number: u16, root: &str, expected: &str) {
        let desk = desk(signer, StandInBooks::default());
        assert_eq!(answer_of(&desk, number, root).await, expected);
        assert_eq!(posted(&desk), 0);
    }
    let signer = StandInSigner::default;
    let faults = [
        SignerFault::Busy,
        SignerFault::Expired,
        SignerFault::Lost,
        SignerFault::Internal("x".to_owned()),
    ];
    for fault in faults {
        let opening = StandInSigner {
            open_fails: Some(fault.clone()),
            ..signer()
        };
        check(opening, 201, &payment(), "303 12 PS500001 - - - by 4000000201").await;
        let sealing = StandInSigner {
            seal_fails: Some(fault),
            ..signer()
        };
        check(sealing, 211, &payout(SEALED), "303 13 RS600001 - - - by 4000000201").await;
    }
    let withholding = StandInSigner {
        tokens_withheld: 1,
        ..signer()
    };
    check(withholding, 211, &payout(SEALED), "303 13 RS600001 - - - by 4000000201").await;
    let gone = || StandInSigner {
        open_fails: Some(SignerFault::Lost),
        sign_fails: Some(SignerFault::Lost),
        ..StandInSigner::default()
    };
    check(gone(), 201, &payment(), "HTTP 503").await;
}

#[tokio::test]
async fn a_posting_whose_answer_cannot_be_signed_is_not_called_failed() {
    let signer = StandInSigner {
        sign_fails: Some(SignerFault::Lost),
        ..StandInSigner::default()
    };
    let desk = desk(signer, StandInBooks::default());
    assert_eq!(answer_of(&desk, 201, &payment()).await, "HTTP 503");
    assert_eq!(posted(&desk), 1);
}

#[tokio::test]
async fn signers_that_differ_about_the_newest_key_sign_every_answer() {
    let desk = desk(
        StandInSigner {
            is_half_rotated: true,
            ..StandInSigner::default()
        },
        StandInBooks::default(),
    );
    for answer in 0..6 {
        let said = answer_of(&desk, 201, &payment()).await;
        assert!(said.starts_with("206 12 00000000 00"), "answer {answer}: {said}");
    }
}

#[tokio::test]
async fn an_answer_names_the_key_that_signed_it() {
    for (rotations, expected) in [
        (0, "206 12 00000000 00 00000000 202603020000000000000017 by 4000000201"),
        (1, "206 12 00000000 00 00000000 202603020000000000000017 by 4000000202"),
        (2, "206 12 00000000 00 00000000 202603020000000000000017 by 4000000203"),
        (9, "HTTP 503"),
    ] {
        let desk = desk(
            StandInSigner {
                rotations,
                ..StandInSigner::default()
            },
            StandInBooks::default(),
        );
        assert_eq!(
            answer_of(&desk, 201, &payment()).await,
            expected,
            "{rotations} rotations"
        );
        if rotations == 1 {
            assert_eq!(
                answer_of(&desk, 201, &payment()).await,
                expected,
                "the new serial is kept"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_is_signed_in_the_suite_of_its_request() {
    let rsa = || StandInSigner {
        suite: Suite::Rsa,
        ..StandInSigner::default()
    };
    let good = desk(rsa(), StandInBooks::default());
    let expected = "206 12 00000000 00 00000000 202603020000000000000017 by 4000000301";
    assert_eq!(answer_of(&good, 201, &payment()).await, expected);
    // before the signature held its look decides, and where it looks like neither, the configuration
    for (length, expected) in [(70, "by 4000000201"), (256, "by 4000000301"), (100, "by 4000000201")] {
        let rejecting = StandInSigner {
            rejects: Some(Rejection::SignatureWrong),
            ..rsa()
        };
        let desk = desk(rejecting, StandInBooks::default());
        let body = frontend_messages::assemble(&payment(), &vec![0x30; length]);
        let answer = shown(&send(&desk, body, lines(201)).await);
        assert_eq!(answer, format!("303 12 PS500025 - - - {expected}"), "{length} bytes");
    }
}

#[tokio::test]
async fn a_ledger_that_does_not_answer_leaves_time_to_say_so() {
    let books = StandInBooks {
        slow: true,
        ..StandInBooks::posting(|_| PostReply::Unknown)
    };
    let mut desk = desk(StandInSigner::default(), books);
    desk.rules.answer_within = Duration::from_mins(1);
    desk.rules.signing_reserve = Duration::from_millis(59_950);
    let began = Instant::now();
    assert_eq!(
        answer_of(&desk, 201, &payment()).await,
        "206 12 PS500030 02 - - by 4000000201"
    );
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(50), "{took:?}: the ledger gets its time");
    assert!(took < Duration::from_secs(50), "{took:?}: the signer gets its own");
}
