//! The gRPC side: reads work off streams, queues it, and gives answers back in any order.
//!
//! A place in the reply stream is reserved before a piece of work is read on, so what one peer has outstanding is
//! bounded and a worker never waits for a peer.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use operations::exchange::reply_batches;
use operations::stop::Stop;
use signer_protocol::{Answer, Failure, MalformedWork, Work, limits, wire};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use crate::job::{Job, ReplySlot, Task};
use crate::metrics::Metrics;
use crate::queue::{Full, Queue};

/// Replies of one stream that are outstanding or unread.
const OUTSTANDING_MAX: usize = 4096;
const HEALTH_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) queue: Arc<Queue<Job>>,
    pub(crate) metrics: Metrics,
    pub(crate) stop: Stop,
}

type Replies = Pin<Box<dyn Stream<Item = Result<wire::ReplyBatch, Status>> + Send>>;

#[tonic::async_trait]
impl wire::signer_server::Signer for Service {
    type WorkStream = Replies;

    async fn work(&self, request: Request<Streaming<wire::WorkBatch>>) -> Result<Response<Replies>, Status> {
        let (replies, batches) = reply_batches(OUTSTANDING_MAX, limits::BATCH_ITEMS_MAX, |items| wire::ReplyBatch {
            items,
        });
        tokio::spawn(self.clone().read_work(request.into_inner(), replies));
        Ok(Response::new(Box::pin(batches)))
    }

    async fn health(&self, _: Request<wire::HealthRequest>) -> Result<Response<wire::HealthReply>, Status> {
        let (asker, answer) = oneshot::channel();
        let arrived = Instant::now();
        let job = Job {
            arrived,
            deadline: arrived + HEALTH_LIMIT,
            task: Task::Health(asker),
        };
        self.push(job)
            .map_err(|_| Status::resource_exhausted("the queue is full"))?;
        let keys = answer
            .await
            .map_err(|_| Status::deadline_exceeded("the keys were not tried in time"))?;
        Ok(Response::new(wire::HealthReply {
            keys: keys.into_iter().map(Into::into).collect(),
        }))
    }
}

impl Service {
    /// Until the stream ends or the stop is requested. The reply stream then ends after the last answer.
    async fn read_work(self, mut stream: Streaming<wire::WorkBatch>, replies: mpsc::Sender<wire::Reply>) {
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
            for item in items {
                // The reply stream is gone when its peer is.
                let Ok(permit) = replies.clone().reserve_owned().await else {
                    return;
                };
                self.admit(item, arrived, permit);
            }
        }
    }

    fn admit(&self, item: wire::Work, arrived: Instant, permit: mpsc::OwnedPermit<wire::Reply>) {
        let reply = ReplySlot::new(item.number, permit);
        let work = match Work::read(item.what) {
            Ok(work) => work,
            Err(MalformedWork(rule)) => {
                tracing::warn!(rule, "malformed work");
                self.metrics.refused(None, Failure::MalformedWork);
                return reply.send(Answer::Failed(Failure::MalformedWork, rule.to_owned()));
            }
        };
        let deadline = arrived + Duration::from_millis(item.budget_ms.into());
        if let Err(Full(job)) = self.push(Job {
            arrived,
            deadline,
            task: Task::Work { work, reply },
        }) {
            self.metrics.refused(Some(job.task.operation()), Failure::Busy);
            if let Task::Work { reply, .. } = job.task {
                reply.send(Answer::Failed(Failure::Busy, "the queue is full".to_owned()));
            }
        }
    }

    #[expect(
        clippy::result_large_err,
        reason = "the job itself comes back, to be answered; it is moved once"
    )]
    fn push(&self, job: Job) -> Result<(), Full<Job>> {
        // Counted before a worker can take it, so that the gauge never shows less than nothing.
        self.metrics.queued();
        let pushed = self.queue.push(job.task.lane(), job);
        if pushed.is_err() {
            self.metrics.taken(1);
        }
        pushed
    }
}
