//! Verified: the network signed exactly these bytes, and every encrypted field opened to its token.

use bytes::Bytes;
use frontend_messages::{MessageHeader, PaymentRequest, Profile, RefundRequest, Request};
use ledger_model::Instruction;
use ledger_protocol::Evidence;

use super::order::{LookUpOrder, Order, PostOrder, Repeated};
use super::sealed::TransferEcho;
use super::setback::{Fault, Origin, Setback};
use crate::posting::{self, FieldToken};

#[derive(Debug)]
pub struct Verified {
    signed: Bytes,
    signature: Vec<u8>,
    header: MessageHeader,
    request: Request,
    tokens: Vec<FieldToken>,
    origin: Origin,
}

impl Verified {
    pub(super) const fn new(
        signed: Bytes,
        signature: Vec<u8>,
        header: MessageHeader,
        request: Request,
        tokens: Vec<FieldToken>,
        origin: Origin,
    ) -> Self {
        Self {
            signed,
            signature,
            header,
            request,
            tokens,
            origin,
        }
    }

    /// The number of the message, for the counter.
    pub fn message(&self) -> &'static str {
        self.origin.message()
    }

    /// Says it in the ledger's words, and notes what the answer will repeat.
    pub fn instruct(self, profile: &Profile) -> Result<Order, Setback> {
        let issuer = self.header.issuer;
        let details = posting::details(&self.request, &self.tokens);
        let said = match self.request {
            Request::Payment(request) => {
                let instruction = Instruction::Payment(posting::payment(issuer, &request, details));
                Ok((instruction, Repeated::Transfer(TransferEcho::from(request))))
            }
            Request::Refund(request) => posting::refund(issuer, &request, details, profile).map(|refund| {
                (
                    Instruction::Refund(refund),
                    Repeated::Transfer(TransferEcho::from(request)),
                )
            }),
            Request::Payout(request) => posting::payout(issuer, &request, details, &self.tokens)
                .map(|payout| (Instruction::Payout(payout), Repeated::Payout(Box::new(request)))),
            Request::Query(request) => {
                return Ok(Order::LookUp(LookUpOrder::new(
                    posting::query(issuer, &request),
                    self.origin,
                )));
            }
        };
        let (instruction, repeated) =
            said.map_err(|reason| Setback::new(self.origin, Fault::Untranslatable(reason)))?;
        let evidence = Evidence {
            signed: self.signed.into(),
            signature: self.signature,
            signing_serial: self.header.signing_serial,
        };
        Ok(Order::Post(PostOrder::new(
            instruction,
            evidence,
            repeated,
            self.header.envelope,
            self.origin,
        )))
    }
}

impl From<PaymentRequest> for TransferEcho {
    fn from(request: PaymentRequest) -> Self {
        Self {
            rp_flag: request.rp_flag,
            category: request.transfer.category,
            id: request.transfer.id,
            amount: request.transfer.amount,
            batch: request.batch,
            institution: request.payee.institution,
        }
    }
}

impl From<RefundRequest> for TransferEcho {
    fn from(request: RefundRequest) -> Self {
        Self {
            rp_flag: request.rp_flag,
            category: request.transfer.category,
            id: request.transfer.id,
            amount: request.transfer.amount,
            batch: request.batch,
            institution: request.payer.institution,
        }
    }
}
