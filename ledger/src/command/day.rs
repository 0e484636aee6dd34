//! `ledger day`: closing business dates.
#![expect(clippy::print_stdout, reason = "output of a command")]

use ledger_model::BusinessDate;
use ledger_protocol::{CloseDayOrder, ClosedShard, Closing, DayStatus};
use operations::exit;
use serde::Serialize;

use super::administrators::{self, AdministrationFault, By, failed};
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Day {
    /// No order of a batch of this business date or an earlier one posts any more; there is no way back. What still has to
    /// be posted for it is posted by `ledger adjust` in a later batch. Again for a closed date changes nothing.
    Close {
        /// A business date that has ended, yyyy-MM-dd.
        #[arg(value_name = "DATE")]
        date: BusinessDate,
        #[command(flatten)]
        by: By,
    },
    /// Which business date it is, and through which date every shard is closed.
    Status {
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Serialize)]
struct Shown {
    business_date: String,
    /// None before any was closed in every shard.
    closed_through: Option<String>,
    shards: Vec<ShownShard>,
}

#[derive(Debug, Serialize)]
struct ShownShard {
    shard: u8,
    closed_through: Option<String>,
}

pub fn run(config: &Config, day: Day) -> u8 {
    match day {
        Day::Close { date, by } => {
            let By { operator, reason } = by;
            close(config, &CloseDayOrder { date, operator, reason })
        }
        Day::Status { json } => status(config, json),
    }
}

fn close(config: &Config, order: &CloseDayOrder) -> u8 {
    match administrators::ask(config, async |client| Ok(client.close_day(order).await?)) {
        Ok(Closing::Closed(shards)) => {
            for ClosedShard { shard, sequence, .. } in shards {
                match sequence {
                    Some(sequence) => eprintln!("shard {shard}: closed through {}, record {sequence}", order.date),
                    None => eprintln!("shard {shard}: closed already"),
                }
            }
            exit::DONE
        }
        Ok(Closing::Refused(reason)) => {
            eprintln!("refused: {reason}");
            exit::FAILED
        }
        Err(fault) => failed(&fault),
    }
}

fn status(config: &Config, json: bool) -> u8 {
    let status = administrators::ask(config, async |client| Ok(client.day_status().await?));
    match status.and_then(|status| text(&status, json)) {
        Ok(text) => {
            println!("{text}");
            exit::DONE
        }
        Err(fault) => failed(&fault),
    }
}

fn text(status: &DayStatus, json: bool) -> Result<String, AdministrationFault> {
    let shards = status.shards.iter();
    let shown = Shown {
        business_date: status.business_date.to_string(),
        // a shard that has closed nothing comes before every date
        closed_through: shards
            .clone()
            .map(|shard| shard.closed_through)
            .min()
            .flatten()
            .map(|date| date.to_string()),
        shards: shards
            .map(|shard| ShownShard {
                shard: shard.shard,
                closed_through: shard.closed_through.map(|date| date.to_string()),
            })
            .collect(),
    };
    if json {
        return Ok(serde_json::to_string_pretty(&shown)?);
    }
    let never = || "no date".to_owned();
    let mut lines = vec![
        format!("business date   {}", shown.business_date),
        format!("closed through  {}", shown.closed_through.clone().unwrap_or_else(never)),
    ];
    let behind = shown
        .shards
        .into_iter()
        .filter(|shard| shard.closed_through != shown.closed_through);
    lines.extend(behind.map(|shard| {
        let date = shard.closed_through.unwrap_or_else(never);
        format!(
            "shard {:<9} closed through {date}; close the date again for the others",
            shard.shard
        )
    }));
    Ok(lines.join("\n"))
}
