//! What a night has finished: one row per step, written when the step is done and read when the night goes on.

use ledger_model::BusinessDate;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_postgres::Client;

use crate::database::{DatabaseFault, Doing};

/// In the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Close,
    Net,
    Compare,
    Reconcile,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Clean,
    Differences,
}

impl Step {
    pub const ALL: [Self; 4] = [Self::Close, Self::Net, Self::Compare, Self::Reconcile];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Net => "net",
            Self::Compare => "compare",
            Self::Reconcile => "reconcile",
        }
    }
}

impl Outcome {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Differences => "differences",
        }
    }

    pub const fn of(is_clean: bool) -> Self {
        if is_clean { Self::Clean } else { Self::Differences }
    }
}

/// The report of a finished step, or nothing.
pub(crate) async fn finished<T: DeserializeOwned>(
    client: &Client,
    day: BusinessDate,
    step: Step,
) -> Result<Option<T>, DatabaseFault> {
    let read = "SELECT figures::text FROM night_step WHERE business_date = to_date($1, 'YYYYMMDD') AND step = $2";
    let row = client
        .query_opt(read, &[&day.compact(), &step.name()])
        .await
        .doing("reading a finished step")?;
    let Some(row) = row else { return Ok(None) };
    let figures: &str = row.try_get(0).doing("reading a finished step")?;
    serde_json::from_str(figures)
        .map(Some)
        .map_err(|_| DatabaseFault::Content("the figures of a finished step"))
}

/// Keeps the report of a step and forgets the steps after it, which were about something older.
pub(crate) async fn keep<T: Serialize>(
    client: &mut Client,
    day: BusinessDate,
    step: Step,
    outcome: Outcome,
    report: &T,
) -> Result<(), DatabaseFault> {
    let figures = serde_json::to_string(report).map_err(|_| DatabaseFault::Content("the figures of a step"))?;
    let transaction = client.transaction().await.doing("beginning to keep a step")?;
    let after: Vec<_> = Step::ALL
        .into_iter()
        .filter(|other| *other > step)
        .map(Step::name)
        .collect();
    let forget = "DELETE FROM night_step WHERE business_date = to_date($1, 'YYYYMMDD') AND step = ANY($2)";
    transaction
        .execute(forget, &[&day.compact(), &after])
        .await
        .doing("forgetting older steps")?;
    let keep = "INSERT INTO night_step (business_date, step, outcome, figures) \
         VALUES (to_date($1, 'YYYYMMDD'), $2, $3, $4::text::jsonb) ON CONFLICT (business_date, step) \
         DO UPDATE SET outcome = EXCLUDED.outcome, figures = EXCLUDED.figures, finished_at = now()";
    transaction
        .execute(keep, &[&day.compact(), &step.name(), &outcome.name(), &figures])
        .await
        .doing("keeping a step")?;
    transaction.commit().await.doing("committing a step")
}
