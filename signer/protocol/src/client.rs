//! The client of the signer, or of several. Cheap to clone; every clone shares the connections.
//!
//! Several signers behind one client are a pool: see [`connect_all`](SignerClient::connect_all).
//! All work goes over the batched stream and ends by its deadline whatever happens. Nothing the signer does moves
//! money, so a call without an answer is simply a fault: nothing was posted in any case, and it may be tried again.

use operations::endpoint::Endpoint;
use operations::exchange::{Exchange, Numbered};
use thiserror::Error;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::answer::{Answer, Failure, KeyHealth, OpenVerdict, Rejection, Revealed, Sealed, Signature, Token};
use crate::pool::{ConnectFault, Pool, PoolStatus};
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

/// One signer, or several that hold the same keys.
#[derive(Debug, Clone)]
pub struct SignerClient {
    pool: Pool,
}

#[derive(Debug)]
pub(crate) struct LivePath(pub(crate) Rpc<Channel>);

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
    pub fn connect(endpoint: &Endpoint) -> Result<Self, ConnectFault> {
        Self::connect_all(std::slice::from_ref(endpoint))
    }

    /// Several signers that hold the same keys: a call goes to one of them, and to another when that one cannot do it.
    /// Call inside a tokio runtime.
    pub fn connect_all(endpoints: &[Endpoint]) -> Result<Self, ConnectFault> {
        Pool::connect(endpoints).map(|pool| Self { pool })
    }

    /// Whether a call would find a signer.
    pub fn is_connected(&self) -> bool {
        self.pool.is_connected()
    }

    /// How each signer does.
    pub fn status(&self) -> PoolStatus {
        self.pool.status()
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
        let newest = Sign {
            suite,
            signed,
            signing_serial: String::new(),
        };
        self.sign_as(newest, deadline).await
    }

    /// Signs with the key that is wanted while that is current, else with the newest; the serial says which that was.
    pub async fn sign_as(&self, sign: Sign, deadline: Instant) -> Result<Signature, SignerFault> {
        match self.call(Work::Sign(sign), deadline).await? {
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

    /// A real use of every current key of one signer; of several, of the one whose turn it is.
    pub async fn health(&self, deadline: Instant) -> Result<Vec<KeyHealth>, SignerFault> {
        self.pool.health(deadline).await
    }

    async fn call(&self, work: Work, deadline: Instant) -> Result<Answer, SignerFault> {
        match self.pool.call(work, deadline).await? {
            Answer::Failed(failure, text) => Err(failed(failure, text)),
            answer => Ok(answer),
        }
    }
}

pub(crate) async fn health(rpc: &Rpc<Channel>, deadline: Instant) -> Result<Vec<KeyHealth>, SignerFault> {
    let mut rpc = rpc.clone();
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

pub(crate) fn failed(failure: Failure, text: String) -> SignerFault {
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

pub(crate) fn unreadable(fault: crate::work::MalformedWork) -> SignerFault {
    SignerFault::Internal(fault.to_string())
}
