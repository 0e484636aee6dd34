//! The command line of the front end.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "command output")]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use frontend::config::Config;
use frontend::service::{Prepared, ServiceFault};
use operations::port::PortFault;
use operations::stop::Stop;
use operations::{exit, logs};

/// Takes the clearing network's messages over mutually authenticated HTTPS, has the signer verify them and the ledger
/// post them, and answers each with a signed message.
///
/// Stops at SIGTERM or SIGINT: accepts no more, answers what was read, ends. Exit codes: 0 done, 1 failed, 2 usage,
/// 3 configuration refused, 4 address taken. Every configuration key is described in frontend/README.md.
#[derive(Debug, Parser)]
#[command(name = "frontend", version)]
struct Command {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the configuration, the TLS files and the code table, then end.
    #[arg(long)]
    check_config: bool,
}

fn main() -> ExitCode {
    let command = Command::parse();
    match run(&command) {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(fault) => {
            eprintln!("frontend: {}", with_causes(&fault));
            ExitCode::from(exit_code(&fault))
        }
    }
}

fn run(command: &Command) -> Result<(), ServiceFault> {
    let prepared = Prepared::new(Config::load(&command.config)?)?;
    if command.check_config {
        println!("{} is in order", command.config.display());
        return Ok(());
    }
    logs::start("frontend", &prepared.config().log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(prepared.config().worker_threads)
        .thread_name("frontend")
        .enable_all()
        .build()
        .map_err(ServiceFault::Runtime)?;
    runtime.block_on(async { prepared.run(Stop::on_signals()).await })
}

const fn exit_code(fault: &ServiceFault) -> u8 {
    match fault {
        ServiceFault::Setting(_)
        | ServiceFault::Codes(_)
        | ServiceFault::Tls(_)
        | ServiceFault::Signer(_)
        | ServiceFault::Endpoint(_)
        | ServiceFault::Port(PortFault::NotLoopback(_)) => exit::CONFIGURATION,
        ServiceFault::Listen { .. } | ServiceFault::Port(PortFault::Listen { .. }) => exit::ADDRESS_TAKEN,
        ServiceFault::Port(PortFault::Serve(_)) | ServiceFault::Runtime(_) => exit::FAILED,
    }
}

/// For the operator at the terminal; the network never sees a cause.
fn with_causes(fault: &dyn Error) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
