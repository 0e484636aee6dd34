//! The `batch-clearing` process.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use batch_clearing::command;
use batch_clearing::command_line::{Command, CommandLine};
use clap::Parser;

fn main() -> ExitCode {
    let line = CommandLine::parse();
    let serves = matches!(line.command, Some(Command::Replicate { .. }));
    operations::logs::start("batch-clearing", if serves { "info" } else { "warn" });
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(fault) => {
            eprintln!("batch-clearing: the runtime cannot be started: {fault}");
            return ExitCode::from(operations::exit::FAILED);
        }
    };
    match runtime.block_on(command::run(line)) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            let sources = std::iter::successors(std::error::Error::source(&fault), |source| source.source());
            let text = sources.fold(fault.to_string(), |text, source| format!("{text}: {source}"));
            // a refused configuration shows its place over several lines; the last of them says why
            eprintln!("batch-clearing: {}", text.trim_end());
            ExitCode::from(fault.exit_code())
        }
    }
}
