//! `night`: close, net with its audit, compare, reconcile, in this order, resumable after each.
//!
//! A step that is finished is not run again unless asked to, also where it found differences. A reconciliation is not
//! finished while statement files are missing or cannot be used. A step that fails leaves the ones before it finished. Differences do not stop the night: they are what it is for.

use std::time::Duration;

use ledger_model::BusinessDate;
use ledger_protocol::LedgerClient;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_postgres::Client;

use crate::catch_up::{self, CatchUpFault, Wanted};
use crate::closing::{self, ClosingFault};
use crate::compare::{self, CompareFault, CompareReport};
use crate::config::Config;
use crate::database::{DatabaseFault, Doing};
use crate::ledger_positions::{self, PositionsFault};
use crate::net::{self, NetReportFault};
use crate::night_step::{self, Outcome, Step};
use crate::progress::Progress;
use crate::reconcile::{self, ReconcileFault, ReconcileReport};
use crate::report::{self, DayReport};
use crate::schema::lock;
use crate::shard_writer::day_number;
use crate::statement::DayPlace;

/// What is to be done and how.
#[derive(Debug, Clone)]
pub struct NightPlan {
    pub place: DayPlace,
    /// China's date now; no later date can be closed.
    pub today: BusinessDate,
    /// How long to wait for the copy to get where the ledger is.
    pub patience: Duration,
    /// Run finished steps again.
    pub again: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum NightFault {
    #[error(transparent)]
    Database(#[from] DatabaseFault),
    #[error("another run for {0} is under way")]
    UnderWay(BusinessDate),
    #[error("step close: the ledger's positions are needed first")]
    Positions(#[from] PositionsFault),
    #[error("step close: the copy is behind the ledger")]
    CatchUp(#[from] CatchUpFault),
    #[error("step close")]
    Close(#[from] ClosingFault),
    #[error("step net")]
    Net(#[from] NetReportFault),
    #[error("step compare")]
    Compare(#[from] CompareFault),
    #[error("step reconcile")]
    Reconcile(#[from] ReconcileFault),
}

/// What the steps work with.
struct Night<'a> {
    client: &'a mut Client,
    ledger: &'a LedgerClient,
    config: &'a Config,
    plan: &'a NightPlan,
    progress: &'a Progress,
}

pub async fn run(
    client: &mut Client,
    ledger: &LedgerClient,
    config: &Config,
    plan: &NightPlan,
    progress: &Progress,
) -> Result<DayReport, NightFault> {
    let day = plan.place.day;
    let number = day_number(day);
    let lock = client
        .query_one("SELECT pg_try_advisory_lock($1, $2)", &[&lock::NIGHT, &number])
        .await;
    if !lock
        .and_then(|row| row.try_get::<_, bool>(0))
        .doing("locking the night")?
    {
        return Err(NightFault::UnderWay(day));
    }
    let mut night = Night {
        client,
        ledger,
        config,
        plan,
        progress,
    };
    for step in Step::ALL {
        progress.begin(step.name());
        let outcome = match step {
            Step::Close => night.close().await?,
            Step::Net => night.net().await?,
            Step::Compare => night.compare().await?,
            Step::Reconcile => night.reconcile().await?,
        };
        progress.end(step.name(), &outcome);
    }
    let report = report::read(client, day).await?;
    let unlock = client
        .execute("SELECT pg_advisory_unlock($1, $2)", &[&lock::NIGHT, &number])
        .await;
    unlock.doing("unlocking the night")?;
    Ok(report)
}

impl Night<'_> {
    fn day(&self) -> BusinessDate {
        self.plan.place.day
    }

    /// Whether the step is left out because it is finished.
    async fn skips<T: DeserializeOwned>(&self, step: Step) -> Result<bool, DatabaseFault> {
        Ok(!self.plan.again
            && night_step::finished::<T>(self.client, self.day(), step)
                .await?
                .is_some())
    }

    async fn keep<T: Serialize>(&mut self, step: Step, outcome: Outcome, report: &T) -> Result<String, DatabaseFault> {
        let day = self.day();
        night_step::keep(self.client, day, step, outcome, report).await?;
        Ok(outcome.name().to_owned())
    }

    async fn close(&mut self) -> Result<String, NightFault> {
        if self.skips::<closing::ClosingReport>(Step::Close).await? {
            return Ok(FINISHED_BEFORE.to_owned());
        }
        let wanted = Wanted::of_ledger(&ledger_positions::ask(self.ledger).await?);
        catch_up::wait(self.client, &wanted, Instant::now() + self.plan.patience).await?;
        let (day, today) = (self.day(), self.plan.today);
        let report = closing::close(self.client, day, today).await?;
        Ok(self.keep(Step::Close, Outcome::Clean, &report).await?)
    }

    async fn net(&mut self) -> Result<String, NightFault> {
        if self.skips::<net::NetReport>(Step::Net).await? {
            return Ok(FINISHED_BEFORE.to_owned());
        }
        let day = self.day();
        let report = net::audited(self.client, day, self.config.bank).await?;
        Ok(self.keep(Step::Net, Outcome::Clean, &report).await?)
    }

    async fn compare(&mut self) -> Result<String, NightFault> {
        if self.skips::<CompareReport>(Step::Compare).await? {
            return Ok(FINISHED_BEFORE.to_owned());
        }
        let kafka = self.config.kafka.as_ref();
        let report = compare::run(self.client, self.ledger, kafka, self.plan.patience).await?;
        Ok(self.keep(Step::Compare, Outcome::of(report.agrees), &report).await?)
    }

    async fn reconcile(&mut self) -> Result<String, NightFault> {
        let day = self.day();
        let before: Option<ReconcileReport> = night_step::finished(self.client, day, Step::Reconcile).await?;
        // files that were missing or could not be used may be there by now
        if !self.plan.again && before.is_some_and(|report| report.file_faults.is_empty()) {
            return Ok(FINISHED_BEFORE.to_owned());
        }
        let (place, progress) = (self.plan.place.clone(), self.progress.clone());
        let heard = move |file: &str| progress.say(file);
        let report = reconcile::run(self.client, place, &self.config.statement, heard).await?;
        Ok(self
            .keep(Step::Reconcile, Outcome::of(report.is_clean()), &report)
            .await?)
    }
}

const FINISHED_BEFORE: &str = "finished before";
