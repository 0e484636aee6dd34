//! The `epcc` message profile: what the clearing network sends a bank, and what the bank answers.
//!
//! ```text
//!  body ──split──▶ Frame { signed, signature } ──read_request──▶ (MessageHeader, Request)
//!                                                                        │ (elsewhere: verify, post)
//!  body ◀─assemble── root bytes, signature ◀──Answer::write──────────────┘
//! ```
//!
//! * [`split`] finds the signed bytes and the signature in a body, without a copy; [`assemble`] is its inverse.
//! * [`read_request`] and [`read_answer`] read the signed bytes, and only those, through a bounded reader.
//! * [`Request::write`] and [`Answer::write`] give the same bytes for the same value, always.
//! * Every bound and every choice where the public facts of the network end stands in [`Profile`].
//!
//! | number | what | here |
//! |---|---|---|
//! | 201 | agreement payment | [`PaymentRequest`] |
//! | 205 | refund | [`RefundRequest`] |
//! | 206 | answer to 201 and 205 | [`TransferAnswer`] |
//! | 211 | payout | [`PayoutRequest`] |
//! | 213 | answer to 211 | [`PayoutAnswer`] |
//! | 301 | status query | [`QueryRequest`] |
//! | 302 | answer to 301 | [`QueryAnswer`] |
//! | 303 | general answer, refusals of format or signature | [`GeneralAnswer`] |
//!
//! To add a kind: a file with its struct, `read` (over the typed access of `tree.rs`) and `write` (calls on a `Sink`);
//! a variant of [`MessageType`] and of [`Request`] or [`Answer`]; a sample, a strategy and cases in `tests`.
//!
//! ```
//! use frontend_messages::{Answer, GeneralAnswer, MessageHeader, Profile, SystemReturn, assemble, read_request, split};
//!
//! let profile = Profile::default();
//! # let body = assemble(include_str!("../golden/201.xml"), b"a signature");
//! let frame = split(&body)?;
//! let (header, request) = read_request(frame.signed(), &profile)?;
//! assert_eq!(request.message_type().number(), "201");
//!
//! let handled = SystemReturn { code: "00000000".into(), description: String::new(), time: header.sent_at };
//! let answer = Answer::General(GeneralAnswer { system: handled });
//! let answer_header = MessageHeader { direction: header.direction.flipped(), envelope: None, ..header };
//! let root = answer.write(&answer_header);
//! let signature = b"the signature of exactly these bytes";
//! assert_eq!(split(&assemble(&root, signature))?.signed(), root.as_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariants: no input makes this crate panic; what was read satisfies the form of its type; what was written reads
//! back as the same value; a fault names an element and a rule, never a value that was received.
//!
//! The crate checks no signature, decrypts nothing, asks no clock and decides nothing about money. The profile is
//! modelled on public facts about the network's interface, whose binding specification is not public.
#![forbid(unsafe_code)]

mod answer;
mod base64_text;
mod fault;
mod field;
mod frame;
mod general_answer;
mod header;
mod payment;
mod payout;
mod payout_answer;
mod profile;
mod query;
mod query_answer;
mod reader;
mod refund;
mod request;
mod transfer_answer;
mod tree;
mod writer;

#[cfg(test)]
mod tests;

pub use answer::{Answer, BusinessReturn, SidedSerial, SystemReturn, read_answer};
pub use fault::{Construct, Form, MessageFault, MessageReason, PartialHeader};
pub use field::{AccountType, EncryptedText, SensitiveField, Text, TextFault};
pub use frame::{Frame, FrameFault, assemble, split};
pub use general_answer::GeneralAnswer;
pub use header::{Direction, Envelope, MessageHeader, MessageType, PeerRole, Towards, read_partial_header};
pub use payment::{Order, PaymentPayee, PaymentPayer, PaymentRequest, PaymentTransfer, ReserveFund};
pub use payout::{Merchant, PayoutBank, PayoutPayee, PayoutPayeeAccount, PayoutPayer, PayoutRequest, PayoutTransfer};
pub use payout_answer::{PayoutAnswer, PayoutOutcome};
pub use profile::{Categories, Lengths, Profile, RefundCategory};
pub use query::QueryRequest;
pub use query_answer::{KnownTransfer, OriginalOutcome, QueryAnswer};
pub use refund::{RefundOriginal, RefundPayee, RefundPayer, RefundRequest, RefundTransfer};
pub use request::{Request, read_request};
pub use transfer_answer::{TransferAnswer, TransferOutcome};
