//! The messages a bank receives.

use crate::fault::Fault;
use crate::reader;
use crate::tree::Group;
use crate::writer::{self, DetailLines};
use crate::{
    EncryptedText, MessageFault, MessageHeader, MessageReason, MessageType, PaymentRequest, PayoutRequest, Profile,
    QueryRequest, RefundRequest, SensitiveField, Towards,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// 201
    Payment(PaymentRequest),
    /// 205
    Refund(RefundRequest),
    /// 211
    Payout(PayoutRequest),
    /// 301
    Query(QueryRequest),
}

/// Reads the signed bytes of a frame. Nothing here says that the signature held.
pub fn read_request(signed: &[u8], profile: &Profile) -> Result<(MessageHeader, Request), MessageFault> {
    reader::read_message(signed, profile, interpret)
}

fn interpret(header: &MessageHeader, header_group: Group<'_>, body: Group<'_>) -> Result<Request, Fault> {
    let is_request = header.message_type.answer().is_some();
    if is_request && header.direction.towards != Towards::Institution {
        return Err(header_group.fault_at("Drctn", MessageReason::WrongDirection));
    }
    let request = match header.message_type {
        MessageType::M201 => Request::Payment(PaymentRequest::read(body)?),
        MessageType::M205 => Request::Refund(RefundRequest::read(body)?),
        MessageType::M211 => Request::Payout(PayoutRequest::read(body)?),
        MessageType::M301 => Request::Query(QueryRequest::read(body)?),
        MessageType::M206 | MessageType::M213 | MessageType::M302 | MessageType::M303 => {
            return Err(header_group.fault_at("MsgTp", MessageReason::NotARequest));
        }
    };
    if header.envelope.is_none() && !request.sensitive().is_empty() {
        return Err(header_group.fault(MessageReason::EnvelopeMissing));
    }
    Ok(request)
}

impl Request {
    pub fn message_type(&self) -> MessageType {
        match self {
            Self::Payment(_) => MessageType::M201,
            Self::Refund(_) => MessageType::M205,
            Self::Payout(_) => MessageType::M211,
            Self::Query(_) => MessageType::M301,
        }
    }

    /// `<root …>…</root>`, the bytes to sign. The same value gives the same bytes. `MsgTp` is [`Self::message_type`].
    pub fn write(&self, header: &MessageHeader) -> String {
        writer::write_root(header, self.message_type(), |body| match self {
            Self::Payment(request) => request.write(body),
            Self::Refund(request) => request.write(body),
            Self::Payout(request) => request.write(body),
            Self::Query(request) => request.write(body),
        })
    }

    /// The business content as lines `path=value`, in the order of the profile: what two messages of one key must agree
    /// in to be the same. A resend may have another `SndDt`, signature, field key and hence other ciphertexts, so header
    /// and ciphertexts are not in it; who compares must add the tokens of [`Self::sensitive`]. Elements the profile does
    /// not know are not in it either. The form is part of what the ledger stores a digest of: it must not change.
    pub fn details(&self) -> String {
        let mut lines = DetailLines::default();
        match self {
            Self::Payment(request) => request.write(&mut lines),
            Self::Refund(request) => request.write(&mut lines),
            Self::Payout(request) => request.write(&mut lines),
            Self::Query(request) => request.write(&mut lines),
        }
        lines.finish()
    }

    /// The encrypted fields, in a fixed order; see [`PayoutRequest::sensitive`].
    pub fn sensitive(&self) -> Vec<(SensitiveField, &EncryptedText)> {
        match self {
            Self::Payout(request) => request.sensitive(),
            Self::Payment(_) | Self::Refund(_) | Self::Query(_) => Vec::new(),
        }
    }
}
