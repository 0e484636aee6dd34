//! Running the one-off commands of our programs: loading, replaying, closing the day.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use operations::exit;
use thiserror::Error;

use crate::layout::Layout;
use crate::part::Part;
use crate::sources::Sources;

#[derive(Debug, Error)]
pub enum ToolFault {
    #[error("{0} cannot be run")]
    Run(String, #[source] io::Error),
    /// `code` is absent when a signal ended it.
    #[error("{name} ended with {}", ending(*code))]
    Ended { name: String, code: Option<i32> },
}

impl ToolFault {
    /// The command did its work and found that something differs.
    pub fn is_difference(&self) -> bool {
        matches!(self, Self::Ended { code, .. } if *code == Some(i32::from(exit::DIFFERENCES)))
    }
}

fn ending(code: Option<i32>) -> String {
    code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"))
}

/// Where the commands' output goes.
#[derive(Debug, Clone)]
pub enum Shown {
    OnTheTerminal,
    /// All in a file.
    InFile(PathBuf),
    /// Results in a file, progress on the terminal.
    ProgressOnly(PathBuf),
}

#[derive(Debug, Clone)]
pub struct Tools {
    sources: Sources,
    shown: Shown,
}

impl Tools {
    pub const fn new(sources: Sources, shown: Shown) -> Self {
        Self { sources, shown }
    }

    /// The same programs, shown otherwise.
    #[must_use]
    pub fn shown(&self, shown: Shown) -> Self {
        Self {
            sources: self.sources.clone(),
            shown,
        }
    }

    /// Runs a command of one of our programs; anything but exit code 0 is a fault.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<(), ToolFault> {
        self.run_until(program, arguments, &[exit::DONE]).map(|_| ())
    }

    /// The same with `--config` of a part in front.
    pub fn configured(&self, layout: &Layout, part: Part, arguments: &[&str]) -> Result<(), ToolFault> {
        self.configured_until(layout, part, arguments, &[exit::DONE])
            .map(|_| ())
    }

    /// The same where several exit codes are no fault.
    pub fn configured_until(
        &self,
        layout: &Layout,
        part: Part,
        arguments: &[&str],
        codes: &[u8],
    ) -> Result<u8, ToolFault> {
        let config = layout.config(part).display().to_string();
        let mut all = vec!["--config", &config];
        all.extend(arguments);
        self.run_until(part.name(), &all, codes)
    }

    fn run_until(&self, program: &str, arguments: &[&str], codes: &[u8]) -> Result<u8, ToolFault> {
        let what = arguments.iter().find(|argument| is_command(argument)).unwrap_or(&"");
        let name = format!("{program} {what}").trim_end().to_owned();
        let code = self.code(&name, program, arguments)?;
        let done = codes.iter().find(|known| code == Some(i32::from(**known)));
        done.copied().ok_or(ToolFault::Ended { name, code })
    }

    fn code(&self, name: &str, program: &str, arguments: &[&str]) -> Result<Option<i32>, ToolFault> {
        let fault = |source| ToolFault::Run(name.to_owned(), source);
        let mut command = Command::new("setpriv");
        // this thread waits for it, so the command's end is tied to the right one
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(self.sources.program(program))
            .args(arguments);
        let append = |path| OpenOptions::new().create(true).append(true).open(path).map_err(fault);
        match &self.shown {
            Shown::OnTheTerminal => {}
            Shown::InFile(path) => {
                command.stdout(append(path)?).stderr(append(path)?);
            }
            Shown::ProgressOnly(path) => {
                command.stdout(append(path)?);
            }
        }
        let status = command.stdin(Stdio::null()).status().map_err(fault)?;
        Ok(status.code())
    }
}

/// The first argument that is no option and no option's value: `--config FILE night` is `night`.
fn is_command(argument: &str) -> bool {
    !argument.starts_with('-') && !argument.contains(['/', '.', ':'])
}

/// For arguments that are paths.
pub fn text(path: &Path) -> String {
    path.display().to_string()
}
