//! `ledger day`: closing business dates.

use ledger_model::BusinessDate;
use ledger_protocol::{CloseDayOrder, ClosedShard, Closing, DayStatus, UnsettledHops};
use operations::exit;
use serde::Serialize;

use super::administrators::{self, AdministrationFault, By, failed};
use super::output::print;
use super::{hops, told};
use crate::config::Config;

#[derive(Debug, clap::Subcommand)]
pub enum Day {
    /// No order of a batch of this business date or an earlier one posts any more; there is no way back. What still has to
    /// be posted for it is posted by `ledger adjust` in a later batch. Again for a closed date changes nothing. What was
    /// taken in for another shard and waits for it (`ledger hops`) is settled after the closing all the same; as long as
    /// there is any of the date or an earlier one, or a shard cannot be asked, the closing is refused without
    /// --with-open-hops.
    Close {
        /// A business date that has ended, yyyy-MM-dd.
        #[arg(value_name = "DATE")]
        date: BusinessDate,
        /// Close although transfers of the date wait for their home.
        #[arg(long)]
        with_open_hops: bool,
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
        Day::Close {
            date,
            with_open_hops,
            by,
        } => {
            let By { operator, reason } = by;
            match hops::ask(config).map(|hops| waiting(&hops, date)) {
                Ok(None) => {}
                Ok(Some(waiting)) if with_open_hops => eprintln!("{waiting}"),
                Ok(Some(waiting)) => {
                    eprintln!("refused: {waiting}; settle them first (`ledger hops`), or close --with-open-hops");
                    return exit::FAILED;
                }
                Err(fault) => {
                    eprintln!("{}", told(&fault));
                    return exit::FAILED;
                }
            }
            close(config, &CloseDayOrder { date, operator, reason })
        }
        Day::Status { json } => status(config, json),
    }
}

/// What of the date or an earlier one waits for its home, in words; `None` where it is certain that nothing does.
fn waiting(hops: &UnsettledHops, date: BusinessDate) -> Option<String> {
    let open = hops.hops.iter().filter(|hop| hop.refusal.is_none());
    let (due, later): (Vec<_>, Vec<_>) = open.partition(|hop| hop.transfer.batch.date() <= date);
    let listed = u64::try_from(due.len() + later.len()).unwrap_or(u64::MAX);
    // of very many only the oldest are listed
    let unlisted = hops.open.saturating_sub(listed);
    if !hops.unseen_shards.is_empty() {
        let unseen: Vec<String> = hops.unseen_shards.iter().map(ToString::to_string).collect();
        return Some(format!(
            "shard {} cannot be asked what waits there for another",
            unseen.join(", ")
        ));
    }
    match (due.len(), unlisted) {
        (0, 0) => None,
        (count, 0) => Some(format!("{count} transfers of {date} or earlier wait for their home")),
        (count, more) => Some(format!(
            "{count} transfers of {date} or earlier wait for their home, and {more} more of any date"
        )),
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
            print(&text);
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

#[cfg(test)]
mod tests {
    use ledger_model::{Decision, DetailsDigest, Refusal, Transfer, TransferKind};
    use ledger_protocol::UnsettledHop;

    use super::*;

    fn hop(batch: &str, refusal: Option<Refusal>) -> UnsettledHop {
        UnsettledHop {
            transfer: Transfer {
                key: ledger_model::TransferKey {
                    issuer: "G4000311000018".parse().unwrap(),
                    category: "0110".parse().unwrap(),
                    id: "2026030200000000000000010000000".parse().unwrap(),
                },
                kind: TransferKind::Payout,
                amount: "CNY1.00".parse().unwrap(),
                batch: batch.parse().unwrap(),
                institution: "Z2000133000019".parse().unwrap(),
                agreement: None,
                account: None,
                original: None,
                details: DetailsDigest::new([0; 32]),
                decision: Decision::Posted,
                serial: "202603020000000000000019".parse().unwrap(),
                decided_at: "2026-03-02T10:00:00".parse().unwrap(),
            },
            taken_in: 1,
            home: 0,
            attempt: 1,
            refusal,
        }
    }

    #[track_caller]
    fn check(hops: Vec<UnsettledHop>, open: u64, unseen_shards: Vec<u8>, expected: Option<&str>) {
        let hops = UnsettledHops {
            hops,
            open,
            unseen_shards,
        };
        let told = waiting(&hops, "2026-03-02".parse().unwrap());
        assert_eq!(told.as_deref(), expected);
    }

    #[test]
    fn what_waits_for_its_home_is_told_before_a_date_is_closed() {
        let due = || hop("B202603020001", None);
        let later = || hop("B202603030001", None);
        let refused = || hop("B202603020001", Some(Refusal::AccountClosed));
        check(vec![], 0, vec![], None);
        check(vec![later(), refused()], 1, vec![], None);
        let two = "2 transfers of 2026-03-02 or earlier wait for their home";
        check(vec![due(), hop("B202603010001", None), later()], 3, vec![], Some(two));
        let more = "1 transfers of 2026-03-02 or earlier wait for their home, and 7 more of any date";
        check(vec![due()], 8, vec![], Some(more));
        let unseen = "shard 2, 3 cannot be asked what waits there for another";
        check(vec![], 0, vec![2, 3], Some(unseen));
    }
}
