//! Received: bounded bytes from a known peer, and the HTTP header lines they came with.

use bytes::Bytes;
use frontend_messages::{read_partial_header, split};
use tokio::time::Instant;

use super::framed::Framed;
use super::setback::{Fault, Origin, Setback};
use crate::desk::Rules;
use crate::http::HeaderLines;
use crate::tls::Peer;

#[derive(Debug)]
pub struct Received {
    body: Bytes,
    lines: HeaderLines,
    peer: Peer,
    arrived: Instant,
}

impl Received {
    /// `body` is at most as long as the profile allows; `arrived` is when the request head was read.
    pub const fn new(body: Bytes, lines: HeaderLines, peer: Peer, arrived: Instant) -> Self {
        Self {
            body,
            lines,
            peer,
            arrived,
        }
    }

    pub const fn lines(&self) -> &HeaderLines {
        &self.lines
    }

    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    pub const fn arrived(&self) -> Instant {
        self.arrived
    }

    /// Finds the signed bytes and the signature; neither is copied or trusted.
    pub fn frame(self, rules: &Rules) -> Result<Framed, Setback> {
        match split(&self.body) {
            Ok(frame) => {
                let signed = self.body.slice_ref(frame.signed());
                Ok(Framed::new(signed, frame.signature().to_vec(), self.lines))
            }
            Err(fault) if fault.is_not_a_frame() => Err(Setback::new(Origin::default(), Fault::NotAFrame(fault))),
            Err(fault) => {
                let header = read_partial_header(&self.body, &rules.profile);
                Err(Setback::new(
                    header.map(Origin::from).unwrap_or_default(),
                    Fault::Frame(fault),
                ))
            }
        }
    }
}
