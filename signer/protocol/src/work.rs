//! What can be asked of the signer, and the reading of it on the signer's side.

use thiserror::Error;

use crate::{limits, wire};

/// A cryptographic suite of the message profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    Rsa,
    Sm,
}

/// What an encrypted field holds: the domain of its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldKind {
    AccountNumber,
    Name,
    DocumentNumber,
    Mobile,
}

/// Verify a message and turn its encrypted fields into tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Open {
    /// Exactly the received bytes of `<root …>…</root>`.
    pub signed: Vec<u8>,
    /// Decoded from base64.
    pub signature: Vec<u8>,
    /// `SignSN`.
    pub signing_serial: String,
    /// `IssrId`: the certificate must belong to it.
    pub issuer: String,
    /// `NcrptnSN`; empty, like the envelope, when the message carries none.
    pub encryption_serial: String,
    /// `DgtlEnvlp`, decoded from base64.
    pub envelope: Vec<u8>,
    pub fields: Vec<EncryptedField>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct EncryptedField {
    pub kind: FieldKind,
    /// Decoded from base64.
    pub ciphertext: Vec<u8>,
}

/// Encrypt the fields of a request again, for the receiver of its answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Seal {
    /// `NcrptnSN` of the request.
    pub encryption_serial: String,
    /// `DgtlEnvlp` of the request, decoded from base64.
    pub envelope: Vec<u8>,
    /// As received, decoded from base64.
    pub fields: Vec<Vec<u8>>,
    /// The institution whose certificate to encrypt for.
    pub receiver: String,
}

/// Sign with a current key of the bank's.
#[derive(Clone, PartialEq, Eq)]
pub struct Sign {
    pub suite: Suite,
    /// Empty asks for the serial of the key alone.
    pub signed: Vec<u8>,
    /// The key wanted; used while it is current, else as if empty: the newest.
    pub signing_serial: String,
}

/// Plaintexts of one kind, to be turned into tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokenise {
    pub kind: FieldKind,
    pub plaintexts: Vec<String>,
}

/// Give out the plaintext of one field.
#[derive(Clone, PartialEq, Eq)]
pub struct Reveal {
    /// `NcrptnSN` of the message.
    pub encryption_serial: String,
    /// `DgtlEnvlp` of the message, decoded from base64.
    pub envelope: Vec<u8>,
    pub field: EncryptedField,
    /// Why, for the audit log: printable ASCII.
    pub purpose: String,
}

/// One piece of work as the signer takes it: of known kind, within the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    Open(Open),
    Seal(Seal),
    Sign(Sign),
    Tokenise(Tokenise),
    Reveal(Reveal),
}

/// Work that is not as the contract says; the text names the rule, never a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct MalformedWork(pub &'static str);

impl Suite {
    pub const ALL: [Self; 2] = [Self::Rsa, Self::Sm];
}

impl Work {
    /// Reads work off the wire.
    pub fn read(what: Option<wire::work::What>) -> Result<Self, MalformedWork> {
        match what {
            Some(wire::work::What::Open(open)) => open.try_into().map(Self::Open),
            Some(wire::work::What::Seal(seal)) => seal.try_into().map(Self::Seal),
            Some(wire::work::What::Sign(sign)) => sign.try_into().map(Self::Sign),
            Some(wire::work::What::Tokenise(tokenise)) => tokenise.try_into().map(Self::Tokenise),
            Some(wire::work::What::Reveal(reveal)) => reveal.try_into().map(Self::Reveal),
            None => Err(MalformedWork("work of no known kind")),
        }
    }
}

impl TryFrom<wire::Open> for Open {
    type Error = MalformedWork;

    fn try_from(open: wire::Open) -> Result<Self, MalformedWork> {
        within(open.signed.len(), limits::SIGNED_BYTES_MAX, "signed is too long")?;
        within(
            open.signature.len(),
            limits::SIGNATURE_BYTES_MAX,
            "signature is too long",
        )?;
        within(
            open.signing_serial.len(),
            limits::SERIAL_BYTES_MAX,
            "signing_serial is too long",
        )?;
        within(open.issuer.len(), limits::INSTITUTION_BYTES_MAX, "issuer is too long")?;
        within(
            open.encryption_serial.len(),
            limits::SERIAL_BYTES_MAX,
            "encryption_serial is too long",
        )?;
        within(open.envelope.len(), limits::ENVELOPE_BYTES_MAX, "envelope is too long")?;
        within(open.fields.len(), limits::FIELDS_MAX, "too many fields")?;
        let fields = open
            .fields
            .into_iter()
            .map(EncryptedField::try_from)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            signed: open.signed.into(),
            signature: open.signature,
            signing_serial: open.signing_serial,
            issuer: open.issuer,
            encryption_serial: open.encryption_serial,
            envelope: open.envelope,
            fields,
        })
    }
}

impl TryFrom<wire::EncryptedField> for EncryptedField {
    type Error = MalformedWork;

    fn try_from(field: wire::EncryptedField) -> Result<Self, MalformedWork> {
        within(field.ciphertext.len(), limits::FIELD_BYTES_MAX, "a field is too long")?;
        Ok(Self {
            kind: field.kind().try_into()?,
            ciphertext: field.ciphertext,
        })
    }
}

impl TryFrom<wire::Seal> for Seal {
    type Error = MalformedWork;

    fn try_from(seal: wire::Seal) -> Result<Self, MalformedWork> {
        within(
            seal.encryption_serial.len(),
            limits::SERIAL_BYTES_MAX,
            "encryption_serial is too long",
        )?;
        within(seal.envelope.len(), limits::ENVELOPE_BYTES_MAX, "envelope is too long")?;
        within(
            seal.receiver.len(),
            limits::INSTITUTION_BYTES_MAX,
            "receiver is too long",
        )?;
        within(seal.fields.len(), limits::FIELDS_MAX, "too many fields")?;
        for field in &seal.fields {
            within(field.len(), limits::FIELD_BYTES_MAX, "a field is too long")?;
        }
        let wire::Seal {
            encryption_serial,
            envelope,
            fields,
            receiver,
        } = seal;
        Ok(Self {
            encryption_serial,
            envelope,
            fields,
            receiver,
        })
    }
}

impl TryFrom<wire::Sign> for Sign {
    type Error = MalformedWork;

    fn try_from(sign: wire::Sign) -> Result<Self, MalformedWork> {
        within(sign.signed.len(), limits::SIGNED_BYTES_MAX, "signed is too long")?;
        within(
            sign.signing_serial.len(),
            limits::SERIAL_BYTES_MAX,
            "signing_serial is too long",
        )?;
        Ok(Self {
            suite: sign.suite().try_into()?,
            signed: sign.signed.into(),
            signing_serial: sign.signing_serial,
        })
    }
}

impl TryFrom<wire::Tokenise> for Tokenise {
    type Error = MalformedWork;

    fn try_from(tokenise: wire::Tokenise) -> Result<Self, MalformedWork> {
        within(tokenise.plaintexts.len(), limits::PLAINTEXTS_MAX, "too many plaintexts")?;
        for plaintext in &tokenise.plaintexts {
            within(plaintext.len(), limits::PLAINTEXT_BYTES_MAX, "a plaintext is too long")?;
        }
        Ok(Self {
            kind: tokenise.kind().try_into()?,
            plaintexts: tokenise.plaintexts,
        })
    }
}

impl TryFrom<wire::Reveal> for Reveal {
    type Error = MalformedWork;

    fn try_from(reveal: wire::Reveal) -> Result<Self, MalformedWork> {
        within(
            reveal.encryption_serial.len(),
            limits::SERIAL_BYTES_MAX,
            "encryption_serial is too long",
        )?;
        within(
            reveal.envelope.len(),
            limits::ENVELOPE_BYTES_MAX,
            "envelope is too long",
        )?;
        within(reveal.purpose.len(), limits::PURPOSE_BYTES_MAX, "purpose is too long")?;
        let printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if reveal.purpose.trim().is_empty() || !reveal.purpose.bytes().all(printable) {
            return Err(MalformedWork("a reveal needs a purpose in printable ASCII"));
        }
        Ok(Self {
            encryption_serial: reveal.encryption_serial,
            envelope: reveal.envelope,
            field: reveal
                .field
                .ok_or(MalformedWork("a reveal without a field"))?
                .try_into()?,
            purpose: reveal.purpose,
        })
    }
}

fn within(len: usize, max: usize, otherwise: &'static str) -> Result<(), MalformedWork> {
    if len <= max {
        Ok(())
    } else {
        Err(MalformedWork(otherwise))
    }
}

impl TryFrom<wire::Suite> for Suite {
    type Error = MalformedWork;

    fn try_from(suite: wire::Suite) -> Result<Self, MalformedWork> {
        match suite {
            wire::Suite::Rsa => Ok(Self::Rsa),
            wire::Suite::Sm => Ok(Self::Sm),
            wire::Suite::Unspecified => Err(MalformedWork("no suite is named")),
        }
    }
}

impl TryFrom<wire::FieldKind> for FieldKind {
    type Error = MalformedWork;

    fn try_from(kind: wire::FieldKind) -> Result<Self, MalformedWork> {
        match kind {
            wire::FieldKind::AccountNumber => Ok(Self::AccountNumber),
            wire::FieldKind::Name => Ok(Self::Name),
            wire::FieldKind::DocumentNumber => Ok(Self::DocumentNumber),
            wire::FieldKind::Mobile => Ok(Self::Mobile),
            wire::FieldKind::Unspecified => Err(MalformedWork("no kind of field is named")),
        }
    }
}

impl From<Suite> for wire::Suite {
    fn from(suite: Suite) -> Self {
        match suite {
            Suite::Rsa => Self::Rsa,
            Suite::Sm => Self::Sm,
        }
    }
}

impl From<FieldKind> for wire::FieldKind {
    fn from(kind: FieldKind) -> Self {
        match kind {
            FieldKind::AccountNumber => Self::AccountNumber,
            FieldKind::Name => Self::Name,
            FieldKind::DocumentNumber => Self::DocumentNumber,
            FieldKind::Mobile => Self::Mobile,
        }
    }
}

impl From<Work> for wire::work::What {
    fn from(work: Work) -> Self {
        match work {
            Work::Open(open) => Self::Open(open.into()),
            Work::Seal(Seal {
                encryption_serial,
                envelope,
                fields,
                receiver,
            }) => Self::Seal(wire::Seal {
                encryption_serial,
                envelope,
                fields,
                receiver,
            }),
            Work::Sign(Sign {
                suite,
                signed,
                signing_serial,
            }) => Self::Sign(wire::Sign {
                suite: wire::Suite::from(suite).into(),
                signed: signed.into(),
                signing_serial,
            }),
            Work::Tokenise(Tokenise { kind, plaintexts }) => Self::Tokenise(wire::Tokenise {
                kind: wire::FieldKind::from(kind).into(),
                plaintexts,
            }),
            Work::Reveal(Reveal {
                encryption_serial,
                envelope,
                field,
                purpose,
            }) => Self::Reveal(wire::Reveal {
                encryption_serial,
                envelope,
                field: Some(field.into()),
                purpose,
            }),
        }
    }
}

impl From<EncryptedField> for wire::EncryptedField {
    fn from(EncryptedField { kind, ciphertext }: EncryptedField) -> Self {
        Self {
            kind: wire::FieldKind::from(kind).into(),
            ciphertext,
        }
    }
}

impl From<Open> for wire::Open {
    fn from(open: Open) -> Self {
        let fields = open.fields.into_iter().map(Into::into);
        Self {
            signed: open.signed.into(),
            signature: open.signature,
            signing_serial: open.signing_serial,
            issuer: open.issuer,
            encryption_serial: open.encryption_serial,
            envelope: open.envelope,
            fields: fields.collect(),
        }
    }
}
