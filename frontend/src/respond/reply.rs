//! What goes back over HTTP: a signed answer under the profile's header lines, or a plain refusal.

use bytes::Bytes;
use frontend_messages::MessageType;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use ledger_model::InstitutionId;

use crate::http::{HeaderLines, ISSUER, MESSAGE_TYPE};

/// What goes back over HTTP.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every reply is of the large kind")]
pub enum Reply {
    Signed(SignedAnswer),
    Refused(HttpRefusal),
}

#[derive(Debug)]
pub struct SignedAnswer {
    pub body: Vec<u8>,
    pub message_type: MessageType,
    pub issuer: InstitutionId,
    /// Of the request.
    pub lines: HeaderLines,
}

/// No XML answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpRefusal {
    NotAFrame,
    BodyBroken,
    NoSuchPath,
    MethodNotAllowed,
    BodyTooSlow,
    TooLarge,
    ContentType,
    /// Before reading.
    Shed,
    /// No answer could be signed. Says nothing about the money: a query will.
    Unavailable,
}

const XML: HeaderValue = HeaderValue::from_static("application/xml;charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain;charset=utf-8");
const POST: HeaderValue = HeaderValue::from_static("POST");
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

impl HttpRefusal {
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NotAFrame | Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Shed | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::NotAFrame => "the body is no message of the network\n",
            Self::BodyBroken => "the body could not be read to its end\n",
            Self::NoSuchPath => "no such path\n",
            Self::MethodNotAllowed => "only POST\n",
            Self::BodyTooSlow => "the body did not arrive in time\n",
            Self::TooLarge => "the body is too large\n",
            Self::ContentType => "only application/xml;charset=utf-8\n",
            Self::Shed => "too busy; the message was not read\n",
            Self::Unavailable => "no answer can be signed; ask for the status of the transaction\n",
        }
    }
}

impl Reply {
    pub fn into_response(self) -> Response<Full<Bytes>> {
        match self {
            Self::Signed(signed) => signed.into_response(),
            Self::Refused(refusal) => {
                let mut response = Response::new(Full::from(refusal.text()));
                *response.status_mut() = refusal.status();
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, PLAIN);
                match refusal {
                    HttpRefusal::MethodNotAllowed => drop(headers.insert(ALLOW, POST)),
                    HttpRefusal::Shed | HttpRefusal::Unavailable => {
                        drop(headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS));
                    }
                    HttpRefusal::NotAFrame
                    | HttpRefusal::BodyBroken
                    | HttpRefusal::NoSuchPath
                    | HttpRefusal::BodyTooSlow
                    | HttpRefusal::TooLarge
                    | HttpRefusal::ContentType => {}
                }
                response
            }
        }
    }
}

impl SignedAnswer {
    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(self.body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, XML);
        headers.insert(MESSAGE_TYPE, HeaderValue::from_static(self.message_type.name()));
        let issuer = HeaderValue::from_str(self.issuer.as_str()).expect("an institution is letters and digits");
        headers.insert(ISSUER, issuer);
        self.lines.echo_into(headers);
        response
    }
}
