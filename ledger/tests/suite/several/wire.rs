//! The way from one ledger to one server: a TCP relay that a test cuts and mends.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::server::{PORT, Server};

/// Connections end when it is cut, and new ones are closed at once until it is mended.
pub(super) struct Wire {
    address: SocketAddr,
    is_whole: watch::Sender<bool>,
    relays: JoinHandle<()>,
}

impl Wire {
    pub(super) async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_whole, whole) = watch::channel(true);
        let socket = PathBuf::from(server.host()).join(format!(".s.PGSQL.{PORT}"));
        let relays = tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                if *whole.borrow() {
                    tokio::spawn(relay(near, socket.clone(), whole.clone()));
                }
            }
        });
        Self {
            address,
            is_whole,
            relays,
        }
    }

    /// As a ledger's configuration names it.
    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(super) fn cut(&self) {
        self.is_whole.send_replace(false);
    }

    pub(super) fn mend(&self) {
        self.is_whole.send_replace(true);
    }
}

async fn relay(mut near: TcpStream, socket: PathBuf, mut whole: watch::Receiver<bool>) {
    let Ok(mut far) = UnixStream::connect(socket).await else {
        return;
    };
    tokio::select! {
        _ended_by_either_side = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _cut = whole.wait_for(|whole| !whole) => {}
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.relays.abort();
        self.cut();
    }
}
