//! `ledger agreement`: rescinding, terms, and how an agreement stands.

use ledger_model::{Administration, AgreementNumber, AgreementStatus, AgreementTerms, Amount, BusinessDate, Money};
use ledger_protocol::{AdministerOrder, AgreementState};
use operations::exit;
use serde::Serialize;

use super::administrators::{self, AdministrationFault, By, failed};
use super::output::print;
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Agreement {
    /// No payment posts under it any more.
    Rescind(Named),
    /// Takes a rescission back that was made in error.
    Restore(Named),
    /// Other limits or another last day; what is not given stays as it is.
    Terms(Terms),
    /// Account, institution, status, terms, and what was used of them today.
    Show {
        #[arg(value_name = "NUMBER")]
        number: AgreementNumber,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub struct Named {
    /// The agreement's number.
    #[arg(value_name = "NUMBER")]
    number: AgreementNumber,
    #[command(flatten)]
    by: By,
}

#[derive(Debug, clap::Args)]
pub struct Terms {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    changed: Changed,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub struct Changed {
    /// Largest payment, such as CNY5000.00.
    #[arg(long, value_name = "AMOUNT")]
    single: Option<Amount>,
    /// Sum of a day's payments.
    #[arg(long, value_name = "AMOUNT")]
    daily: Option<Amount>,
    /// Payments in a day.
    #[arg(long, value_name = "N")]
    daily_count: Option<u32>,
    /// Last day on which it may be used, yyyy-MM-dd.
    #[arg(long, value_name = "DATE")]
    expires: Option<BusinessDate>,
}

#[derive(Debug, Serialize)]
struct Shown {
    number: String,
    shard: u8,
    account: String,
    institution: String,
    status: &'static str,
    single_max: String,
    daily_max: String,
    daily_count_max: u32,
    expires: String,
    used_today: String,
    used_today_count: u32,
}

pub fn run(config: &Config, agreement: Agreement) -> u8 {
    match agreement {
        Agreement::Rescind(named) => set(config, named, AgreementStatus::Rescinded),
        Agreement::Restore(named) => set(config, named, AgreementStatus::Normal),
        Agreement::Terms(Terms { named, changed }) => terms(config, named, &changed),
        Agreement::Show { number, json } => show(config, number, json),
    }
}

fn set(config: &Config, named: Named, status: AgreementStatus) -> u8 {
    let Named { number, by } = named;
    order(config, Administration::AgreementStatus { number, status }, by)
}

fn terms(config: &Config, named: Named, changed: &Changed) -> u8 {
    let Named { number, by } = named;
    let now = match state(config, number) {
        Ok(Some(state)) => state.agreement.terms,
        Ok(None) => return not_there(),
        Err(fault) => return failed(&fault),
    };
    let terms = AgreementTerms {
        single_max: changed.single.unwrap_or(now.single_max),
        daily_max: changed.daily.unwrap_or(now.daily_max),
        daily_count_max: changed.daily_count.unwrap_or(now.daily_count_max),
        expires: changed.expires.unwrap_or(now.expires),
    };
    order(config, Administration::AgreementTerms { number, terms }, by)
}

fn order(config: &Config, act: Administration, by: By) -> u8 {
    let By { operator, reason } = by;
    administrators::administer(config, &AdministerOrder { act, operator, reason })
}

fn state(config: &Config, number: AgreementNumber) -> Result<Option<AgreementState>, AdministrationFault> {
    administrators::ask(config, async |client| Ok(client.agreement(number).await?))
}

fn not_there() -> u8 {
    eprintln!("the agreement is not there");
    exit::FAILED
}

fn show(config: &Config, number: AgreementNumber, json: bool) -> u8 {
    let text = state(config, number).and_then(|state| state.map(|state| text(&state, json)).transpose());
    match text {
        Ok(Some(text)) => {
            print(&text);
            exit::DONE
        }
        Ok(None) => not_there(),
        Err(fault) => failed(&fault),
    }
}

fn text(state: &AgreementState, json: bool) -> Result<String, AdministrationFault> {
    let AgreementState {
        agreement,
        used_today,
        shard,
    } = state;
    let terms = &agreement.terms;
    let shown = Shown {
        number: agreement.number.to_string(),
        shard: *shard,
        account: agreement.account.to_string(),
        institution: agreement.institution.to_string(),
        status: agreement.status.name(),
        single_max: terms.single_max.money().to_string(),
        daily_max: terms.daily_max.money().to_string(),
        daily_count_max: terms.daily_count_max,
        expires: terms.expires.to_string(),
        used_today: Money::new(used_today.minor, terms.single_max.currency()).to_string(),
        used_today_count: used_today.count,
    };
    if json {
        return Ok(serde_json::to_string_pretty(&shown)?);
    }
    let Shown {
        number,
        shard,
        account,
        institution,
        status,
        single_max,
        daily_max,
        daily_count_max,
        expires,
        used_today,
        used_today_count,
    } = shown;
    Ok(format!(
        "agreement    {number}\nshard        {shard}\naccount      {account}\ninstitution  {institution}\nstatus       {status}\nlimits       {single_max} a payment, {daily_max} and {daily_count_max} payments a day; used today {used_today} in {used_today_count}\nexpires      {expires}"
    ))
}
