//! Every reason for which a framed message is refused, with the element it names. Most cases are lines of
//! `refusals.txt`; here stand those that need many or unprintable characters, and what must not be refused.

use super::samples::{self, answer_header, request_header};
use crate::*;

fn refusal(signed: &[u8]) -> Option<MessageFault> {
    let profile = Profile::default();
    // which of the two it is shows in the type, and a good message is refused by the other
    let answer = std::str::from_utf8(signed).is_ok_and(|text| text.contains("<SysRtnInf>"));
    if answer {
        read_answer(signed, &profile).err()
    } else {
        read_request(signed, &profile).err()
    }
}

fn check(signed: impl AsRef<[u8]>, expected: &str) {
    let signed = signed.as_ref();
    let found = refusal(signed).map_or_else(|| "accepted".to_owned(), |fault| fault.to_string());
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(signed));
}

/// The message in the golden file of this name.
fn written(name: &str) -> String {
    let index = ["201", "205", "211", "211-by-agreement", "301"]
        .iter()
        .position(|known| *known == name);
    if let Some(index) = index {
        let request = &samples::requests()[index];
        return request.write(&request_header(request));
    }
    let (_, answer) = samples::answers()
        .into_iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    answer.write(&answer_header(&answer))
}

fn changed(from: &str, to: &str) -> String {
    let good = written("201");
    assert!(good.contains(from), "{from} is not in the message");
    good.replacen(from, to, 1)
}

#[test]
fn refusals() {
    let mut good = String::new();
    let mut lines = include_str!("refusals.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("//"));
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("# ") {
            good = written(name);
            assert_eq!(refusal(good.as_bytes()), None, "{name}");
            continue;
        }
        let (from, to) = line.split_once(" → ").unwrap();
        assert!(good.contains(from), "{from} is not in the message");
        let bad = good.replacen(from, if to == "∅" { "" } else { to }, 1);
        check(bad, lines.next().unwrap().trim());
    }
}

#[test]
fn of_the_whole() {
    let not_one = "the signed bytes are not exactly one root element";
    let children = "root: root has exactly MsgHeader and MsgBody, in this order";
    check(b"<root>\xFF</root>", "not UTF-8");
    check("", not_one);
    check("\u{FEFF}<root></root>", not_one);
    check("<root></root> ", not_one);
    check(" <root></root>", not_one);
    check("<root></root><root></root>", not_one);
    check("<root/></root>", "not well-formed XML");
    check("<root></root>", children);
    check("<root>text</root>", children);
    check("<root><MsgHeader/></root>", children);
    check("<root><MsgBody/><MsgHeader/></root>", children);
    check("<root><MsgHeader/><MsgBody/><MsgBody/></root>", children);
    check(
        "<root><MsgHeader/><MsgBody/></root>",
        "root/MsgHeader/SndDt: missing or empty",
    );
}

#[test]
fn of_characters() {
    for control in ["\u{0}", "\u{1}", "\u{B}", "\u{1B}", "\u{7F}", "\u{85}", "\u{FFFE}"] {
        check(
            changed("two books", control),
            "root/MsgBody/OrdrInf/OrdrDesc: a control character in a text",
        );
        let in_attribute = changed("<OrdrInf>", &format!("<OrdrInf xmlns='{control}'>"));
        check(
            in_attribute,
            "root/MsgBody: an attribute other than xmlns is not allowed",
        );
    }
    for space in ["\n", "\r\n", "\t"] {
        let expected = "root/MsgBody/OrdrInf/OrdrDesc: wrong form: a text has no line breaks or tabs";
        check(changed("two books", space), expected);
    }
}

#[test]
fn of_size() {
    let nested = |depth: usize| format!("<MsgBody>{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    check(changed("<MsgBody>", &nested(6)), "accepted");
    check(
        changed("<MsgBody>", &nested(7)),
        "root/MsgBody/a/a/a/a/a/a: elements lie too deep in each other",
    );
    let empty_below = format!("<MsgBody>{}<a/>{}", "<a>".repeat(6), "</a>".repeat(6));
    check(
        changed("<MsgBody>", &empty_below),
        "root/MsgBody/a/a/a/a/a/a: elements lie too deep in each other",
    );
    check(
        changed("<MsgBody>", &format!("<MsgBody>{}", "<a/>".repeat(256))),
        "root/MsgBody: too many elements",
    );
    let too_long = "root/MsgBody/a: longer than its field allows";
    let text = |text: &str, times| changed("<MsgBody>", &format!("<MsgBody><a>{}</a>", text.repeat(times)));
    check(text("x", 4_096), "accepted");
    check(text("x", 4_097), too_long);
    check(text("xxx&amp;", 1_024), "accepted");
    check(text("xxx&amp;", 1_025), too_long);
    let name = |length| changed("<MsgBody>", &format!("<MsgBody><{0}></{0}>", "n".repeat(length)));
    check(name(64), "accepted");
    check(name(65), "root/MsgBody: an element name of this form is not allowed");
    check(changed("two books", &"书".repeat(256)), "accepted");
    check(
        changed("two books", &"书".repeat(257)),
        "root/MsgBody/OrdrInf/OrdrDesc: longer than its field allows",
    );
    let sealed = |times| written("211").replacen("<PyeeBkNo>", &format!("<PyeeBkNo>{}", "AAAA".repeat(times)), 1);
    check(sealed(300), "accepted");
    check(
        sealed(400),
        "root/MsgBody/PyeeAcctInf/PyeeBkNo: longer than its field allows",
    );
}

/// A message, then its mandatory elements.
const MANDATORY: [&str; 11] = [
    "201 PyerInf PyerInf/PyerAcctIssrId PyerInf/SgnNo PyeeInf PyeeInf/PyeeAcctIssrId BatchId",
    "201 TrxInf TrxInf/TrxId TrxInf/TrxDtTm TrxInf/TrxAmt TrxInf/TrxCtgy",
    "205 PyerInf PyerInf/PyerAcctIssrId PyeeInf PyeeInf/PyeeAcctIssrId PyeeInf/SgnNo BatchId",
    "205 TrxInf TrxInf/TrxCtgy TrxInf/TrxId TrxInf/TrxDtTm TrxInf/TrxAmt",
    "205 OriTrxInf OriTrxInf/OriTrxId OriTrxInf/OriTrxAmt",
    "211 PyerInf PyerInf/PyerAcctIssrId PyeeAcctInf PyeeAcctInf/PyeeBkId PyeeAcctInf/PyeeBkNo PyeeAcctInf/PyeeBkNm",
    "211 TrxInf TrxInf/TrxCtgy TrxInf/TrxId TrxInf/TrxDtTm TrxInf/TrxAmt TrxInf/BatchId",
    "301 OriTrxInf OriTrxInf/OriTrxCtgy OriTrxInf/OriTrxId OriTrxInf/OriTrxDtTm",
    "206-refused SysRtnInf/SysRtnCd SysRtnInf/SysRtnTm BizInf BizInf/TrxCtgy BizInf/TrxId BizInf/TrxAmt BizInf/BatchId",
    "206-refused BizInf/TrxStatus BizInf/InstgId",
    "213 BizInf BizInf/TrxStatus PyerInf PyeeAcctInf TrxInf",
];

#[test]
fn of_mandatory_elements() {
    for line in MANDATORY {
        let (message, paths) = line.split_once(' ').unwrap();
        for path in paths.split(' ') {
            let name = path.rsplit('/').next().unwrap();
            let renamed = written(message)
                .replace(&format!("<{name}>"), "<X>")
                .replace(&format!("</{name}>"), "</X>");
            check(renamed, &format!("root/MsgBody/{path}: missing or empty"));
        }
    }
}

#[test]
fn of_envelopes() {
    let sealed = written("211");
    let (before, rest) = sealed.split_once("<NcrptnSN>").unwrap();
    let (_, after) = rest.split_once("</DgtlEnvlp>").unwrap();
    let without = format!("{before}<NcrptnSN/>\n<DgtlEnvlp> </DgtlEnvlp>{after}");
    check(without, "root/MsgHeader: encrypted fields without a digital envelope");
    let sealed = written("213");
    let (before, rest) = sealed.split_once("<NcrptnSN>").unwrap();
    let (_, after) = rest.split_once("</DgtlEnvlp>").unwrap();
    check(
        format!("{before}{after}"),
        "root/MsgHeader: encrypted fields without a digital envelope",
    );
}

#[test]
fn every_answer_is_no_request() {
    for (name, answer) in samples::answers() {
        let fault = read_request(answer.write(&answer_header(&answer)).as_bytes(), &Profile::default()).unwrap_err();
        assert_eq!(fault.reason, MessageReason::NotARequest, "{name}");
    }
}

/// What the network may add or leave out without being refused.
#[test]
fn tolerated() {
    let profile = Profile::default();
    let check_same = |from: &str, to: &str| {
        assert!(written("201").contains(from), "{from}");
        let (header, request) = read_request(written("201").replace(from, to).as_bytes(), &profile).unwrap();
        assert_eq!(
            (header.envelope, request),
            (None, samples::requests()[0].clone()),
            "{to}"
        );
    };
    check_same("<MsgBody>", "<MsgBody><New><A>1</A><A>2</A></New><New/>");
    check_same("<TrxInf>", "<TrxInf><New>x</New>");
    check_same("><", ">\r\n\t <");
    check_same("xmlns=\"epcc.201.001.01\"", "xmlns='namespace_string'");
    check_same(" xmlns=\"epcc.201.001.01\"", "");
    check_same("<OrdrInf>", "<OrdrInf xmlns=\"\">");
    check_same("two books", "&#116;wo&#x20;b&#111;oks");
    check_same("</SignSN>", "</SignSN><NcrptnSN></NcrptnSN><DgtlEnvlp></DgtlEnvlp>");
    check_same("</SignSN>", "</SignSN><NcrptnSN/>");
    let wrapped = written("211").replace("ICEiIyQl", "ICEi\r\nIyQl");
    assert_eq!(
        read_request(wrapped.as_bytes(), &profile).unwrap().1,
        samples::requests()[2]
    );
}

/// A refusal knows whom to answer as far as the header could be read, wherever the fault lies.
#[test]
fn partial_headers() {
    let whole = PartialHeader {
        sent_at: Some(samples::of("2026-03-02T10:00:00")),
        message_type: Some(MessageType::M201),
        issuer: Some(samples::of("G4000311000018")),
        direction: Direction::from_code("22"),
    };
    let check_header = |from: &str, to: &str, expected: Option<PartialHeader>| {
        assert_eq!(refusal(changed(from, to).as_bytes()).unwrap().header, expected, "{to}");
    };
    check_header("CNY518.17", "CNY0.00", Some(whole));
    check_header("</TrxInf>", "", Some(whole));
    check_header(
        "<MsgTp>epcc.201",
        "<MsgTp>epcc.999",
        Some(PartialHeader {
            message_type: None,
            ..whole
        }),
    );
    check_header("<SndDt>", "<SndDt>x", Some(PartialHeader { sent_at: None, ..whole }));
    check_header(
        "<Drctn>22",
        "<Drctn>29",
        Some(PartialHeader {
            direction: None,
            ..whole
        }),
    );
    check_header(
        "<IssrId>",
        "<!-- --><IssrId>",
        Some(PartialHeader {
            issuer: None,
            direction: None,
            ..whole
        }),
    );
    check_header("<root xmlns=\"epcc.201.001.01\"><MsgHeader>", "<root><MsgHead>", None);
    let unsigned = ["<?xml?>", &written("201"), "{S:no base64}"].concat();
    assert_eq!(
        read_partial_header(unsigned.as_bytes(), &Profile::default()),
        Some(whole)
    );
    assert_eq!(read_partial_header(b"not XML", &Profile::default()), None);
}
