//! The words of the command line, and the commands that only read an audit log.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use operations::exit;
use signer::audit::{self, Digest, Filter, Moment, Question, VerifyFault};
use signer_crypto::{Certificate, CertificateFault};
use thiserror::Error;

/// Holds the bank's private keys: verifies, opens, seals and signs messages for the frontend.
///
/// Exit codes: 0 stopped as asked, 1 a fault while serving or a failed self-test, 2 wrong command line,
/// 3 configuration or key files refused, 4 an address is taken, 5 an audit log differs or a reload was refused.
#[derive(Debug, Parser)]
#[command(version, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Option<Serve>,
}

/// Without a command: serve.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Configuration file, TOML.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Read the configuration and every key it names, run the self-test, serve nothing.
    #[arg(long)]
    pub(crate) check_config: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read an audit log: check it, or show records of it. Works while the signer writes it.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Have the running signer read keys, certificates, revocations, token keys and callers anew, all or nothing.
    ///
    /// Exit codes: 0 done, 1 the signer cannot be asked, 3 configuration refused, 5 the signer refuses and goes on as before.
    Reload(Reload),
}

#[derive(Debug, Args)]
pub(crate) struct Reload {
    /// The signer's own configuration file: it says where the signer listens.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that nothing in a log was altered, removed, inserted or moved.
    ///
    /// Prints what the log holds and its head. Note the head somewhere else: given again as --expect-head it shows
    /// that no record has gone missing at the end. Exit codes: 0 good, 1 cannot be read, 2 wrong command line, 5 something differs.
    Verify(Verify),
    /// Print the records that fit, as they stand in the log: one JSON object a line.
    Show(Show),
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    log: Log,
    /// Certificate of a key that sealed the log, PEM; may be given several times.
    #[arg(long, value_name = "PEM")]
    certificate: Vec<PathBuf>,
    /// A head that the log is known to have had.
    #[arg(long, value_name = "HASH")]
    expect_head: Option<Digest>,
    /// Last hash of the file before the first one given, where that is kept elsewhere.
    #[arg(long, value_name = "HASH")]
    after: Option<Digest>,
    /// Print the findings as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    log: Log,
    /// Of this kind, such as reveal or `key_use`.
    #[arg(long)]
    kind: Option<String>,
    /// About the key with this serial.
    #[arg(long)]
    key: Option<String>,
    /// Asked for by this caller.
    #[arg(long)]
    caller: Option<String>,
    /// Not before, such as 2026-11-20T08:15:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// Not after.
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Log {
    /// Every file of this directory.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// These files, in any order.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Error)]
pub(crate) enum AuditCommandFault {
    #[error(transparent)]
    Verify(#[from] VerifyFault),
    #[error("certificate {path} cannot be read")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("certificate {path} is refused")]
    Certificate { path: PathBuf, source: CertificateFault },
    #[error("nothing can be written to stdout")]
    Output(#[source] io::Error),
    #[error("the audit log cannot be read")]
    Show(#[source] io::Error),
}

impl AuditCommand {
    /// The exit code.
    pub(crate) fn run(self) -> Result<u8, AuditCommandFault> {
        match self {
            Self::Verify(verify) => verify.run(),
            Self::Show(show) => show.run(),
        }
    }
}

impl Verify {
    fn run(self) -> Result<u8, AuditCommandFault> {
        let certificates = self.certificate.into_iter().map(|path| {
            let pem = std::fs::read(&path).map_err(|source| AuditCommandFault::File {
                path: path.clone(),
                source,
            })?;
            Certificate::from_pem(&pem).map_err(|source| AuditCommandFault::Certificate { path, source })
        });
        let report = audit::verify(&Question {
            certificates: certificates.collect::<Result<_, _>>()?,
            files: self.log.paths()?,
            expect_head: self.expect_head,
            after: self.after,
        })?;
        let text = if self.json {
            serde_json::to_string(&report).expect("a report has text keys only")
        } else {
            report.to_string()
        };
        writeln!(io::stdout(), "{text}").map_err(AuditCommandFault::Output)?;
        Ok(if report.good { exit::DONE } else { exit::DIFFERENCES })
    }
}

impl Show {
    fn run(self) -> Result<u8, AuditCommandFault> {
        let filter = Filter {
            kind: self.kind,
            key: self.key,
            caller: self.caller,
            from: self.from,
            to: self.to,
        };
        match audit::show(&self.log.paths()?, &filter, &mut io::stdout().lock()) {
            // Whoever reads has seen enough.
            Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => Ok(exit::DONE),
            shown => shown.map(|()| exit::DONE).map_err(AuditCommandFault::Show),
        }
    }
}

impl Log {
    fn paths(self) -> Result<Vec<PathBuf>, VerifyFault> {
        match self.directory {
            Some(directory) => audit::files_of(&directory),
            None => Ok(self.files),
        }
    }
}
