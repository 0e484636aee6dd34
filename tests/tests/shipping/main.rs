//! Shipping against the real broker: what it loses, who else writes to it, and what it must never hold. One broker for
//! all trials, a topic for each. The ledgers are shipping over journals in files, but for two processes over PostgreSQL;
//! everything else of a ledger is in the ledger's own tests and in the system's.
//!
//! Trials run one after the other, since one of them kills the broker. Where the broker's jars cannot be had they are
//! ignored by name, unless `CI=true`: then that is a failure.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking, in its helping functions too"
)]

mod broker;
mod journal;
mod losses;
mod outage;
mod processes;
mod rivals;
mod shapes;
mod site;

#[path = "../../../ledger/tests/suite/server.rs"]
#[expect(dead_code, reason = "the ledger's own tests do more with a server")]
mod server;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use site::{Site, Stage};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let stage = Arc::new(Stage::new());
    let conclusion = libtest_mimic::run(&arguments, trials(&stage));
    stage.close();
    conclusion.exit_code()
}

type Run = fn(&mut Site);

fn trials(stage: &Arc<Stage>) -> Vec<Trial> {
    let trials: [(&str, Run); 14] = [
        ("shapes::a_topic_is_made_and_filled", shapes::a_topic_is_made_and_filled),
        ("shapes::other_partitions", shapes::other_partitions),
        ("shapes::too_few_replicas", shapes::too_few_replicas),
        ("shapes::too_small_batches", shapes::too_small_batches),
        (
            "rivals::one_ships_and_the_other_takes_over",
            rivals::one_ships_and_the_other_takes_over,
        ),
        (
            "rivals::what_a_dead_ledger_left_open",
            rivals::what_a_dead_ledger_left_open,
        ),
        ("rivals::two_journals_never_mix", rivals::two_journals_never_mix),
        ("rivals::a_stranger_writes", rivals::a_stranger_writes),
        ("losses::deleted", losses::deleted),
        ("losses::made_anew_under_load", losses::made_anew_under_load),
        ("losses::emptied", losses::emptied),
        ("losses::cut_back", losses::cut_back),
        (
            "processes::one_of_two_processes_ships",
            processes::one_of_two_processes_ships,
        ),
        ("outage::broker_away", outage::broker_away),
    ];
    let has_kafka = site::has_kafka();
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    trials
        .into_iter()
        .map(|(name, run)| {
            let stage = Arc::clone(stage);
            Trial::test(name, move || {
                if has_kafka {
                    stage.with(run);
                    Ok(())
                } else {
                    Err(Failed::from("the broker's jars cannot be had"))
                }
            })
            .with_ignored_flag(!has_kafka && !in_ci)
        })
        .collect()
}
