//! The command line of the signer.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "--check-config answers on stdout")]

mod command_line;

use std::process::ExitCode;

use clap::Parser;
use operations::stop::Stop;
use operations::{exit, logs};
use signer::{AskFault, Config, Process, Reloader, ServeFault, StartFault, ask_to_reload};

use crate::command_line::{Arguments, Command, Reload, Serve};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logs::start("signer", "info");
    let code = match (arguments.command, arguments.serve) {
        (Some(Command::Audit(command)), _) => command.run().unwrap_or_else(|fault| ended(&fault, exit::FAILED)),
        (Some(Command::Reload(reload)), _) => reload_keys(&reload),
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
    let made = if arguments.check_config {
        Process::check(&config)
    } else {
        Process::new(&config)
    };
    let process = match made {
        Ok(process) => process,
        Err(fault @ (StartFault::SelfTest(_) | StartFault::Audit(_))) => return ended(&fault, exit::FAILED),
        Err(fault @ StartFault::Keys(_)) => return ended(&fault, exit::CONFIGURATION),
    };
    if arguments.check_config {
        process.log_providers();
        let away = process.away();
        if !away.is_empty() {
            return ended(&Away(away.join("; ")), exit::CONFIGURATION);
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
    runtime.block_on(async {
        let bound = process.bind().await?;
        tokio::spawn(reload_on_hangup(bound.reloader()));
        bound.serve(Stop::on_signals()).await
    })
}

/// Has the running signer read its keys anew.
fn reload_keys(arguments: &Reload) -> u8 {
    let config = match Config::load(&arguments.config) {
        Ok(config) => config,
        Err(fault) => return ended(&fault, exit::CONFIGURATION),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(fault) => return ended(&fault, exit::FAILED),
    };
    match runtime.block_on(ask_to_reload(&config.listen)) {
        Ok(reply) if reply.taken => {
            let (generation, keys, certificates) = (reply.generation, reply.keys, reply.certificates);
            println!(
                "reloaded: generation {generation}, {keys} keys of the bank's, {certificates} certificates of others"
            );
            exit::DONE
        }
        Ok(reply) => {
            println!("nothing was reloaded: {}", reply.refusal);
            exit::DIFFERENCES
        }
        Err(fault @ AskFault::Refused(_)) => ended(&fault, exit::DIFFERENCES),
        Err(fault) => ended(&fault, exit::FAILED),
    }
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
