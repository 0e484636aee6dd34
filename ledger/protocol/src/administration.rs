//! What administrators ask and are answered, and its wire form.

use ledger_model::{
    Account, AccountLimits, AccountStatus, AccountToken, Administration, Agreement, AgreementStatus, AgreementTerms,
    BatchId, BusinessDate, ContentField, Decision, Entry, Instruction, LedgerAccount, Money, Operator, Reason, Refusal,
    Side, Transfer,
};

use crate::convert::{Malformed, cause, number, text, token};
use crate::reply::{Evidence, NothingPosted};
use crate::wire;

/// One act on an account or agreement, who ordered it, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdministerOrder {
    pub act: Administration,
    pub operator: Operator,
    pub reason: Reason,
}

/// Where the journal says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalPlace {
    pub shard: u8,
    pub sequence: u64,
}

/// What came of an act, durable when it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Administered {
    Done(JournalPlace),
    /// It was so already; nothing is recorded.
    Unchanged,
    /// Nothing was changed; why.
    Refused(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdjustmentMode {
    Post,
    /// Decide it over the books as they stand, and post nothing.
    DryRun,
}

/// A reversal or a supplement, ordered by two people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    pub order: Instruction,
    pub maker: Operator,
    /// Somebody else.
    pub checker: Operator,
    pub reason: Reason,
    pub mode: AdjustmentMode,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every answer is the large one")]
pub enum Adjusted {
    Decided {
        transfer: Transfer,
        repeat: bool,
    },
    Conflict(ContentField),
    /// Not known in time; the same order again tells.
    InProcess,
    NothingPosted(NothingPosted),
    Rehearsed(Rehearsed),
}

/// What would be posted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    pub decision: Decision,
    pub entries: Vec<Entry>,
}

/// Payments counted in a day, minor units of the account's currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    pub count: u32,
    pub minor: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountState {
    pub account: Account,
    pub opened_with: Money,
    pub limits: Option<AccountLimits>,
    /// Against the limits, today.
    pub used_today: Used,
    pub shard: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementState {
    pub agreement: Agreement,
    pub used_today: Used,
    pub shard: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseDayOrder {
    pub date: BusinessDate,
    pub operator: Operator,
    pub reason: Reason,
}

/// How far a shard is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedShard {
    pub shard: u8,
    /// `None` before any date was closed.
    pub closed_through: Option<BusinessDate>,
    /// Of the journal record that says so, where it was written just now.
    pub sequence: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closing {
    Closed(Vec<ClosedShard>),
    /// Nothing was closed; why.
    Refused(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayStatus {
    /// Of now.
    pub business_date: BusinessDate,
    pub shards: Vec<ClosedShard>,
}

fn limits(limits: wire::AccountLimits) -> Result<AccountLimits, Malformed> {
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

fn terms(terms: Option<wire::AgreementTerms>) -> Result<AgreementTerms, Malformed> {
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

fn account_status(name: &str) -> Result<AccountStatus, Malformed> {
    AccountStatus::from_name(name).ok_or(Malformed { field: "status" })
}

fn agreement_status(name: &str) -> Result<AgreementStatus, Malformed> {
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

fn shard(number: u32) -> Result<u8, Malformed> {
    u8::try_from(number).map_err(|_| Malformed { field: "shard" })
}

/// The evidence of an adjustment is made by the ledger, of the order itself.
impl From<&Adjustment> for wire::AdjustRequest {
    fn from(adjustment: &Adjustment) -> Self {
        let unsigned = Evidence {
            signed: Vec::new(),
            signature: Vec::new(),
            signing_serial: String::new(),
        };
        Self {
            order: Some((&adjustment.order, unsigned).into()),
            maker: adjustment.maker.to_string(),
            checker: adjustment.checker.to_string(),
            reason: adjustment.reason.to_string(),
            dry_run: adjustment.mode == AdjustmentMode::DryRun,
        }
    }
}

impl TryFrom<wire::AdjustRequest> for Adjustment {
    type Error = Malformed;

    fn try_from(request: wire::AdjustRequest) -> Result<Self, Malformed> {
        let (order, _unsigned): (Instruction, Evidence) =
            request.order.ok_or(Malformed { field: "order" })?.try_into()?;
        let (Instruction::Reversal(_) | Instruction::Supplement(_)) = order else {
            return Err(Malformed { field: "kind" });
        };
        Ok(Self {
            order,
            maker: text("maker", &request.maker)?,
            checker: text("checker", &request.checker)?,
            reason: text("reason", &request.reason)?,
            mode: if request.dry_run {
                AdjustmentMode::DryRun
            } else {
                AdjustmentMode::Post
            },
        })
    }
}

impl TryFrom<wire::AdjustReply> for Adjusted {
    type Error = Malformed;

    fn try_from(reply: wire::AdjustReply) -> Result<Self, Malformed> {
        use wire::adjust_reply::Outcome;
        Ok(match reply.outcome.ok_or(Malformed { field: "outcome" })? {
            Outcome::Decided(decided) => Self::Decided {
                transfer: decided.transfer.ok_or(Malformed { field: "transfer" })?.try_into()?,
                repeat: decided.repeat,
            },
            Outcome::Conflict(conflict) => Self::Conflict(conflict.try_into()?),
            Outcome::InProcess(wire::InProcess {}) => Self::InProcess,
            Outcome::NothingPosted(nothing) => {
                Self::NothingPosted(cause(nothing.cause()).ok_or(Malformed { field: "cause" })?)
            }
            Outcome::Rehearsed(rehearsed) => Self::Rehearsed(rehearsed.try_into()?),
        })
    }
}

impl From<&Rehearsed> for wire::Rehearsed {
    fn from(rehearsed: &Rehearsed) -> Self {
        let refusal = match rehearsed.decision {
            Decision::Posted => "",
            Decision::Refused(refusal) => refusal.name(),
        };
        Self {
            refusal: refusal.to_owned(),
            entries: rehearsed.entries.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<wire::Rehearsed> for Rehearsed {
    type Error = Malformed;

    fn try_from(rehearsed: wire::Rehearsed) -> Result<Self, Malformed> {
        let decision = match rehearsed.refusal.as_str() {
            "" => Decision::Posted,
            name => Decision::Refused(Refusal::from_name(name).ok_or(Malformed { field: "refusal" })?),
        };
        let entries = rehearsed.entries.into_iter().map(TryInto::try_into);
        Ok(Self {
            decision,
            entries: entries.collect::<Result<_, _>>()?,
        })
    }
}

const SUSPENSE: &str = "suspense";
const FEE: &str = "fee";
const STAND_IN_ADVANCE: &str = "stand_in_advance";
const OPENING_BALANCES: &str = "opening_balances";

impl From<&Entry> for wire::Entry {
    fn from(entry: &Entry) -> Self {
        let account = match entry.account {
            LedgerAccount::Customer(token) => format!("customer {token}"),
            LedgerAccount::NetworkClearing(batch) => format!("network_clearing {batch}"),
            LedgerAccount::OpeningBalances => OPENING_BALANCES.to_owned(),
            LedgerAccount::Suspense => SUSPENSE.to_owned(),
            LedgerAccount::Fee => FEE.to_owned(),
            LedgerAccount::StandInAdvance => STAND_IN_ADVANCE.to_owned(),
        };
        Self {
            account,
            side: entry.side.name().to_owned(),
            amount: Some(entry.amount.into()),
        }
    }
}

impl TryFrom<wire::Entry> for Entry {
    type Error = Malformed;

    fn try_from(entry: wire::Entry) -> Result<Self, Malformed> {
        let malformed = Malformed { field: "account" };
        let account = match entry.account.split_once(' ') {
            Some(("customer", token)) => LedgerAccount::Customer(AccountToken::from_hex(token).ok_or(malformed)?),
            Some(("network_clearing", batch)) => LedgerAccount::NetworkClearing(text::<BatchId>("account", batch)?),
            Some(_) => return Err(malformed),
            None => match entry.account.as_str() {
                OPENING_BALANCES => LedgerAccount::OpeningBalances,
                SUSPENSE => LedgerAccount::Suspense,
                FEE => LedgerAccount::Fee,
                STAND_IN_ADVANCE => LedgerAccount::StandInAdvance,
                _ => return Err(malformed),
            },
        };
        Ok(Self {
            account,
            side: Side::from_name(&entry.side).ok_or(Malformed { field: "side" })?,
            amount: number("amount", entry.amount)?,
        })
    }
}

impl From<Used> for wire::Used {
    fn from(used: Used) -> Self {
        let Used { count, minor } = used;
        Self { count, minor }
    }
}

fn used(used: Option<wire::Used>) -> Used {
    used.map_or_else(Used::default, |wire::Used { count, minor }| Used { count, minor })
}

fn money(field: &'static str, amount: Option<wire::Amount>) -> Result<Money, Malformed> {
    amount.ok_or(Malformed { field })?.try_into()
}

impl From<&AccountState> for wire::AccountState {
    fn from(state: &AccountState) -> Self {
        let Account {
            token,
            name,
            status,
            balance,
        } = &state.account;
        Self {
            token: token.bytes().to_vec(),
            name: name.bytes().to_vec(),
            status: status.name().to_owned(),
            balance: Some((*balance).into()),
            opened_with: Some(state.opened_with.into()),
            limits: state.limits.map(Into::into),
            used_today: Some(state.used_today.into()),
            shard: state.shard.into(),
        }
    }
}

impl TryFrom<wire::AccountState> for AccountState {
    type Error = Malformed;

    fn try_from(state: wire::AccountState) -> Result<Self, Malformed> {
        Ok(Self {
            account: Account {
                token: token("token", &state.token)?,
                name: token("name", &state.name)?,
                status: account_status(&state.status)?,
                balance: money("balance", state.balance)?,
            },
            opened_with: money("opened_with", state.opened_with)?,
            limits: state.limits.map(limits).transpose()?,
            used_today: used(state.used_today),
            shard: shard(state.shard)?,
        })
    }
}

impl From<&AgreementState> for wire::AgreementState {
    fn from(state: &AgreementState) -> Self {
        let agreement = &state.agreement;
        Self {
            number: agreement.number.to_string(),
            account: agreement.account.bytes().to_vec(),
            institution: agreement.institution.to_string(),
            status: agreement.status.name().to_owned(),
            terms: Some((&agreement.terms).into()),
            used_today: Some(state.used_today.into()),
            shard: state.shard.into(),
        }
    }
}

impl TryFrom<wire::AgreementState> for AgreementState {
    type Error = Malformed;

    fn try_from(state: wire::AgreementState) -> Result<Self, Malformed> {
        Ok(Self {
            agreement: Agreement {
                number: text("number", &state.number)?,
                account: token("account", &state.account)?,
                institution: text("institution", &state.institution)?,
                status: agreement_status(&state.status)?,
                terms: terms(state.terms)?,
            },
            used_today: used(state.used_today),
            shard: shard(state.shard)?,
        })
    }
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
