//! The messages a bank answers with, and what they have in common.

use ledger_model::{BankSerial, ChinaTime, TransferKind};

use crate::fault::Fault;
use crate::reader;
use crate::tree::Group;
use crate::writer::{self, Sink};
use crate::{
    Form, GeneralAnswer, MessageFault, MessageHeader, MessageReason, MessageType, PayoutAnswer, Profile, QueryAnswer,
    Towards, TransferAnswer,
};

#[expect(clippy::large_enum_variant, reason = "an answer is built once and written at once")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 206
    Transfer(TransferAnswer),
    /// 213
    Payout(PayoutAnswer),
    /// 302
    Query(QueryAnswer),
    /// 303
    General(GeneralAnswer),
}

/// `SysRtnInf`: could the message be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemReturn {
    /// `SysRtnCd`: 8 capital letters and digits.
    pub code: String,
    /// `SysRtnDesc`, at most 128 characters; left out when empty.
    pub description: String,
    /// `SysRtnTm`.
    pub time: ChinaTime,
}

/// `BizStsCd` and `BizStsDesc`: the business outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusinessReturn {
    /// 8 capital letters and digits.
    pub code: String,
    /// At most 128 characters; left out when empty.
    pub description: String,
}

/// The bank's serial of a transfer, in the element of the side on which its customer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SidedSerial {
    /// `DbtrBankId`.
    Debtor(BankSerial),
    /// `CdtrBankId`.
    Creditor(BankSerial),
}

/// Reads what a bank answered; the inverse of [`Answer::write`].
pub fn read_answer(signed: &[u8], profile: &Profile) -> Result<(MessageHeader, Answer), MessageFault> {
    reader::read_message(signed, profile, interpret)
}

fn interpret(header: &MessageHeader, header_group: Group<'_>, body: Group<'_>) -> Result<Answer, Fault> {
    let answer = match header.message_type {
        MessageType::M206 => Answer::Transfer(TransferAnswer::read(body)?),
        MessageType::M213 => Answer::Payout(PayoutAnswer::read(body)?),
        MessageType::M302 => Answer::Query(QueryAnswer::read(body)?),
        MessageType::M303 => Answer::General(GeneralAnswer::read(body)?),
        MessageType::M201 | MessageType::M205 | MessageType::M211 | MessageType::M301 => {
            return Err(header_group.fault_at("MsgTp", MessageReason::NotAnAnswer));
        }
    };
    if header.direction.towards != Towards::Network {
        return Err(header_group.fault_at("Drctn", MessageReason::WrongDirection));
    }
    if header.envelope.is_none() && answer.has_ciphertext() {
        return Err(header_group.fault(MessageReason::EnvelopeMissing));
    }
    Ok(answer)
}

impl Answer {
    pub fn message_type(&self) -> MessageType {
        match self {
            Self::Transfer(_) => MessageType::M206,
            Self::Payout(_) => MessageType::M213,
            Self::Query(_) => MessageType::M302,
            Self::General(_) => MessageType::M303,
        }
    }

    pub fn system(&self) -> &SystemReturn {
        match self {
            Self::Transfer(answer) => &answer.system,
            Self::Payout(answer) => &answer.system,
            Self::Query(answer) => &answer.system,
            Self::General(answer) => &answer.system,
        }
    }

    /// `<root …>…</root>`, the bytes to sign. The same value gives the same bytes. `MsgTp` is [`Self::message_type`].
    pub fn write(&self, header: &MessageHeader) -> String {
        writer::write_root(header, self.message_type(), |body| match self {
            Self::Transfer(answer) => answer.write(body),
            Self::Payout(answer) => answer.write(body),
            Self::Query(answer) => answer.write(body),
            Self::General(answer) => answer.write(body),
        })
    }

    fn has_ciphertext(&self) -> bool {
        match self {
            Self::Payout(answer) => !answer.request.sensitive().is_empty(),
            Self::Transfer(_) | Self::Query(_) | Self::General(_) => false,
        }
    }
}

impl SystemReturn {
    pub(crate) fn read(body: Group<'_>) -> Result<Self, Fault> {
        let group = body.group("SysRtnInf")?;
        let code = read_code(group, "SysRtnCd")?.ok_or_else(|| group.missing("SysRtnCd"))?;
        Ok(Self {
            code,
            description: read_description(group, "SysRtnDesc")?,
            time: group.time("SysRtnTm")?,
        })
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        sink.group("SysRtnInf", |group| {
            group.text("SysRtnCd", &self.code);
            write_description("SysRtnDesc", &self.description, group);
            group.display("SysRtnTm", self.time);
        });
    }
}

impl BusinessReturn {
    pub(crate) fn read(group: Group<'_>) -> Result<Option<Self>, Fault> {
        let description = read_description(group, "BizStsDesc")?;
        let Some(code) = read_code(group, "BizStsCd")? else {
            return if description.is_empty() {
                Ok(None)
            } else {
                Err(group.missing("BizStsCd"))
            };
        };
        Ok(Some(Self { code, description }))
    }

    pub(crate) fn write(business: Option<&Self>, sink: &mut impl Sink) {
        if let Some(business) = business {
            sink.text("BizStsCd", &business.code);
            write_description("BizStsDesc", &business.description, sink);
        }
    }
}

impl SidedSerial {
    /// A payment debits our customer, a refund or payout credits them.
    pub fn of(kind: TransferKind, serial: BankSerial) -> Self {
        match kind {
            TransferKind::Payment => Self::Debtor(serial),
            // no message asks for an adjustment
            TransferKind::Refund | TransferKind::Payout | TransferKind::Reversal | TransferKind::Supplement => {
                Self::Creditor(serial)
            }
        }
    }

    pub fn serial(&self) -> &BankSerial {
        match self {
            Self::Debtor(serial) | Self::Creditor(serial) => serial,
        }
    }

    pub(crate) fn read(group: Group<'_>) -> Result<Option<Self>, Fault> {
        match (group.optional_name("DbtrBankId")?, group.optional_name("CdtrBankId")?) {
            (None, None) => Ok(None),
            (Some(serial), None) => Ok(Some(Self::Debtor(serial))),
            (None, Some(serial)) => Ok(Some(Self::Creditor(serial))),
            (Some(_), Some(_)) => Err(group.fault_at("CdtrBankId", MessageReason::Duplicated)),
        }
    }

    pub(crate) fn write(sided: Option<Self>, sink: &mut impl Sink) {
        match sided {
            None => {}
            Some(Self::Debtor(serial)) => sink.text("DbtrBankId", serial.as_str()),
            Some(Self::Creditor(serial)) => sink.text("CdtrBankId", serial.as_str()),
        }
    }
}

const RETURN_CODE_LENGTH: usize = 8;

fn read_code(group: Group<'_>, name: &'static str) -> Result<Option<String>, Fault> {
    let Some(code) = group.optional(name)? else {
        return Ok(None);
    };
    let capital_or_digit = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    if code.len() != RETURN_CODE_LENGTH || !code.bytes().all(capital_or_digit) {
        return Err(group.wrong(name, Form::ReturnCode));
    }
    Ok(Some(code.to_owned()))
}

fn read_description(group: Group<'_>, name: &'static str) -> Result<String, Fault> {
    let description = group.text(name, group.profile().lengths.description)?;
    Ok(description.map_or_else(String::new, |text| text.to_string()))
}

fn write_description(name: &'static str, description: &str, sink: &mut impl Sink) {
    if !description.is_empty() {
        sink.text(name, description);
    }
}
