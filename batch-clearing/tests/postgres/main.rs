//! Batch clearing against a real PostgreSQL, started privately for this run and stopped after it.
//!
//! One server, one database per test. The ledger and Kafka beside it are stand-ins: what they do under real load and
//! loss is the business of the system tests.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails by panicking"
)]

mod clearing;
mod commands;
mod copying;
mod fake_ledger;
mod kafka;
mod night;
mod process;
#[path = "../../src/sample.rs"]
mod sample;
mod server;

use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use server::{Database, Server};

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let server = Arc::new(Server::start());
    let tests = [
        clearing::tests(),
        commands::tests(),
        copying::tests(),
        kafka::tests(),
        night::tests(),
        process::tests(),
    ];
    let trials = tests.into_iter().flatten().map(|test| test.trial(&server)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(server);
    conclusion.exit_code()
}

/// A test that is given a database of its own.
struct Test {
    name: &'static str,
    run: Box<dyn FnOnce(Database) + Send>,
}

impl Test {
    fn new<F: Future<Output = ()>>(name: &'static str, run: impl FnOnce(Database) -> F + Send + 'static) -> Self {
        let run = Box::new(move |database| block_on(run(database)));
        Self { name, run }
    }

    fn trial(self, server: &Arc<Server>) -> Trial {
        let server = Arc::clone(server);
        Trial::test(self.name, move || {
            (self.run)(server.database());
            Ok(())
        })
    }
}

/// Runs a test's future on a runtime of its own.
fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
