//! `ledger statement`: what happened on one customer's account, from the journal alone.

use ledger_model::{AccountToken, BusinessDate, LedgerAccount, Money, Side};
use ledger_protocol::Standing;
use operations::exit;
use serde::Serialize;

use super::from::{From, Released, block_on, progress};
use super::output::print;
use super::told;
use crate::config::Config;
use crate::reading::journal::{ReadingFault, Wants};
use crate::reading::statement::{Balances, Cause, Period, Statement, StatementEntry};
use crate::reading::trial::Line;

/// Show the opening balance, every entry with its transfer, the closing balance of one account, worked out from the
/// journal of its shard, and compare the balance at the head with the one the state has.
///
/// The journal of the shard is read from its first record; records that were released from their archive (`--archive`). Days are those on which the entries were committed, China
/// time. The columns of an entry: record, time, what it was (opening, payment, refund, payout, …), issuer, category and
/// id of the transfer, the bank's serial, batch, the account on the other side, debit, credit, and the balance after it.
///
/// Exit codes: 0 shown, and equal to the state; 1 it could not be read, or there is no such account; 5 the journal is
/// damaged or the state has another balance.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The account's token, 64 hexadecimal digits.
    #[arg(value_name = "ACCOUNT_TOKEN", value_parser = token)]
    account: AccountToken,
    #[command(flatten)]
    source: From,
    #[command(flatten)]
    released: Released,
    /// First day, `yyyy-MM-dd`; without it from the opening of the account.
    #[arg(long, value_name = "DATE")]
    from: Option<BusinessDate>,
    /// Last day, `yyyy-MM-dd`; without it to the last record.
    #[arg(long, value_name = "DATE")]
    to: Option<BusinessDate>,
    /// One JSON object; amounts in minor units.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Entries only, as CSV with a header; amounts in minor units.
    #[arg(long)]
    csv: bool,
}

impl Options {
    pub const fn needs_configuration(&self) -> bool {
        self.source.directory.is_none()
    }
}

fn token(text: &str) -> Result<AccountToken, &'static str> {
    AccountToken::from_hex(text).ok_or("a token is 64 hexadecimal digits")
}

/// A statement and what the state says.
struct Compared {
    statement: Statement,
    balances: Balances,
    standing: Standing,
}

impl Compared {
    fn is_equal(&self) -> bool {
        self.standing.balance == Some(self.balances.now)
    }
}

pub fn run(config: Option<&Config>, options: &Options) -> u8 {
    let compared = block_on(read(config, options)).and_then(|compared| {
        let text = if options.json {
            json(&compared)?
        } else if options.csv {
            csv(&compared.statement)
        } else {
            table(&compared)
        };
        Ok((text, compared.is_equal()))
    });
    match compared {
        Ok((text, equal)) => {
            print(&text);
            if equal {
                return exit::DONE;
            }
            eprintln!("the balance is not the one the state has");
            exit::DIFFERENCES
        }
        Err(fault) => {
            eprintln!("{}", told(&fault));
            fault.exit_code()
        }
    }
}

async fn read(config: Option<&Config>, options: &Options) -> Result<Compared, ReadingFault> {
    let account = options.account;
    let journals = options.released.add_to(options.source.open(config).await?)?;
    let shard = journals.count().of_account(account);
    let standing = journals.standing(account).await?;
    let mut statement = Statement::new(
        account,
        Period {
            from: options.from,
            to: options.to,
        },
    );
    let bar = progress(standing.sequence, "records");
    let read = journals.read(shard, 1..=standing.sequence, |record, _| {
        bar.inc(1);
        statement.follow(record)?;
        Ok(Wants::More)
    });
    read.await?;
    bar.finish_and_clear();
    match statement.balances {
        Some(balances) => Ok(Compared {
            statement,
            balances,
            standing,
        }),
        None => Err(ReadingFault::NoSuchAccount),
    }
}

#[derive(Debug, Serialize)]
struct Shown {
    account: String,
    shard: u8,
    /// Number of the record up to which it was read.
    sequence: u64,
    currency: String,
    opened_at: String,
    opening_minor: i64,
    closing_minor: i64,
    now_minor: i64,
    state_minor: Option<i64>,
    entries: Vec<ShownEntry>,
}

#[derive(Debug, Serialize)]
struct ShownEntry {
    sequence: u64,
    committed_at: String,
    kind: String,
    issuer: String,
    category: String,
    id: String,
    serial: String,
    batch: String,
    against: String,
    debit_minor: i64,
    credit_minor: i64,
    balance_minor: i64,
}

const COLUMNS: &str =
    "sequence,committed_at,kind,issuer,category,id,serial,batch,against,debit_minor,credit_minor,balance_minor";

fn shown(entry: &StatementEntry) -> ShownEntry {
    let (debit_minor, credit_minor) = match entry.side {
        Side::Debit => (entry.amount.minor(), 0),
        Side::Credit => (0, entry.amount.minor()),
    };
    let against: Vec<String> = entry.against.iter().map(name_of).collect();
    let [kind, issuer, category, id, serial, batch] = match &entry.cause {
        Cause::Opening => ["opening", "", "", "", "", ""].map(str::to_owned),
        Cause::Transfer {
            key,
            kind,
            serial,
            batch,
        } => [
            kind.name().to_owned(),
            key.issuer.to_string(),
            key.category.to_string(),
            key.id.to_string(),
            serial.to_string(),
            batch.to_string(),
        ],
    };
    ShownEntry {
        sequence: entry.sequence,
        committed_at: entry.committed_at.to_string(),
        kind,
        issuer,
        category,
        id,
        serial,
        batch,
        against: against.join(" "),
        debit_minor,
        credit_minor,
        balance_minor: entry.balance.minor(),
    }
}

/// Of another customer only the beginning of its token.
fn name_of(account: &LedgerAccount) -> String {
    match account {
        LedgerAccount::Customer(token) => format!("{token:?}"),
        other => Line::of(*other).to_string().replace(' ', ":"),
    }
}

fn json(compared: &Compared) -> Result<String, ReadingFault> {
    let Compared {
        statement,
        balances,
        standing,
    } = compared;
    let shown = Shown {
        account: statement.account.to_string(),
        shard: standing.shard,
        sequence: standing.sequence,
        currency: balances.now.currency().to_string(),
        opened_at: balances.opened_at.to_string(),
        opening_minor: balances.opening.minor(),
        closing_minor: balances.closing.minor(),
        now_minor: balances.now.minor(),
        state_minor: standing.balance.map(Money::minor),
        entries: statement.entries.iter().map(shown).collect(),
    };
    serde_json::to_string_pretty(&shown).map_err(ReadingFault::Json)
}

/// No field holds a comma or a quote: numbers, names, times, identifiers of letters and digits.
fn csv(statement: &Statement) -> String {
    let mut lines = vec![COLUMNS.to_owned()];
    for entry in &statement.entries {
        let ShownEntry {
            sequence,
            committed_at,
            kind,
            issuer,
            category,
            id,
            serial,
            batch,
            against,
            debit_minor,
            credit_minor,
            balance_minor,
        } = shown(entry);
        lines.push(format!(
            "{sequence},{committed_at},{kind},{issuer},{category},{id},{serial},{batch},{against},{debit_minor},{credit_minor},{balance_minor}"
        ));
    }
    lines.join("\n")
}

fn table(compared: &Compared) -> String {
    let Compared {
        statement,
        balances,
        standing,
    } = compared;
    let head = [
        "record", "time", "what", "issuer", "cat.", "id", "serial", "batch", "against", "debit", "credit", "balance",
    ];
    let mut lines = vec![
        format!("account {}, opened {}", statement.account, balances.opened_at),
        format!("opening balance {}", balances.opening),
        laid_out(&head.map(str::to_owned)),
    ];
    for entry in &statement.entries {
        let money = entry.amount.money().to_string();
        let (debit, credit) = match entry.side {
            Side::Debit => (money, String::new()),
            Side::Credit => (String::new(), money),
        };
        let ShownEntry {
            sequence,
            committed_at,
            kind,
            issuer,
            category,
            id,
            serial,
            batch,
            against,
            ..
        } = shown(entry);
        let (sequence, balance) = (sequence.to_string(), entry.balance.to_string());
        lines.push(laid_out(&[
            sequence,
            committed_at,
            kind,
            issuer,
            category,
            id,
            serial,
            batch,
            against,
            debit,
            credit,
            balance,
        ]));
    }
    lines.push(format!("closing balance {}", balances.closing));
    let says = match standing.balance {
        Some(state) if state == balances.now => "equal to the state".to_owned(),
        Some(state) => format!("NOT WHAT THE STATE SAYS, {state}"),
        None => "NOT KNOWN TO THE STATE".to_owned(),
    };
    lines.push(format!("balance now {}: {says}", balances.now));
    lines.join("\n")
}

fn laid_out(columns: &[String; 12]) -> String {
    let [
        sequence,
        at,
        kind,
        issuer,
        category,
        id,
        serial,
        batch,
        against,
        debit,
        credit,
        balance,
    ] = columns;
    format!(
        "{sequence:>10} {at:<19} {kind:<10} {issuer:<14} {category:<4} {id:<31} {serial:<24} {batch:<13} {against:<30} \
         {debit:>20} {credit:>20} {balance:>20}"
    )
}
