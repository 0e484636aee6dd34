//! Setback: a message that could not be handled. Whatever the fault, nothing was posted.

use std::fmt;

use frontend_messages::{Direction, FrameFault, MessageFault, MessageHeader, MessageType, PartialHeader, Request};
use ledger_model::TransferId;
use ledger_protocol::NothingPosted;
use signer_protocol::{Rejection, SignerFault, Suite};

use crate::posting::Untranslatable;

#[derive(Debug)]
pub struct Setback {
    origin: Origin,
    fault: Fault,
}

/// As much as is known of the message that is to be answered. It may be unverified: good for addressing an answer and
/// for a log line, nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin {
    pub message_type: Option<MessageType>,
    pub direction: Option<Direction>,
    /// `TrxId`, or of a query `OriTrxId`.
    pub transfer_id: Option<TransferId>,
    /// To answer in: by the look of the signature, and once it held, for certain.
    pub suite: Option<Suite>,
}

#[derive(Debug)]
pub enum Fault {
    /// No message of this network at all.
    NotAFrame(FrameFault),
    Frame(FrameFault),
    Message(MessageFault),
    /// This HTTP header line disagrees with the signed header or has the wrong length.
    HeaderLine(&'static str),
    /// `SndDt` lies too far from now.
    Untimely,
    /// The element at this path names another bank.
    OtherBank(&'static str),
    /// Signed in the name of somebody whose orders are not taken.
    NotTheNetwork,
    Rejected(Rejection),
    Untranslatable(Untranslatable),
    Signer(SignerFault),
    /// The signer gave another number of tokens or fields than it was asked for.
    SignerBrokeContract,
    NothingPosted(NothingPosted),
}

/// DER of two 256-bit numbers.
const SM_SIGNATURE_BYTES_MAX: usize = 72;
/// A modulus of 2048 bits.
const RSA_SIGNATURE_BYTES_MIN: usize = 256;

impl Setback {
    pub(crate) const fn new(origin: Origin, fault: Fault) -> Self {
        Self { origin, fault }
    }

    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    pub const fn fault(&self) -> &Fault {
        &self.fault
    }
}

impl Origin {
    pub(super) fn of(header: &MessageHeader, request: &Request) -> Self {
        Self {
            message_type: Some(header.message_type),
            direction: Some(header.direction),
            transfer_id: Some(match request {
                Request::Payment(request) => request.transfer.id,
                Request::Refund(request) => request.transfer.id,
                Request::Payout(request) => request.transfer.id,
                Request::Query(request) => request.id,
            }),
            suite: None,
        }
    }

    /// An SM2 signature has at most 72 bytes, one of RSA at least 256.
    pub(super) const fn looking_like(mut self, signature: &[u8]) -> Self {
        self.suite = match signature.len() {
            0..=SM_SIGNATURE_BYTES_MAX => Some(Suite::Sm),
            RSA_SIGNATURE_BYTES_MIN.. => Some(Suite::Rsa),
            _ => None,
        };
        self
    }

    pub(super) const fn in_suite(mut self, suite: Suite) -> Self {
        self.suite = Some(suite);
        self
    }

    /// For labels and log lines: the number of the message.
    pub fn message(&self) -> &'static str {
        self.message_type.map_or("other", MessageType::number)
    }
}

impl From<PartialHeader> for Origin {
    fn from(header: PartialHeader) -> Self {
        Self {
            message_type: header.message_type,
            direction: header.direction,
            ..Self::default()
        }
    }
}

/// Which rule was broken or what failed, never which value: goes to the log, and where the fault is the sender's, into
/// the answer.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFrame(fault) | Self::Frame(fault) => fault.fmt(f),
            Self::Message(fault) => fault.fmt(f),
            Self::HeaderLine(name) => write!(f, "HTTP header line {name} does not fit the message"),
            Self::Untimely => f.write_str("root/MsgHeader/SndDt: too far from now"),
            Self::OtherBank(path) => write!(f, "{path}: not this bank"),
            Self::NotTheNetwork => f.write_str("the issuer is not the network"),
            Self::Rejected(rejection) => f.write_str(rule(*rejection)),
            Self::Untranslatable(reason) => reason.fmt(f),
            Self::Signer(fault) => fault.fmt(f),
            Self::SignerBrokeContract => f.write_str("the signer answered something else than it was asked"),
            Self::NothingPosted(cause) => write!(f, "nothing posted: {cause:?}"),
        }
    }
}

const fn rule(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::SigningSerialUnknown => "SignSN names no certificate known here",
        Rejection::SerialOfAnotherInstitution => "SignSN names a certificate of another institution",
        Rejection::CertificateOutOfDate => "the signing certificate is out of date",
        Rejection::CertificateRevoked => "the signing certificate is revoked",
        Rejection::SignatureWrong => "the signature does not fit the signed bytes",
        Rejection::EncryptionSerialUnknown => "NcrptnSN names no key of this bank",
        Rejection::FieldDoesNotOpen => "an encrypted field does not open",
    }
}
