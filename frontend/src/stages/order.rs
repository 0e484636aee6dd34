//! Order: what the ledger is asked, in its own words.

use frontend_messages::{EncryptedText, Envelope, PayoutRequest};
use ledger_model::{Instruction, TransferKey};
use ledger_protocol::{Evidence, QueryReply};
use signer_protocol::Seal;
use tokio::time::Instant;

use super::sealed::{Echo, SealedOrder, TransferEcho};
use super::setback::{Fault, Origin, Setback};
use super::settled::{Finding, Settled};
use crate::neighbours::{Books, Signer};

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every order is of the large kind")]
pub enum Order {
    Post(PostOrder),
    LookUp(LookUpOrder),
}

/// An instruction and the evidence for it. Cannot be posted before its answer is prepared.
#[derive(Debug)]
pub struct PostOrder {
    instruction: Instruction,
    evidence: Evidence,
    repeated: Repeated,
    /// Of the request.
    envelope: Option<Envelope>,
    origin: Origin,
}

#[derive(Debug)]
pub struct LookUpOrder {
    key: TransferKey,
    origin: Origin,
}

/// What the answer repeats of the request, sensitive fields still as they came.
#[derive(Debug)]
pub(super) enum Repeated {
    Transfer(TransferEcho),
    Payout(Box<PayoutRequest>),
}

impl PostOrder {
    pub(super) const fn new(
        instruction: Instruction,
        evidence: Evidence,
        repeated: Repeated,
        envelope: Option<Envelope>,
        origin: Origin,
    ) -> Self {
        Self {
            instruction,
            evidence,
            repeated,
            envelope,
            origin,
        }
    }

    /// Has the signer encrypt again, for the receiver, the fields that the answer must repeat. Before the posting: if
    /// it cannot be done, nothing has been posted yet and that can be said.
    pub async fn seal<S: Signer>(self, signer: &S, deadline: Instant) -> Result<SealedOrder, Setback> {
        let echo = match self.repeated {
            Repeated::Transfer(echo) => Echo::Transfer(echo),
            Repeated::Payout(request) => {
                let receiver = self.instruction.key().issuer.to_string();
                match resealed(*request, self.envelope, receiver, signer, deadline).await {
                    Ok(echo) => echo,
                    Err(fault) => return Err(Setback::new(self.origin, fault)),
                }
            }
        };
        Ok(SealedOrder::new(self.instruction, self.evidence, echo, self.origin))
    }
}

async fn resealed<S: Signer>(
    request: PayoutRequest,
    envelope: Option<Envelope>,
    receiver: String,
    signer: &S,
    deadline: Instant,
) -> Result<Echo, Fault> {
    let fields: Vec<Vec<u8>> = request
        .sensitive()
        .into_iter()
        .map(|(_, text)| text.0.clone())
        .collect();
    let (false, Some(envelope)) = (fields.is_empty(), envelope) else {
        return Ok(Echo::Payout {
            request: Box::new(request),
            envelope: None,
        });
    };
    let Envelope {
        encryption_serial,
        sealed_key,
    } = envelope;
    let work = Seal {
        encryption_serial,
        envelope: sealed_key,
        fields,
        receiver,
    };
    let sealed = signer.seal(work, deadline).await.map_err(Fault::Signer)?;
    let replacements = sealed.fields.into_iter().map(EncryptedText).collect();
    let request = request.with_sensitive(replacements).ok_or(Fault::SignerBrokeContract)?;
    let envelope = Envelope {
        encryption_serial: sealed.encryption_serial,
        sealed_key: sealed.envelope,
    };
    Ok(Echo::Payout {
        request: Box::new(request),
        envelope: Some(envelope),
    })
}

impl LookUpOrder {
    pub(super) const fn new(key: TransferKey, origin: Origin) -> Self {
        Self { key, origin }
    }

    pub async fn look_up<B: Books>(self, books: &B, deadline: Instant) -> Settled {
        let finding = match books.query(self.key, deadline).await {
            QueryReply::Found(transfer) => Finding::Found(transfer),
            QueryReply::NotFound => Finding::NotFound,
            QueryReply::InProcess => Finding::InProcess,
            QueryReply::Unavailable => Finding::Unanswered,
        };
        Settled::Query {
            finding,
            origin: self.origin,
        }
    }
}
