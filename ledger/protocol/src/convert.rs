//! From the types of the wire to those of the model and back. What does not convert is [`Malformed`] and names the
//! field, never its value.

use std::str::FromStr;

use ledger_model::{
    AccountToken, Amount, ContentField, Decision, DetailsDigest, Instruction, Money, NameToken, Payee, Payment, Payout,
    Refund, Refusal, Reversal, Side, Supplement, SupplementAgainst, Transfer, TransferKey, TransferKind,
};

use crate::reply::{CurrencySum, Evidence, NothingPosted, ShardPosition};
use crate::wire;

/// Work, or an answer, that is not as the contract says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} is missing or not as the contract says")]
pub struct Malformed {
    pub field: &'static str,
}

pub(crate) fn text<T: FromStr>(field: &'static str, text: &str) -> Result<T, Malformed> {
    text.parse().map_err(|_| Malformed { field })
}

fn optional_text<T: FromStr>(field: &'static str, given: &str) -> Result<Option<T>, Malformed> {
    if given.is_empty() {
        Ok(None)
    } else {
        text(field, given).map(Some)
    }
}

fn written<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// 32 bytes that stand for something.
pub(crate) trait ThirtyTwoBytes: Sized {
    fn from_bytes(bytes: [u8; 32]) -> Self;
}

macro_rules! thirty_two_bytes {
    ($($type:ty),*) => {
        $(impl ThirtyTwoBytes for $type {
            fn from_bytes(bytes: [u8; 32]) -> Self {
                Self::new(bytes)
            }
        })*
    };
}

thirty_two_bytes!(AccountToken, NameToken, DetailsDigest);

pub(crate) fn token<T: ThirtyTwoBytes>(field: &'static str, bytes: &[u8]) -> Result<T, Malformed> {
    bytes.try_into().map(T::from_bytes).map_err(|_| Malformed { field })
}

pub(crate) fn number(field: &'static str, amount: Option<wire::Amount>) -> Result<Amount, Malformed> {
    let money = Money::try_from(amount.ok_or(Malformed { field })?)?;
    Amount::new(money.minor(), money.currency()).map_err(|_| Malformed { field })
}

fn key(field: &'static str, given: Option<wire::Key>) -> Result<TransferKey, Malformed> {
    given.ok_or(Malformed { field })?.try_into()
}

impl From<Money> for wire::Amount {
    fn from(money: Money) -> Self {
        Self {
            minor: money.minor(),
            currency: money.currency().to_string(),
        }
    }
}

impl From<Amount> for wire::Amount {
    fn from(amount: Amount) -> Self {
        amount.money().into()
    }
}

impl TryFrom<wire::Amount> for Money {
    type Error = Malformed;

    fn try_from(amount: wire::Amount) -> Result<Self, Malformed> {
        Ok(Self::new(amount.minor, text("currency", &amount.currency)?))
    }
}

impl From<&TransferKey> for wire::Key {
    fn from(key: &TransferKey) -> Self {
        Self {
            issuer: key.issuer.to_string(),
            category: key.category.to_string(),
            id: key.id.to_string(),
        }
    }
}

impl TryFrom<wire::Key> for TransferKey {
    type Error = Malformed;

    fn try_from(key: wire::Key) -> Result<Self, Malformed> {
        Ok(Self {
            issuer: text("issuer", &key.issuer)?,
            category: text("category", &key.category)?,
            id: text("id", &key.id)?,
        })
    }
}

impl From<Evidence> for wire::Evidence {
    fn from(evidence: Evidence) -> Self {
        let Evidence {
            signed,
            signature,
            signing_serial,
        } = evidence;
        Self {
            signed,
            signature,
            signing_serial,
        }
    }
}

impl From<wire::Evidence> for Evidence {
    fn from(evidence: wire::Evidence) -> Self {
        let wire::Evidence {
            signed,
            signature,
            signing_serial,
        } = evidence;
        Self {
            signed,
            signature,
            signing_serial,
        }
    }
}

impl From<(&Instruction, Evidence)> for wire::Post {
    fn from((instruction, evidence): (&Instruction, Evidence)) -> Self {
        let kind = match instruction {
            Instruction::Payment(payment) => wire::post::Kind::Payment(wire::Payment {
                agreement: payment.agreement.to_string(),
            }),
            Instruction::Refund(refund) => {
                let kind = wire::Refund {
                    agreement: refund.agreement.to_string(),
                    original: Some((&refund.original).into()),
                    original_amount: Some(refund.original_amount.into()),
                    original_serial: written(refund.original_serial),
                };
                wire::post::Kind::Refund(kind)
            }
            Instruction::Payout(payout) => wire::post::Kind::Payout((&payout.payee).into()),
            Instruction::Reversal(reversal) => wire::post::Kind::Reversal(wire::Reversal {
                original: Some((&reversal.original).into()),
            }),
            Instruction::Supplement(supplement) => wire::post::Kind::Supplement(wire::Supplement {
                account: supplement.account.bytes().to_vec(),
                side: supplement.side.name().to_owned(),
                against: supplement.against.name().to_owned(),
            }),
        };
        Self {
            key: Some(instruction.key().into()),
            amount: Some(instruction.amount().into()),
            batch: instruction.batch().to_string(),
            institution: instruction.institution().to_string(),
            ordered_at: instruction.ordered_at().to_string(),
            details: instruction.details().bytes().to_vec(),
            evidence: Some(evidence.into()),
            kind: Some(kind),
        }
    }
}

impl TryFrom<wire::Post> for (Instruction, Evidence) {
    type Error = Malformed;

    fn try_from(post: wire::Post) -> Result<Self, Malformed> {
        let evidence = post.evidence.ok_or(Malformed { field: "evidence" })?.into();
        let key_given = key("key", post.key)?;
        let amount = number("amount", post.amount)?;
        let batch = text("batch", &post.batch)?;
        let institution = text("institution", &post.institution)?;
        let ordered_at = text("ordered_at", &post.ordered_at)?;
        let details = token("details", &post.details)?;
        let instruction = match post.kind.ok_or(Malformed { field: "kind" })? {
            wire::post::Kind::Payment(payment) => Instruction::Payment(Payment {
                key: key_given,
                amount,
                batch,
                institution,
                agreement: text("agreement", &payment.agreement)?,
                ordered_at,
                details,
            }),
            wire::post::Kind::Refund(refund) => Instruction::Refund(Refund {
                key: key_given,
                amount,
                batch,
                institution,
                agreement: text("agreement", &refund.agreement)?,
                original: key("original", refund.original)?,
                original_amount: number("original_amount", refund.original_amount)?,
                original_serial: optional_text("original_serial", &refund.original_serial)?,
                ordered_at,
                details,
            }),
            wire::post::Kind::Payout(payout) => Instruction::Payout(Payout {
                key: key_given,
                amount,
                batch,
                institution,
                payee: payout.try_into()?,
                ordered_at,
                details,
            }),
            wire::post::Kind::Reversal(reversal) => Instruction::Reversal(Reversal {
                key: key_given,
                amount,
                batch,
                institution,
                original: key("original", reversal.original)?,
                ordered_at,
                details,
            }),
            wire::post::Kind::Supplement(supplement) => Instruction::Supplement(Supplement {
                key: key_given,
                amount,
                batch,
                institution,
                account: token("account", &supplement.account)?,
                side: Side::from_name(&supplement.side).ok_or(Malformed { field: "side" })?,
                against: SupplementAgainst::from_name(&supplement.against).ok_or(Malformed { field: "against" })?,
                ordered_at,
                details,
            }),
        };
        Ok((instruction, evidence))
    }
}

impl From<&Payee> for wire::Payout {
    fn from(payee: &Payee) -> Self {
        match payee {
            Payee::Account { token, name } => Self {
                account: token.bytes().to_vec(),
                name: name.bytes().to_vec(),
                ..Self::default()
            },
            Payee::Agreement(agreement) => Self {
                agreement: agreement.to_string(),
                ..Self::default()
            },
        }
    }
}

impl TryFrom<wire::Payout> for Payee {
    type Error = Malformed;

    fn try_from(payout: wire::Payout) -> Result<Self, Malformed> {
        let named = !payout.account.is_empty() || !payout.name.is_empty();
        match optional_text("agreement", &payout.agreement)? {
            Some(_) if named => Err(Malformed { field: "payout" }),
            Some(agreement) => Ok(Self::Agreement(agreement)),
            None => Ok(Self::Account {
                token: token("account", &payout.account)?,
                name: token("name", &payout.name)?,
            }),
        }
    }
}

impl From<&Transfer> for wire::Transfer {
    fn from(transfer: &Transfer) -> Self {
        let refusal = match transfer.decision {
            Decision::Posted => "",
            Decision::Refused(refusal) => refusal.name(),
        };
        Self {
            key: Some((&transfer.key).into()),
            kind: transfer.kind.name().to_owned(),
            amount: Some(transfer.amount.into()),
            batch: transfer.batch.to_string(),
            institution: transfer.institution.to_string(),
            agreement: written(transfer.agreement),
            account: transfer.account.map_or_else(Vec::new, |token| token.bytes().to_vec()),
            original: transfer.original.as_ref().map(Into::into),
            details: transfer.details.bytes().to_vec(),
            refusal: refusal.to_owned(),
            serial: transfer.serial.to_string(),
            decided_at: transfer.decided_at.to_string(),
        }
    }
}

impl TryFrom<wire::Transfer> for Transfer {
    type Error = Malformed;

    fn try_from(transfer: wire::Transfer) -> Result<Self, Malformed> {
        let decision = match transfer.refusal.as_str() {
            "" => Decision::Posted,
            name => Decision::Refused(Refusal::from_name(name).ok_or(Malformed { field: "refusal" })?),
        };
        let account = Some(transfer.account).filter(|bytes| !bytes.is_empty());
        Ok(Self {
            key: key("key", transfer.key)?,
            kind: TransferKind::from_name(&transfer.kind).ok_or(Malformed { field: "kind" })?,
            amount: number("amount", transfer.amount)?,
            batch: text("batch", &transfer.batch)?,
            institution: text("institution", &transfer.institution)?,
            agreement: optional_text("agreement", &transfer.agreement)?,
            account: account.map(|bytes| token("account", &bytes)).transpose()?,
            original: transfer.original.map(TryInto::try_into).transpose()?,
            details: token("details", &transfer.details)?,
            decision,
            serial: text("serial", &transfer.serial)?,
            decided_at: text("decided_at", &transfer.decided_at)?,
        })
    }
}

impl From<ContentField> for wire::Conflict {
    fn from(field: ContentField) -> Self {
        Self {
            field: field.name().to_owned(),
        }
    }
}

impl TryFrom<wire::Conflict> for ContentField {
    type Error = Malformed;

    fn try_from(conflict: wire::Conflict) -> Result<Self, Malformed> {
        Self::from_name(&conflict.field).ok_or(Malformed { field: "field" })
    }
}

/// `None` for a cause that this program does not know: then nothing definite can be said.
pub(crate) fn cause(cause: wire::nothing_posted::Cause) -> Option<NothingPosted> {
    match cause {
        wire::nothing_posted::Cause::Expired => Some(NothingPosted::Expired),
        wire::nothing_posted::Cause::Busy => Some(NothingPosted::Busy),
        wire::nothing_posted::Cause::Store => Some(NothingPosted::Store),
        wire::nothing_posted::Cause::HomeDown => Some(NothingPosted::HomeDown),
        wire::nothing_posted::Cause::MalformedWork => Some(NothingPosted::MalformedWork),
        wire::nothing_posted::Cause::Unspecified => None,
    }
}

impl From<&ShardPosition> for wire::ShardPosition {
    fn from(position: &ShardPosition) -> Self {
        let sums = position.sums.iter();
        Self {
            shard: position.shard.into(),
            sequence: position.sequence,
            head: position.head.to_vec(),
            shipped: position.shipped,
            transfers_posted: position.transfers_posted,
            transfers_refused: position.transfers_refused,
            sums: sums
                .map(|sum| wire::CurrencySum {
                    currency: sum.currency.to_string(),
                    debit_minor: sum.debit_minor,
                    credit_minor: sum.credit_minor,
                })
                .collect(),
            shipping: position.shipping.as_ref().map(Into::into),
            closed_through: written(position.closed_through),
            base: position.base.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<wire::ShardPosition> for ShardPosition {
    type Error = Malformed;

    fn try_from(position: wire::ShardPosition) -> Result<Self, Malformed> {
        let sums = position.sums.into_iter().map(|sum| {
            let wire::CurrencySum {
                currency,
                debit_minor,
                credit_minor,
            } = sum;
            Ok(CurrencySum {
                currency: text("currency", &currency)?,
                debit_minor,
                credit_minor,
            })
        });
        Ok(Self {
            shard: u8::try_from(position.shard).map_err(|_| Malformed { field: "shard" })?,
            sequence: position.sequence,
            head: position.head.try_into().map_err(|_| Malformed { field: "head" })?,
            shipped: position.shipped,
            transfers_posted: position.transfers_posted,
            transfers_refused: position.transfers_refused,
            sums: sums.collect::<Result<_, _>>()?,
            shipping: position.shipping.map(TryInto::try_into).transpose()?,
            closed_through: optional_text("closed_through", &position.closed_through)?,
            base: position.base.map(TryInto::try_into).transpose()?,
        })
    }
}
