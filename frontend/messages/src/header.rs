//! `MsgHeader`: who sends what, in which direction, under which keys.
//!
//! The header is read strictly: seven known children at the most, in fixed order, none twice, nothing unknown. Whether
//! `SndDt` is timely and whether `SignSN` belongs to `IssrId` is decided elsewhere, by those who have a clock and the
//! certificates.

use std::fmt;
use std::str::FromStr;

use ledger_model::{ChinaTime, InstitutionId};

use crate::fault::Fault;
use crate::reader;
use crate::tree::{Group, Tree};
use crate::writer::Sink;
use crate::{Form, MessageReason, PartialHeader, Profile, frame};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageHeader {
    /// `SndDt`.
    pub sent_at: ChinaTime,
    /// `MsgTp`.
    pub message_type: MessageType,
    /// `IssrId`: whose signature it bears.
    pub issuer: InstitutionId,
    /// `Drctn`.
    pub direction: Direction,
    /// `SignSN`: letters and digits.
    pub signing_serial: String,
    /// `NcrptnSN` and `DgtlEnvlp`, both or neither.
    pub envelope: Option<Envelope>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `NcrptnSN`: letters and digits.
    pub encryption_serial: String,
    /// `DgtlEnvlp`, decoded.
    pub sealed_key: Vec<u8>,
}

/// The message kinds this bank reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageType {
    /// Agreement payment.
    M201,
    /// Refund.
    M205,
    /// Answer to 201 and 205.
    M206,
    /// Payout.
    M211,
    /// Answer to 211.
    M213,
    /// Status query.
    M301,
    /// Answer to 301.
    M302,
    /// General answer.
    M303,
}

/// `Drctn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Direction {
    pub towards: Towards,
    pub role: PeerRole,
}

/// First digit of `Drctn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Towards {
    /// `1`: to the network.
    Network,
    /// `2`: from the network to a bank or payment institution.
    Institution,
}

/// Second digit of `Drctn`: what the network's peer is in this exchange. An answer keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerRole {
    /// `1`
    Initiator,
    /// `2`
    PayerSide,
    /// `3`
    PayeeSide,
}

/// What the header may have, in this order.
const CHILDREN: [&str; 7] = ["SndDt", "MsgTp", "IssrId", "Drctn", "SignSN", "NcrptnSN", "DgtlEnvlp"];

impl MessageHeader {
    pub(crate) fn read(header: Group<'_>) -> Result<Self, Fault> {
        check_children(header)?;
        Ok(Self {
            sent_at: header.time("SndDt")?,
            message_type: read_type(header)?,
            issuer: header.name("IssrId")?,
            direction: read_direction(header)?,
            signing_serial: read_serial(header, "SignSN")?.ok_or_else(|| header.missing("SignSN"))?,
            envelope: read_envelope(header)?,
        })
    }

    /// `message_type` is what the body is; the field of the same name is not asked, so that the two cannot differ.
    pub(crate) fn write(&self, message_type: MessageType, sink: &mut impl Sink) {
        sink.group("MsgHeader", |header| {
            header.display("SndDt", self.sent_at);
            header.text("MsgTp", message_type.name());
            header.text("IssrId", self.issuer.as_str());
            header.text("Drctn", self.direction.code());
            header.text("SignSN", &self.signing_serial);
            if let Some(envelope) = &self.envelope {
                header.text("NcrptnSN", &envelope.encryption_serial);
                header.bytes("DgtlEnvlp", &envelope.sealed_key);
            }
        });
    }
}

/// What can be read of the header of a body that is not a frame, such as one whose signature is not base64: good for
/// the direction of a refusal, nothing else.
pub fn read_partial_header(body: &[u8], profile: &Profile) -> Option<PartialHeader> {
    let root = frame::find_root(body)?;
    let mut tree = Tree::default();
    // a tree that ended at a fault still has the elements before it
    let _ = reader::read(root, profile, &mut tree);
    PartialHeader::of(&tree, profile)
}

impl PartialHeader {
    pub(crate) fn of(tree: &Tree<'_>, profile: &Profile) -> Option<Self> {
        let header = Group::root(tree, profile)?.child("MsgHeader").ok()??;
        let found = Self {
            sent_at: header.time("SndDt").ok(),
            message_type: read_type(header).ok(),
            issuer: header.name("IssrId").ok(),
            direction: read_direction(header).ok(),
        };
        (found != Self::default()).then_some(found)
    }
}

fn check_children(header: Group<'_>) -> Result<(), Fault> {
    let mut latest = None;
    for name in header.child_names() {
        let Some(place) = CHILDREN.iter().position(|known| *known == name) else {
            return Err(header.fault(MessageReason::UnknownInHeader));
        };
        if latest.is_some_and(|latest| place <= latest) {
            let reason = if header.count(name) > 1 {
                MessageReason::Duplicated
            } else {
                MessageReason::OutOfOrder
            };
            return Err(header.fault_at(name, reason));
        }
        latest = Some(place);
    }
    Ok(())
}

fn read_type(header: Group<'_>) -> Result<MessageType, Fault> {
    let name = header.required("MsgTp")?;
    name.parse().map_err(|reason| header.fault_at("MsgTp", reason))
}

fn read_direction(header: Group<'_>) -> Result<Direction, Fault> {
    let code = header.required("Drctn")?;
    Direction::from_code(code).ok_or_else(|| header.wrong("Drctn", Form::Direction))
}

fn read_serial(header: Group<'_>, name: &'static str) -> Result<Option<String>, Fault> {
    let Some(serial) = header.optional(name)? else {
        return Ok(None);
    };
    if serial.len() > header.profile().lengths.certificate_serial {
        return Err(header.fault_at(name, MessageReason::TooLong));
    }
    if !serial.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(header.wrong(name, Form::CertificateSerial));
    }
    Ok(Some(serial.to_owned()))
}

fn read_envelope(header: Group<'_>) -> Result<Option<Envelope>, Fault> {
    let sealed_key = header.bytes("DgtlEnvlp", header.profile().lengths.envelope_bytes)?;
    match (read_serial(header, "NcrptnSN")?, sealed_key) {
        (None, None) => Ok(None),
        (Some(encryption_serial), Some(sealed_key)) => Ok(Some(Envelope {
            encryption_serial,
            sealed_key,
        })),
        (Some(_), None) | (None, Some(_)) => Err(header.fault(MessageReason::EnvelopeHalfPresent)),
    }
}

impl MessageType {
    pub const ALL: [Self; 8] = [
        Self::M201,
        Self::M205,
        Self::M206,
        Self::M211,
        Self::M213,
        Self::M301,
        Self::M302,
        Self::M303,
    ];

    /// The number people say, such as `201`.
    pub const fn number(self) -> &'static str {
        match self {
            Self::M201 => "201",
            Self::M205 => "205",
            Self::M206 => "206",
            Self::M211 => "211",
            Self::M213 => "213",
            Self::M301 => "301",
            Self::M302 => "302",
            Self::M303 => "303",
        }
    }

    /// `MsgTp`, such as `epcc.201.001.01`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::M201 => "epcc.201.001.01",
            Self::M205 => "epcc.205.001.01",
            Self::M206 => "epcc.206.001.01",
            Self::M211 => "epcc.211.001.01",
            Self::M213 => "epcc.213.001.01",
            Self::M301 => "epcc.301.001.01",
            Self::M302 => "epcc.302.001.01",
            Self::M303 => "epcc.303.001.01",
        }
    }

    /// What a bank answers this with when it could handle it; `None` where it is an answer itself.
    pub const fn answer(self) -> Option<Self> {
        match self {
            Self::M201 | Self::M205 => Some(Self::M206),
            Self::M211 => Some(Self::M213),
            Self::M301 => Some(Self::M302),
            Self::M206 | Self::M213 | Self::M302 | Self::M303 => None,
        }
    }
}

impl FromStr for MessageType {
    type Err = MessageReason;

    fn from_str(name: &str) -> Result<Self, MessageReason> {
        if let Some(known) = Self::ALL.into_iter().find(|kind| kind.name() == name) {
            return Ok(known);
        }
        let number = name.strip_prefix("epcc.").and_then(|rest| rest.strip_suffix(".001.01"));
        let well_formed = number.is_some_and(|digits| digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit()));
        Err(if well_formed {
            MessageReason::UnknownMessageType
        } else {
            MessageReason::WrongForm(Form::MessageType)
        })
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Direction {
    /// The direction of the answer: the other way, same role.
    #[must_use]
    pub const fn flipped(self) -> Self {
        let towards = match self.towards {
            Towards::Network => Towards::Institution,
            Towards::Institution => Towards::Network,
        };
        Self {
            towards,
            role: self.role,
        }
    }

    pub const fn code(self) -> &'static str {
        match (self.towards, self.role) {
            (Towards::Network, PeerRole::Initiator) => "11",
            (Towards::Network, PeerRole::PayerSide) => "12",
            (Towards::Network, PeerRole::PayeeSide) => "13",
            (Towards::Institution, PeerRole::Initiator) => "21",
            (Towards::Institution, PeerRole::PayerSide) => "22",
            (Towards::Institution, PeerRole::PayeeSide) => "23",
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        let towards = [Towards::Network, Towards::Institution];
        let roles = [PeerRole::Initiator, PeerRole::PayerSide, PeerRole::PayeeSide];
        let all = towards
            .into_iter()
            .flat_map(|towards| roles.map(|role| Self { towards, role }));
        all.into_iter().find(|direction| direction.code() == code)
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Envelope({}, {} bytes)",
            self.encryption_serial,
            self.sealed_key.len()
        )
    }
}
