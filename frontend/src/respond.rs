//! What the network sees: the one place from outcomes and faults to answers.
//!
//! Three layers that are never mixed: `SysRtnCd` (could the message be handled), `BizStsCd` (the business outcome) and
//! `TrxStatus` (the money).
//!
//! | what came of it | answer | `SysRtnCd` | `TrxStatus` | `BizStsCd` |
//! |---|---|---|---|---|
//! | posted, or the repeat of it | 206, 213 | handled | 00 | success |
//! | refused, or the repeat of it | 206, 213 | handled | 01 | of the refusal |
//! | same id, other content | 206, 213 | handled | 01 | conflict, naming the field |
//! | outcome not known | 206, 213 | unknown outcome | 02 | none |
//! | original found | 302 | handled | of the original | of the original |
//! | original not found | 302 | handled | none | not found |
//! | original being decided | 302 | handled | 02 | none |
//! | the books could not be asked | 302 | unknown outcome | none | none |
//! | frame or format wrong | 303 | format | – | – |
//! | signature wrong | 303 | signature | – | – |
//! | definitely nothing posted | 303 | unavailable | – | – |
//!
//! Why 303 and not `TrxStatus` 01 where nothing was posted for a fault of ours: 01 is final and closes the transfer on
//! the network's side, while nothing is final here; the same message may be sent again and then post.
//!
//! Where no XML can be given there is a plain HTTP status ([`HttpRefusal`]). Texts come from the code table, from the
//! rule that was broken, or are fixed; never from a fault's source, never from what was received.

use bytes::Bytes;
use frontend_messages::{
    Answer, BusinessReturn, Direction, Envelope, GeneralAnswer, KnownTransfer, MessageType, OriginalOutcome,
    PayoutAnswer, PayoutOutcome, PeerRole, QueryAnswer, SidedSerial, SystemReturn, Towards, TransferAnswer,
    TransferOutcome,
};
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use ledger_model::{ChinaTime, InstitutionId, Transfer, TransferKind, TransferStatus};

use crate::codes::{BankSide, CodeTable, Entry, SystemCause};
use crate::http::{HeaderLines, ISSUER, MESSAGE_TYPE};
use crate::stages::{Echo, Fault, Finding, Origin, Outcome, Setback, Settled};

/// An answer that lacks its header's time and serial, and its signature.
#[derive(Debug)]
pub struct Draft {
    pub answer: Answer,
    pub direction: Direction,
    pub envelope: Option<Envelope>,
    /// For the counter and the log.
    pub outcome: &'static str,
}

/// What goes back over HTTP.
#[derive(Debug)]
pub enum Reply {
    Signed(SignedAnswer),
    Refused(HttpRefusal),
}

#[derive(Debug)]
pub struct SignedAnswer {
    pub body: Vec<u8>,
    pub message_type: MessageType,
    pub issuer: InstitutionId,
    /// Of the request.
    pub lines: HeaderLines,
}

/// No XML answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpRefusal {
    NotAFrame,
    BodyBroken,
    NoSuchPath,
    MethodNotAllowed,
    BodyTooSlow,
    TooLarge,
    ContentType,
    /// Before reading.
    Shed,
    /// No answer could be signed. Says nothing about the money: a query will.
    Unavailable,
}

/// `SysRtnDesc` and `BizStsDesc` (profile, section 5).
const DESCRIPTION_CHARS_MAX: usize = 128;
const XML: HeaderValue = HeaderValue::from_static("application/xml;charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain;charset=utf-8");
const POST: HeaderValue = HeaderValue::from_static("POST");
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The answer to a message that was handled.
pub fn to_settled(settled: Settled, codes: &CodeTable, now: ChinaTime) -> Draft {
    let direction = direction_of_answer(settled.origin());
    let side = bank_side(settled.origin());
    let system = |cause: Option<SystemCause>| system_return(codes, side, cause, None, now);
    match settled {
        Settled::Transfer { outcome, kind, echo, .. } => {
            let cause = matches!(outcome, Outcome::Unknown).then_some(SystemCause::UnknownOutcome);
            let said = Said::of(&outcome, kind, codes);
            let (answer, envelope) = transfer_answer(system(cause), said, echo);
            Draft { answer, direction, envelope, outcome: outcome_name(&outcome) }
        }
        Settled::Query { finding, .. } => {
            let cause = matches!(finding, Finding::Unanswered).then_some(SystemCause::UnknownOutcome);
            let outcome = finding_name(&finding);
            let answer = QueryAnswer { system: system(cause), original: original_outcome(finding, codes) };
            Draft { answer: Answer::Query(answer), direction, envelope: None, outcome }
        }
    }
}

/// The answer to a message that was not.
pub fn to_setback(setback: &Setback, codes: &CodeTable, now: ChinaTime) -> Result<Draft, HttpRefusal> {
    let (cause, outcome) = match setback.fault() {
        Fault::NotAFrame(_) => return Err(HttpRefusal::NotAFrame),
        Fault::Frame(_)
        | Fault::Message(_)
        | Fault::HeaderLine(_)
        | Fault::Untimely
        | Fault::OtherBank(_)
        | Fault::Untranslatable(_) => (SystemCause::Format, "format"),
        Fault::NotTheNetwork | Fault::Rejected(_) => (SystemCause::Signature, "signature"),
        Fault::Signer(_) | Fault::SignerBrokeContract | Fault::NothingPosted(_) => {
            (SystemCause::Unavailable, "unavailable")
        }
    };
    // Only a broken rule of form is spelt out: it names an element of the profile. What a signature check or a
    // decryption fell over is for our log alone.
    let rule = matches!(cause, SystemCause::Format).then(|| setback.fault().to_string());
    let system = system_return(codes, bank_side(setback.origin()), Some(cause), rule.as_deref(), now);
    Ok(Draft {
        answer: Answer::General(GeneralAnswer { system }),
        direction: direction_of_answer(setback.origin()),
        envelope: None,
        outcome,
    })
}

/// What is said of a transfer, whichever message says it.
struct Said {
    status: TransferStatus,
    business: Option<BusinessReturn>,
    serial: Option<SidedSerial>,
    finished_at: Option<ChinaTime>,
}

impl Said {
    fn of(outcome: &Outcome, kind: TransferKind, codes: &CodeTable) -> Self {
        match outcome {
            Outcome::Posted(transfer) | Outcome::Repeat(transfer) | Outcome::Refused(transfer) => {
                Self::decided(transfer, codes)
            }
            Outcome::Conflict(field) => Self {
                status: TransferStatus::Failed,
                business: Some(business_return(codes.conflict(kind), Some(field.name()))),
                serial: None,
                finished_at: None,
            },
            Outcome::Unknown => {
                Self { status: TransferStatus::InProcess, business: None, serial: None, finished_at: None }
            }
        }
    }

    fn decided(transfer: &Transfer, codes: &CodeTable) -> Self {
        Self {
            status: transfer.decision.status(),
            business: Some(business_return(codes.decision(transfer.kind, transfer.decision), None)),
            serial: Some(SidedSerial::of(transfer.kind, transfer.serial)),
            finished_at: Some(transfer.decided_at),
        }
    }
}

/// 206 or 213.
fn transfer_answer(system: SystemReturn, said: Said, echo: Echo) -> (Answer, Option<Envelope>) {
    let Said { status, business, serial, finished_at } = said;
    match echo {
        Echo::Transfer(echo) => {
            let outcome = TransferOutcome {
                rp_flag: echo.rp_flag,
                category: echo.category,
                id: echo.id,
                amount: echo.amount,
                batch: echo.batch,
                serial,
                status,
                business,
                finished_at,
                institution: echo.institution,
            };
            (Answer::Transfer(TransferAnswer { system, outcome }), None)
        }
        Echo::Payout { request, envelope } => {
            let outcome = PayoutOutcome { business, finished_at, status };
            (Answer::Payout(PayoutAnswer { system, outcome, request: *request }), envelope)
        }
    }
}

fn original_outcome(finding: Finding, codes: &CodeTable) -> Option<OriginalOutcome> {
    match finding {
        Finding::Found(transfer) => {
            let Said { status, business, serial, finished_at } = Said::decided(&transfer, codes);
            let (batch, amount) = (Some(transfer.batch), Some(transfer.amount));
            Some(OriginalOutcome::Known(KnownTransfer { status, business, serial, batch, amount, finished_at }))
        }
        Finding::NotFound => Some(OriginalOutcome::NotFound(business_return(codes.query_not_found(), None))),
        Finding::InProcess => Some(OriginalOutcome::Known(KnownTransfer {
            status: TransferStatus::InProcess,
            business: None,
            serial: None,
            batch: None,
            amount: None,
            finished_at: None,
        })),
        Finding::Unanswered => None,
    }
}

fn system_return(
    codes: &CodeTable,
    side: BankSide,
    cause: Option<SystemCause>,
    detail: Option<&str>,
    time: ChinaTime,
) -> SystemReturn {
    let entry = cause.map_or_else(|| codes.handled(), |cause| codes.system(side, cause));
    SystemReturn { code: entry.code.clone(), description: description(entry, detail, ": "), time }
}

fn business_return(entry: &Entry, detail: Option<&str>) -> BusinessReturn {
    BusinessReturn { code: entry.code.clone(), description: description(entry, detail, " ") }
}

fn description(entry: &Entry, detail: Option<&str>, between: &str) -> String {
    match detail {
        None => entry.text.clone(),
        Some(detail) => [&entry.text, between, detail].concat().chars().take(DESCRIPTION_CHARS_MAX).collect(),
    }
}

/// For whom the bank speaks, from the second digit of `Drctn`.
fn bank_side(origin: &Origin) -> BankSide {
    match origin.direction.map(|direction| direction.role) {
        Some(PeerRole::PayerSide) => BankSide::Payer,
        Some(PeerRole::PayeeSide) => BankSide::Receiver,
        Some(PeerRole::Initiator) | None => BankSide::Unknown,
    }
}

/// Towards the network, the role kept. Where the role could not be read the answer says initiator, as it does not know
/// for whom the bank was to speak.
fn direction_of_answer(origin: &Origin) -> Direction {
    let role = origin.direction.map_or(PeerRole::Initiator, |direction| direction.role);
    Direction { towards: Towards::Network, role }
}

const fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Posted(_) => "posted",
        Outcome::Repeat(_) => "repeat",
        Outcome::Refused(_) => "refused",
        Outcome::Conflict(_) => "conflict",
        Outcome::Unknown => "unknown",
    }
}

const fn finding_name(finding: &Finding) -> &'static str {
    match finding {
        Finding::Found(_) => "found",
        Finding::NotFound => "not_found",
        Finding::InProcess => "in_process",
        Finding::Unanswered => "unanswered",
    }
}

impl HttpRefusal {
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NotAFrame | Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Shed | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::NotAFrame => "the body is no message of the network\n",
            Self::BodyBroken => "the body could not be read to its end\n",
            Self::NoSuchPath => "no such path\n",
            Self::MethodNotAllowed => "only POST\n",
            Self::BodyTooSlow => "the body did not arrive in time\n",
            Self::TooLarge => "the body is too large\n",
            Self::ContentType => "only application/xml;charset=utf-8\n",
            Self::Shed => "too busy; the message was not read\n",
            Self::Unavailable => "no answer can be signed; ask for the status of the transaction\n",
        }
    }
}

impl Reply {
    pub fn into_response(self) -> Response<Full<Bytes>> {
        match self {
            Self::Signed(signed) => signed.into_response(),
            Self::Refused(refusal) => {
                let mut response = Response::new(Full::from(refusal.text()));
                *response.status_mut() = refusal.status();
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, PLAIN);
                match refusal {
                    HttpRefusal::MethodNotAllowed => drop(headers.insert(ALLOW, POST)),
                    HttpRefusal::Shed | HttpRefusal::Unavailable => {
                        drop(headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS));
                    }
                    HttpRefusal::NotAFrame
                    | HttpRefusal::BodyBroken
                    | HttpRefusal::NoSuchPath
                    | HttpRefusal::BodyTooSlow
                    | HttpRefusal::TooLarge
                    | HttpRefusal::ContentType => {}
                }
                response
            }
        }
    }
}

impl SignedAnswer {
    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(self.body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, XML);
        headers.insert(MESSAGE_TYPE, HeaderValue::from_static(self.message_type.name()));
        let issuer = HeaderValue::from_str(self.issuer.as_str()).expect("an institution is letters and digits");
        headers.insert(ISSUER, issuer);
        self.lines.echo_into(headers);
        response
    }
}
