//! The wire form of adjustments and of what they would come to.

use ledger_model::{AccountToken, BatchId, Decision, Entry, Instruction, LedgerAccount, Refusal, Side};

use super::{Adjusted, Adjustment, AdjustmentMode, Rehearsed};
use crate::convert::{Malformed, cause, number, text};
use crate::reply::Evidence;
use crate::wire;

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
