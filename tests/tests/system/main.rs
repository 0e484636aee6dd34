//! Tests of the whole: real processes, the real broker, the real database, in one installation of their own on free
//! ports and in a directory of their own.
//!
//! Trials run one after the other, in the order of the list, since some of them kill processes; each leaves everything
//! running. Where the broker's jars cannot be had, the trials that need it are reported as ignored by name, unless
//! `CI=true`: then that is a failure.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking, in its helping functions too"
)]

mod answers;
mod commands;
mod copies;
mod faults;
mod night;
mod payments;
mod refused_clients;
mod secrets;
mod site;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use site::{Site, Stage};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let stage = Arc::new(Stage::new());
    let conclusion = libtest_mimic::run(&arguments, trials(&stage));
    stage.close(conclusion.has_failed());
    conclusion.exit_code()
}

/// A trial on the shared installation.
struct On<'a> {
    stage: &'a Arc<Stage>,
}

impl On<'_> {
    fn trial(&self, name: &str, run: fn(&mut Site)) -> Trial {
        let stage = Arc::clone(self.stage);
        Trial::test(name, move || stage.with(run))
    }

    /// One that means nothing without the broker.
    fn trial_with_kafka(&self, name: &str, run: fn(&mut Site)) -> Trial {
        if site::has_kafka() {
            return self.trial(name, run);
        }
        if site::in_ci() {
            return Trial::test(name, || {
                Err(Failed::from("the broker's jars cannot be had, and CI=true"))
            });
        }
        self.trial(name, run).with_ignored_flag(true)
    }
}

/// A trial with an installation of its own.
fn alone(name: &str, run: fn()) -> Trial {
    Trial::test(name, move || {
        run();
        Ok(())
    })
}

fn trials(stage: &Arc<Stage>) -> Vec<Trial> {
    let on = On { stage };
    vec![
        // first, on a day nothing else has happened on
        on.trial("night::goes_on_where_it_stopped", night::goes_on_where_it_stopped),
        on.trial("answers::valid_files", answers::valid_files),
        on.trial(
            "answers::invalid_files_post_nothing",
            answers::invalid_files_post_nothing,
        ),
        on.trial("answers::every_kind_in_both_suites", answers::every_kind_in_both_suites),
        on.trial(
            "answers::fixture_time_is_refused_by_default",
            answers::fixture_time_is_refused_by_default,
        ),
        on.trial(
            "clients::without_the_right_certificate",
            refused_clients::without_the_right_certificate,
        ),
        on.trial("faults::ledger_killed_under_load", faults::ledger_killed_under_load),
        on.trial(
            "faults::replicator_killed_under_load",
            faults::replicator_killed_under_load,
        ),
        on.trial_with_kafka("faults::kafka_killed_under_load", faults::kafka_killed_under_load),
        on.trial("faults::postgres_killed_under_load", faults::postgres_killed_under_load),
        on.trial("faults::signer_down", faults::signer_down),
        on.trial("faults::ledger_down", faults::ledger_down),
        on.trial_with_kafka(
            "copies::kafka_holds_every_record_once",
            copies::kafka_holds_every_record_once,
        ),
        on.trial(
            "copies::compare_finds_a_changed_row",
            copies::compare_finds_a_changed_row,
        ),
        // the last on the shared installation: by now the logs hold everything
        on.trial("secrets::logs_hold_none", secrets::logs_hold_none),
        alone("commands::a_taken_port_is_named", commands::a_taken_port_is_named),
        alone("commands::up_status_down", commands::up_status_down),
        alone(
            "commands::nothing_outlives_a_killed_demo",
            commands::nothing_outlives_a_killed_demo,
        ),
        alone("commands::demo_in_the_other_suite", commands::demo_in_the_other_suite),
    ]
}
