//! Framed: where the signed bytes lie and what the signature is. Nothing of it was read yet.

use bytes::Bytes;
use frontend_messages::{MessageHeader, Request, read_request};
use ledger_model::InstitutionId;

use super::parsed::Parsed;
use super::setback::{Fault, Origin, Setback};
use crate::desk::Rules;
use crate::http::HeaderLines;

#[derive(Debug)]
pub struct Framed {
    signed: Bytes,
    signature: Vec<u8>,
    lines: HeaderLines,
}

impl Framed {
    pub(super) const fn new(signed: Bytes, signature: Vec<u8>, lines: HeaderLines) -> Self {
        Self {
            signed,
            signature,
            lines,
        }
    }

    /// Reads exactly the signed bytes and holds them against everything that costs no cryptography.
    pub fn parse(self, rules: &Rules) -> Result<Parsed, Setback> {
        let (header, request) = read_request(&self.signed, &rules.profile).map_err(|fault| {
            let origin = fault
                .header
                .map(Origin::from)
                .unwrap_or_default()
                .looking_like(&self.signature);
            Setback::new(origin, Fault::Message(fault))
        })?;
        let origin = Origin::of(&header, &request).looking_like(&self.signature);
        match self.objection(&header, &request, rules) {
            Some(fault) => Err(Setback::new(origin, fault)),
            None => Ok(Parsed::new(self.signed, self.signature, header, request, origin)),
        }
    }

    fn objection(&self, header: &MessageHeader, request: &Request, rules: &Rules) -> Option<Fault> {
        if self.lines.message_type() != Some(header.message_type.name()) {
            return Some(Fault::HeaderLine("MsgTp"));
        }
        if self.lines.issuer() != Some(header.issuer.as_str()) {
            return Some(Fault::HeaderLine("OriIssrId"));
        }
        if !self.lines.optional_lines_fit() {
            return Some(Fault::HeaderLine("PyerAcctTp, PyeeAcctTp or ReservedField"));
        }
        if !rules.clock.accepts(header.sent_at, &rules.profile) {
            return Some(Fault::Untimely);
        }
        let (path, bank) = bank_named(request)?;
        (bank != rules.bank).then_some(Fault::OtherBank(path))
    }
}

/// Which bank's customer the message is about. An agreement number of another bank would merely not be found; an
/// account number of another bank may well exist here too and belong to somebody else.
const fn bank_named(request: &Request) -> Option<(&'static str, InstitutionId)> {
    match request {
        Request::Payment(request) => Some(("root/MsgBody/PyerInf/PyerAcctIssrId", request.payer.institution)),
        Request::Refund(request) => Some(("root/MsgBody/PyeeInf/PyeeAcctIssrId", request.payee.institution)),
        Request::Payout(request) => Some(("root/MsgBody/PyeeAcctInf/PyeeBkId", request.payee.institution)),
        Request::Query(_) => None,
    }
}
