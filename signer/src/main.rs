//! The command line of the signer.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "--check-config answers on stdout")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use operations::stop::Stop;
use operations::{exit, logs};
use signer::{Config, Process, ServeFault, StartFault};

/// Holds the bank's private keys: verifies, opens, seals and signs messages for the frontend.
///
/// Exit codes: 0 stopped as asked, 1 a fault while serving or a failed self-test, 2 wrong command line,
/// 3 configuration or key files refused, 4 an address is taken.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file, TOML.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Read the configuration and every key it names, run the self-test, serve nothing.
    #[arg(long)]
    check_config: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logs::start("signer", "info");
    ExitCode::from(run(&arguments))
}

fn run(arguments: &Arguments) -> u8 {
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(fault) => return ended(&fault, exit::CONFIGURATION),
    };
    let process = match Process::new(&config) {
        Ok(process) => process,
        Err(fault @ StartFault::SelfTest(_)) => return ended(&fault, exit::FAILED),
        Err(fault @ StartFault::Keys(_)) => return ended(&fault, exit::CONFIGURATION),
    };
    if arguments.check_config {
        if !process.away().is_empty() {
            return ended(&Away(process.away().join("; ")), exit::CONFIGURATION);
        }
        let (keys, peers) = process.key_counts();
        println!("configuration is good: {keys} keys of the bank's, {peers} certificates of others");
        return exit::DONE;
    }
    match serve(process) {
        Ok(()) => exit::DONE,
        Err(fault) if fault.is_about_address() => ended(&fault, exit::ADDRESS_TAKEN),
        Err(fault) => ended(&fault, exit::FAILED),
    }
}

/// A signer that starts may serve without such keys; a check says that they are missing.
#[derive(Debug, thiserror::Error)]
#[error("keys cannot be used: {0}")]
struct Away(String);

fn serve(process: Process) -> Result<(), ServeFault> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(ServeFault::Threads)?;
    runtime.block_on(async { process.bind().await?.serve(Stop::on_signals()).await })
}

/// Says why on the last line of stderr, with the chain of causes.
fn ended(fault: &dyn std::error::Error, code: u8) -> u8 {
    let mut reason = fault.to_string();
    let mut cause = fault.source();
    while let Some(source) = cause {
        reason.push_str(": ");
        reason.push_str(&source.to_string());
        cause = source.source();
    }
    eprintln!("signer: {reason}");
    code
}
