//! What a ledger says of an order that it did not answer in time, for whoever reads why a round failed: where its shard answers
//! other questions and the key stays in process, an answer was lost; where no shard does, the machine had no time for it.

use std::fmt::Write;

use ledger_model::{Instruction, ShardId};
use ledger_protocol::LedgerClient;
use tokio::time::{Instant, timeout};

use crate::bank::{SHARDS, WAIT, first_of, token};

pub(super) async fn how_it_stands(ledger: &LedgerClient, instruction: &Instruction) -> String {
    let asked = Instant::now();
    let told = ledger.query(*instruction.key(), asked + WAIT).await;
    let mut text = format!(
        "a query for {}:{} is told {told:?} after {:?}",
        instruction.key().category,
        instruction.key().id,
        asked.elapsed()
    );
    for shard in SHARDS.all() {
        write!(text, "; shard {shard} {}", answers(ledger, shard).await).unwrap();
    }
    let positions = timeout(WAIT, ledger.seen_positions()).await.map(Result::ok);
    let positions = positions.ok().flatten().unwrap_or_default();
    for position in positions.positions {
        write!(text, "; shard {} is at record {}", position.shard, position.sequence).unwrap();
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    write!(
        text,
        "; unseen {:?}, connected {}, load {load}",
        positions.unseen,
        ledger.is_connected()
    )
    .unwrap();
    text
}

/// Asked how an account stands, which waits behind what is queued there.
async fn answers(ledger: &LedgerClient, shard: ShardId) -> String {
    let asked = Instant::now();
    match timeout(WAIT, ledger.standing(token(first_of(shard)))).await {
        Ok(Ok(standing)) => format!("answers after {:?} as of record {}", asked.elapsed(), standing.sequence),
        Ok(Err(fault)) => format!("does not answer: {fault}"),
        Err(_) => format!("does not answer within {WAIT:?}"),
    }
}
