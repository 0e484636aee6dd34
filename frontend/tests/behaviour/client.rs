//! A front end that listens on a free port, and clients that speak to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use frontend::admission::Admission;
use frontend::config::{AdmissionLimits, AllowedClient, Connections, Tls};
use frontend::desk::Desk;
use frontend::http::Intake;
use frontend::metrics::Metrics;
use frontend::server::{Acceptor, Server};
use frontend::tls::{AllowList, server_config};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::{HeaderMap, Method, Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use operations::stop::{Stop, StopSwitch};
use prometheus_client::registry::Registry;
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::{Authority, Identity};
use crate::messages::{framed, header_lines};
use crate::stand_ins::{StandInBooks, StandInSigner, desk};

pub(crate) const ALLOWED: &str = "network gateway 1";
pub(crate) const ALLOWED_SERIAL: u32 = 0x00C0_FFEE;

/// A front end and everything needed to speak to it.
pub(crate) struct House {
    pub(crate) authority: Authority,
    pub(crate) desk: Arc<Desk<StandInSigner, StandInBooks>>,
    pub(crate) address: SocketAddr,
    pub(crate) switch: StopSwitch,
    pub(crate) serving: JoinHandle<()>,
    registry: Registry,
}

pub(crate) struct Settings {
    pub(crate) admission: AdmissionLimits,
    pub(crate) connections: Connections,
    pub(crate) body_read: Duration,
    pub(crate) drain: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            admission: AdmissionLimits::default(),
            connections: Connections::default(),
            body_read: Duration::from_secs(10),
            drain: Duration::from_secs(10),
        }
    }
}

impl House {
    pub(crate) async fn open(signer: StandInSigner, books: StandInBooks, settings: Settings) -> Self {
        let authority = Authority::new();
        let directory = tempfile::tempdir().unwrap();
        let (certificate, private_key) = authority.issue("front end", 1).write(directory.path());
        let allowed = [
            (Some(ALLOWED.to_owned()), None),
            (None, Some(format!("{ALLOWED_SERIAL:08x}"))),
        ];
        let tls = Tls {
            certificate,
            private_key,
            client_ca: authority.write_root(directory.path()),
            allowed: allowed
                .map(|(subject, serial)| AllowedClient { subject, serial })
                .to_vec(),
            handshake_ms: 5_000,
            resumable_max: 100,
        };
        let allowed = AllowList::new(tls.allowed.clone());
        let acceptor = Acceptor::new(server_config(&tls).unwrap(), allowed, Duration::from_secs(5));
        let mut desk = desk(signer, books);
        let (metrics, registry) = Metrics::new();
        desk.metrics = Arc::new(metrics);
        let desk = Arc::new(desk);
        let intake = Intake {
            desk: Arc::clone(&desk),
            admission: Admission::new(&settings.admission, Arc::clone(&desk.metrics)),
            path: "/preSvr".to_owned(),
            body_bytes_max: 65_536,
            body_read: settings.body_read,
        };
        let server = Server::new(acceptor, intake, &settings.connections, settings.drain);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (switch, stop) = Stop::by_hand();
        let serving = tokio::spawn(server.serve(listener, stop));
        Self {
            authority,
            desk,
            address,
            switch,
            serving,
            registry,
        }
    }

    pub(crate) async fn usual() -> Self {
        Self::open(StandInSigner::default(), StandInBooks::default(), Settings::default()).await
    }

    pub(crate) fn network(&self) -> Identity {
        self.authority.issue(ALLOWED, 7)
    }

    pub(crate) fn posted(&self) -> usize {
        self.desk.books.posted.lock().unwrap().len()
    }

    /// Whether this line is scraped now.
    pub(crate) fn metric(&self, line: &str) -> bool {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.lines().any(|found| found == line)
    }
}

/// How a client speaks.
#[derive(Clone)]
pub(crate) struct Caller {
    config: Arc<ClientConfig>,
    address: SocketAddr,
}

impl Caller {
    pub(crate) fn new(
        house: &House,
        identity: Option<&Identity>,
        protocol: &str,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(house.authority.root()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            Some(identity) => builder.with_client_auth_cert(identity.chain(), identity.key()).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Self {
            config: Arc::new(config),
            address: house.address,
        }
    }

    /// The network's client over HTTP/1.1.
    pub(crate) fn network(house: &House) -> Self {
        Self::new(house, Some(&house.network()), "http/1.1", rustls::ALL_VERSIONS)
    }

    pub(crate) async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        let name = "localhost".try_into().unwrap();
        TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await
    }

    pub(crate) async fn http1(&self) -> http1::SendRequest<Full<Bytes>> {
        let stream = self.connect().await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    pub(crate) async fn http2(&self) -> http2::SendRequest<Full<Bytes>> {
        let stream = self.connect().await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Says `text` on a connection of its own and hears all of the answer.
    pub(crate) async fn say(&self, text: &[u8]) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = self.connect().await.unwrap();
        stream.write_all(text).await.unwrap();
        let mut heard = Vec::new();
        let hearing = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut heard));
        // a peer that closes without a farewell has still said what it said
        let _ended = hearing.await.expect("the front end ends the connection");
        String::from_utf8(heard).unwrap()
    }
}

/// Whether an earlier handshake was resumed.
pub(crate) fn resumed(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}

/// A message as the network posts it.
pub(crate) fn request(version: Version, number: u16, root: &str) -> Request<Full<Bytes>> {
    let uri = if version == Version::HTTP_2 {
        "https://localhost/preSvr"
    } else {
        "/preSvr"
    };
    let mut request = Request::new(Full::from(framed(root)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.parse().unwrap();
    *request.version_mut() = version;
    let headers = request.headers_mut();
    headers.extend(header_lines(number));
    headers.insert("Content-Type", "application/xml;charset=utf-8".parse().unwrap());
    if version != Version::HTTP_2 {
        headers.insert("Host", "localhost".parse().unwrap());
    }
    request
}

/// Status, header lines and body.
pub(crate) async fn read<B>(response: Response<B>) -> (u16, HeaderMap, Bytes)
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let (head, body) = response.into_parts();
    (
        head.status.as_u16(),
        head.headers,
        body.collect().await.unwrap().to_bytes(),
    )
}
