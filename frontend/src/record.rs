//! What is kept of each message: one log line and its counters.
//!
//! The line has the message's number and id, the peer, outcome, codes, duration and the rule or fault in question. No
//! body, no name, no account number: none of the types it is made of can hold one.

use frontend_messages::{Answer, OriginalOutcome};
use signer_protocol::Suite;
use tokio::time::Instant;

use crate::metrics::{Metrics, Stage};
use crate::respond::Draft;
use crate::signing::Unsigned;
use crate::stages::{Fault, Origin, Received, Setback};
use crate::tls::Peer;

#[derive(Debug)]
pub struct Record {
    peer: Peer,
    arrived: Instant,
    origin: Origin,
    outcome: &'static str,
    system_code: Option<String>,
    business_code: Option<String>,
    /// Which rule was broken or what failed.
    cause: Option<String>,
    /// The fault is ours: somebody has to look.
    ours: bool,
}

impl Record {
    pub fn open(received: &Received) -> Self {
        Self {
            peer: received.peer().clone(),
            arrived: received.arrived(),
            origin: Origin::default(),
            outcome: "not_a_frame",
            system_code: None,
            business_code: None,
            cause: None,
            ours: false,
        }
    }

    pub const fn suite(&self) -> Option<Suite> {
        self.origin.suite
    }

    pub const fn note_origin(&mut self, origin: &Origin) {
        self.origin = *origin;
    }

    pub fn note_setback(&mut self, setback: &Setback) {
        self.origin = *setback.origin();
        self.cause = Some(setback.fault().to_string());
        self.ours = match setback.fault() {
            Fault::Signer(_) | Fault::SignerBrokeContract | Fault::NothingPosted(_) => true,
            Fault::NotAFrame(_)
            | Fault::Frame(_)
            | Fault::Message(_)
            | Fault::HeaderLine(_)
            | Fault::Untimely
            | Fault::OtherBank(_)
            | Fault::NotTheNetwork
            | Fault::Rejected(_)
            | Fault::Untranslatable(_) => false,
        };
    }

    pub fn note_draft(&mut self, draft: &Draft) {
        self.outcome = draft.outcome;
        self.system_code = Some(draft.answer.system().code.clone());
        self.business_code = business_code(&draft.answer).map(str::to_owned);
    }

    /// The answer could not be given; what it would have said stays in the line.
    pub fn note_unsigned(&mut self, unsigned: &Unsigned) {
        let error: &dyn std::error::Error = unsigned;
        tracing::warn!(
            trx_id = self.origin.transfer_id.map(tracing::field::display),
            outcome = self.outcome,
            error,
            "an answer could not be signed"
        );
        self.outcome = "unsigned";
    }

    pub fn close(self, metrics: &Metrics) {
        let took = self.arrived.elapsed();
        let message = self.origin.message();
        metrics.answered(message, self.outcome);
        metrics.took(Stage::Whole, took);
        let duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    message_type = message,
                    trx_id = self.origin.transfer_id.map(tracing::field::display),
                    peer = self.peer.name(),
                    outcome = self.outcome,
                    system_code = self.system_code,
                    business_code = self.business_code,
                    cause = self.cause,
                    duration_us,
                    "message"
                )
            };
        }
        if self.ours {
            line!(warn);
        } else {
            line!(info);
        }
    }
}

/// `BizStsCd`, where the answer has one.
fn business_code(answer: &Answer) -> Option<&str> {
    let business = match answer {
        Answer::Transfer(answer) => answer.outcome.business.as_ref(),
        Answer::Payout(answer) => answer.outcome.business.as_ref(),
        Answer::Query(answer) => match answer.original.as_ref()? {
            OriginalOutcome::NotFound(business) => Some(business),
            OriginalOutcome::Known(known) => known.business.as_ref(),
        },
        Answer::General(_) => None,
    };
    business.map(|business| business.code.as_str())
}
