//! One exchange of HTTP: what can be refused before a message is read is refused here, in the order in which it costs
//! least; the body is read under a limit and a deadline; the header lines of the profile go in and come back.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use tokio::time::Instant;

use crate::admission::{Admission, Admitted, Class};
use crate::desk::Desk;
use crate::metrics::Stage;
use crate::neighbours::{Books, Signer};
use crate::pipeline;
use crate::respond::{HttpRefusal, Reply};
use crate::stages::Received;
use crate::tls::Peer;

pub const MESSAGE_TYPE: HeaderName = HeaderName::from_static("msgtp");
pub const ISSUER: HeaderName = HeaderName::from_static("oriissrid");
const PAYER_ACCOUNT_TYPE: HeaderName = HeaderName::from_static("pyeraccttp");
const PAYEE_ACCOUNT_TYPE: HeaderName = HeaderName::from_static("pyeeaccttp");
const RESERVED: HeaderName = HeaderName::from_static("reservedfield");

/// Of a body that is refused, read and thrown away so that the refusal arrives.
const DISCARDED_BYTES_MAX: usize = 1 << 20;
const DISCARDING_MAX: Duration = Duration::from_millis(500);

const ECHOED_LINES: usize = 3;
/// The optional header lines that an answer echoes, and how long each may be (profile, section 1).
const ECHOED: [(HeaderName, usize); ECHOED_LINES] = [(PAYER_ACCOUNT_TYPE, 2), (PAYEE_ACCOUNT_TYPE, 2), (RESERVED, 20)];

/// The header lines of the profile, as they came.
#[derive(Debug, Clone, Default)]
pub struct HeaderLines {
    message_type: Option<HeaderValue>,
    issuer: Option<HeaderValue>,
    echoed: [Option<HeaderValue>; ECHOED_LINES],
}

/// The one path that takes messages and what it takes.
#[derive(Debug)]
pub struct Intake<S, B> {
    pub desk: Arc<Desk<S, B>>,
    pub admission: Admission,
    pub path: String,
    pub body_bytes_max: usize,
    pub body_read: Duration,
}

impl<S: Signer, B: Books> Intake<S, B> {
    /// Never fails: whatever happens is an answer.
    pub async fn exchange(&self, request: Request<Incoming>, peer: Peer) -> Result<Response<Full<Bytes>>, Infallible> {
        let arrived = Instant::now();
        let reply = match self.take(request, peer.clone(), arrived).await {
            Ok(reply) => reply,
            Err(refusal) => {
                // what is shed is counted; a line each would be work spent on it
                if !matches!(refusal, HttpRefusal::Shed) {
                    tracing::info!(
                        peer = peer.name(),
                        status = refusal.status().as_u16(),
                        "refused before reading"
                    );
                }
                Reply::Refused(refusal)
            }
        };
        Ok(reply.into_response())
    }

    async fn take(&self, request: Request<Incoming>, peer: Peer, arrived: Instant) -> Result<Reply, HttpRefusal> {
        let (head, mut body) = request.into_parts();
        let lines = HeaderLines::of(&head.headers);
        let read = match self.admit(&head, &lines) {
            Ok(admitted) => self.read_body(&mut body, arrived).await.map(|read| (read, admitted)),
            Err(refusal) => Err(refusal),
        };
        let (body, admitted) = match read {
            Ok(read) => read,
            Err(refusal) => {
                // a client that waits to be told to go on has sent nothing, and will not
                if !head.headers.contains_key(EXPECT) {
                    discard(&mut body).await;
                }
                return Err(refusal);
            }
        };
        self.desk.metrics.took(Stage::Read, arrived.elapsed());
        let received = Received::new(body, lines, peer, arrived);
        let desk = Arc::clone(&self.desk);
        // A task of its own: a peer that hangs up half way must not leave a payment half way.
        let handling = tokio::spawn(async move {
            let reply = pipeline::handle(&desk, received).await;
            drop(admitted);
            reply
        });
        handling.await.map_err(|fault| {
            tracing::error!(%fault, "the task of a message ended early");
            HttpRefusal::Unavailable
        })
    }

    /// What the head of a request alone decides.
    fn admit(&self, head: &Parts, lines: &HeaderLines) -> Result<Admitted, HttpRefusal> {
        if head.uri.path() != self.path {
            return Err(HttpRefusal::NoSuchPath);
        }
        if head.method != Method::POST {
            return Err(HttpRefusal::MethodNotAllowed);
        }
        if !head.headers.get(CONTENT_TYPE).is_some_and(is_xml_in_utf8) {
            return Err(HttpRefusal::ContentType);
        }
        if announced_length(&head.headers).is_some_and(|length| length > self.body_bytes_max) {
            return Err(HttpRefusal::TooLarge);
        }
        let class = Class::of_header(lines.message_type());
        self.admission.admit(class).map_err(|_| HttpRefusal::Shed)
    }

    /// Stops reading at the first byte too many, whether or not a length was announced.
    async fn read_body(&self, body: &mut Incoming, arrived: Instant) -> Result<Bytes, HttpRefusal> {
        let reading = collect(body, self.body_bytes_max);
        match tokio::time::timeout_at(arrived + self.body_read, reading).await {
            Ok(read) => read,
            Err(_) => Err(HttpRefusal::BodyTooSlow),
        }
    }
}

/// Takes the rest of a refused body off the wire, within bounds: closing a connection on bytes that nobody read resets
/// it, and the reset overtakes the refusal.
async fn discard(body: &mut Incoming) {
    let discarding = async {
        let mut left = DISCARDED_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            left = match left.checked_sub(bytes) {
                Some(left) => left,
                None => return,
            };
        }
    };
    // too slow or too long: the refusal may be lost, and that is the client's own doing
    let _ended_in_time = tokio::time::timeout(DISCARDING_MAX, discarding).await;
}

async fn collect(body: &mut Incoming, bytes_max: usize) -> Result<Bytes, HttpRefusal> {
    let expected = usize::try_from(body.size_hint().lower())
        .unwrap_or(bytes_max)
        .min(bytes_max);
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| HttpRefusal::BodyBroken)?.into_data() else {
            continue;
        };
        if first.len() + all.len() + piece.len() > bytes_max {
            return Err(HttpRefusal::TooLarge);
        }
        // most bodies come in one piece and are not copied
        if first.is_empty() && all.is_empty() {
            first = piece;
            continue;
        }
        if all.is_empty() {
            all.reserve(expected.max(first.len() + piece.len()));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&piece);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

impl HeaderLines {
    /// A line that comes twice counts as absent: which of the two would be meant?
    pub fn of(headers: &HeaderMap) -> Self {
        let single = |name: &HeaderName| {
            let mut values = headers.get_all(name).iter();
            let first = values.next()?;
            values.next().is_none().then(|| first.clone())
        };
        Self {
            message_type: single(&MESSAGE_TYPE),
            issuer: single(&ISSUER),
            echoed: ECHOED.map(|(name, _)| single(&name)),
        }
    }

    pub fn message_type(&self) -> Option<&str> {
        self.message_type.as_ref().and_then(|line| line.to_str().ok())
    }

    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_ref().and_then(|line| line.to_str().ok())
    }

    /// Whether the optional lines have the lengths the profile gives them.
    pub fn optional_lines_fit(&self) -> bool {
        let mut lines = self.echoed.iter().zip(ECHOED);
        lines.all(|(line, (name, length))| match line {
            None => true,
            Some(line) if name == RESERVED => line.len() <= length,
            Some(line) => line.len() == length,
        })
    }

    /// The optional lines for the answer. One that does not fit is not echoed.
    pub fn echo_into(self, headers: &mut HeaderMap) {
        for (line, (name, length)) in self.echoed.into_iter().zip(ECHOED) {
            if let Some(line) = line.filter(|line| line.len() <= length) {
                headers.insert(name, line);
            }
        }
    }
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    // what does not fit a usize is too large in any case
    headers
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()
        .map(|digits| digits.parse().unwrap_or(usize::MAX))
}

/// `application/xml`, and where a charset is named, UTF-8.
fn is_xml_in_utf8(line: &HeaderValue) -> bool {
    let Ok(text) = line.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let kind_fits = parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/xml"));
    kind_fits
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        let check = |line: &'static str, expected: bool| {
            assert_eq!(is_xml_in_utf8(&HeaderValue::from_static(line)), expected, "{line:?}");
        };
        check("application/xml;charset=utf-8", true);
        check("application/xml; charset=\"UTF-8\"", true);
        check("Application/XML", true);
        check("application/xml;charset=gbk", false);
        check("text/xml;charset=utf-8", false);
        check("application/xmlx", false);
        check("application/json", false);
        check("", false);
    }

    #[test]
    fn header_lines_are_echoed_where_they_fit() {
        let check = |reserved: &'static str, payer: &'static str, fit: bool, echoed: usize| {
            let mut headers = HeaderMap::new();
            headers.insert(RESERVED, HeaderValue::from_static(reserved));
            headers.insert(PAYER_ACCOUNT_TYPE, HeaderValue::from_static(payer));
            let lines = HeaderLines::of(&headers);
            assert_eq!(lines.optional_lines_fit(), fit, "{reserved:?} {payer:?}");
            let mut answer = HeaderMap::new();
            lines.echo_into(&mut answer);
            assert_eq!(answer.len(), echoed, "{reserved:?} {payer:?}");
        };
        check("", "00", true, 2);
        check("12345678901234567890", "03", true, 2);
        check("123456789012345678901", "03", false, 1);
        check("x", "003", false, 1);
        check("x", "0", false, 2);
    }
}
