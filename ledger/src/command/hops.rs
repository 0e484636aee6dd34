//! `ledger hops`: transfers that were taken in for another shard and are not at rest yet.

use ledger_protocol::{LedgerClient, LedgerFault, UnsettledHops};
use operations::endpoint::EndpointFault;
use operations::exit;

use super::output::print;
use super::told;
use crate::config::Config;

#[derive(Debug, thiserror::Error)]
pub(super) enum HopsFault {
    #[error("the runtime could not start")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
}

/// Fails where anything is open or unapplied, or a shard cannot be asked: a day is closed only without that.
pub fn run(config: &Config) -> u8 {
    match ask(config) {
        Ok(hops) => {
            print(format_args!("{}", table(&hops)));
            if hops.hops.is_empty() && hops.unseen_shards.is_empty() {
                exit::DONE
            } else {
                exit::FAILED
            }
        }
        Err(fault) => {
            eprintln!("{}", told(&fault));
            exit::FAILED
        }
    }
}

pub(super) fn ask(config: &Config) -> Result<UnsettledHops, HopsFault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(HopsFault::Runtime)?.block_on(async {
        let client = LedgerClient::connect(&config.listen)?;
        Ok(client.hops().await?)
    })
}

fn table(hops: &UnsettledHops) -> String {
    let mut lines = Vec::new();
    if !hops.hops.is_empty() {
        lines.push(format!(
            "{:<19} {:<31} {:<8} {:>16} {:>4} {:>4}  state",
            "answered", "transfer", "kind", "amount", "home", "at"
        ));
    }
    for hop in &hops.hops {
        let transfer = &hop.transfer;
        let state = match (hop.refusal, hop.attempt) {
            (Some(refusal), _) => format!("unapplied: {}", refusal.name()),
            (None, 1) => "open".to_owned(),
            (None, _) => "open, may be at home as well".to_owned(),
        };
        lines.push(format!(
            "{:<19} {:<31} {:<8} {:>16} {:>4} {:>4}  {state}",
            transfer.decided_at.to_string(),
            transfer.key.id.to_string(),
            transfer.kind.name(),
            transfer.amount.to_string(),
            hop.home,
            hop.taken_in,
        ));
    }
    let unapplied = hops.hops.iter().filter(|hop| hop.refusal.is_some()).count();
    lines.push(format!("{} open, {unapplied} unapplied", hops.open));
    for shard in &hops.unseen_shards {
        lines.push(format!("shard {shard} cannot be asked"));
    }
    lines.join("\n")
}
