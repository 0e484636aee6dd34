//! The listening socket: accepts, shakes hands, serves HTTP/1.1 and HTTP/2, and drains.
//!
//! At the stop nothing more is accepted, requests that were read are answered, idle connections are closed; what is
//! still open at the drain limit is cut off. Connections over the limit wait in the kernel's queue.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use operations::stop::Stop;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Connections;
use crate::http::Intake;
use crate::metrics::{Metrics, TlsFailure};
use crate::neighbours::{Books, Signer};
use crate::tls::{AllowList, Peer};

/// Everything a connection needs.
#[derive(Debug)]
pub struct Server<S, B> {
    acceptor: Acceptor,
    http: auto::Builder<TokioExecutor>,
    intake: Arc<Intake<S, B>>,
    metrics: Arc<Metrics>,
    connections_max: usize,
    idle: Duration,
    drain: Duration,
}

/// How a connection becomes a peer.
#[derive(Clone)]
pub struct Acceptor {
    tls: TlsAcceptor,
    allowed: AllowList,
    handshake: Duration,
}

/// When a connection last had anything to do.
#[derive(Debug)]
struct Activity {
    since: Instant,
    in_flight: AtomicUsize,
    last_ms: AtomicU64,
}

/// One request in flight on a connection.
struct Busy<'a>(&'a Activity);

/// After a failed accept (out of file descriptors, say): leave the others time to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// For a peer to take its last answer and the farewell before the socket is dropped.
const FAREWELL: Duration = Duration::from_secs(5);

impl Acceptor {
    pub fn new(config: ServerConfig, allowed: AllowList, handshake: Duration) -> Self {
        Self {
            tls: TlsAcceptor::from(Arc::new(config)),
            allowed,
            handshake,
        }
    }

    async fn accept(&self, stream: TcpStream) -> Result<(TlsStream<TcpStream>, Peer), (TlsFailure, String)> {
        let shaken = match tokio::time::timeout(self.handshake, self.tls.accept(stream)).await {
            Ok(Ok(shaken)) => shaken,
            Ok(Err(fault)) => return Err((TlsFailure::Handshake, fault.to_string())),
            Err(_) => return Err((TlsFailure::TooSlow, "no handshake in time".to_owned())),
        };
        match self.allowed.check(shaken.get_ref().1.peer_certificates()) {
            Ok(peer) => Ok((shaken, peer)),
            Err(reason) => Err((TlsFailure::NotAllowed, reason.to_string())),
        }
    }
}

impl<S: Signer, B: Books> Server<S, B> {
    pub fn new(acceptor: Acceptor, intake: Intake<S, B>, limits: &Connections, drain: Duration) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(limits.header_read_ms))
            .max_buf_size(limits.header_bytes_max);
        http.http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams_max)
            .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX));
        Self {
            acceptor,
            http,
            metrics: Arc::clone(&intake.desk.metrics),
            intake: Arc::new(intake),
            connections_max: limits.max,
            idle: Duration::from_millis(limits.idle_ms),
            drain,
        }
    }

    /// Serves until the stop is requested and what was read is answered, at most the drain limit later.
    pub async fn serve(self, listener: TcpListener, stop: Stop) {
        let server = Arc::new(self);
        let room = Arc::new(Semaphore::new(server.connections_max.min(Semaphore::MAX_PERMITS)));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.requested() => break,
                accepted = accept_with_room(&listener, &room) => accepted,
            };
            match accepted {
                Ok((stream, permit)) => {
                    let (server, stop) = (Arc::clone(&server), stop.clone());
                    connections.spawn(async move {
                        server.connection(stream, stop).await;
                        drop(permit);
                    });
                }
                Err(fault) => {
                    tracing::warn!(%fault, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            while let Some(ended) = connections.try_join_next() {
                report(ended);
            }
        }
        drop(listener);
        server.drain(connections).await;
    }

    async fn drain(&self, mut connections: JoinSet<()>) {
        let open = connections.len();
        tracing::info!(open, "draining");
        let ending = async {
            while let Some(ended) = connections.join_next().await {
                report(ended);
            }
            self.intake.admission.emptied().await;
        };
        if tokio::time::timeout(self.drain, ending).await.is_err() {
            tracing::warn!("cut off at the drain limit");
        }
    }

    async fn connection(&self, stream: TcpStream, stop: Stop) {
        let _open = self.metrics.connection();
        // each answer is one small write: waiting to fill a segment would only add latency
        if let Err(fault) = stream.set_nodelay(true) {
            tracing::debug!(%fault, "TCP_NODELAY refused");
        }
        let address = stream.peer_addr().ok();
        let accepted = tokio::select! {
            () = stop.requested() => return,
            accepted = self.acceptor.accept(stream) => accepted,
        };
        match accepted {
            Ok((stream, peer)) => self.speak(stream, peer, stop).await,
            Err((cause, reason)) => {
                self.metrics.tls_failed(cause);
                tracing::info!(cause = cause.name(), reason, ?address, "connection refused");
            }
        }
    }

    async fn speak(&self, stream: TlsStream<TcpStream>, peer: Peer, stop: Stop) {
        let activity = Arc::new(Activity::new());
        let service = service_fn(|request| {
            let (intake, peer, activity) = (Arc::clone(&self.intake), peer.clone(), Arc::clone(&activity));
            async move {
                let _busy = activity.begin();
                intake.exchange(request, peer).await
            }
        });
        let speaking = self.http.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(speaking);
        tokio::select! {
            ended = speaking.as_mut() => return log_end(ended),
            () = stop.requested() => {}
            () = activity.idle_for(self.idle) => {}
        }
        speaking.as_mut().graceful_shutdown();
        // in flight: as long as it takes, the drain limit bounds it; then the farewell is bounded
        let farewell = activity.idle_for(FAREWELL);
        tokio::select! {
            ended = speaking => log_end(ended),
            () = farewell => tracing::debug!(peer = peer.name(), "connection dropped"),
        }
    }
}

async fn accept_with_room(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(fault) = ended {
        tracing::error!(%fault, "the task of a connection ended early");
    }
}

fn log_end(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(fault) = ended {
        tracing::debug!(%fault, "connection ended");
    }
}

impl Activity {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            in_flight: AtomicUsize::new(0),
            last_ms: AtomicU64::new(0),
        }
    }

    fn begin(&self) -> Busy<'_> {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        Busy(self)
    }

    fn last(&self) -> Instant {
        self.since + Duration::from_millis(self.last_ms.load(Ordering::Acquire))
    }

    /// Returns once nothing was in flight for `limit`.
    async fn idle_for(&self, limit: Duration) {
        let mut wake = Instant::now() + limit;
        loop {
            tokio::time::sleep_until(wake).await;
            let busy = self.in_flight.load(Ordering::Acquire) > 0;
            let over = self.last() + limit;
            if !busy && over <= Instant::now() {
                return;
            }
            wake = if busy { Instant::now() + limit } else { over };
        }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let now_ms = u64::try_from(self.0.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_ms.store(now_ms, Ordering::Release);
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor")
            .field("allowed", &self.allowed)
            .field("handshake", &self.handshake)
            .finish_non_exhaustive()
    }
}
