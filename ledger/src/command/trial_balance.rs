//! `ledger trial-balance`: what every account of the chart comes to at a position of the journal, from the journal alone.

use std::str::FromStr;

use ledger_model::{ChinaTime, Currency, Money};
use operations::exit;
use serde::Serialize;

use super::from::{From, Released, block_on, progress};
use super::output::print;
use super::told;
use crate::books::Sides;
use crate::config::Config;
use crate::reading::journal::{ReadingFault, Until, Wants};
use crate::reading::trial::{Difference, Line, TrialBalance};

/// Sum every shard's journal from its first record and show debits, credits and balance of each account of the chart,
/// by currency.
///
/// Lines: customers together, network clearing by batch, opening balances, and the bank's own accounts. A balance is
/// credits less debits. Every record must follow from the one before it and debit what it credits. A shard that was
/// read to its head is compared with the ledger's own state (records, hash of the last one, transfers posted and
/// refused, sums; for stores at rest also every batch and the customers' balances), and the command says so. Records that
/// were released are read from their archive (`--archive`).
///
/// Exit codes: 0 it balances and is equal to the state where that was compared; 1 it could not be read; 5 it does not
/// balance, the chain is broken, or the state says something else.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    from: From,
    #[command(flatten)]
    released: Released,
    /// Up to this record of this shard (0 is before the first), such as `2=1500`; may be given for several shards, the
    /// others are read to their heads.
    #[arg(long, value_name = "SHARD=SEQUENCE", conflicts_with = "at_time")]
    at: Vec<ShardRecord>,
    /// Up to what was committed by this time, `yyyy-MM-ddTHH:mm:ss`, China time.
    #[arg(long, value_name = "TIME")]
    at_time: Option<ChinaTime>,
    /// One JSON object instead of a table; amounts in minor units.
    #[arg(long)]
    json: bool,
}

impl Options {
    pub const fn needs_configuration(&self) -> bool {
        self.from.directory.is_none()
    }
}

/// A place in the journal of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardRecord {
    pub shard: u8,
    pub sequence: u64,
}

impl FromStr for ShardRecord {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a position is SHARD=SEQUENCE, such as 2=1500";
        let (shard, sequence) = text.split_once('=').ok_or(FORM)?;
        Ok(Self {
            shard: shard.parse().map_err(|_| FORM)?,
            sequence: sequence.parse().map_err(|_| FORM)?,
        })
    }
}

impl ShardRecord {
    /// As [`Until`] has it.
    pub const fn pair(self) -> (u8, u64) {
        (self.shard, self.sequence)
    }
}

/// Of one shard.
struct Summed {
    trial: TrialBalance,
    /// Number of the last record there is.
    head: u64,
    /// Where it was read to the head: what is not as the state says.
    differences: Option<Vec<Difference>>,
}

pub fn run(config: Option<&Config>, options: &Options) -> u8 {
    let until = if let Some(time) = options.at_time {
        Until::Time(time)
    } else if options.at.is_empty() {
        Until::Head
    } else {
        Until::Records(options.at.iter().map(|place| place.pair()).collect())
    };
    let summed = block_on(sum(config, options, &until)).and_then(|shards| {
        let text = if options.json { json(&shards)? } else { table(&shards)? };
        let sound = shards
            .iter()
            .all(|shard| shard.differences.as_ref().is_none_or(Vec::is_empty));
        Ok((text, sound))
    });
    match summed {
        Ok((text, sound)) => {
            print(&text);
            if sound { exit::DONE } else { exit::DIFFERENCES }
        }
        Err(fault) => {
            eprintln!("{}", told(&fault));
            fault.exit_code()
        }
    }
}

async fn sum(config: Option<&Config>, options: &Options, until: &Until) -> Result<Vec<Summed>, ReadingFault> {
    let journals = options.released.add_to(options.from.open(config).await?)?;
    let mut records = 0;
    for shard in journals.count().all() {
        records += journals.last(shard, until)?;
    }
    let bar = progress(records, "records");
    let mut shards = Vec::new();
    for shard in journals.count().all() {
        let mut trial = TrialBalance::start(shard);
        let read = journals.read(shard, 1..=journals.last(shard, until)?, |record, encoded| {
            if !until.includes(record) {
                return Ok(Wants::NoMore);
            }
            bar.inc(1);
            trial.follow(record, encoded)?;
            Ok(Wants::More)
        });
        read.await?;
        let head = journals.position(shard).sequence;
        let at_head = trial.position.sequence == head;
        let differences = if at_head {
            Some(journals.differences(&trial)?)
        } else {
            None
        };
        shards.push(Summed {
            trial,
            head,
            differences,
        });
    }
    bar.finish_and_clear();
    Ok(shards)
}

/// A line as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    currency: String,
    account: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<String>,
    debit_minor: i64,
    credit_minor: i64,
    balance_minor: i64,
}

#[derive(Debug, Serialize)]
struct ShownShard {
    shard: u8,
    sequence: u64,
    head: String,
    committed_at: Option<String>,
    last_sequence: u64,
    transfers_posted: u64,
    transfers_refused: u64,
    lines: Vec<Shown>,
    /// `null` where it was not read to its last record.
    differences: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct ShownAll {
    shards: Vec<ShownShard>,
    lines: Vec<Shown>,
    balanced: bool,
}

fn shown(lines: &[(Currency, Line, Sides)]) -> Result<Vec<Shown>, ReadingFault> {
    let shown = lines.iter().map(|(currency, line, sums)| {
        Ok(Shown {
            currency: currency.to_string(),
            account: line.name(),
            batch: line.batch().map(|batch| batch.to_string()),
            debit_minor: sums.debit_minor,
            credit_minor: sums.credit_minor,
            balance_minor: balance(*sums, *currency)?.minor(),
        })
    });
    shown.collect()
}

fn balance(sums: Sides, currency: Currency) -> Result<Money, ReadingFault> {
    sums.balance(currency).ok_or(ReadingFault::OutOfRange)
}

fn lines_of(trial: &TrialBalance) -> Vec<(Currency, Line, Sides)> {
    let lines = trial.lines.iter();
    lines
        .map(|((currency, line), sums)| (*currency, *line, *sums))
        .collect()
}

/// Over all shards.
fn lines_over(shards: &[Summed]) -> Result<Vec<(Currency, Line, Sides)>, ReadingFault> {
    let mut all = std::collections::BTreeMap::new();
    for (currency, line, sums) in shards.iter().flat_map(|shard| lines_of(&shard.trial)) {
        let sum = all.entry((currency, line)).or_insert_with(Sides::default);
        *sum = sum.and(sums).ok_or(ReadingFault::OutOfRange)?;
    }
    Ok(all
        .into_iter()
        .map(|((currency, line), sums)| (currency, line, sums))
        .collect())
}

fn json(shards: &[Summed]) -> Result<String, ReadingFault> {
    let mut listed = Vec::with_capacity(shards.len());
    for Summed {
        trial,
        head,
        differences,
    } in shards
    {
        let told = |differences: &Vec<Difference>| differences.iter().map(ToString::to_string).collect();
        listed.push(ShownShard {
            shard: trial.position.shard.number(),
            sequence: trial.position.sequence,
            head: trial.position.head.to_string(),
            committed_at: trial.committed_at.map(|time| time.to_string()),
            last_sequence: *head,
            transfers_posted: trial.transfers_posted,
            transfers_refused: trial.transfers_refused,
            lines: shown(&lines_of(trial))?,
            differences: differences.as_ref().map(told),
        });
    }
    let all = ShownAll {
        shards: listed,
        lines: shown(&lines_over(shards)?)?,
        // a record that is not balanced ends the reading
        balanced: true,
    };
    serde_json::to_string_pretty(&all).map_err(ReadingFault::Json)
}

fn table(shards: &[Summed]) -> Result<String, ReadingFault> {
    let mut text = Vec::new();
    for Summed {
        trial,
        head,
        differences,
    } in shards
    {
        let compared = match differences.as_deref() {
            None => "before its last record, not compared with the state".to_owned(),
            Some([]) => "equal to the state".to_owned(),
            Some(differences) => {
                let named: Vec<String> = differences.iter().map(ToString::to_string).collect();
                format!("NOT WHAT THE STATE SAYS of {}", named.join(", "))
            }
        };
        let committed = trial.committed_at.map(|time| format!(" of {time}")).unwrap_or_default();
        let position = trial.position;
        text.push(format!(
            "shard {} at record {} of {head}{committed}: {compared}",
            position.shard, position.sequence
        ));
        text.extend(rows(&lines_of(trial))?);
    }
    text.push("all shards".to_owned());
    text.extend(rows(&lines_over(shards)?)?);
    Ok(text.join("\n"))
}

/// Lines by currency, each currency with its sum.
fn rows(lines: &[(Currency, Line, Sides)]) -> Result<Vec<String>, ReadingFault> {
    let row = |name: &str, currency: Currency, sums: Sides| -> Result<String, ReadingFault> {
        let [debits, credits] = [sums.debit_minor, sums.credit_minor].map(|minor| Money::new(minor, currency));
        let shown = [debits, credits, balance(sums, currency)?];
        Ok(laid_out(name, &shown.map(|money| money.to_string())))
    };
    let mut rows = Vec::new();
    for of_one in lines.chunk_by(|(left, ..), (right, ..)| left == right) {
        let mut sum = Sides::default();
        let mut of = None;
        rows.push(laid_out(
            "account",
            &["debits", "credits", "balance"].map(str::to_owned),
        ));
        for (currency, line, sums) in of_one {
            sum = sum.and(*sums).ok_or(ReadingFault::OutOfRange)?;
            of = Some(*currency);
            rows.push(row(&line.to_string(), *currency, *sums)?);
        }
        if let Some(currency) = of {
            rows.push(row("sum", currency, sum)?);
        }
    }
    Ok(rows)
}

fn laid_out(name: &str, columns: &[String; 3]) -> String {
    let [debits, credits, balance] = columns;
    format!("  {name:<32} {debits:>22} {credits:>22} {balance:>22}")
}
