//! `ledger positions`: how far every shard of the running ledger has come.

use std::fmt::Write as _;

use ledger_protocol::{LedgerClient, LedgerFault, SeenPositions, ShardPosition, ShipReport};
use operations::endpoint::EndpointFault;
use operations::exit;
use serde::Serialize;

use super::output::print;
use super::told;
use crate::config::Config;

#[derive(Debug, thiserror::Error)]
enum PositionsFault {
    #[error("the runtime could not start")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
    #[error("the positions cannot be written")]
    Json(#[from] serde_json::Error),
}

/// In order, seen or not.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ShownShard {
    Known(Box<Shown>),
    /// Its group could not be reached since the ledger began.
    Unknown(ShownUnknown),
}

#[derive(Debug, Serialize)]
struct ShownUnknown {
    shard: u8,
    /// No: then there is nothing else.
    known: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    shard: u8,
    /// Yes.
    known: bool,
    sequence: u64,
    head: String,
    shipped: u64,
    transfers_posted: u64,
    transfers_refused: u64,
    sums: Vec<ShownSum>,
    shipping: Option<ShownShipping>,
    /// None where the journal begins with record 1.
    base: Option<ShownBase>,
}

#[derive(Debug, Serialize)]
struct ShownBase {
    sequence: u64,
    head: String,
    operator: String,
    reason: String,
    released_at: String,
}

#[derive(Debug, Serialize)]
struct ShownShipping {
    state: &'static str,
    since: String,
    why: String,
    lag_seconds: u64,
    alarm: bool,
}

#[derive(Debug, Serialize)]
struct ShownSum {
    currency: String,
    debit_minor: i64,
    credit_minor: i64,
}

pub fn run(config: &Config, json: bool) -> u8 {
    match show(config, json) {
        Ok(text) => {
            print(&text);
            exit::DONE
        }
        Err(fault) => {
            eprintln!("{}", told(&fault));
            exit::FAILED
        }
    }
}

fn show(config: &Config, json: bool) -> Result<String, PositionsFault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let SeenPositions { positions, unseen } = runtime.map_err(PositionsFault::Runtime)?.block_on(async {
        let client = LedgerClient::connect(&config.listen)?;
        client.seen_positions().await.map_err(PositionsFault::Ledger)
    })?;
    if json {
        return Ok(serde_json::to_string_pretty(&all_shown(positions, unseen))?);
    }
    let mut text = table(&positions);
    for shard in unseen {
        write!(
            text,
            "\n{shard:>5} unknown: its group could not be reached since the ledger began"
        )
        .expect("text can be written");
    }
    Ok(text)
}

fn all_shown(positions: Vec<ShardPosition>, unseen: Vec<u8>) -> Vec<ShownShard> {
    let unknown = unseen
        .into_iter()
        .map(|shard| ShownShard::Unknown(ShownUnknown { shard, known: false }));
    let known = positions
        .into_iter()
        .map(|position| ShownShard::Known(Box::new(position.into())));
    let mut all: Vec<ShownShard> = known.chain(unknown).collect();
    all.sort_by_key(ShownShard::shard);
    all
}

impl ShownShard {
    const fn shard(&self) -> u8 {
        match self {
            Self::Known(shown) => shown.shard,
            Self::Unknown(unknown) => unknown.shard,
        }
    }
}

fn table(positions: &[ShardPosition]) -> String {
    let head = format!(
        "{:>5} {:>12} {:>12} {:>12} {:>12}  head",
        "shard", "records", "shipped", "posted", "refused"
    );
    let mut lines = vec![head];
    for position in positions {
        let ShardPosition {
            shard,
            sequence,
            shipped,
            transfers_posted,
            transfers_refused,
            ..
        } = position;
        let head = hex::encode(position.head);
        lines.push(format!(
            "{shard:>5} {sequence:>12} {shipped:>12} {transfers_posted:>12} {transfers_refused:>12}  {head}"
        ));
        for sum in &position.sums {
            let [debit, credit] = [sum.debit_minor, sum.credit_minor]
                .map(|minor| ledger_model::Money::new(minor, sum.currency).to_string());
            lines.push(format!("{:>5} debits {debit}, credits {credit}", ""));
        }
        if let Some(base) = &position.base {
            lines.push(format!(
                "{:>5} records up to {} were released at {} by {}: {}",
                "", base.sequence, base.released_at, base.operator, base.reason
            ));
        }
        if let Some(report) = &position.shipping {
            lines.push(format!("{:>5} Kafka: {}", "", in_words(position, report)));
        }
    }
    lines.join("\n")
}

/// Such as `ALARM, behind by 1200 records, the oldest 95 s old; broker unreachable since …: …`.
fn in_words(position: &ShardPosition, report: &ShipReport) -> String {
    let ShipReport {
        state,
        since,
        why,
        lag_seconds,
        alarm,
    } = report;
    let behind = position.sequence.saturating_sub(position.shipped);
    let alarm = if *alarm { "ALARM, " } else { "" };
    let lag = match behind {
        0 => "has everything".to_owned(),
        _ => format!("behind by {behind} records, the oldest {lag_seconds} s old"),
    };
    let name = state.name();
    let why = if why.is_empty() {
        String::new()
    } else {
        format!(": {why}")
    };
    format!("{alarm}{lag}; {name} since {since}{why}")
}

impl From<ShardPosition> for Shown {
    fn from(position: ShardPosition) -> Self {
        let sums = position.sums.into_iter().map(|sum| ShownSum {
            currency: sum.currency.to_string(),
            debit_minor: sum.debit_minor,
            credit_minor: sum.credit_minor,
        });
        Self {
            shard: position.shard,
            known: true,
            sequence: position.sequence,
            head: hex::encode(position.head),
            shipped: position.shipped,
            transfers_posted: position.transfers_posted,
            transfers_refused: position.transfers_refused,
            sums: sums.collect(),
            shipping: position.shipping.map(|report| ShownShipping {
                state: report.state.name(),
                since: report.since.to_string(),
                why: report.why,
                lag_seconds: report.lag_seconds,
                alarm: report.alarm,
            }),
            base: position.base.map(|base| ShownBase {
                sequence: base.sequence,
                head: hex::encode(base.head),
                operator: base.operator.to_string(),
                reason: base.reason.to_string(),
                released_at: base.released_at.to_string(),
            }),
        }
    }
}
