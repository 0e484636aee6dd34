//! One message through the whole pipeline, without a socket.

use frontend::desk::Desk;
use frontend::http::HeaderLines;
use frontend::pipeline::handle;
use frontend::respond::Reply;
use frontend::stages::Received;
use frontend::tls::Peer;
use ledger_model::{Instruction, TransferKey};
use tokio::time::Instant;

use crate::messages::{NETWORK, framed, in_one_line, lines};
use crate::stand_ins::{StandInBooks, StandInSigner, desk};

pub(crate) type TestDesk = Desk<StandInSigner, StandInBooks>;

pub(crate) async fn send(desk: &TestDesk, body: Vec<u8>, lines: HeaderLines) -> Reply {
    let received = Received::new(body.into(), lines, Peer::named("network"), Instant::now());
    handle(desk, received).await
}

pub(crate) async fn answer_of(desk: &TestDesk, number: u16, root: &str) -> String {
    shown(&send(desk, framed(root), lines(number)).await)
}

pub(crate) fn shown(reply: &Reply) -> String {
    match reply {
        Reply::Signed(signed) => in_one_line(&signed.body),
        Reply::Refused(refusal) => format!("HTTP {}", refusal.status().as_u16()),
    }
}

pub(crate) fn posted(desk: &TestDesk) -> usize {
    desk.books.posted.lock().unwrap().len()
}

pub(crate) fn key(category: &str, id: &str) -> TransferKey {
    TransferKey {
        issuer: NETWORK.parse().unwrap(),
        category: category.parse().unwrap(),
        id: id.parse().unwrap(),
    }
}

/// The instruction the ledger gets.
pub(crate) async fn translated(number: u16, root: &str) -> Instruction {
    let desk = desk(StandInSigner::default(), StandInBooks::default());
    answer_of(&desk, number, root).await;
    let posted = desk.books.posted.lock().unwrap();
    posted[0].0.clone()
}
