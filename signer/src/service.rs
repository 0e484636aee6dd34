//! The gRPC side: reads work off streams, queues it, and gives answers back in any order.
//!
//! What arrived together is queued together. Room in the reply stream is taken before work is queued, so what one peer
//! has outstanding is bounded and a worker never waits for a peer.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use operations::peer::PeerIdentity;
use operations::stop::Stop;
use signer_protocol::{Answer, Failure, MalformedWork, Work, wire};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::callers::{Callers, Refused, judge};
use crate::clock;
use crate::job::{Asked, Job, held_bytes, lane};
use crate::key_set::CurrentKeys;
use crate::metrics::{Metrics, Operation};
use crate::policy::Right;
use crate::queue::{Queue, Queued};
use crate::replies::{self, OUTSTANDING_MAX, Replies, send_all};
use crate::trials::{Trials, Untried};

/// Work of one stream that is queued at once.
const ADMITTED_MAX: usize = 256;
const _: () = assert!(ADMITTED_MAX <= OUTSTANDING_MAX);
const HEALTH_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) queue: Arc<Queue<Job>>,
    pub(crate) trials: Trials,
    pub(crate) callers: Callers,
    pub(crate) keys: Arc<CurrentKeys>,
    pub(crate) metrics: Metrics,
    /// Bytes of work that one stream may have outstanding.
    pub(crate) stream_bytes_max: usize,
    pub(crate) stop: Stop,
}

type WorkReplies = Pin<Box<dyn Stream<Item = Result<wire::ReplyBatch, Status>> + Send>>;

#[tonic::async_trait]
impl wire::signer_server::Signer for Service {
    type WorkStream = WorkReplies;

    async fn work(&self, request: Request<Streaming<wire::WorkBatch>>) -> Result<Response<WorkReplies>, Status> {
        let (peer, _) = self.callers.of(&request, Right::Open).await?;
        let (replies, batches) = replies::line();
        tokio::spawn(self.clone().read_work(request.into_inner(), peer, replies));
        Ok(Response::new(Box::pin(batches)))
    }

    async fn health(&self, request: Request<wire::HealthRequest>) -> Result<Response<wire::HealthReply>, Status> {
        self.callers.with(&request, Right::Health).await?;
        let late = |_| Status::deadline_exceeded("the keys were not tried in time");
        let tried = tokio::time::timeout(HEALTH_LIMIT, self.trials.health()).await;
        let keys = tried.map_err(late)?.map_err(|untried| match untried {
            Untried::Busy => Status::resource_exhausted("too many wait for the trial of the keys"),
            Untried::Failed => Status::unavailable("the keys could not be tried"),
        })?;
        Ok(Response::new(wire::HealthReply {
            keys: keys.into_iter().map(Into::into).collect(),
        }))
    }
}

impl Service {
    /// Until the stream ends or the stop is requested. The reply stream then ends after the last answer.
    async fn read_work(self, mut stream: Streaming<wire::WorkBatch>, peer: PeerIdentity, replies: Replies) {
        loop {
            let batch = tokio::select! {
                batch = stream.message() => batch,
                () = self.stop.requested() => return,
            };
            let items = match batch {
                Ok(Some(batch)) => batch.items,
                Ok(None) => return,
                Err(status) => {
                    tracing::debug!(code = ?status.code(), "a stream of work ended");
                    replies.end_with(status);
                    return;
                }
            };
            let arrived = Instant::now();
            let mut items = items.into_iter();
            while items.len() > 0 {
                let some: Vec<wire::Work> = items.by_ref().take(ADMITTED_MAX).collect();
                // The reply stream is gone when its peer is.
                if replies.room(some.len()).await.is_err() {
                    return;
                }
                if self.admit(some, arrived, (&peer, &replies)).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Queues what the policy in use allows, for each batch anew. Refusals are answered when they are recorded.
    async fn admit(
        &self,
        items: Vec<wire::Work>,
        arrived: Instant,
        (peer, replies): (&PeerIdentity, &Replies),
    ) -> Result<(), NoCaller> {
        let keys = self.keys.now();
        let caller = keys.policy.caller(peer);
        let now = clock::unix_seconds();
        let mut not_taken = Vec::new();
        let mut refused: BTreeMap<Refused, u64> = BTreeMap::new();
        let mut not_allowed = Vec::new();
        let mut queued = Vec::with_capacity(items.len());
        for item in items {
            let reply = replies.slot(item.number);
            let Some(caller) = caller else {
                let text = "the policy knows no such caller any more".to_owned();
                not_allowed.push((reply, Answer::Failed(Failure::NotAllowed, text)));
                continue;
            };
            match Work::read(item.what) {
                Ok(work) => {
                    if let Err(refusal) = judge(caller, &work, &keys, now) {
                        self.metrics.refused(Some(Operation::of(&work)), Failure::NotAllowed);
                        let text = refusal.forbidden.to_string();
                        not_allowed.push((reply, Answer::Failed(Failure::NotAllowed, text)));
                        *refused.entry(refusal).or_default() += 1;
                        continue;
                    }
                    let bytes = held_bytes(&work);
                    let reply = match reply.holding(bytes, self.stream_bytes_max) {
                        Ok(reply) => reply,
                        Err(reply) => {
                            self.metrics.refused(Some(Operation::of(&work)), Failure::Busy);
                            let text = "the stream's share of the queue is full".to_owned();
                            not_taken.push((reply, Answer::Failed(Failure::Busy, text)));
                            continue;
                        }
                    };
                    queued.push(Queued {
                        lane: lane(&work),
                        bytes,
                        item: Job::Work(Asked {
                            work,
                            caller: Arc::clone(caller),
                            arrived,
                            deadline: arrived + Duration::from_millis(item.budget_ms.into()),
                            reply,
                        }),
                    });
                }
                Err(MalformedWork(rule)) => {
                    tracing::warn!(rule, "malformed work");
                    self.metrics.refused(None, Failure::MalformedWork);
                    not_taken.push((reply, Answer::Failed(Failure::MalformedWork, rule.to_owned())));
                }
            }
        }
        send_all(not_taken);
        self.queue_all(queued);
        match caller {
            Some(caller) if !not_allowed.is_empty() => self.callers.refuse(caller, peer, &refused).await,
            Some(_) => {}
            None => drop(self.callers.unknown(&peer.to_string(), Right::Open).await),
        }
        send_all(not_allowed);
        caller.map(drop).ok_or(NoCaller)
    }

    fn queue_all(&self, queued: Vec<Queued<Job>>) {
        let refused = self.queue.push_all(queued).into_iter();
        send_all(refused.filter_map(|queued| match queued.item {
            Job::Health => None,
            Job::Work(asked) => {
                self.metrics.refused(Some(Operation::of(&asked.work)), Failure::Busy);
                let busy = Answer::Failed(Failure::Busy, "the queue is full".to_owned());
                Some((asked.reply, busy))
            }
        }));
    }
}

/// Its peer is no caller any more: the stream ends.
#[derive(Debug)]
struct NoCaller;
