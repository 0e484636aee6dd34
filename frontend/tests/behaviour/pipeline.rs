//! The life of a message, with every way it can end.

use frontend::desk::Desk;
use frontend::http::HeaderLines;
use frontend::pipeline::handle;
use frontend::respond::Reply;
use frontend::stages::Received;
use frontend::tls::Peer;
use frontend_messages::{Answer, SensitiveField};
use hyper::header::HeaderValue;
use ledger_model::{AccountToken, ContentField, Decision, Instruction, NameToken, Payee, Refusal, TransferKey};
use ledger_protocol::{NothingPosted, PostReply, QueryReply};
use signer_protocol::{FieldKind, Rejection, SignerFault, Suite};
use tokio::time::{Duration, Instant};

use crate::messages::{
    AGREEMENT, BANK, INSTITUTION, NETWORK, ORIGINAL, SEALED, SIGNATURE, Sealed, TRANSFER, framed, in_one_line, lines,
    payment, payout, payout_by_agreement, query, read, refund,
};
use crate::stand_ins::{StandInBooks, StandInSigner, decided, desk, repeated, transfer};

type TestDesk = Desk<StandInSigner, StandInBooks>;

async fn send(desk: &TestDesk, body: Vec<u8>, lines: HeaderLines) -> Reply {
    let received = Received::new(body.into(), lines, Peer::named("network"), Instant::now());
    handle(desk, received).await
}

async fn answer_of(desk: &TestDesk, number: u16, root: &str) -> String {
    shown(&send(desk, framed(root), lines(number)).await)
}

fn shown(reply: &Reply) -> String {
    match reply {
        Reply::Signed(signed) => in_one_line(&signed.body),
        Reply::Refused(refusal) => format!("HTTP {}", refusal.status().as_u16()),
    }
}

fn posted(desk: &TestDesk) -> usize {
    desk.books.posted.lock().unwrap().len()
}

#[tokio::test]
async fn what_the_ledger_says_of_a_payment() {
    async fn check(posts: impl Fn(&Instruction) -> PostReply + Send + Sync + 'static, expected: &str) {
        let desk = desk(StandInSigner::default(), StandInBooks::posting(posts));
        assert_eq!(answer_of(&desk, 201, &payment()).await, expected);
        assert_eq!(posted(&desk), 1, "the ledger is asked once");
    }
    let short = Decision::Refused(Refusal::BalanceShort);
    check(
        |asked| decided(asked, Decision::Posted),
        "206 12 00000000 00 00000000 202603020000000000000017 by 4000000201",
    )
    .await;
    check(
        |asked| repeated(asked, Decision::Posted),
        "206 12 00000000 00 00000000 202603020000000000000017 by 4000000201",
    )
    .await;
    check(
        move |asked| decided(asked, short),
        "206 12 00000000 01 PB520011 202603020000000000000017 by 4000000201",
    )
    .await;
    check(
        move |asked| repeated(asked, short),
        "206 12 00000000 01 PB520011 202603020000000000000017 by 4000000201",
    )
    .await;
    check(
        |_| PostReply::Conflict(ContentField::Amount),
        "206 12 00000000 01 PB522099 - by 4000000201",
    )
    .await;
    check(|_| PostReply::Unknown, "206 12 PS500030 02 - - by 4000000201").await;
    for cause in [
        NothingPosted::Expired,
        NothingPosted::Busy,
        NothingPosted::Store,
        NothingPosted::MalformedWork,
        NothingPosted::NotSent,
    ] {
        check(
            move |_| PostReply::NothingPosted(cause),
            "303 12 PS500001 - - - by 4000000201",
        )
        .await;
    }
}

#[tokio::test]
async fn what_the_ledger_says_of_refunds_and_payouts() {
    async fn check(
        number: u16,
        root: &str,
        posts: impl Fn(&Instruction) -> PostReply + Send + Sync + 'static,
        expected: &str,
    ) {
        let desk = desk(StandInSigner::default(), StandInBooks::posting(posts));
        assert_eq!(answer_of(&desk, number, root).await, expected);
    }
    let rest = Decision::Refused(Refusal::RefundExceedsRest);
    let frozen = Decision::Refused(Refusal::AccountFrozen);
    let posted = |asked: &Instruction| decided(asked, Decision::Posted);
    check(
        205,
        &refund(),
        posted,
        "206 13 00000000 00 00000000 202603020000000000000017 by 4000000201",
    )
    .await;
    check(
        205,
        &refund(),
        move |asked| decided(asked, rest),
        "206 13 00000000 01 RB622022 202603020000000000000017 by 4000000201",
    )
    .await;
    check(
        205,
        &refund(),
        |_| PostReply::Unknown,
        "206 13 RS600030 02 - - by 4000000201",
    )
    .await;
    check(
        211,
        &payout(SEALED),
        posted,
        "213 13 00000000 00 00000000 - by 4000000201",
    )
    .await;
    check(
        211,
        &payout_by_agreement(),
        posted,
        "213 13 00000000 00 00000000 - by 4000000201",
    )
    .await;
    check(
        211,
        &payout(SEALED),
        move |asked| decided(asked, frozen),
        "213 13 00000000 01 RB620006 - by 4000000201",
    )
    .await;
    check(
        211,
        &payout(SEALED),
        |_| PostReply::Conflict(ContentField::Account),
        "213 13 00000000 01 RB622099 - by 4000000201",
    )
    .await;
    check(
        211,
        &payout(SEALED),
        |_| PostReply::Unknown,
        "213 13 RS600030 02 - - by 4000000201",
    )
    .await;
    check(
        211,
        &payout(SEALED),
        |_| PostReply::NothingPosted(NothingPosted::Busy),
        "303 13 RS600001 - - - by 4000000201",
    )
    .await;
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
async fn what_is_wrong_with_a_message_is_found_before_the_signer_is_asked() {
    async fn check(body: Vec<u8>, expected: &str, saying: &str) {
        let desk = desk(StandInSigner::default(), StandInBooks::default());
        let reply = send(&desk, body.clone(), lines(201)).await;
        assert_eq!(shown(&reply), expected, "{}", String::from_utf8_lossy(&body));
        if let Reply::Signed(signed) = &reply {
            let description = read(&signed.body).1.system().description.clone();
            assert!(description.contains(saying), "{description}");
        }
        assert_eq!(posted(&desk) + desk.signer.opened.lock().unwrap().len(), 0);
    }
    let format = "303 12 PS500022 - - - by 4000000201";
    let unknown_side = "303 11 PS000098 - - - by 4000000201";
    let changed = |from: &str, to: &str| {
        let root = payment();
        assert!(root.contains(from), "{from}");
        framed(&root.replacen(from, to, 1))
    };
    // no frame
    check(b"hello".to_vec(), "HTTP 400", "").await;
    check(Vec::new(), "HTTP 400", "").await;
    check(vec![0xFF; 100], "HTTP 400", "").await;
    // a frame with something wrong: the direction is still told
    check(
        [framed(&payment()), b"x".to_vec()].concat(),
        format,
        "bytes after the signature",
    )
    .await;
    check(
        [framed(&payment()), framed(&payment())].concat(),
        format,
        "after the signature",
    )
    .await;
    check(
        changed("<MsgBody>", "<!DOCTYPE x><MsgBody>"),
        unknown_side,
        "document type",
    )
    .await;
    // a message with something wrong
    check(changed("CNY518.17", "CNY0.00"), format, "TrxAmt").await;
    check(changed("<Drctn>22", "<Drctn>12"), format, "Drctn").await;
    check(changed("<Drctn>22", "<Drctn>99"), unknown_side, "Drctn").await;
}

#[tokio::test]
async fn header_lines_have_to_agree_with_the_signed_header() {
    async fn check(change: impl Fn(&mut hyper::HeaderMap), expected: &str) {
        let mut headers = crate::messages::header_lines(201);
        change(&mut headers);
        let desk = desk(StandInSigner::default(), StandInBooks::default());
        let reply = send(&desk, framed(&payment()), HeaderLines::of(&headers)).await;
        assert_eq!(shown(&reply), expected, "{headers:?}");
        assert_eq!(posted(&desk), usize::from(expected.starts_with("206")));
    }
    let good = "206 12 00000000 00 00000000 202603020000000000000017 by 4000000201";
    let format = "303 12 PS500022 - - - by 4000000201";
    let value = HeaderValue::from_static;
    check(|_| {}, good).await;
    check(|headers| drop(headers.remove("MsgTp")), format).await;
    check(
        |headers| drop(headers.insert("MsgTp", value("epcc.205.001.01"))),
        format,
    )
    .await;
    check(|headers| drop(headers.remove("OriIssrId")), format).await;
    check(|headers| drop(headers.insert("OriIssrId", value(INSTITUTION))), format).await;
    check(|headers| drop(headers.insert("PyerAcctTp", value("00"))), good).await;
    check(|headers| drop(headers.insert("PyerAcctTp", value("000"))), format).await;
    check(
        |headers| drop(headers.insert("ReservedField", value("12345678901234567890"))),
        good,
    )
    .await;
    check(
        |headers| drop(headers.insert("ReservedField", value("123456789012345678901"))),
        format,
    )
    .await;
}

#[tokio::test]
async fn stale_messages_other_banks_and_other_senders() {
    async fn check(root: &str, number: u16, from: &str, to: &str, expected: &str) {
        assert!(root.contains(from), "{from}");
        let desk = desk(StandInSigner::default(), StandInBooks::default());
        let answer = answer_of(&desk, number, &root.replace(from, to)).await;
        assert_eq!(answer, expected, "{from} -> {to}");
        assert_eq!(posted(&desk), usize::from(expected.starts_with("206")));
    }
    let good = "206 12 00000000 00 00000000 202603020000000000000017 by 4000000201";
    let format = "303 12 PS500022 - - - by 4000000201";
    let receiver = "303 13 RS600022 - - - by 4000000201";
    let sent = |time: &str| format!("<SndDt>2026-03-02T{time}</SndDt>");
    let now = sent("10:00:00");
    check(&payment(), 201, &now, &sent("09:45:01"), good).await;
    check(&payment(), 201, &now, &sent("09:45:00"), format).await;
    check(&payment(), 201, &now, &sent("10:15:01"), good).await;
    check(&payment(), 201, &now, &sent("10:15:02"), format).await;
    let other = "C1010211000012";
    check(&payment(), 201, BANK, other, format).await;
    check(&refund(), 205, BANK, other, receiver).await;
    check(&payout(SEALED), 211, BANK, other, receiver).await;
}

#[tokio::test]
async fn only_the_networks_own_signature_orders_a_payment() {
    let desk = desk(StandInSigner::default(), StandInBooks::default());
    let root = payment().replacen(NETWORK, INSTITUTION, 1);
    let mut headers = crate::messages::header_lines(201);
    headers.insert("OriIssrId", HeaderValue::from_static(INSTITUTION));
    let reply = send(&desk, framed(&root), HeaderLines::of(&headers)).await;
    assert_eq!(shown(&reply), "303 12 PS500025 - - - by 4000000201");
    assert_eq!(posted(&desk) + desk.signer.opened.lock().unwrap().len(), 0);
}

fn key(category: &str, id: &str) -> TransferKey {
    TransferKey {
        issuer: NETWORK.parse().unwrap(),
        category: category.parse().unwrap(),
        id: id.parse().unwrap(),
    }
}

/// The instruction the ledger gets.
async fn translated(number: u16, root: &str) -> Instruction {
    let desk = desk(StandInSigner::default(), StandInBooks::default());
    answer_of(&desk, number, root).await;
    let posted = desk.books.posted.lock().unwrap();
    posted[0].0.clone()
}

#[tokio::test]
async fn messages_in_the_ledgers_words() {
    let Instruction::Payment(payment) = translated(201, &payment()).await else {
        panic!("a payment")
    };
    assert_eq!(payment.key, key("0110", TRANSFER));
    assert_eq!(payment.amount.to_string(), "CNY518.17");
    assert_eq!(payment.batch.as_str(), "B202603020001");
    assert_eq!(payment.institution.as_str(), INSTITUTION);
    assert_eq!(payment.agreement.as_str(), AGREEMENT);
    assert_eq!(payment.ordered_at.to_string(), "2026-03-02T09:59:59");

    let Instruction::Refund(refund) = translated(205, &refund()).await else {
        panic!("a refund")
    };
    assert_eq!(refund.key, key("0127", TRANSFER));
    assert_eq!(
        refund.original,
        key("0116", ORIGINAL),
        "the category of the payment, not of the refund"
    );
    assert_eq!(refund.original_amount.to_string(), "CNY518.17");
    assert_eq!(refund.original_serial.unwrap().as_str(), "202603020000000000000009");
    assert_eq!(refund.institution.as_str(), INSTITUTION);
    assert_eq!(refund.agreement.as_str(), AGREEMENT);

    let Instruction::Payout(by_account) = translated(211, &payout(SEALED)).await else {
        panic!("a payout")
    };
    let token = AccountToken::new(StandInSigner::token(SEALED.payee_number));
    let name = NameToken::new(StandInSigner::token(SEALED.payee_name));
    assert_eq!(by_account.payee, Payee::Account { token, name });
    assert_eq!(by_account.key, key("0120", TRANSFER));
    let Instruction::Payout(by_agreement) = translated(211, &payout_by_agreement()).await else {
        panic!("a payout")
    };
    assert_eq!(by_agreement.payee, Payee::Agreement(AGREEMENT.parse().unwrap()));
}

#[tokio::test]
async fn the_same_content_has_the_same_digest_and_other_content_another() {
    async fn check(number: u16, one: &str, other: &str, same: bool) {
        let (one_asked, other_asked) = (translated(number, one).await, translated(number, other).await);
        assert_eq!(one_asked.details() == other_asked.details(), same, "{one}\n{other}");
    }
    let resent = payment()
        .replace("2026-03-02T10:00:00", "2026-03-02T10:00:30")
        .replace("4000000101", "4000000102");
    check(201, &payment(), &resent, true).await;
    check(201, &payment(), &payment().replace("Tea", "Gold"), false).await;
    check(
        201,
        &payment(),
        &payment().replace("<OrdrInf><OrdrDesc>Tea</OrdrDesc></OrdrInf>", ""),
        false,
    )
    .await;
    check(211, &payout(SEALED), &payout(SEALED), true).await;
    for changed in [
        Sealed {
            payer_number: b"another",
            ..SEALED
        },
        Sealed {
            payer_name: b"another",
            ..SEALED
        },
        Sealed {
            payee_number: b"another",
            ..SEALED
        },
        Sealed {
            payee_name: b"another",
            ..SEALED
        },
        Sealed {
            payer_number: SEALED.payer_name,
            payer_name: SEALED.payer_number,
            ..SEALED
        },
    ] {
        check(211, &payout(SEALED), &payout(changed), false).await;
    }
}

#[tokio::test]
async fn what_the_signer_is_asked_of_a_payout() {
    let desk = desk(StandInSigner::default(), StandInBooks::default());
    answer_of(&desk, 211, &payout(SEALED)).await;
    let opened = desk.signer.opened.lock().unwrap();
    let open = &opened[0];
    assert_eq!(open.signed, payout(SEALED).into_bytes(), "exactly the received bytes");
    assert_eq!(open.signature, SIGNATURE);
    assert_eq!(
        (open.signing_serial.as_str(), open.issuer.as_str()),
        ("4000000101", NETWORK)
    );
    assert_eq!(
        (open.encryption_serial.as_str(), open.envelope.as_slice()),
        ("4000000203", b"key".as_slice())
    );
    let kinds: Vec<_> = open.fields.iter().map(|field| field.kind).collect();
    use FieldKind::{AccountNumber, Name};
    assert_eq!(kinds, [AccountNumber, Name, AccountNumber, Name]);
    let sealed = desk.signer.sealed.lock().unwrap();
    assert_eq!(sealed[0].receiver, NETWORK);
    assert_eq!(sealed[0].fields[3], SEALED.payee_name);
    let posted = desk.books.posted.lock().unwrap();
    assert_eq!(
        posted[0].1.signed,
        payout(SEALED).into_bytes(),
        "the evidence is the received bytes"
    );
    assert_eq!(posted[0].1.signature, SIGNATURE);
}

#[tokio::test]
async fn answers_repeat_their_request() {
    let desk = desk(StandInSigner::default(), StandInBooks::default());
    let Reply::Signed(signed) = send(&desk, framed(&payment()), lines(201)).await else {
        panic!("signed")
    };
    let (header, Answer::Transfer(answer)) = read(&signed.body) else {
        panic!("a 206")
    };
    assert_eq!(header.sent_at.to_string(), "2026-03-02T10:00:01");
    assert_eq!(answer.outcome.rp_flag.unwrap().as_str(), "1");
    assert_eq!(answer.outcome.id.as_str(), TRANSFER);
    assert_eq!(answer.outcome.batch.as_str(), "B202603020001");
    assert_eq!(answer.outcome.amount.to_string(), "CNY518.17");
    assert_eq!(answer.outcome.institution.as_str(), INSTITUTION);

    let Reply::Signed(signed) = send(&desk, framed(&payout(SEALED)), lines(211)).await else {
        panic!("signed")
    };
    let (header, Answer::Payout(answer)) = read(&signed.body) else {
        panic!("a 213")
    };
    assert_eq!(
        header.envelope.unwrap().encryption_serial,
        "4000000111",
        "the receiver's key"
    );
    let fields = answer.request.sensitive();
    assert_eq!(fields.len(), 4);
    let (field, text) = fields[3];
    assert_eq!(field, SensitiveField::PyeeBkNm);
    assert_eq!(text.0, b"again payee name");
}

#[tokio::test]
async fn a_ledger_that_does_not_answer_leaves_time_to_say_so() {
    let books = StandInBooks {
        slow: true,
        ..StandInBooks::posting(|_| PostReply::Unknown)
    };
    let mut desk = desk(StandInSigner::default(), books);
    desk.rules.answer_within = Duration::from_secs(60);
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
