//! Messages as the network sends them, and what an answer says in one line.

use std::str;

use base64_of_tests::encode;
use bytes::Bytes;
use frontend::http::{HeaderLines, ISSUER, MESSAGE_TYPE};
use frontend_messages::{
    Answer, BusinessReturn, MessageHeader, OriginalOutcome, Profile, SidedSerial, assemble, read_answer, split,
};
use hyper::header::{HeaderMap, HeaderValue};

use crate::stand_ins::StandInSigner;

pub const NETWORK: &str = "G4000311000018";
pub const BANK: &str = "C1030131001234";
pub const INSTITUTION: &str = "Z2000133000019";
pub const AGREEMENT: &str = "1000000000000000017";
pub const TRANSFER: &str = "2026030200000000000000011000001";
pub const ORIGINAL: &str = "2026030200000000000000010000002";
/// What the signature of a request is does not matter: the stand-in verifies none.
pub const SIGNATURE: [u8; 70] = [0x30; 70];

/// `<root>…</root>` of a message of this number.
fn root(number: u16, direction: &str, envelope: &str, body: &str) -> String {
    format!(
        "<root xmlns=\"epcc\"><MsgHeader><SndDt>2026-03-02T10:00:00</SndDt><MsgTp>epcc.{number}.001.01</MsgTp>\
         <IssrId>{NETWORK}</IssrId><Drctn>{direction}</Drctn><SignSN>4000000101</SignSN>{envelope}</MsgHeader>\
         <MsgBody>{body}</MsgBody></root>"
    )
}

pub fn payment() -> String {
    let body = format!(
        "<PyerInf><PyerAcctIssrId>{BANK}</PyerAcctIssrId><PyerAcctTp>00</PyerAcctTp><SgnNo>{AGREEMENT}</SgnNo></PyerInf>\
         <RPFlg>1</RPFlg><PyeeInf><PyeeAcctIssrId>{INSTITUTION}</PyeeAcctIssrId><PyeeNm>Shop</PyeeNm></PyeeInf>\
         <TrxInf><TrxId>{TRANSFER}</TrxId><TrxDtTm>2026-03-02T09:59:59</TrxDtTm><TrxAmt>CNY518.17</TrxAmt>\
         <TrxCtgy>0110</TrxCtgy></TrxInf><OrdrInf><OrdrDesc>Tea</OrdrDesc></OrdrInf><BatchId>B202603020001</BatchId>"
    );
    root(201, "22", "", &body)
}

pub fn refund() -> String {
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
pub struct Sealed {
    pub payer_number: &'static [u8],
    pub payer_name: &'static [u8],
    pub payee_number: &'static [u8],
    pub payee_name: &'static [u8],
}

pub const SEALED: Sealed = Sealed {
    payer_number: b"payer number",
    payer_name: b"payer name",
    payee_number: b"payee number",
    payee_name: b"payee name",
};

pub fn payout(sealed: Sealed) -> String {
    let payee = format!(
        "<PyeeBkNo>{}</PyeeBkNo><PyeeBkNm>{}</PyeeBkNm>",
        base64(sealed.payee_number),
        base64(sealed.payee_name)
    );
    let payer = format!(
        "<PyerAcctNo>{}</PyerAcctNo><PyerAcctNm>{}</PyerAcctNm>",
        base64(sealed.payer_number),
        base64(sealed.payer_name)
    );
    let envelope = format!("<NcrptnSN>4000000203</NcrptnSN><DgtlEnvlp>{}</DgtlEnvlp>", base64(b"key"));
    payout_of(&envelope, &payer, &payee)
}

/// A payout that names its payee by agreement and has nothing encrypted.
pub fn payout_by_agreement() -> String {
    payout_of("", "", &format!("<PyeeSgnNo>{AGREEMENT}</PyeeSgnNo>"))
}

fn payout_of(envelope: &str, payer: &str, payee: &str) -> String {
    let body = format!(
        "<PyerInf><PyerAcctIssrId>{INSTITUTION}</PyerAcctIssrId>{payer}</PyerInf>\
         <PyeeAcctInf><PyeeBkId>{BANK}</PyeeBkId>{payee}</PyeeAcctInf>\
         <TrxInf><RPFlg>2</RPFlg><TrxCtgy>0120</TrxCtgy><TrxId>{TRANSFER}</TrxId>\
         <TrxDtTm>2026-03-02T09:59:59</TrxDtTm><TrxAmt>CNY70.00</TrxAmt><BatchId>B202603020001</BatchId></TrxInf>"
    );
    root(211, "23", envelope, &body)
}

pub fn query() -> String {
    let body = format!(
        "<OriTrxInf><OriTrxCtgy>0110</OriTrxCtgy><OriTrxId>{ORIGINAL}</OriTrxId>\
         <OriTrxDtTm>2026-03-02T09:59:59</OriTrxDtTm></OriTrxInf>"
    );
    root(301, "22", "", &body)
}
