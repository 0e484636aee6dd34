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
//! | signature wrong, a field does not open | 303 | signature | – | – |
//! | definitely nothing posted | 303 | unavailable | – | – |
//!
//! Why 303 and not `TrxStatus` 01 where nothing was posted for a fault of ours: 01 is final and closes the transfer on
//! the network's side, while nothing is final here; the same message may be sent again and then post.
//!
//! Where no XML can be given there is a plain HTTP status ([`HttpRefusal`]). Texts come from the code table, from the
//! rule that was broken, or are fixed; never from a fault's source, never from what was received.

mod reply;

use frontend_messages::{
    Answer, BusinessReturn, Direction, Envelope, GeneralAnswer, KnownTransfer, OriginalOutcome, PayoutAnswer,
    PayoutOutcome, PeerRole, QueryAnswer, SidedSerial, SystemReturn, Towards, TransferAnswer, TransferOutcome,
};
use ledger_model::{ChinaTime, Transfer, TransferKind, TransferStatus};

use crate::codes::{BankSide, CodeTable, Entry, SystemCause};
pub use crate::respond::reply::{HttpRefusal, Reply, SignedAnswer};
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

/// `SysRtnDesc` and `BizStsDesc` (profile, section 5).
const DESCRIPTION_CHARS_MAX: usize = 128;

/// The answer to a message that was handled.
pub fn to_settled(settled: Settled, codes: &CodeTable, now: ChinaTime) -> Draft {
    let direction = direction_of_answer(settled.origin());
    let side = bank_side(settled.origin());
    let system = |cause: Option<SystemCause>| system_return(codes, side, cause, None, now);
    match settled {
        Settled::Transfer {
            outcome, kind, echo, ..
        } => {
            let cause = matches!(outcome, Outcome::Unknown).then_some(SystemCause::UnknownOutcome);
            let said = Said::of(&outcome, kind, codes);
            let (answer, envelope) = transfer_answer(system(cause), said, echo);
            Draft {
                answer,
                direction,
                envelope,
                outcome: outcome_name(&outcome),
            }
        }
        Settled::Query { finding, .. } => {
            let cause = matches!(finding, Finding::Unanswered).then_some(SystemCause::UnknownOutcome);
            let outcome = finding_name(&finding);
            let answer = QueryAnswer {
                system: system(cause),
                original: original_outcome(finding, codes),
            };
            Draft {
                answer: Answer::Query(answer),
                direction,
                envelope: None,
                outcome,
            }
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
    // A rule the sender broke is spelt out; what failed on our side is for our log alone.
    let rule = (!matches!(cause, SystemCause::Unavailable)).then(|| setback.fault().to_string());
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
            Outcome::Unknown => Self {
                status: TransferStatus::InProcess,
                business: None,
                serial: None,
                finished_at: None,
            },
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
    let Said {
        status,
        business,
        serial,
        finished_at,
    } = said;
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
            let outcome = PayoutOutcome {
                business,
                finished_at,
                status,
            };
            (
                Answer::Payout(PayoutAnswer {
                    system,
                    outcome,
                    request: *request,
                }),
                envelope,
            )
        }
    }
}

fn original_outcome(finding: Finding, codes: &CodeTable) -> Option<OriginalOutcome> {
    match finding {
        Finding::Found(transfer) => {
            let Said {
                status,
                business,
                serial,
                finished_at,
            } = Said::decided(&transfer, codes);
            let (batch, amount) = (Some(transfer.batch), Some(transfer.amount));
            Some(OriginalOutcome::Known(KnownTransfer {
                status,
                business,
                serial,
                batch,
                amount,
                finished_at,
            }))
        }
        Finding::NotFound => Some(OriginalOutcome::NotFound(business_return(
            codes.query_not_found(),
            None,
        ))),
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
    SystemReturn {
        code: entry.code.clone(),
        description: description(entry, detail, ": "),
        time,
    }
}

fn business_return(entry: &Entry, detail: Option<&str>) -> BusinessReturn {
    BusinessReturn {
        code: entry.code.clone(),
        description: description(entry, detail, " "),
    }
}

fn description(entry: &Entry, detail: Option<&str>, between: &str) -> String {
    match detail {
        None => entry.text.clone(),
        Some(detail) => [&entry.text, between, detail]
            .concat()
            .chars()
            .take(DESCRIPTION_CHARS_MAX)
            .collect(),
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
    Direction {
        towards: Towards::Network,
        role,
    }
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

#[cfg(test)]
mod tests;
