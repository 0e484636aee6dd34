//! The client of the ledger. Cheap to clone; every clone shares one connection.
//!
//! Posts and queries go over the batched stream and end by their deadline whatever happens. A post whose outcome is
//! not known is `Unknown`, never an error: whoever sent money must not be told "failed" by a lost connection.

use std::ops::RangeInclusive;

use futures::{Stream, StreamExt};
use ledger_model::{AccountToken, Instruction, TransferKey};
use operations::endpoint::{Endpoint, EndpointFault};
use operations::exchange::{CallFault, CallLimits, Calls, Exchange, Numbered};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::convert::{Malformed, cause};
use crate::hops::UnsettledHops;
use crate::load::{LoadBatch, LoadReply};
use crate::positions::SeenPositions;
use crate::reply::{Evidence, KeptEvidence, KeptRecord, NothingPosted, PostReply, QueryReply, ShardPosition, Standing};
use crate::wire;
use crate::wire::ledger_client::LedgerClient as Rpc;

/// Largest gRPC message taken: a batch of work, a chunk of the journal.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, thiserror::Error)]
pub enum LedgerFault {
    #[error("the ledger did not answer: {0}")]
    Call(tonic::Code),
    #[error("the ledger's answer does not read: {0}")]
    Answer(#[from] Malformed),
    #[error("shard {0} could not be reached since the ledger began")]
    Unseen(u8),
    #[error("the ledger has not got these records any more: {0}")]
    Released(String),
}

/// A status' text repeats what its code says and holds the transport's insides, but for the one the ledger writes itself.
impl From<Status> for LedgerFault {
    fn from(status: Status) -> Self {
        match status.code() {
            // the ledger's own words
            tonic::Code::OutOfRange => Self::Released(status.message().to_owned()),
            code => Self::Call(code),
        }
    }
}

#[derive(Debug, Clone)]
pub struct LedgerClient {
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

impl LedgerClient {
    /// Connects when first used and again after a loss. Call inside a tokio runtime.
    pub fn connect(endpoint: &Endpoint) -> Result<Self, EndpointFault> {
        let rpc = Rpc::new(endpoint.channel()?)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let calls = Calls::start(LivePath(rpc.clone()), CallLimits::default());
        Ok(Self { rpc, calls })
    }

    pub fn is_connected(&self) -> bool {
        self.calls.is_connected()
    }

    pub async fn post(&self, instruction: Instruction, evidence: Evidence, deadline: Instant) -> PostReply {
        let post = wire::work::What::Post((&instruction, evidence).into());
        match self.calls.call(post, deadline).await {
            Ok(reply) => post_reply(reply),
            Err(CallFault::NotSent(_)) => PostReply::NothingPosted(NothingPosted::NotSent),
            Err(CallFault::Unknown(_)) => PostReply::Unknown,
        }
    }

    pub async fn query(&self, key: TransferKey, deadline: Instant) -> QueryReply {
        let query = wire::work::What::Query(wire::Query {
            key: Some((&key).into()),
        });
        self.calls
            .call(query, deadline)
            .await
            .map_or(QueryReply::Unavailable, query_reply)
    }

    /// Of every shard, in order. A fault where the ledger could not ask one of them since it began.
    pub async fn positions(&self) -> Result<Vec<ShardPosition>, LedgerFault> {
        let SeenPositions { positions, unseen } = self.seen_positions().await?;
        match unseen.first() {
            None => Ok(positions),
            Some(shard) => Err(LedgerFault::Unseen(*shard)),
        }
    }

    /// Of the shards that the ledger could ask since it began.
    pub async fn seen_positions(&self) -> Result<SeenPositions, LedgerFault> {
        let reply = self.rpc.clone().positions(wire::PositionsRequest {}).await?;
        Ok(reply.into_inner().try_into()?)
    }

    /// What hopped and is not at rest yet.
    pub async fn hops(&self) -> Result<UnsettledHops, LedgerFault> {
        let reply = self.rpc.clone().hops(wire::HopsRequest {}).await?;
        Ok(reply.into_inner().try_into()?)
    }

    /// How an account stands in the books.
    pub async fn standing(&self, account: AccountToken) -> Result<Standing, LedgerFault> {
        let request = wire::StandingRequest {
            account: account.bytes().to_vec(),
        };
        let reply = self.rpc.clone().standing(request).await?;
        reply.into_inner().try_into().map_err(LedgerFault::Answer)
    }

    /// What is kept about a transfer, with so many of the records that follow its own; `None` where none has the key.
    pub async fn evidence(&self, key: &TransferKey, following: u32) -> Result<Option<KeptEvidence>, LedgerFault> {
        let request = wire::EvidenceRequest {
            key: Some(key.into()),
            following,
        };
        let kept = self.rpc.clone().evidence(request).await?.into_inner().kept;
        kept.map(|kept| kept.try_into().map_err(LedgerFault::Answer))
            .transpose()
    }

    /// The committed journal of one shard from record `from` on, in chunks of encoded records; follows new ones and
    /// does not end by itself.
    pub async fn journal(
        &self,
        shard: u8,
        from: u64,
    ) -> Result<impl Stream<Item = Result<Vec<Vec<u8>>, LedgerFault>> + use<>, LedgerFault> {
        let request = wire::JournalRequest {
            shard: shard.into(),
            from,
        };
        let chunks = self.rpc.clone().journal(request).await?.into_inner();
        Ok(chunks.map(|chunk| chunk.map(|chunk| chunk.records).map_err(Into::into)))
    }

    /// These records of one shard, which are committed, with what is kept with each; ends with the last.
    pub async fn kept(
        &self,
        shard: u8,
        records: RangeInclusive<u64>,
    ) -> Result<impl Stream<Item = Result<Vec<KeptRecord>, LedgerFault>> + use<>, LedgerFault> {
        let (from, through) = records.into_inner();
        let request = wire::KeptRequest {
            shard: shard.into(),
            from,
            through,
        };
        let chunks = self.rpc.clone().kept(request).await?.into_inner();
        Ok(chunks.map(|chunk| Ok(chunk?.records.into_iter().map(Into::into).collect())))
    }

    /// One reply for each batch, in order, when it is durable. The replies end after the last batch.
    pub async fn load<A, B>(
        &self,
        batches: B,
    ) -> Result<impl Stream<Item = Result<LoadReply, LedgerFault>> + use<A, B>, LedgerFault>
    where
        A: Send + 'static,
        B: Stream<Item = LoadBatch<A>> + Send + 'static,
        wire::NewAccount: for<'a> From<&'a A>,
    {
        let batches = batches.map(|batch| wire::LoadBatch::from(&batch));
        let replies = self.rpc.clone().load(batches).await?.into_inner();
        Ok(replies.map(|reply| Ok(reply?.into())))
    }
}

/// An answer that does not read leaves the outcome unknown.
fn post_reply(reply: wire::reply::What) -> PostReply {
    let read = match reply {
        wire::reply::What::Decided(wire::Decided {
            transfer: Some(transfer),
            repeat,
        }) => transfer
            .try_into()
            .map(|transfer| PostReply::Decided { transfer, repeat })
            .ok(),
        wire::reply::What::Conflict(conflict) => conflict.try_into().map(PostReply::Conflict).ok(),
        wire::reply::What::NothingPosted(nothing) => cause(nothing.cause()).map(PostReply::NothingPosted),
        wire::reply::What::Decided(_) | wire::reply::What::NotFound(_) | wire::reply::What::InProcess(_) => None,
    };
    read.unwrap_or(PostReply::Unknown)
}

fn query_reply(reply: wire::reply::What) -> QueryReply {
    match reply {
        wire::reply::What::Decided(wire::Decided {
            transfer: Some(transfer),
            ..
        }) => transfer.try_into().map_or(QueryReply::Unavailable, QueryReply::Found),
        wire::reply::What::NotFound(_) => QueryReply::NotFound,
        wire::reply::What::InProcess(_) => QueryReply::InProcess,
        wire::reply::What::Decided(_) | wire::reply::What::Conflict(_) | wire::reply::What::NothingPosted(_) => {
            QueryReply::Unavailable
        }
    }
}
