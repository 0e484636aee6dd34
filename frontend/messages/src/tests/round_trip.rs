//! What was written reads back as the same value, and is the same bytes every time.

use expect_test::{ExpectFile, expect_file};
use proptest::prelude::*;

use super::samples::{self, answer_header, request_header};
use super::strategy;
use crate::*;

fn check_request(request: &Request, golden: &ExpectFile) {
    let header = request_header(request);
    let root = request.write(&header);
    golden.assert_eq(&root);
    assert_eq!(
        read_request(root.as_bytes(), &Profile::default()),
        Ok((header, request.clone()))
    );
}

#[test]
fn requests_are_stable_bytes() {
    let [payment, refund, payout, payout_by_agreement, query] = samples::requests();
    check_request(&payment, &expect_file!["../../golden/201.xml"]);
    check_request(&refund, &expect_file!["../../golden/205.xml"]);
    check_request(&payout, &expect_file!["../../golden/211.xml"]);
    check_request(&payout_by_agreement, &expect_file!["../../golden/211-by-agreement.xml"]);
    check_request(&query, &expect_file!["../../golden/301.xml"]);
}

#[test]
fn answers_are_stable_bytes() {
    for (name, answer) in samples::answers() {
        let header = answer_header(&answer);
        let root = answer.write(&header);
        let path = format!("{}/golden/{name}.xml", env!("CARGO_MANIFEST_DIR"));
        expect_file![path].assert_eq(&root);
        assert_eq!(
            read_answer(root.as_bytes(), &Profile::default()),
            Ok((header, answer)),
            "{name}"
        );
    }
}

#[test]
fn details_are_stable_lines() {
    let golden = samples::requests().map(|request| request.details()).join("\n");
    expect_file!["../../golden/details.txt"].assert_eq(&golden);
}

#[test]
fn details_change_with_the_content_only() {
    let [payment, _, payout, ..] = samples::requests();
    let Request::Payment(mut other) = payment.clone() else {
        panic!("a payment")
    };
    other.device = Some(samples::of("another"));
    assert_ne!(Request::Payment(other).details(), payment.details());
    let Request::Payout(resent) = payout.clone() else {
        panic!("a payout")
    };
    let resent = resent.with_sensitive(vec![EncryptedText(vec![7; 16]); 4]).unwrap();
    assert_eq!(Request::Payout(resent).details(), payout.details());
}

#[test]
fn sensitive_fields_are_replaced_in_place() {
    let payout = samples::payout();
    let fields: Vec<SensitiveField> = payout.sensitive().into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, SensitiveField::ALL);
    let anew: Vec<EncryptedText> = (1..=4).map(|n| EncryptedText(vec![n; 16])).collect();
    let replaced = payout.clone().with_sensitive(anew.clone()).unwrap();
    let texts: Vec<EncryptedText> = replaced.sensitive().into_iter().map(|(_, text)| text.clone()).collect();
    assert_eq!(texts, anew);
    assert_eq!(payout.clone().with_sensitive(anew[..3].to_vec()), None);
    assert_eq!(payout.with_sensitive([anew.clone(), anew].concat()), None);
}

#[test]
fn nothing_personal_is_debugged() {
    let printed = format!("{:?} {:?}", samples::payment(), samples::payout());
    for secret in ["小店", "800100001", "9550880001", "A Shop", "[0, 1"] {
        assert!(!printed.contains(secret), "{secret}");
    }
}

#[test]
fn strings_of_our_own_are_always_carried() {
    let system = SystemReturn {
        code: "PS500022".to_owned(),
        description: "a\u{0}b\nc\u{85}d\u{FFFF}e {S:f}".to_owned(),
        time: samples::of("2026-03-02T10:00:01"),
    };
    let answer = Answer::General(GeneralAnswer { system });
    let body = assemble(&answer.write(&answer_header(&answer)), b"signature");
    let (_, read) = read_answer(split(&body).unwrap().signed(), &Profile::default()).unwrap();
    assert_eq!(read.system().description, "a b c d e {S:f}");
}

proptest! {
    #[test]
    fn requests_read_back(header in strategy::header("22"), request in strategy::request()) {
        let header = MessageHeader { message_type: request.message_type(), ..header };
        let root = request.write(&header);
        prop_assert_eq!(read_request(root.as_bytes(), &Profile::default()), Ok((header, request)));
    }

    #[test]
    fn answers_read_back(header in strategy::header("13"), answer in strategy::answer()) {
        let header = MessageHeader { message_type: answer.message_type(), ..header };
        let root = answer.write(&header);
        prop_assert_eq!(read_answer(root.as_bytes(), &Profile::default()), Ok((header, answer)));
    }

    #[test]
    fn frames_split_into_what_was_assembled(
        request in strategy::request(),
        header in strategy::header("22"),
        signature in proptest::collection::vec(any::<u8>(), 1..200),
    ) {
        let root = request.write(&header);
        let body = assemble(&root, &signature);
        let frame = split(&body).unwrap();
        prop_assert_eq!(frame.signed(), root.as_bytes());
        prop_assert_eq!(frame.signature(), &signature);
    }

    #[test]
    fn details_tell_requests_apart(one in strategy::request(), other in strategy::request()) {
        let agree = without_ciphertexts(one.clone()) == without_ciphertexts(other.clone());
        prop_assert_eq!(one.details() == other.details(), agree);
    }
}

fn without_ciphertexts(request: Request) -> Request {
    let Request::Payout(payout) = request else {
        return request;
    };
    let blank = vec![EncryptedText(vec![0]); payout.sensitive().len()];
    Request::Payout(payout.with_sensitive(blank).unwrap())
}
