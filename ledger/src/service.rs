//! The gRPC face of the ledger: from the wire to work, and back.
//!
//! Work is read only as fast as there are places for its answers, so a client that does not read its answers stops being
//! read. Work is converted and its evidence digested a piece at a time: short pieces where they were read, which costs no
//! change of threads, long ones and whatever reads the disk off the executor.

mod kept;
mod loading;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::Stream;
use ledger_model::{AccountToken, Instruction, ShardId, TransferKey};
use ledger_protocol::{Evidence, Malformed, NothingPosted, SeenPositions, wire};
use operations::exchange::reply_batches;
use operations::peer::PeerIdentity;
use operations::stop::Stop;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status, Streaming};

use crate::access::{Access, Rights};
use crate::administration::service::{AdministrationService, Days};
use crate::clock::wall_clock;
use crate::feed::Feed;
use crate::hopping::listing::unsettled;
use crate::outcome::{Answer, Outcome, ReplyTo, pack};
use crate::router::Ledger;
use crate::store::StoreFault;

/// Work of one stream that is not answered yet, at the most.
const UNANSWERED_MAX: usize = 4096;
const REPLY_BATCH_MAX: usize = 256;
/// Work taken in one piece.
const WORK_PIECE_MAX: usize = 64;
/// Evidence of a piece that is taken on the executor, at the most: with its conversion, a tenth of a millisecond or two.
const SHORT_PIECE_BYTES_MAX: usize = 128 << 10;
/// Chunks of the journal between their reader and the socket.
const CHUNKS_AHEAD_MAX: usize = 4;
const LOAD_REPLIES_AHEAD_MAX: usize = 4;
/// Largest gRPC message taken or sent.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

const _: () = assert!(
    WORK_PIECE_MAX <= UNANSWERED_MAX,
    "a piece of work must fit into its places"
);

#[derive(Debug, Clone)]
pub struct Service {
    ledger: Arc<Ledger>,
    stop: Stop,
}

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What one piece of work asks.
#[expect(clippy::large_enum_variant, reason = "nearly every one is a post")]
enum Asked {
    Post(Instruction, Evidence),
    Query(TransferKey),
}

impl Service {
    /// For the user this process runs as.
    pub fn routes(ledger: Arc<Ledger>, stop: Stop) -> Routes {
        let days = Days {
            calendar: Arc::default(),
            clock: wall_clock(),
        };
        Self::routes_for(Arc::new(Access::of_owner()), days, ledger, stop)
    }

    pub fn routes_for(access: Arc<Access>, days: Days, ledger: Arc<Ledger>, stop: Stop) -> Routes {
        let administration = wire::administration_server::AdministrationServer::new(AdministrationService {
            ledger: Arc::clone(&ledger),
            days,
            stop: stop.clone(),
        });
        let administration = InterceptedService::new(administration, judge(Arc::clone(&access)));
        let server = wire::ledger_server::LedgerServer::new(Self { ledger, stop })
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        Routes::new(InterceptedService::new(server, judge(access))).add_service(administration)
    }
}

impl Service {
    fn shard(&self, number: u32) -> Result<ShardId, Status> {
        let number = u8::try_from(number).ok();
        let shard = number.and_then(|number| self.ledger.count().shard(number));
        shard.ok_or_else(|| Status::invalid_argument("there is no such shard"))
    }
}

/// Every call is judged before it is read, and carries the rights of its peer from then on.
fn judge(access: Arc<Access>) -> impl Fn(Request<()>) -> Result<Request<()>, Status> + Clone {
    move |mut request| {
        let peer = PeerIdentity::of(&request);
        let Some(rights) = peer.as_ref().and_then(|peer| access.rights(peer)) else {
            let peer = peer.map_or_else(|| "nobody known".to_owned(), |peer| peer.to_string());
            tracing::warn!(peer, "a call of somebody who has no rights");
            return Err(Status::permission_denied("the ledger does not know the caller"));
        };
        request.extensions_mut().insert(rights);
        Ok(request)
    }
}

/// Who administers, as records call it.
pub(crate) fn administrator<T>(request: &Request<T>) -> Result<String, Status> {
    let rights = request.extensions().get::<Rights>();
    let administrator = rights.and_then(|rights| rights.administrator.clone());
    administrator.ok_or_else(|| {
        let peer = PeerIdentity::of(request).map_or_else(String::new, |peer| peer.to_string());
        tracing::warn!(peer, "administration by somebody who has not the right to it");
        Status::permission_denied("the caller has not the right to administer")
    })
}

#[tonic::async_trait]
impl wire::ledger_server::Ledger for Service {
    type WorkStream = Replies<wire::ReplyBatch>;
    type LoadStream = Replies<wire::LoadReply>;
    type JournalStream = Replies<wire::JournalChunk>;
    type KeptStream = Replies<wire::KeptChunk>;

    async fn work(&self, request: Request<Streaming<wire::WorkBatch>>) -> Result<Response<Self::WorkStream>, Status> {
        let rights = request.extensions().get::<Rights>();
        let orders = rights.is_some_and(|rights| rights.orders);
        let (answers, replies) = reply_batches(UNANSWERED_MAX, REPLY_BATCH_MAX, pack);
        tokio::spawn(read_work(
            Arc::clone(&self.ledger),
            self.stop.clone(),
            request.into_inner(),
            orders,
            answers,
        ));
        Ok(Response::new(Box::pin(replies)))
    }

    async fn load(&self, request: Request<Streaming<wire::LoadBatch>>) -> Result<Response<Self::LoadStream>, Status> {
        let administrator = administrator(&request)?;
        tracing::info!(administrator, "accounts and agreements are loaded");
        let (replies, stream) = mpsc::channel(LOAD_REPLIES_AHEAD_MAX);
        let operator = format!("load ({administrator})").parse();
        let operator = operator.map_err(|_| Status::invalid_argument("the administrator's name is too long"))?;
        tokio::spawn(loading::read(
            Arc::clone(&self.ledger),
            operator,
            self.stop.clone(),
            request.into_inner(),
            replies,
        ));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn positions(
        &self,
        _request: Request<wire::PositionsRequest>,
    ) -> Result<Response<wire::PositionsReply>, Status> {
        let seen = SeenPositions {
            positions: self.ledger.positions(),
            unseen: self.ledger.unseen(),
        };
        Ok(Response::new((&seen).into()))
    }

    async fn hops(&self, _request: Request<wire::HopsRequest>) -> Result<Response<wire::HopsReply>, Status> {
        Ok(Response::new(unsettled(&self.ledger).await.into()))
    }

    async fn standing(&self, request: Request<wire::StandingRequest>) -> Result<Response<wire::StandingReply>, Status> {
        let account = AccountToken::from_slice(&request.into_inner().account);
        let account = account.ok_or_else(|| Status::invalid_argument("an account's token is 32 bytes"))?;
        let standing = self.ledger.standing(account).await;
        let standing = standing.map_err(|_| Status::unavailable("the account could not be read"))?;
        Ok(Response::new(standing.into()))
    }

    async fn evidence(&self, request: Request<wire::EvidenceRequest>) -> Result<Response<wire::EvidenceReply>, Status> {
        let wire::EvidenceRequest { key, following } = request.into_inner();
        let key: Option<TransferKey> = key.and_then(|key| key.try_into().ok());
        let key = key.ok_or_else(|| Status::invalid_argument("a key is issuer, category and id"))?;
        let ledger = Arc::clone(&self.ledger);
        let found = tokio::task::spawn_blocking(move || ledger.evidence(&key, following)).await;
        let found = found.unwrap_or(Err(StoreFault::Inconsistent("reading evidence panicked")));
        let kept = found.map_err(|fault| {
            tracing::error!(%fault, cause = ?fault, "evidence could not be read");
            Status::unavailable("the evidence could not be read")
        })?;
        Ok(Response::new(wire::EvidenceReply {
            kept: kept.map(Into::into),
        }))
    }

    async fn kept(&self, request: Request<wire::KeptRequest>) -> Result<Response<Self::KeptStream>, Status> {
        let wire::KeptRequest { shard, from, through } = request.into_inner();
        let feed = self.ledger.feed(self.shard(shard)?);
        if from == 0 || through < from || through > feed.committed() {
            return Err(Status::invalid_argument("the records are not all there"));
        }
        let (chunks, stream) = mpsc::channel(CHUNKS_AHEAD_MAX);
        tokio::spawn(kept::read(feed, from..=through, self.stop.clone(), chunks));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn journal(&self, request: Request<wire::JournalRequest>) -> Result<Response<Self::JournalStream>, Status> {
        let wire::JournalRequest { shard, from } = request.into_inner();
        let shard = self.shard(shard)?;
        if from == 0 {
            return Err(Status::invalid_argument("the first record is number 1"));
        }
        let (chunks, stream) = mpsc::channel(CHUNKS_AHEAD_MAX);
        tokio::spawn(follow_journal(self.ledger.feed(shard), from, self.stop.clone(), chunks));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

/// Reads until the stream ends or the stop is requested. The replies end by themselves after the last answer. `orders`:
/// the peer may post; anybody who is served may query.
async fn read_work(
    ledger: Arc<Ledger>,
    stop: Stop,
    mut batches: Streaming<wire::WorkBatch>,
    orders: bool,
    answers: mpsc::Sender<Answer>,
) {
    loop {
        let batch = tokio::select! {
            () = stop.requested() => return,
            batch = batches.message() => batch,
        };
        let Ok(Some(batch)) = batch else {
            return;
        };
        let received = Instant::now();
        let mut items = batch.items.into_iter();
        loop {
            let mut piece = Vec::new();
            for work in items.by_ref().take(WORK_PIECE_MAX) {
                let Ok(place) = answers.clone().reserve_owned().await else {
                    return;
                };
                piece.push((
                    ReplyTo {
                        number: work.number,
                        place,
                    },
                    work,
                ));
            }
            if piece.is_empty() {
                break;
            }
            if is_short(&piece) {
                take_piece(&ledger, received, orders, piece);
            } else {
                let ledger = Arc::clone(&ledger);
                tokio::task::spawn_blocking(move || take_piece(&ledger, received, orders, piece));
            }
        }
    }
}

/// Posts alone, with little evidence; a query reads the disk.
fn is_short(piece: &[(ReplyTo, wire::Work)]) -> bool {
    let mut bytes = 0_usize;
    for (_, work) in piece {
        match &work.what {
            Some(wire::work::What::Post(post)) => {
                let evidence = post.evidence.as_ref();
                let length = evidence.map_or(0, |evidence| {
                    evidence.signed.len().saturating_add(evidence.signature.len())
                });
                bytes = bytes.saturating_add(length);
            }
            Some(wire::work::What::Query(_)) => return false,
            None => {}
        }
    }
    bytes <= SHORT_PIECE_BYTES_MAX
}

fn take_piece(ledger: &Arc<Ledger>, received: Instant, orders: bool, piece: Vec<(ReplyTo, wire::Work)>) {
    for (reply, work) in piece {
        let deadline = received + Duration::from_millis(work.budget_ms.into());
        match asked(work.what) {
            Ok(Asked::Post(instruction, evidence)) if orders && is_of_message(&instruction) => {
                ledger.post(instruction, &evidence, deadline, reply);
            }
            Ok(Asked::Post(instruction, _)) => {
                let kind = instruction.kind().name();
                tracing::warn!(kind, orders, "an order of somebody who may not order it here");
                reply.answer(Outcome::NothingPosted(NothingPosted::MalformedWork));
            }
            Ok(Asked::Query(key)) => reply.answer(ledger.query(&key)),
            Err(malformed) => {
                tracing::warn!(field = malformed.field, "work is not as the contract says");
                reply.answer(Outcome::NothingPosted(NothingPosted::MalformedWork));
            }
        }
    }
}

/// Adjustments come by administration, with who ordered them.
const fn is_of_message(instruction: &Instruction) -> bool {
    match instruction {
        Instruction::Payment(_) | Instruction::Refund(_) | Instruction::Payout(_) => true,
        Instruction::Reversal(_) | Instruction::Supplement(_) => false,
    }
}

fn asked(what: Option<wire::work::What>) -> Result<Asked, Malformed> {
    match what {
        Some(wire::work::What::Post(post)) => post
            .try_into()
            .map(|(instruction, evidence)| Asked::Post(instruction, evidence)),
        Some(wire::work::What::Query(query)) => query
            .key
            .ok_or(Malformed { field: "key" })?
            .try_into()
            .map(Asked::Query),
        None => Err(Malformed { field: "what" }),
    }
}

async fn follow_journal(
    mut feed: Feed,
    from: u64,
    stop: Stop,
    chunks: mpsc::Sender<Result<wire::JournalChunk, Status>>,
) {
    let mut next = from;
    loop {
        let read = tokio::select! {
            () = stop.requested() => return,
            () = chunks.closed() => return,
            read = feed.read(next) => read,
        };
        let chunk = match read {
            Ok(records) if records.is_empty() => return,
            Ok(records) => {
                next = next.saturating_add(u64::try_from(records.len()).unwrap_or(u64::MAX));
                Ok(wire::JournalChunk { records })
            }
            Err(fault @ StoreFault::Released { .. }) => {
                Err(Status::out_of_range(format!("shard {}: {fault}", feed.shard)))
            }
            Err(fault) => {
                tracing::error!(shard = %feed.shard, %fault, cause = ?fault, "the journal could not be read");
                Err(Status::unavailable("the journal could not be read"))
            }
        };
        let failed = chunk.is_err();
        if chunks.send(chunk).await.is_err() || failed {
            return;
        }
    }
}
