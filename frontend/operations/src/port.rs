//! The operations port of a process: metrics, health and version over plain HTTP, on loopback.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::stop::Stop;

/// `Err` says in one line what is not ready.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What is shown on the port.
#[derive(Clone)]
pub struct OperationsPort {
    pub address: SocketAddr,
    pub process: &'static str,
    pub version: &'static str,
    pub registry: Arc<Registry>,
    pub ready: Readiness,
}

#[derive(Debug, thiserror::Error)]
pub enum PortFault {
    #[error("operations address {0} is not a loopback address")]
    NotLoopback(SocketAddr),
    #[error("operations address {address} cannot be listened on")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("operations port failed")]
    Serve(#[source] std::io::Error),
}

/// A port that listens and is yet to be served.
#[derive(Debug)]
pub struct BoundPort {
    listener: TcpListener,
    shown: OperationsPort,
}

impl OperationsPort {
    pub async fn bind(self) -> Result<BoundPort, PortFault> {
        let address = self.address;
        if !address.ip().is_loopback() {
            return Err(PortFault::NotLoopback(address));
        }
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| PortFault::Listen { address, source })?;
        Ok(BoundPort { listener, shown: self })
    }
}

impl BoundPort {
    /// The address really bound, where the configured port was 0.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the stop is requested.
    pub async fn serve(self, stop: Stop) -> Result<(), PortFault> {
        let routes = Router::new()
            .route("/metrics", get(metrics))
            .route("/health/live", get(|| async { "live\n" }))
            .route("/health/ready", get(ready))
            .route("/version", get(version))
            .with_state(self.shown);
        let until = async move { stop.requested().await };
        axum::serve(self.listener, routes)
            .with_graceful_shutdown(until)
            .await
            .map_err(PortFault::Serve)
    }
}

async fn metrics(State(shown): State<OperationsPort>) -> impl IntoResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &shown.registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text)
        }
        Err(fault) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain")],
            format!("{fault}\n"),
        ),
    }
}

async fn ready(State(shown): State<OperationsPort>) -> impl IntoResponse {
    match (shown.ready)() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}

async fn version(State(shown): State<OperationsPort>) -> String {
    format!("{} {}\n", shown.process, shown.version)
}

impl fmt::Debug for OperationsPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationsPort")
            .field("address", &self.address)
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn shown_at(ip: [u8; 4], ready: Result<(), String>) -> OperationsPort {
        OperationsPort {
            address: SocketAddr::from((ip, 0)),
            process: "example",
            version: "1.2.3",
            registry: Arc::new(Registry::default()),
            ready: Arc::new(move || ready.clone()),
        }
    }

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: operations\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn shows_health_version_and_metrics() {
        let (switch, stop) = Stop::by_hand();
        let reason = Err("the ledger cannot be reached".to_owned());
        let port = shown_at([127, 0, 0, 1], reason).bind().await.unwrap();
        let address = port.address().unwrap();
        let serving = tokio::spawn(port.serve(stop));
        for (path, expected) in [
            ("/health/live", "200 OK"),
            ("/health/ready", "503 Service Unavailable"),
            ("/health/ready", "not ready: the ledger cannot be reached"),
            ("/version", "example 1.2.3"),
            ("/metrics", "# EOF"),
            ("/other", "404 Not Found"),
        ] {
            let answer = ask(address, path).await;
            assert!(answer.contains(expected), "{path}: {answer}");
        }
        switch.pull();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn listens_on_loopback_only() {
        let bound = shown_at([0, 0, 0, 0], Ok(())).bind().await;
        assert!(matches!(bound, Err(PortFault::NotLoopback(_))));
    }
}
