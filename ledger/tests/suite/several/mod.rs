//! Several real ledger processes, real servers, and what lies between them. What they came to is read from outside: by
//! answers, queries and journal streams.

mod late;
mod one_group;
mod two_views;
mod wire;

use std::path::Path;

use ledger_model::{Decision, HopState, Instruction, Transfer};
use ledger_protocol::{LedgerClient, PostReply};
use tokio::time::Instant;

use crate::bank::{WAIT, evidence};
use crate::journals::{self, Journals};
use crate::postgres::Group;
use crate::process::{Process, Section};

/// Groups a and b, and who is where.
const HOMES: [(&str, &[u8]); 2] = [("a", &[0, 2]), ("b", &[1, 3])];
/// Looks often whether a group is back.
const HOPPING: &str = "[hopping]\nprobe_ms = 50\n";
const ACCOUNTS: std::ops::Range<u64> = 0..24;

/// Over both groups, each reached by the host and port that is given.
async fn over_two_groups(
    directory: &Path,
    name: &str,
    homes: [(&str, &[u8]); 2],
    groups: [(&Group, &str); 2],
) -> Process {
    let sections = homes.iter().zip(groups).map(|((name, shards), (group, host))| {
        let database = &group.settings.database;
        Section {
            name,
            shards,
            host,
            database,
        }
        .to_string()
    });
    let sections: String = sections.collect();
    Process::start_as(directory, name, &format!("{HOPPING}{sections}")).await
}

pub(crate) async fn ask(ledger: &LedgerClient, instruction: &Instruction) -> PostReply {
    let deadline = Instant::now() + WAIT;
    ledger.post(instruction.clone(), evidence(instruction), deadline).await
}

/// Until it is decided: a server that is busy may not answer in time.
async fn ask_again(ledger: &LedgerClient, instruction: &Instruction) -> Transfer {
    let deadline = Instant::now() + WAIT;
    loop {
        match ask(ledger, instruction).await {
            reply @ PostReply::Decided { .. } => return posted(reply).0,
            reply => assert!(Instant::now() < deadline, "{reply:?}"),
        }
    }
}

/// Decided and posted, by now or before.
pub(crate) fn posted(reply: PostReply) -> (Transfer, bool) {
    match reply {
        PostReply::Decided { transfer, repeat } if transfer.decision == Decision::Posted => (transfer, repeat),
        other => panic!("{other:?}"),
    }
}

async fn wait_for(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Until it cannot ask these shards, and all others.
async fn wait_unseen(ledger: &LedgerClient, shards: &[u8]) {
    wait_for("a group goes out, or comes back", async || {
        ledger.hops().await.unwrap().unseen_shards == shards
    })
    .await;
}

/// Until it sees every shard and nothing is on its way.
pub(crate) async fn wait_home(ledger: &LedgerClient) {
    wait_for("every hop comes home", async || {
        let hops = ledger.hops().await.unwrap();
        hops.hops.is_empty() && hops.open == 0 && hops.unseen_shards.is_empty()
    })
    .await;
}

async fn read(ledgers: &[LedgerClient]) -> Journals {
    journals::read(ledgers).await
}

/// How hops ended.
fn closed(journals: &Journals) -> Vec<HopState> {
    journals
        .records()
        .filter_map(|record| match &record.event {
            ledger_journal::Event::HopClosed { state, .. } => Some(*state),
            _ => None,
        })
        .collect()
}
