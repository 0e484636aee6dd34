//! The client of the signer. Cheap to clone; every clone shares one connection.
//!
//! All work goes over the batched stream and ends by its deadline whatever happens. Nothing the signer does moves
//! money, so a call without an answer is simply a fault: nothing was posted in any case, and it may be tried again.

use operations::endpoint::{Endpoint, EndpointFault};
use operations::exchange::{CallFault, CallLimits, Calls, Exchange, Numbered};
use thiserror::Error;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::answer::{Answer, Failure, KeyHealth, OpenVerdict, Rejection, Revealed, Sealed, Signature, Token};
use crate::wire::signer_client::SignerClient as Rpc;
use crate::work::{FieldKind, Open, Reveal, Seal, Sign, Suite, Tokenise, Work};
use crate::{limits, wire};

/// Work that was not done. Nothing was posted, whichever it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SignerFault {
    /// May be tried again, later.
    #[error("the signer is busy")]
    Busy,
    #[error("the deadline passed before the signer began")]
    Expired,
    /// No current key or certificate of that suite; the operator has to act.
    #[error("the signer has no current key for this")]
    NoKey,
    /// Not reached, or the connection was lost, or no answer came in time. May be tried again.
    #[error("the signer did not answer")]
    Lost,
    /// What was to be sealed again does not open.
    #[error("the fields to seal do not open: {0:?}")]
    Rejected(Rejection),
    /// The caller broke the contract.
    #[error("the signer refuses the work: {0}")]
    MalformedWork(String),
    /// The device that holds the key is away or stalls. May be tried again, elsewhere or later.
    #[error("the key cannot be reached: {0}")]
    KeyUnavailable(String),
    /// The signer's policy forbids it to this caller.
    #[error("the signer does not allow it: {0}")]
    NotAllowed(String),
    #[error("the signer failed: {0}")]
    Internal(String),
}

#[derive(Debug, Clone)]
pub struct SignerClient {
    rpc: Rpc<Channel>,
    calls: Calls<LivePath>,
}

#[derive(Debug)]
struct LivePath(Rpc<Channel>);

impl Exchange for LivePath {
    type Work = wire::work::What;
    type Reply = wire::reply::What;
    type WorkBatch = wire::WorkBatch;
    type ReplyBatch = wire::ReplyBatch;

    fn pack(&self, items: Vec<Numbered<Self::Work>>) -> wire::WorkBatch {
        let items = items.into_iter().map(|item| {
            let Numbered {
                number,
                budget_ms,
                work,
            } = item;
            wire::Work {
                number,
                budget_ms,
                what: Some(work),
            }
        });
        wire::WorkBatch { items: items.collect() }
    }

    fn unpack(&self, batch: wire::ReplyBatch) -> Vec<(u64, Option<Self::Reply>)> {
        batch
            .items
            .into_iter()
            .map(|reply| (reply.number, reply.what))
            .collect()
    }

    async fn open(&self, work: ReceiverStream<wire::WorkBatch>) -> Result<Streaming<wire::ReplyBatch>, Status> {
        self.0.clone().work(work).await.map(tonic::Response::into_inner)
    }
}

impl SignerClient {
    /// Connects when first used and again after a loss. Call inside a tokio runtime.
    pub fn connect(endpoint: &Endpoint) -> Result<Self, EndpointFault> {
        let rpc = Rpc::new(endpoint.channel()?)
            .max_decoding_message_size(limits::BATCH_BYTES_MAX)
            .max_encoding_message_size(limits::BATCH_BYTES_MAX);
        let call_limits = CallLimits {
            batch_max: limits::BATCH_ITEMS_MAX,
            ..CallLimits::default()
        };
        let calls = Calls::start(LivePath(rpc.clone()), call_limits);
        Ok(Self { rpc, calls })
    }

    pub fn is_connected(&self) -> bool {
        self.calls.is_connected()
    }

    /// Verifies a message and turns its encrypted fields into tokens.
    pub async fn open(&self, open: Open, deadline: Instant) -> Result<OpenVerdict, SignerFault> {
        match self.call(Work::Open(open), deadline).await? {
            Answer::Opened { suite, tokens } => Ok(OpenVerdict::Opened { suite, tokens }),
            Answer::Rejected(rejection) => Ok(OpenVerdict::Rejected(rejection)),
            other => Err(unexpected(other)),
        }
    }

    /// Encrypts the fields of a request again, for the receiver's current certificate of the same suite.
    pub async fn seal(&self, seal: Seal, deadline: Instant) -> Result<Sealed, SignerFault> {
        match self.call(Work::Seal(seal), deadline).await? {
            Answer::Sealed(sealed) => Ok(sealed),
            other => Err(unexpected(other)),
        }
    }

    /// Signs with the bank's newest current key of the suite; the serial says which that was.
    pub async fn sign(&self, suite: Suite, signed: Vec<u8>, deadline: Instant) -> Result<Signature, SignerFault> {
        match self.call(Work::Sign(Sign { suite, signed }), deadline).await? {
            Answer::Signed(signature) => Ok(signature),
            other => Err(unexpected(other)),
        }
    }

    /// The serial that [`sign`](Self::sign) would use now. It is part of what is signed, so ask ahead and keep it
    /// until a signature comes with another.
    pub async fn signing_serial(&self, suite: Suite, deadline: Instant) -> Result<String, SignerFault> {
        self.sign(suite, Vec::new(), deadline)
            .await
            .map(|signature| signature.serial)
    }

    /// Tokens in the order of the plaintexts, however many.
    pub async fn tokenise(
        &self,
        kind: FieldKind,
        mut plaintexts: Vec<String>,
        deadline: Instant,
    ) -> Result<Vec<Token>, SignerFault> {
        let mut tokens = Vec::with_capacity(plaintexts.len());
        while !plaintexts.is_empty() {
            let rest = plaintexts.split_off(plaintexts.len().min(limits::PLAINTEXTS_MAX));
            let asked = plaintexts.len();
            match self
                .call(Work::Tokenise(Tokenise { kind, plaintexts }), deadline)
                .await?
            {
                Answer::Tokens(some) if some.tokens.len() == asked => tokens.extend(some.tokens),
                other => return Err(unexpected(other)),
            }
            plaintexts = rest;
        }
        Ok(tokens)
    }

    /// The plaintext of one field of a verified message: a right of its own, audited.
    pub async fn reveal(&self, reveal: Reveal, deadline: Instant) -> Result<Revealed, SignerFault> {
        match self.call(Work::Reveal(reveal), deadline).await? {
            Answer::Revealed(plaintext) => Ok(plaintext),
            other => Err(unexpected(other)),
        }
    }

    /// A real use of every current key of the bank's.
    pub async fn health(&self, deadline: Instant) -> Result<Vec<KeyHealth>, SignerFault> {
        let mut rpc = self.rpc.clone();
        let asked = tokio::time::timeout_at(deadline, rpc.health(wire::HealthRequest {}));
        let reply = asked
            .await
            .map_err(|_| SignerFault::Lost)?
            .map_err(|status| match status.code() {
                tonic::Code::ResourceExhausted => SignerFault::Busy,
                _ => SignerFault::Lost,
            })?;
        let keys = reply.into_inner().keys.into_iter();
        keys.map(|key| key.try_into().map_err(unreadable)).collect()
    }

    async fn call(&self, work: Work, deadline: Instant) -> Result<Answer, SignerFault> {
        let reply = self.calls.call(work.into(), deadline).await.map_err(|fault| {
            let (CallFault::NotSent(reason) | CallFault::Unknown(reason)) = fault;
            tracing::debug!(reason, "the signer did not answer");
            SignerFault::Lost
        })?;
        match Answer::try_from(reply).map_err(unreadable)? {
            Answer::Failed(failure, text) => Err(failed(failure, text)),
            answer => Ok(answer),
        }
    }
}

fn failed(failure: Failure, text: String) -> SignerFault {
    match failure {
        Failure::Expired => SignerFault::Expired,
        Failure::Busy => SignerFault::Busy,
        Failure::NoKey => SignerFault::NoKey,
        Failure::MalformedWork => SignerFault::MalformedWork(text),
        Failure::Internal => SignerFault::Internal(text),
        Failure::KeyUnavailable => SignerFault::KeyUnavailable(text),
        Failure::NotAllowed => SignerFault::NotAllowed(text),
    }
}

fn unexpected(answer: Answer) -> SignerFault {
    match answer {
        Answer::Rejected(rejection) => SignerFault::Rejected(rejection),
        Answer::Failed(failure, text) => failed(failure, text),
        Answer::Opened { .. } | Answer::Sealed(_) | Answer::Signed(_) | Answer::Tokens(_) | Answer::Revealed(_) => {
            SignerFault::Internal("the answer is not to the question".to_owned())
        }
    }
}

fn unreadable(fault: crate::work::MalformedWork) -> SignerFault {
    SignerFault::Internal(fault.to_string())
}
