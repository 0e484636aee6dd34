//! The gRPC side: reads work off streams, queues it, and gives answers back in any order.
//!
//! What arrived together is queued together. Room in the reply stream is taken before work is queued, so what one peer
//! has outstanding is bounded and a worker never waits for a peer.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use operations::stop::Stop;
use signer_protocol::{Answer, Failure, MalformedWork, Work, wire};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::job::{Asked, Job, held_bytes, lane};
use crate::metrics::{Metrics, Operation};
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
    pub(crate) metrics: Metrics,
    pub(crate) stop: Stop,
}

type WorkReplies = Pin<Box<dyn Stream<Item = Result<wire::ReplyBatch, Status>> + Send>>;

#[tonic::async_trait]
impl wire::signer_server::Signer for Service {
    type WorkStream = WorkReplies;

    async fn work(&self, request: Request<Streaming<wire::WorkBatch>>) -> Result<Response<WorkReplies>, Status> {
        let (replies, batches) = replies::line();
        tokio::spawn(self.clone().read_work(request.into_inner(), replies));
        Ok(Response::new(Box::pin(batches)))
    }

    async fn health(&self, _: Request<wire::HealthRequest>) -> Result<Response<wire::HealthReply>, Status> {
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
    async fn read_work(self, mut stream: Streaming<wire::WorkBatch>, replies: Replies) {
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
                self.admit(some, arrived, &replies);
            }
        }
    }

    fn admit(&self, items: Vec<wire::Work>, arrived: Instant, replies: &Replies) {
        let mut malformed = Vec::new();
        let mut queued = Vec::with_capacity(items.len());
        for item in items {
            let reply = replies.slot(item.number);
            match Work::read(item.what) {
                Ok(work) => queued.push(Queued {
                    lane: lane(&work),
                    bytes: held_bytes(&work),
                    item: Job::Work(Asked {
                        work,
                        arrived,
                        deadline: arrived + Duration::from_millis(item.budget_ms.into()),
                        reply,
                    }),
                }),
                Err(MalformedWork(rule)) => {
                    tracing::warn!(rule, "malformed work");
                    self.metrics.refused(None, Failure::MalformedWork);
                    malformed.push((reply, Answer::Failed(Failure::MalformedWork, rule.to_owned())));
                }
            }
        }
        send_all(malformed);
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
