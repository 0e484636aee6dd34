//! The wire form of acts and of closing dates.

use ledger_model::{AccountLimits, AccountStatus, Administration, AgreementStatus, AgreementTerms};

use super::{AdministerOrder, Administered, CloseDayOrder, ClosedShard, Closing, DayStatus, JournalPlace};
use crate::convert::{Malformed, number, text, token};
use crate::wire;

pub(crate) fn limits(limits: wire::AccountLimits) -> Result<AccountLimits, Malformed> {
    Ok(AccountLimits {
        single_max: number("single_max", limits.single_max)?,
        daily_max: number("daily_max", limits.daily_max)?,
        daily_count_max: limits.daily_count_max,
    })
}

impl From<AccountLimits> for wire::AccountLimits {
    fn from(limits: AccountLimits) -> Self {
        let AccountLimits {
            single_max,
            daily_max,
            daily_count_max,
        } = limits;
        Self {
            single_max: Some(single_max.into()),
            daily_max: Some(daily_max.into()),
            daily_count_max,
        }
    }
}

pub(super) fn terms(terms: Option<wire::AgreementTerms>) -> Result<AgreementTerms, Malformed> {
    let terms = terms.ok_or(Malformed { field: "terms" })?;
    Ok(AgreementTerms {
        single_max: number("single_max", terms.single_max)?,
        daily_max: number("daily_max", terms.daily_max)?,
        daily_count_max: terms.daily_count_max,
        expires: text("expires", &terms.expires)?,
    })
}

impl From<&AgreementTerms> for wire::AgreementTerms {
    fn from(terms: &AgreementTerms) -> Self {
        Self {
            single_max: Some(terms.single_max.into()),
            daily_max: Some(terms.daily_max.into()),
            daily_count_max: terms.daily_count_max,
            expires: terms.expires.to_string(),
        }
    }
}

pub(super) fn account_status(name: &str) -> Result<AccountStatus, Malformed> {
    AccountStatus::from_name(name).ok_or(Malformed { field: "status" })
}

pub(super) fn agreement_status(name: &str) -> Result<AgreementStatus, Malformed> {
    AgreementStatus::from_name(name).ok_or(Malformed { field: "status" })
}

impl From<&AdministerOrder> for wire::AdministerRequest {
    fn from(order: &AdministerOrder) -> Self {
        use wire::administer_request::Act;
        let act = match &order.act {
            Administration::AccountStatus { account, status } => Some(Act::AccountStatus(wire::SetAccountStatus {
                account: account.bytes().to_vec(),
                status: status.name().to_owned(),
            })),
            Administration::AccountLimits { account, limits } => Some(Act::AccountLimits(wire::SetAccountLimits {
                account: account.bytes().to_vec(),
                limits: limits.map(Into::into),
            })),
            Administration::AgreementStatus { number, status } => {
                Some(Act::AgreementStatus(wire::SetAgreementStatus {
                    number: number.to_string(),
                    status: status.name().to_owned(),
                }))
            }
            Administration::AgreementTerms { number, terms } => Some(Act::AgreementTerms(wire::SetAgreementTerms {
                number: number.to_string(),
                terms: Some(terms.into()),
            })),
            // a date is closed in every shard, by a call of its own
            Administration::CloseThrough { .. } => None,
        };
        Self {
            act,
            operator: order.operator.to_string(),
            reason: order.reason.to_string(),
        }
    }
}

impl TryFrom<wire::AdministerRequest> for AdministerOrder {
    type Error = Malformed;

    fn try_from(request: wire::AdministerRequest) -> Result<Self, Malformed> {
        use wire::administer_request::Act;
        let act = match request.act.ok_or(Malformed { field: "act" })? {
            Act::AccountStatus(set) => Administration::AccountStatus {
                account: token("account", &set.account)?,
                status: account_status(&set.status)?,
            },
            Act::AccountLimits(set) => Administration::AccountLimits {
                account: token("account", &set.account)?,
                limits: set.limits.map(limits).transpose()?,
            },
            Act::AgreementStatus(set) => Administration::AgreementStatus {
                number: text("number", &set.number)?,
                status: agreement_status(&set.status)?,
            },
            Act::AgreementTerms(set) => Administration::AgreementTerms {
                number: text("number", &set.number)?,
                terms: terms(set.terms)?,
            },
        };
        Ok(Self {
            act,
            operator: text("operator", &request.operator)?,
            reason: text("reason", &request.reason)?,
        })
    }
}

impl From<Administered> for wire::AdministerReply {
    fn from(administered: Administered) -> Self {
        use wire::administer_reply::Outcome;
        let outcome = match administered {
            Administered::Done(JournalPlace { shard, sequence }) => Outcome::Done(wire::JournalPlace {
                shard: shard.into(),
                sequence,
            }),
            Administered::Unchanged => Outcome::Unchanged(wire::Unchanged {}),
            Administered::Refused(reason) => Outcome::Refused(reason),
        };
        Self { outcome: Some(outcome) }
    }
}

impl TryFrom<wire::AdministerReply> for Administered {
    type Error = Malformed;

    fn try_from(reply: wire::AdministerReply) -> Result<Self, Malformed> {
        use wire::administer_reply::Outcome;
        Ok(match reply.outcome.ok_or(Malformed { field: "outcome" })? {
            Outcome::Done(place) => Self::Done(JournalPlace {
                shard: shard(place.shard)?,
                sequence: place.sequence,
            }),
            Outcome::Unchanged(wire::Unchanged {}) => Self::Unchanged,
            Outcome::Refused(reason) => Self::Refused(reason),
        })
    }
}

pub(super) fn shard(number: u32) -> Result<u8, Malformed> {
    u8::try_from(number).map_err(|_| Malformed { field: "shard" })
}

impl From<&CloseDayOrder> for wire::CloseDayRequest {
    fn from(order: &CloseDayOrder) -> Self {
        Self {
            date: order.date.to_string(),
            operator: order.operator.to_string(),
            reason: order.reason.to_string(),
        }
    }
}

impl TryFrom<wire::CloseDayRequest> for CloseDayOrder {
    type Error = Malformed;

    fn try_from(request: wire::CloseDayRequest) -> Result<Self, Malformed> {
        Ok(Self {
            date: text("date", &request.date)?,
            operator: text("operator", &request.operator)?,
            reason: text("reason", &request.reason)?,
        })
    }
}

impl From<&ClosedShard> for wire::ClosedShard {
    fn from(closed: &ClosedShard) -> Self {
        Self {
            shard: closed.shard.into(),
            closed_through: closed.closed_through.map_or_else(String::new, |date| date.to_string()),
            sequence: closed.sequence.unwrap_or_default(),
        }
    }
}

impl TryFrom<wire::ClosedShard> for ClosedShard {
    type Error = Malformed;

    fn try_from(closed: wire::ClosedShard) -> Result<Self, Malformed> {
        let date = Some(&closed.closed_through).filter(|date| !date.is_empty());
        Ok(Self {
            shard: shard(closed.shard)?,
            closed_through: date.map(|date| text("closed_through", date)).transpose()?,
            sequence: Some(closed.sequence).filter(|sequence| *sequence > 0),
        })
    }
}

fn closed_shards(shards: Vec<wire::ClosedShard>) -> Result<Vec<ClosedShard>, Malformed> {
    shards.into_iter().map(TryInto::try_into).collect()
}

impl From<Closing> for wire::CloseDayReply {
    fn from(closing: Closing) -> Self {
        use wire::close_day_reply::Outcome;
        let outcome = match closing {
            Closing::Closed(shards) => Outcome::Closed(wire::ClosedShards {
                shards: shards.iter().map(Into::into).collect(),
            }),
            Closing::Refused(reason) => Outcome::Refused(reason),
        };
        Self { outcome: Some(outcome) }
    }
}

impl TryFrom<wire::CloseDayReply> for Closing {
    type Error = Malformed;

    fn try_from(reply: wire::CloseDayReply) -> Result<Self, Malformed> {
        use wire::close_day_reply::Outcome;
        Ok(match reply.outcome.ok_or(Malformed { field: "outcome" })? {
            Outcome::Closed(closed) => Self::Closed(closed_shards(closed.shards)?),
            Outcome::Refused(reason) => Self::Refused(reason),
        })
    }
}

impl From<&DayStatus> for wire::DayStatusReply {
    fn from(status: &DayStatus) -> Self {
        Self {
            business_date: status.business_date.to_string(),
            shards: status.shards.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::DayStatusReply> for DayStatus {
    type Error = Malformed;

    fn try_from(reply: wire::DayStatusReply) -> Result<Self, Malformed> {
        Ok(Self {
            business_date: text("business_date", &reply.business_date)?,
            shards: closed_shards(reply.shards)?,
        })
    }
}
