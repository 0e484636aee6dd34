//! What the signer answers, and both directions of it on the wire.

use crate::wire;
use crate::work::{MalformedWork, Suite};

/// Stands in for an account number, name, document number or mobile everywhere outside the signer.
pub type Token = [u8; 32];

/// What came of opening a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenVerdict {
    /// The signature held and every field opened; tokens in the order of the fields.
    Opened {
        suite: Suite,
        tokens: Tokens,
    },
    Rejected(Rejection),
}

/// Why a message is not taken, in order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection {
    SigningSerialUnknown,
    SerialOfAnotherInstitution,
    CertificateOutOfDate,
    CertificateRevoked,
    SignatureWrong,
    EncryptionSerialUnknown,
    /// Envelope or field; deliberately one reason for every cause.
    FieldDoesNotOpen,
}

impl Rejection {
    pub const ALL: [Self; 7] = [
        Self::SigningSerialUnknown,
        Self::SerialOfAnotherInstitution,
        Self::CertificateOutOfDate,
        Self::CertificateRevoked,
        Self::SignatureWrong,
        Self::EncryptionSerialUnknown,
        Self::FieldDoesNotOpen,
    ];
}

/// Fields encrypted for the receiver of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// `NcrptnSN` of the answer.
    pub encryption_serial: String,
    /// `DgtlEnvlp` of the answer.
    pub envelope: Vec<u8>,
    /// In the order they were given.
    pub fields: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Of the certificate that verifies it.
    pub serial: String,
    /// Empty when only the serial was asked for.
    pub bytes: Vec<u8>,
}

/// A plaintext that was asked for. Prints nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Revealed(pub Vec<u8>);

/// Tokens of some plaintexts, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokens {
    pub tokens: Vec<Token>,
    /// The same under the other generation of the token key; empty unless two are configured.
    pub other_generation: Vec<Token>,
}

/// Everything the signer can answer to one piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Opened { suite: Suite, tokens: Tokens },
    Rejected(Rejection),
    Sealed(Sealed),
    Signed(Signature),
    Tokens(Tokens),
    Revealed(Revealed),
    Failed(Failure, String),
}

/// Why work was not done, for no fault of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    Expired,
    Busy,
    NoKey,
    MalformedWork,
    Internal,
    /// The device that holds the key is away or stalls.
    KeyUnavailable,
    NotAllowed,
}

/// How one key of the bank's does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHealth {
    pub serial: String,
    pub suite: Suite,
    /// `sign` or `decrypt`.
    pub usage: String,
    /// RFC 3339.
    pub not_after: String,
    /// Whether it was used just now, both ways, with success.
    pub works: bool,
    /// What holds it: `software`, or the kind of device.
    pub provider: String,
}

impl Answer {
    pub fn into_reply(self, number: u64) -> wire::Reply {
        wire::Reply {
            number,
            what: Some(self.into()),
        }
    }
}

impl From<Answer> for wire::reply::What {
    fn from(answer: Answer) -> Self {
        let bytes = |tokens: Vec<Token>| tokens.iter().map(|token| token.to_vec()).collect();
        match answer {
            Answer::Opened { suite, tokens } => Self::Opened(wire::Opened {
                suite: wire::Suite::from(suite).into(),
                tokens: bytes(tokens.tokens),
                other_generation: bytes(tokens.other_generation),
            }),
            Answer::Rejected(rejection) => Self::Rejected(wire::Rejected {
                reason: wire::Rejection::from(rejection).into(),
            }),
            Answer::Sealed(Sealed {
                encryption_serial,
                envelope,
                fields,
            }) => Self::Sealed(wire::Sealed {
                encryption_serial,
                envelope,
                fields,
            }),
            Answer::Signed(Signature { serial, bytes }) => Self::Signed(wire::Signed {
                signing_serial: serial,
                signature: bytes,
            }),
            Answer::Tokens(tokens) => Self::Tokens(wire::Tokens {
                tokens: bytes(tokens.tokens),
                other_generation: bytes(tokens.other_generation),
            }),
            Answer::Revealed(Revealed(plaintext)) => Self::Revealed(wire::Revealed { plaintext }),
            Answer::Failed(failure, text) => Self::Failed(wire::Failed {
                cause: wire::failed::Cause::from(failure).into(),
                text,
            }),
        }
    }
}

impl TryFrom<wire::reply::What> for Answer {
    type Error = MalformedWork;

    fn try_from(reply: wire::reply::What) -> Result<Self, MalformedWork> {
        match reply {
            wire::reply::What::Opened(opened) => {
                let suite = opened.suite().try_into()?;
                Ok(Self::Opened {
                    suite,
                    tokens: read_generations(opened.tokens, opened.other_generation)?,
                })
            }
            wire::reply::What::Rejected(rejected) => rejected.reason().try_into().map(Self::Rejected),
            wire::reply::What::Sealed(wire::Sealed {
                encryption_serial,
                envelope,
                fields,
            }) => Ok(Self::Sealed(Sealed {
                encryption_serial,
                envelope,
                fields,
            })),
            wire::reply::What::Signed(wire::Signed {
                signing_serial,
                signature,
            }) => Ok(Self::Signed(Signature {
                serial: signing_serial,
                bytes: signature,
            })),
            wire::reply::What::Tokens(wire::Tokens {
                tokens,
                other_generation,
            }) => read_generations(tokens, other_generation).map(Self::Tokens),
            wire::reply::What::Revealed(revealed) => Ok(Self::Revealed(Revealed(revealed.plaintext))),
            wire::reply::What::Failed(failed) => Ok(Self::Failed(failed.cause().into(), failed.text)),
        }
    }
}

fn read_generations(tokens: Vec<Vec<u8>>, other_generation: Vec<Vec<u8>>) -> Result<Tokens, MalformedWork> {
    if !other_generation.is_empty() && other_generation.len() != tokens.len() {
        return Err(MalformedWork("two generations of tokens differ in number"));
    }
    Ok(Tokens {
        tokens: read_tokens(tokens)?,
        other_generation: read_tokens(other_generation)?,
    })
}

fn read_tokens(tokens: Vec<Vec<u8>>) -> Result<Vec<Token>, MalformedWork> {
    let read = |token: Vec<u8>| token.try_into().map_err(|_| MalformedWork("a token is not 32 bytes"));
    tokens.into_iter().map(read).collect()
}

impl From<Rejection> for wire::Rejection {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::SigningSerialUnknown => Self::SigningSerialUnknown,
            Rejection::SerialOfAnotherInstitution => Self::SerialOfAnotherInstitution,
            Rejection::CertificateOutOfDate => Self::CertificateOutOfDate,
            Rejection::CertificateRevoked => Self::CertificateRevoked,
            Rejection::SignatureWrong => Self::SignatureWrong,
            Rejection::EncryptionSerialUnknown => Self::EncryptionSerialUnknown,
            Rejection::FieldDoesNotOpen => Self::FieldDoesNotOpen,
        }
    }
}

impl TryFrom<wire::Rejection> for Rejection {
    type Error = MalformedWork;

    fn try_from(rejection: wire::Rejection) -> Result<Self, MalformedWork> {
        match rejection {
            wire::Rejection::SigningSerialUnknown => Ok(Self::SigningSerialUnknown),
            wire::Rejection::SerialOfAnotherInstitution => Ok(Self::SerialOfAnotherInstitution),
            wire::Rejection::CertificateOutOfDate => Ok(Self::CertificateOutOfDate),
            wire::Rejection::CertificateRevoked => Ok(Self::CertificateRevoked),
            wire::Rejection::SignatureWrong => Ok(Self::SignatureWrong),
            wire::Rejection::EncryptionSerialUnknown => Ok(Self::EncryptionSerialUnknown),
            wire::Rejection::FieldDoesNotOpen => Ok(Self::FieldDoesNotOpen),
            wire::Rejection::Unspecified => Err(MalformedWork("a rejection without a reason")),
        }
    }
}

impl From<Failure> for wire::failed::Cause {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Expired => Self::Expired,
            Failure::Busy => Self::Busy,
            Failure::NoKey => Self::NoKey,
            Failure::MalformedWork => Self::MalformedWork,
            Failure::Internal => Self::Internal,
            Failure::KeyUnavailable => Self::KeyUnavailable,
            Failure::NotAllowed => Self::NotAllowed,
        }
    }
}

impl From<wire::failed::Cause> for Failure {
    fn from(cause: wire::failed::Cause) -> Self {
        match cause {
            wire::failed::Cause::Expired => Self::Expired,
            wire::failed::Cause::Busy => Self::Busy,
            wire::failed::Cause::NoKey => Self::NoKey,
            wire::failed::Cause::MalformedWork => Self::MalformedWork,
            wire::failed::Cause::KeyUnavailable => Self::KeyUnavailable,
            wire::failed::Cause::NotAllowed => Self::NotAllowed,
            // A cause that this side does not know is nothing it can act on either.
            wire::failed::Cause::Internal | wire::failed::Cause::Unspecified => Self::Internal,
        }
    }
}

impl From<KeyHealth> for wire::KeyHealth {
    fn from(key: KeyHealth) -> Self {
        let KeyHealth {
            serial,
            suite,
            usage,
            not_after,
            works,
            provider,
        } = key;
        Self {
            serial,
            suite: wire::Suite::from(suite).into(),
            r#use: usage,
            not_after,
            works,
            provider,
        }
    }
}

impl TryFrom<wire::KeyHealth> for KeyHealth {
    type Error = MalformedWork;

    fn try_from(key: wire::KeyHealth) -> Result<Self, MalformedWork> {
        let suite = key.suite().try_into()?;
        let wire::KeyHealth {
            serial,
            r#use: usage,
            not_after,
            works,
            provider,
            ..
        } = key;
        Ok(Self {
            serial,
            suite,
            usage,
            not_after,
            works,
            provider,
        })
    }
}
