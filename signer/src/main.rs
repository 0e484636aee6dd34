//! The command line of the signer.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "--check-config answers on stdout")]

mod command_line;

use std::process::ExitCode;

use clap::Parser;
use operations::stop::Stop;
use operations::{exit, logs};
use signer::{Config, Process, Reloader, ServeFault, StartFault};

use crate::command_line::{Arguments, Command, Serve};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logs::start("signer", "info");
    let code = match (arguments.command, arguments.serve) {
        (Some(Command::Audit(command)), _) => command.run().unwrap_or_else(|fault| ended(&fault, exit::FAILED)),
        (None, Some(serve)) => run(&serve),
        // clap has refused this already
        (None, None) => exit::USAGE,
    };
    ExitCode::from(code)
}

fn run(arguments: &Serve) -> u8 {
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

fn serve(process: Process) -> Result<(), ServeFault> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(ServeFault::Threads)?;
    runtime.block_on(async {
        let bound = process.bind().await?;
        tokio::spawn(reload_on_hangup(bound.reloader()));
        bound.serve(Stop::on_signals()).await
    })
}

async fn reload_on_hangup(reloader: Reloader) {
    if let Err(fault) = reloader.on_hangup().await {
        tracing::error!(%fault, "SIGHUP cannot be waited for");
    }
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
