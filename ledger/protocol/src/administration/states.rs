//! The wire form of how an account or agreement stands.

use ledger_model::{Account, Agreement, Money};

use super::acts::{account_status, agreement_status, limits, shard, terms};
use super::{AccountState, AgreementState, Used};
use crate::convert::{Malformed, text, token};
use crate::wire;

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
