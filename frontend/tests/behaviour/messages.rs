//! Messages as the network sends them, and what an answer says in one line.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use frontend::http::{HeaderLines, ISSUER, MESSAGE_TYPE};
use frontend_messages::{
    Answer, BusinessReturn, MessageHeader, OriginalOutcome, Profile, SidedSerial, assemble, read_answer, split,
};
use hyper::header::{HeaderMap, HeaderValue};

use crate::stand_ins::StandInSigner;

pub(crate) const NETWORK: &str = "G4000311000018";
pub(crate) const BANK: &str = "C1030131001234";
pub(crate) const INSTITUTION: &str = "Z2000133000019";
pub(crate) const AGREEMENT: &str = "1000000000000000017";
pub(crate) const TRANSFER: &str = "2026030200000000000000011000001";
pub(crate) const ORIGINAL: &str = "2026030200000000000000010000002";
/// What the signature of a request is does not matter: the stand-in verifies none.
pub(crate) const SIGNATURE: [u8; 70] = [0x30; 70];

/// `<root>…</root>` of a message of this number.
fn root(number: u16, direction: &str, envelope: &str, body: &str) -> String {
    format!(
        "<root xmlns=\"epcc\"><MsgHeader><SndDt>2026-03-02T10:00:00</SndDt><MsgTp>epcc.{number}.001.01</MsgTp>\
         <IssrId>{NETWORK}</IssrId><Drctn>{direction}</Drctn><SignSN>4000000101</SignSN>{envelope}</MsgHeader>\
         <MsgBody>{body}</MsgBody></root>"
    )
}

pub(crate) fn payment() -> String {
    let body = format!(
        "<PyerInf><PyerAcctIssrId>{BANK}</PyerAcctIssrId><PyerAcctTp>00</PyerAcctTp><SgnNo>{AGREEMENT}</SgnNo></PyerInf>\
         <RPFlg>1</RPFlg><PyeeInf><PyeeAcctIssrId>{INSTITUTION}</PyeeAcctIssrId><PyeeNm>Shop</PyeeNm></PyeeInf>\
         <TrxInf><TrxId>{TRANSFER}</TrxId><TrxDtTm>2026-03-02T09:59:59</TrxDtTm><TrxAmt>CNY518.17</TrxAmt>\
         <TrxCtgy>0110</TrxCtgy></TrxInf><OrdrInf><OrdrDesc>Tea</OrdrDesc></OrdrInf><BatchId>B202603020001</BatchId>"
    );
    root(201, "22", "", &body)
}

pub(crate) fn refund() -> String {
    let body = format!(
        "<PyerInf><PyerAcctIssrId>{INSTITUTION}</PyerAcctIssrId></PyerInf>\
         <PyeeInf><PyeeAcctIssrId>{BANK}</PyeeAcctIssrId><SgnNo>{AGREEMENT}</SgnNo></PyeeInf>\
         <TrxInf><TrxCtgy>0127</TrxCtgy><TrxId>{TRANSFER}</TrxId><TrxDtTm>2026-03-02T09:59:59</TrxDtTm>\
         <TrxAmt>CNY18.17</TrxAmt></TrxInf><OriTrxInf><OriTrxId>{ORIGINAL}</OriTrxId>\
         <OriDbtrBankId>202603020000000000000009</OriDbtrBankId><OriTrxAmt>CNY518.17</OriTrxAmt></OriTrxInf>\
         <BatchId>B202603020001</BatchId><RPFlg>2</RPFlg>"
    );
    root(205, "23", "", &body)
}

/// The four encrypted fields of a payout, in clear for the test's eye.
#[derive(Clone, Copy)]
pub(crate) struct Sealed {
    pub(crate) payer_number: &'static [u8],
    pub(crate) payer_name: &'static [u8],
    pub(crate) payee_number: &'static [u8],
    pub(crate) payee_name: &'static [u8],
}

pub(crate) const SEALED: Sealed = Sealed {
    payer_number: b"payer number",
    payer_name: b"payer name",
    payee_number: b"payee number",
    payee_name: b"payee name",
};

pub(crate) fn payout(sealed: Sealed) -> String {
    let to = format!(
        "<PyeeBkNo>{}</PyeeBkNo><PyeeBkNm>{}</PyeeBkNm>",
        base64(sealed.payee_number),
        base64(sealed.payee_name)
    );
    let from = format!(
        "<PyerAcctNo>{}</PyerAcctNo><PyerAcctNm>{}</PyerAcctNm>",
        base64(sealed.payer_number),
        base64(sealed.payer_name)
    );
    let envelope = format!(
        "<NcrptnSN>4000000203</NcrptnSN><DgtlEnvlp>{}</DgtlEnvlp>",
        base64(b"key")
    );
    payout_of(&envelope, &from, &to)
}

/// A payout that names its payee by agreement and has nothing encrypted.
pub(crate) fn payout_by_agreement() -> String {
    payout_of("", "", &format!("<PyeeSgnNo>{AGREEMENT}</PyeeSgnNo>"))
}

fn payout_of(envelope: &str, from: &str, to: &str) -> String {
    let body = format!(
        "<PyerInf><PyerAcctIssrId>{INSTITUTION}</PyerAcctIssrId>{from}</PyerInf>\
         <PyeeAcctInf><PyeeBkId>{BANK}</PyeeBkId>{to}</PyeeAcctInf>\
         <TrxInf><RPFlg>2</RPFlg><TrxCtgy>0120</TrxCtgy><TrxId>{TRANSFER}</TrxId>\
         <TrxDtTm>2026-03-02T09:59:59</TrxDtTm><TrxAmt>CNY70.00</TrxAmt><BatchId>B202603020001</BatchId></TrxInf>"
    );
    root(211, "23", envelope, &body)
}

pub(crate) fn query() -> String {
    let body = format!(
        "<OriTrxInf><OriTrxCtgy>0110</OriTrxCtgy><OriTrxId>{ORIGINAL}</OriTrxId>\
         <OriTrxDtTm>2026-03-02T09:59:59</OriTrxDtTm></OriTrxInf>"
    );
    root(301, "22", "", &body)
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The whole body.
pub(crate) fn framed(root: &str) -> Vec<u8> {
    assemble(root, &SIGNATURE)
}

/// Header lines that agree with a message of this number.
pub(crate) fn header_lines(number: u16) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(
        MESSAGE_TYPE,
        HeaderValue::from_str(&format!("epcc.{number}.001.01")).unwrap(),
    );
    headers.insert(ISSUER, HeaderValue::from_static(NETWORK));
    headers
}

pub(crate) fn lines(number: u16) -> HeaderLines {
    HeaderLines::of(&header_lines(number))
}

/// Reads an answer and checks that the stand-in signed exactly these bytes under the serial they name.
pub(crate) fn read(body: &[u8]) -> (MessageHeader, Answer) {
    let frame = split(body).unwrap();
    let (header, answer) = read_answer(frame.signed(), &Profile::default()).unwrap();
    let signature = StandInSigner::signature(&header.signing_serial, frame.signed());
    assert_eq!(frame.signature(), signature, "signed by {}", header.signing_serial);
    assert_eq!(header.issuer.as_str(), BANK);
    (header, answer)
}

/// Number, direction, `SysRtnCd`, `TrxStatus`, `BizStsCd`, serial, signing serial.
pub(crate) fn in_one_line(body: &[u8]) -> String {
    let (header, answer) = read(body);
    let (status, business, serial) = match &answer {
        Answer::Transfer(answer) => {
            let outcome = &answer.outcome;
            (Some(outcome.status), outcome.business.as_ref(), outcome.serial)
        }
        Answer::Payout(answer) => (Some(answer.outcome.status), answer.outcome.business.as_ref(), None),
        Answer::Query(answer) => match &answer.original {
            None => (None, None, None),
            Some(OriginalOutcome::NotFound(business)) => (None, Some(business), None),
            Some(OriginalOutcome::Known(known)) => (Some(known.status), known.business.as_ref(), known.serial),
        },
        Answer::General(_) => (None, None, None),
    };
    let serial = serial
        .as_ref()
        .map_or("-", |serial| SidedSerial::serial(serial).as_str());
    format!(
        "{} {} {} {} {} {serial} by {}",
        answer.message_type().number(),
        header.direction.code(),
        answer.system().code,
        status.map_or("-", |status| status.code()),
        business.map_or("-", |business: &BusinessReturn| business.code.as_str()),
        header.signing_serial,
    )
}
