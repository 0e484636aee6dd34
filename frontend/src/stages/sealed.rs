//! Sealed: an order all of whose answer is at hand. The only thing that can be posted.

use frontend_messages::{Envelope, PayoutRequest, Text};
use ledger_model::{Amount, BatchId, Decision, InstitutionId, Instruction, TransferCategory, TransferId};
use ledger_protocol::{Evidence, PostReply};
use tokio::time::Instant;

use super::setback::{Fault, Origin, Setback};
use super::settled::{Outcome, Settled};
use crate::neighbours::Books;

#[derive(Debug)]
pub struct SealedOrder {
    instruction: Instruction,
    evidence: Evidence,
    echo: Echo,
    origin: Origin,
}

/// What the answer repeats.
#[derive(Debug)]
pub enum Echo {
    /// In a 206.
    Transfer(TransferEcho),
    /// In a 213: the groups of the request, their sensitive fields encrypted for the receiver, and the envelope that
    /// holds the key; no envelope where there is no such field.
    Payout {
        request: Box<PayoutRequest>,
        envelope: Option<Envelope>,
    },
}

#[derive(Debug)]
pub struct TransferEcho {
    pub rp_flag: Option<Text>,
    pub category: TransferCategory,
    pub id: TransferId,
    pub amount: Amount,
    pub batch: BatchId,
    /// The payment institution.
    pub institution: InstitutionId,
}

impl SealedOrder {
    pub(super) const fn new(instruction: Instruction, evidence: Evidence, echo: Echo, origin: Origin) -> Self {
        Self {
            instruction,
            evidence,
            echo,
            origin,
        }
    }

    /// Returns when the ledger's commit is durable (invariant S2), or when it cannot be waited for any longer. A
    /// setback means that definitely nothing was posted.
    pub async fn post<B: Books>(self, books: &B, deadline: Instant) -> Result<Settled, Setback> {
        let kind = self.instruction.kind();
        let outcome = match books.post(self.instruction, self.evidence, deadline).await {
            PostReply::Decided { transfer, repeat: true } => Outcome::Repeat(transfer),
            PostReply::Decided {
                transfer,
                repeat: false,
            } => match transfer.decision {
                Decision::Posted => Outcome::Posted(transfer),
                Decision::Refused(_) => Outcome::Refused(transfer),
            },
            PostReply::Conflict(field) => Outcome::Conflict(field),
            PostReply::Unknown => Outcome::Unknown,
            PostReply::NothingPosted(cause) => return Err(Setback::new(self.origin, Fault::NothingPosted(cause))),
        };
        Ok(Settled::Transfer {
            outcome,
            kind,
            echo: self.echo,
            origin: self.origin,
        })
    }
}
