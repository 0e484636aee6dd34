//! Messages that are refused before anything is posted.

use frontend::http::HeaderLines;
use frontend::respond::Reply;
use hyper::header::HeaderValue;

use crate::exchange::{answer_of, posted, send, shown};
use crate::messages::{BANK, INSTITUTION, NETWORK, SEALED, framed, header_lines, lines, payment, payout, read, refund};
use crate::stand_ins::{StandInBooks, StandInSigner, desk};

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
        "processing instruction",
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
        let mut headers = header_lines(201);
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
    let twice = |headers: &mut hyper::HeaderMap| assert!(headers.append("MsgTp", value("epcc.201.001.01")));
    check(twice, format).await;
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
    let mut headers = header_lines(201);
    headers.insert("OriIssrId", HeaderValue::from_static(INSTITUTION));
    let reply = send(&desk, framed(&root), HeaderLines::of(&headers)).await;
    assert_eq!(shown(&reply), "303 12 PS500025 - - - by 4000000201");
    assert_eq!(posted(&desk) + desk.signer.opened.lock().unwrap().len(), 0);
}
