//! Runs one command and says how it ended. The only file that prints.
#![expect(clippy::print_stdout, reason = "command output")]

use std::io;
use std::path::Path;
use std::time::Duration;

use ledger_model::BusinessDate;
use ledger_protocol::LedgerClient;
use operations::config::ConfigFault;
use operations::endpoint::EndpointFault;
use operations::exit;
use operations::port::PortFault;
use operations::stop::Stop;
use serde::Serialize;
use tokio::time::Instant;
use tokio_postgres::Client;

use crate::catch_up::{self, CatchUpFault, Wanted};
use crate::closing::{self, ClosingFault};
use crate::command_line::{Command, CommandLine, Files, Json, Patience, WaitFor};
use crate::compare::{self, CompareFault};
use crate::config::Config;
use crate::database::{self, DatabaseFault, Purpose};
use crate::ledger_positions::{self, PositionsFault};
use crate::net::{self, NetReportFault};
use crate::night::{self, NightFault, NightPlan};
use crate::night_step::Outcome;
use crate::progress::Progress;
use crate::reconcile::{self, ReconcileFault};
use crate::replicate::{self, Origin, ReplicateFault};
use crate::schema::{self, SchemaFault};
use crate::statement::DayPlace;
use crate::{clock, report, shown};

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

#[derive(Debug, thiserror::Error)]
pub enum CommandFault {
    #[error("no command; --help names them")]
    NoCommand,
    #[error(transparent)]
    Config(#[from] ConfigFault),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error(transparent)]
    Schema(#[from] SchemaFault),
    #[error(transparent)]
    Database(#[from] DatabaseFault),
    #[error(transparent)]
    Positions(#[from] PositionsFault),
    #[error(transparent)]
    CatchUp(#[from] CatchUpFault),
    #[error(transparent)]
    Replicate(#[from] ReplicateFault),
    #[error(transparent)]
    Close(#[from] ClosingFault),
    #[error(transparent)]
    Net(#[from] NetReportFault),
    #[error(transparent)]
    Compare(#[from] CompareFault),
    #[error(transparent)]
    Reconcile(#[from] ReconcileFault),
    #[error(transparent)]
    Night(#[from] NightFault),
    #[error("the clock shows no year from 1970 to 9999")]
    Clock,
    #[error("{0} cannot be written")]
    Write(String, #[source] io::Error),
    #[error("gave up waiting: {0}")]
    GaveUp(String),
}

impl CommandFault {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoCommand => exit::USAGE,
            Self::Config(_)
            | Self::Replicate(ReplicateFault::NoKafka | ReplicateFault::Port(PortFault::NotLoopback(_))) => {
                exit::CONFIGURATION
            }
            Self::Replicate(ReplicateFault::Port(_)) => exit::ADDRESS_TAKEN,
            Self::Endpoint(_)
            | Self::Schema(_)
            | Self::Database(_)
            | Self::Positions(_)
            | Self::CatchUp(_)
            | Self::Replicate(_)
            | Self::Close(_)
            | Self::Net(_)
            | Self::Compare(_)
            | Self::Reconcile(_)
            | Self::Night(_)
            | Self::Clock
            | Self::Write(..)
            | Self::GaveUp(_) => exit::FAILED,
        }
    }
}

/// Runs what was asked for; gives the exit code.
pub async fn run(line: CommandLine) -> Result<u8, CommandFault> {
    let config = Config::load(&line.config)?;
    if line.check_config {
        println!("{}: good", line.config.display());
        return Ok(exit::DONE);
    }
    match line.command.ok_or(CommandFault::NoCommand)? {
        Command::Replicate { from } => {
            let usual = config.kafka.as_ref().map_or(Origin::Ledger, |_| Origin::Kafka);
            replicate::run(config, from.unwrap_or(usual), Stop::on_signals()).await?;
            Ok(exit::DONE)
        }
        Command::Migrate => {
            let mut client = database::connect(&config.postgres, Purpose::Command).await?;
            let steps = schema::migrate(&mut client).await?;
            println!("tables are up to date; steps applied: {steps}");
            Ok(exit::DONE)
        }
        Command::Close {
            date,
            patience,
            without_ledger,
            json,
        } => {
            let patience = (!without_ledger).then_some(&patience);
            close(&config, date.date, patience, &json).await
        }
        Command::Net { date, json } => {
            let report = net::audited(&mut open(&config).await?, date.date, config.bank).await?;
            show(&json, &report, || shown::net(&report))?;
            Ok(exit::DONE)
        }
        Command::Compare { patience, json } => {
            let (mut client, ledger) = (open(&config).await?, LedgerClient::connect(&config.ledger)?);
            let report = compare::run(&mut client, &ledger, config.kafka.as_ref(), limit(&patience)).await?;
            show(&json, &report, || shown::compare(&report))?;
            Ok(code_of(Outcome::of(report.agrees)))
        }
        Command::Reconcile { files, json } => {
            let place = place(&config, files);
            let report = reconcile::run(&mut open(&config).await?, place, &config.statement, |_| {}).await?;
            show(&json, &report, || shown::reconcile(&report))?;
            Ok(code_of(Outcome::of(report.is_clean())))
        }
        Command::Night {
            files,
            again,
            patience,
            json,
        } => {
            let plan = NightPlan {
                place: place(&config, files),
                today: today()?,
                patience: limit(&patience),
                again,
            };
            night(&config, &plan, &json).await
        }
        Command::Report { date, json } => {
            let report = report::read(&open(&config).await?, date.date).await?;
            show(&json, &report.figures(), || shown::day(&report))?;
            Ok(exit::DONE)
        }
        Command::Wait(wanted) => wait(&config, &wanted).await,
    }
}

fn place(config: &Config, files: Files) -> DayPlace {
    DayPlace {
        root: files.statements,
        bank: config.bank,
        day: files.date.date,
    }
}

/// `patience`: none closes without asking the ledger.
async fn close(
    config: &Config,
    day: BusinessDate,
    patience: Option<&Patience>,
    json: &Json,
) -> Result<u8, CommandFault> {
    let mut client = open(config).await?;
    if let Some(patience) = patience {
        let ledger = LedgerClient::connect(&config.ledger)?;
        let wanted = Wanted::of_ledger(&ledger_positions::ask(&ledger).await?);
        catch_up::wait(&client, &wanted, Instant::now() + limit(patience)).await?;
    }
    let report = closing::close(&mut client, day, today()?).await?;
    show(json, &report, || shown::closing(&report))?;
    Ok(exit::DONE)
}

async fn night(config: &Config, plan: &NightPlan, json: &Json) -> Result<u8, CommandFault> {
    let (mut client, ledger) = (open(config).await?, LedgerClient::connect(&config.ledger)?);
    let progress = Progress::on_terminal();
    let ran = night::run(&mut client, &ledger, config, plan, &progress).await;
    progress.finish();
    let report = ran?;
    show(json, &report.figures(), || shown::day(&report))?;
    // every step has run, or the run had failed
    Ok(report.outcome().map_or(exit::FAILED, code_of))
}

/// The tables, the replicator or the ledger may not be there yet: whoever waits, waits for them too.
async fn wait(config: &Config, wanted: &WaitFor) -> Result<u8, CommandFault> {
    let deadline = Instant::now() + Duration::from_secs(wanted.deadline);
    let ledger = LedgerClient::connect(&config.ledger)?;
    let mut target = wanted.records.map(Wanted::Records);
    loop {
        let fault = match wait_once(config, &ledger, &mut target, deadline).await {
            Ok(()) => return Ok(exit::DONE),
            Err(fault) => fault,
        };
        if Instant::now() + LOOK_AGAIN_AFTER >= deadline {
            return Err(CommandFault::GaveUp(fault.to_string()));
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

async fn wait_once(
    config: &Config,
    ledger: &LedgerClient,
    target: &mut Option<Wanted>,
    deadline: Instant,
) -> Result<(), CommandFault> {
    let wanted = match target {
        Some(wanted) => wanted,
        None => target.insert(Wanted::of_ledger(&ledger_positions::ask(ledger).await?)),
    };
    Ok(catch_up::wait(&open(config).await?, wanted, deadline).await?)
}

/// Connects to a database whose tables are up to date.
async fn open(config: &Config) -> Result<Client, CommandFault> {
    let client = database::connect(&config.postgres, Purpose::Command).await?;
    schema::check(&client).await?;
    Ok(client)
}

fn today() -> Result<BusinessDate, CommandFault> {
    Ok(clock::china_time().ok_or(CommandFault::Clock)?.date())
}

const fn limit(patience: &Patience) -> Duration {
    Duration::from_secs(patience.seconds)
}

const fn code_of(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Clean => exit::DONE,
        Outcome::Differences => exit::DIFFERENCES,
    }
}

/// Text to standard output, and JSON where it was asked for; JSON to standard output takes the text's place.
fn show<T: Serialize>(json: &Json, report: &T, text: impl FnOnce() -> Vec<String>) -> Result<(), CommandFault> {
    let encode = || serde_json::to_string_pretty(report).map_err(io::Error::from);
    match json.json.as_deref() {
        Some(path) if path == Path::new("-") => {
            println!(
                "{}",
                encode().map_err(|fault| CommandFault::Write("JSON".to_owned(), fault))?
            );
            return Ok(());
        }
        Some(path) => {
            let written = encode().and_then(|text| std::fs::write(path, text + "\n"));
            written.map_err(|fault| CommandFault::Write(path.display().to_string(), fault))?;
        }
        None => {}
    }
    for line in text() {
        println!("{line}");
    }
    Ok(())
}
