//! Why a message could not be read: the element and the rule, never the value.
//!
//! Element names that appear in a path are ASCII letters, digits, `_`, `-` and `.` only (the reader refuses others), so
//! a path can be logged as it is.

use std::fmt;

use ledger_model::{ChinaTime, InstitutionId, MoneyFault, NameFault};

use crate::{Direction, MessageType};

/// A message that was framed but cannot be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFault {
    /// What could be read of the header, so that the answer goes in the right direction. `None`: nothing at all.
    pub header: Option<PartialHeader>,
    /// Where, such as `root/MsgBody/TrxInf/TrxAmt`; empty where it concerns the message as a whole.
    pub path: String,
    pub reason: MessageReason,
}

/// The fields of a header that were there and well-formed. Unverified: good for addressing a refusal, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartialHeader {
    pub sent_at: Option<ChinaTime>,
    pub message_type: Option<MessageType>,
    pub issuer: Option<InstitutionId>,
    pub direction: Option<Direction>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageReason {
    // of the XML
    #[error("not UTF-8")]
    NotUtf8,
    #[error("not well-formed XML")]
    NotWellFormed,
    #[error("the signed bytes are not exactly one root element")]
    NotOneRoot,
    #[error("{0} is not allowed")]
    Forbidden(Construct),
    #[error("elements lie too deep in each other")]
    TooDeep,
    #[error("too many elements")]
    TooManyElements,
    #[error("a control character in a text")]
    ControlCharacter,
    #[error("text and elements mixed")]
    MixedContent,
    // of the elements
    #[error("root has exactly MsgHeader and MsgBody, in this order")]
    RootChildren,
    #[error("an element the header does not have")]
    UnknownInHeader,
    #[error("out of order")]
    OutOfOrder,
    #[error("missing or empty")]
    Missing,
    #[error("appears more than once")]
    Duplicated,
    #[error("has elements where text is expected, or text where elements are")]
    WrongContent,
    // of the values
    #[error("longer than its field allows")]
    TooLong,
    #[error("wrong form: {0}")]
    WrongForm(Form),
    #[error("a currency that is not handled")]
    CurrencyNotAccepted,
    #[error("a category this message does not have")]
    CategoryNotAccepted,
    #[error("an account type that is not in use")]
    AccountTypeNotAccepted,
    #[error("the date in TrxId is not the date of TrxDtTm")]
    DatesDiffer,
    #[error("names its payee by agreement and by account at once")]
    PayeeNamedTwice,
    // of the message
    #[error("unknown message type")]
    UnknownMessageType,
    #[error("an answer sent as a request")]
    NotARequest,
    #[error("a request sent as an answer")]
    NotAnAnswer,
    #[error("goes the other way than a message of its kind")]
    WrongDirection,
    #[error("NcrptnSN and DgtlEnvlp come together or not at all")]
    EnvelopeHalfPresent,
    #[error("encrypted fields without a digital envelope")]
    EnvelopeMissing,
}

/// XML that well-formed documents may have and messages may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Construct {
    Doctype,
    ProcessingInstruction,
    Declaration,
    CdataSection,
    Comment,
    /// Any but `xmlns`, or one that is not well-formed.
    Attribute,
    /// Any but the five predefined and the numeric ones.
    EntityReference,
    /// Other characters than ASCII letters, digits, `_`, `-`, `.`, or too long. Prefixes fall under this.
    ElementName,
}

/// The rule of a value's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Form {
    #[error(transparent)]
    Amount(MoneyFault),
    #[error(transparent)]
    Name(NameFault),
    #[error("a time is yyyy-MM-ddTHH:mm:ss")]
    Time,
    #[error("base64")]
    Base64,
    #[error("a message type is epcc.NNN.001.01")]
    MessageType,
    #[error("a direction is 1 or 2, then 1, 2 or 3")]
    Direction,
    #[error("a certificate serial is letters and digits")]
    CertificateSerial,
    #[error("an account type is 2 digits")]
    AccountType,
    #[error("a transfer status is 00, 01 or 02")]
    TransferStatus,
    #[error("a return code is 8 capital letters and digits")]
    ReturnCode,
    #[error("a text has no line breaks or tabs")]
    Text,
}

impl fmt::Display for MessageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "{}", self.reason)
        } else {
            write!(f, "{}: {}", self.path, self.reason)
        }
    }
}

impl std::error::Error for MessageFault {}

impl fmt::Display for Construct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Doctype => "a document type declaration",
            Self::ProcessingInstruction => "a processing instruction",
            Self::Declaration => "an XML declaration inside the signed bytes",
            Self::CdataSection => "a CDATA section",
            Self::Comment => "a comment",
            Self::Attribute => "an attribute other than xmlns",
            Self::EntityReference => "an entity reference other than the predefined and numeric ones",
            Self::ElementName => "an element name of this form",
        })
    }
}

/// A fault before the header is known.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) path: String,
    pub(crate) reason: MessageReason,
}

impl Fault {
    pub(crate) fn whole(reason: MessageReason) -> Self {
        Self {
            path: String::new(),
            reason,
        }
    }
}
