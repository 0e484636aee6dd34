//! Where a process of ours listens for, or reaches, another: a Unix socket by default, TCP with mutual TLS by
//! configuration. There is no third way, in particular no plain TCP.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::{UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity, Server, ServerTlsConfig};

use crate::crowd::{CONNECTIONS_MAX, Crowd, Placed, Refuse};
use crate::stop::Stop;

const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// How long open streams may take to end once the stop is requested.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// HTTP/2 flow-control windows: a full batch of messages must not wait for a window update.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Calls and streams that one connection has open at once; our clients need three.
const STREAMS_MAX: u32 = 16;
const HEADER_BYTES_MAX: u32 = 8 << 10;

/// Who may connect to a Unix socket, as far as the file system decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The user the process runs as: mode 0600.
    Owner,
    /// Every user who can reach its directory: mode 0666. For a process that judges each call by
    /// [`PeerIdentity`](crate::peer::PeerIdentity).
    Everybody,
}

/// In a configuration file either `"unix:/path/to/socket"` or a table for TCP with mutual TLS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub enum Endpoint {
    Unix(PathBuf),
    Tcp(TlsAddress),
}

/// TCP with mutual TLS: both sides show a certificate that `peer_ca` issued. Files are PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsAddress {
    pub address: SocketAddr,
    pub certificate: PathBuf,
    pub private_key: PathBuf,
    pub peer_ca: PathBuf,
    /// Name the server's certificate must carry; read by the client only.
    pub server_name: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Table(TlsAddress),
}

#[derive(Debug, thiserror::Error)]
pub enum EndpointFault {
    #[error("file {path} of an endpoint cannot be read")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("TLS of endpoint {0} cannot be set up")]
    Tls(SocketAddr, #[source] tonic::transport::Error),
    #[error("endpoint {place} is taken: another process answers there")]
    Taken { place: String },
    #[error("endpoint {place} cannot be listened on")]
    Listen {
        place: String,
        #[source]
        source: std::io::Error,
    },
    #[error("endpoint {place} failed")]
    Serve {
        place: String,
        #[source]
        source: tonic::transport::Error,
    },
}

impl EndpointFault {
    /// Whether this is about the address rather than about anything behind it.
    pub const fn is_about_address(&self) -> bool {
        matches!(self, Self::Taken { .. } | Self::Listen { .. })
    }
}

impl TryFrom<Written> for Endpoint {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Text(text) => text.parse(),
            Written::Table(table) => Ok(Self::Tcp(table)),
        }
    }
}

impl std::str::FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some(path) if !path.is_empty() => Ok(Self::Unix(path.into())),
            _ => Err(format!(
                "{text:?} is no endpoint: write \"unix:/path\" or a table with mutual TLS"
            )),
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(tls) => write!(f, "{}", tls.address),
        }
    }
}

impl Audience {
    const fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everybody => 0o666,
        }
    }
}

impl Endpoint {
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::Unix(path.into())
    }

    /// A channel that connects when first used and again after a loss.
    pub fn channel(&self) -> Result<Channel, EndpointFault> {
        let tuned = |endpoint: tonic::transport::Endpoint| {
            endpoint
                .connect_timeout(CONNECT_LIMIT)
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .tcp_nodelay(true)
        };
        match self {
            Self::Unix(path) => {
                let path = path.clone();
                let connect = tower::service_fn(move |_| {
                    let path = path.clone();
                    async move { UnixStream::connect(path).await.map(TokioIo::new) }
                });
                // the address is never looked at: the connector above decides
                let endpoint = tonic::transport::Endpoint::from_static("http://unix.socket");
                Ok(tuned(endpoint).connect_with_connector_lazy(connect))
            }
            Self::Tcp(tls) => {
                let config = ClientTlsConfig::new()
                    .ca_certificate(Certificate::from_pem(read(&tls.peer_ca)?))
                    .identity(Identity::from_pem(read(&tls.certificate)?, read(&tls.private_key)?))
                    .domain_name(tls.server_name.clone());
                let fault = |source| EndpointFault::Tls(tls.address, source);
                let endpoint =
                    tonic::transport::Endpoint::from_shared(format!("https://{}", tls.address)).map_err(fault)?;
                Ok(tuned(endpoint.tls_config(config).map_err(fault)?).connect_lazy())
            }
        }
    }

    /// Serves until the stop is requested and open streams have ended, at most the drain limit later. A Unix socket is for
    /// its owner.
    pub async fn serve(&self, routes: Routes, stop: Stop) -> Result<(), EndpointFault> {
        self.serve_to(Audience::Owner, routes, stop).await
    }

    /// As [`serve`](Self::serve), to an audience. Over TCP the authority of the peers decides, whatever the audience.
    pub async fn serve_to(&self, audience: Audience, routes: Routes, stop: Stop) -> Result<(), EndpointFault> {
        let mut server = Server::builder()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_concurrent_streams(STREAMS_MAX)
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .tcp_nodelay(true);
        let crowd = Crowd::new(CONNECTIONS_MAX);
        let place = self.to_string();
        let requested = stop.clone();
        let until = async move { requested.requested().await };
        match self {
            Self::Unix(path) => {
                let incoming = UnixListenerStream::new(listen_unix(path, audience).await?);
                let incoming = admitted(incoming, crowd);
                let own = identity(path);
                let serving = server.add_routes(routes).serve_with_incoming_shutdown(incoming, until);
                let ended = within_drain_limit(serving, stop, &place).await;
                // a successor may listen there already while the last streams drain
                if own.is_some() && identity(path) == own {
                    let _gone_already = std::fs::remove_file(path);
                }
                ended
            }
            Self::Tcp(tls) => {
                let config = ServerTlsConfig::new()
                    .identity(Identity::from_pem(read(&tls.certificate)?, read(&tls.private_key)?))
                    .client_ca_root(Certificate::from_pem(read(&tls.peer_ca)?));
                let incoming = TcpIncoming::bind(tls.address)
                    .map_err(|source| EndpointFault::Listen {
                        place: place.clone(),
                        source,
                    })?
                    .with_nodelay(Some(true));
                let incoming = admitted(incoming, crowd);
                let mut server = server
                    .tls_config(config)
                    .map_err(|source| EndpointFault::Tls(tls.address, source))?;
                let serving = server.add_routes(routes).serve_with_incoming_shutdown(incoming, until);
                within_drain_limit(serving, stop, &place).await
            }
        }
    }
}

/// The connections that have a place.
fn admitted<S: Refuse>(
    incoming: impl Stream<Item = io::Result<S>>,
    crowd: Crowd,
) -> impl Stream<Item = io::Result<Placed<S>>> {
    incoming.filter_map(move |accepted| match accepted {
        Ok(stream) => crowd.admit(stream).map(Ok),
        Err(fault) => Some(Err(fault)),
    })
}

async fn within_drain_limit(
    serving: impl Future<Output = Result<(), tonic::transport::Error>>,
    stop: Stop,
    place: &str,
) -> Result<(), EndpointFault> {
    let limit = async {
        stop.requested().await;
        tokio::time::sleep(DRAIN_LIMIT).await;
    };
    tokio::select! {
        ended = serving => ended.map_err(|source| EndpointFault::Serve { place: place.to_owned(), source }),
        () = limit => {
            tracing::warn!(place, "streams were still open at the drain limit");
            Ok(())
        }
    }
}

/// Takes over the socket file of a process that is gone; never that of one that still answers.
async fn listen_unix(path: &Path, audience: Audience) -> Result<UnixListener, EndpointFault> {
    let place = path.display().to_string();
    if UnixStream::connect(path).await.is_ok() {
        return Err(EndpointFault::Taken { place });
    }
    let fault = |source| EndpointFault::Listen {
        place: place.clone(),
        source,
    };
    match std::fs::remove_file(path) {
        Err(left) if left.kind() != std::io::ErrorKind::NotFound => return Err(fault(left)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(fault)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(audience.mode())).map_err(fault)?;
    Ok(listener)
}

/// Which file is at a path now; an inode number alone may be used again.
fn identity(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec()))
}

fn read(path: &Path) -> Result<Vec<u8>, EndpointFault> {
    std::fs::read(path).map_err(|source| EndpointFault::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Example {
        listen: Endpoint,
    }

    #[test]
    fn written_forms() {
        let unix: Example = toml::from_str("listen = \"unix:/run/a.sock\"").unwrap();
        assert_eq!(unix.listen, Endpoint::unix("/run/a.sock"));
        let table = "listen = { address = \"127.0.0.1:7001\", certificate = \"c\", private_key = \"k\", peer_ca = \"p\", server_name = \"ledger\" }";
        let tcp: Example = toml::from_str(table).unwrap();
        assert_eq!(tcp.listen.to_string(), "127.0.0.1:7001");
        for refused in [
            "listen = \"127.0.0.1:7001\"",
            "listen = \"unix:\"",
            "listen = { address = \"127.0.0.1:7001\" }",
        ] {
            assert!(toml::from_str::<Example>(refused).is_err(), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_dead_socket_is_taken_over_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let dead = listen_unix(&path, Audience::Everybody).await.unwrap();
        assert_eq!(mode(), 0o666);
        drop(dead);
        let live = listen_unix(&path, Audience::Owner).await.unwrap();
        assert_eq!(mode(), 0o600);
        let second = listen_unix(&path, Audience::Owner).await;
        assert!(matches!(second, Err(EndpointFault::Taken { .. })));
        drop(live);
    }

    #[tokio::test]
    async fn a_socket_is_left_to_its_successor() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let (switch, stop) = Stop::by_hand();
        let endpoint = Endpoint::unix(&path);
        let serving = tokio::spawn(async move { endpoint.serve(Routes::default(), stop).await });
        while UnixStream::connect(&path).await.is_err() {
            tokio::task::yield_now().await;
        }
        // another process takes the place while this one has not ended yet
        std::fs::remove_file(&path).unwrap();
        let successor = listen_unix(&path, Audience::Owner).await.unwrap();
        switch.pull();
        serving.await.unwrap().unwrap();
        assert!(UnixStream::connect(&path).await.is_ok());
        drop(successor);
    }
}
