//! `ledger account`: freezing, limits, and how an account stands.

use ledger_model::{AccountLimits, AccountStatus, AccountToken, Administration, Amount, Money};
use ledger_protocol::{AccountState, AdministerOrder};
use operations::exit;
use serde::Serialize;

use super::administrators::{self, AdministrationFault, By, failed, token};
use super::output::print;
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Account {
    /// Neither debits nor credits until it is unfrozen.
    Freeze(Named),
    /// Open again, also after block-debits.
    Unfreeze(Named),
    /// Credits only, until it is unfrozen.
    BlockDebits(Named),
    /// For good; refused while it holds money.
    Close(Named),
    /// What payments may debit, whatever the agreement: all three limits, or --none.
    Limits(Limits),
    /// Status, balance, limits, and what was used of them today.
    Show {
        #[arg(value_name = "TOKEN", value_parser = token)]
        account: AccountToken,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub struct Named {
    /// The account's token, 64 hexadecimal digits.
    #[arg(value_name = "TOKEN", value_parser = token)]
    account: AccountToken,
    #[command(flatten)]
    by: By,
}

#[derive(Debug, clap::Args)]
pub struct Limits {
    #[command(flatten)]
    named: Named,
    /// Largest payment, such as CNY5000.00.
    #[arg(long, value_name = "AMOUNT", required_unless_present = "none")]
    single: Option<Amount>,
    /// Sum of a day's payments.
    #[arg(long, value_name = "AMOUNT", required_unless_present = "none")]
    daily: Option<Amount>,
    /// Payments in a day.
    #[arg(long, value_name = "N", required_unless_present = "none")]
    daily_count: Option<u32>,
    /// No limits any more.
    #[arg(long, conflicts_with_all = ["single", "daily", "daily_count"])]
    none: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    account: String,
    shard: u8,
    status: &'static str,
    balance: String,
    opened_with: String,
    /// None where it has none.
    single_max: Option<String>,
    daily_max: Option<String>,
    daily_count_max: Option<u32>,
    used_today: String,
    used_today_count: u32,
}

pub fn run(config: &Config, account: Account) -> u8 {
    match account {
        Account::Freeze(named) => set(config, named, AccountStatus::Frozen),
        Account::Unfreeze(named) => set(config, named, AccountStatus::Open),
        Account::BlockDebits(named) => set(config, named, AccountStatus::DebitBlocked),
        Account::Close(named) => set(config, named, AccountStatus::Closed),
        Account::Limits(Limits {
            named: Named { account, by },
            single,
            daily,
            daily_count,
            ..
        }) => {
            let given = single.zip(daily).zip(daily_count);
            let limits = given.map(|((single_max, daily_max), daily_count_max)| AccountLimits {
                single_max,
                daily_max,
                daily_count_max,
            });
            order(config, Administration::AccountLimits { account, limits }, by)
        }
        Account::Show { account, json } => show(config, account, json),
    }
}

fn set(config: &Config, named: Named, status: AccountStatus) -> u8 {
    let Named { account, by } = named;
    order(config, Administration::AccountStatus { account, status }, by)
}

fn order(config: &Config, act: Administration, by: By) -> u8 {
    let By { operator, reason } = by;
    administrators::administer(config, &AdministerOrder { act, operator, reason })
}

fn show(config: &Config, account: AccountToken, json: bool) -> u8 {
    let state = administrators::ask(config, async |client| Ok(client.account(account).await?));
    let text = state.and_then(|state| state.map(|state| text(&state, json)).transpose());
    match text {
        Ok(Some(text)) => {
            print(&text);
            exit::DONE
        }
        Ok(None) => {
            eprintln!("the account is not there");
            exit::FAILED
        }
        Err(fault) => failed(&fault),
    }
}

fn text(state: &AccountState, json: bool) -> Result<String, AdministrationFault> {
    let AccountState {
        account,
        opened_with,
        limits,
        used_today,
        shard,
    } = state;
    let shown = Shown {
        account: account.token.to_string(),
        shard: *shard,
        status: account.status.name(),
        balance: account.balance.to_string(),
        opened_with: opened_with.to_string(),
        single_max: limits.map(|limits| limits.single_max.money().to_string()),
        daily_max: limits.map(|limits| limits.daily_max.money().to_string()),
        daily_count_max: limits.map(|limits| limits.daily_count_max),
        used_today: Money::new(used_today.minor, account.balance.currency()).to_string(),
        used_today_count: used_today.count,
    };
    if json {
        return Ok(serde_json::to_string_pretty(&shown)?);
    }
    let Shown {
        account,
        shard,
        status,
        balance,
        opened_with,
        single_max,
        daily_max,
        daily_count_max,
        used_today,
        used_today_count,
    } = shown;
    let limits = single_max.zip(daily_max).zip(daily_count_max);
    let limits = limits.map_or_else(
        || "none".to_owned(),
        |((single, daily), count)| {
            format!(
                "{single} a payment, {daily} and {count} payments a day; used today {used_today} in {used_today_count}"
            )
        },
    );
    Ok(format!(
        "account      {account}\nshard        {shard}\nstatus       {status}\nbalance      {balance}\nopened with  {opened_with}\nlimits       {limits}"
    ))
}
