//! Drills: what happens on purpose, under load, so that it is known before it happens by itself.
//!
//! `hop`: two shard groups on real PostgreSQL servers, the first a primary with a standby that every commit waits for; a
//! ledger over them; callers over gRPC. The first primary is killed under load, its standby promoted a while later.
//! Reported are what the callers saw, and what the journals of all shards say of every order.

mod books;
mod load;
mod server;
mod site;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use ledger_model::{ChinaTime, ShardCount};
use ledger_protocol::{LedgerClient, LedgerFault, LoadBatch};
use operations::endpoint::EndpointFault;
use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::layout::{Layout, LayoutFault};
use crate::process::ProcessFault;
use crate::sources::Sources;
use crate::terminal::{Steps, Table, say, seconds};

use books::{Counts, Differences};
use load::{Asked, Bank, Callers, Told};
use server::{Place, Server, ServerFault};
use site::Site;

const STEPS: usize = 9;
const SHARDS: u8 = 8;
const LOAD_BATCH: usize = 1_000;
const HOMECOMING_LIMIT: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Args)]
pub struct HopOptions {
    /// Callers; each waits for its answer before it asks again.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub clients: u16,
    /// Accounts that are loaded.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(8..=1_000_000))]
    pub accounts: u64,
    /// Load before the primary is killed, and again after its standby was promoted.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub seconds: u16,
    /// How long the group has no primary.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub outage_seconds: u16,
}

#[derive(Debug, Error)]
pub enum DrillFault {
    #[error(transparent)]
    Server(#[from] ServerFault),
    #[error(transparent)]
    File(#[from] LayoutFault),
    #[error(transparent)]
    Process(#[from] ProcessFault),
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
    #[error("a journal record does not read")]
    Record(#[from] ledger_journal::DecodeFault),
    #[error("the journal of shard {0} ends before its position")]
    JournalEnds(u8),
    #[error("the ledger does not answer: see {0}")]
    Silent(std::path::PathBuf),
    #[error("the runtime of the callers cannot be started")]
    Runtime(#[source] std::io::Error),
    #[error("accounts were refused: {0}")]
    Load(String),
    #[error("{left} orders are not posted however often they are sent, the last was told {told}")]
    NotSettled { left: usize, told: String },
    #[error("{0} hops have not come home")]
    NotHome(u64),
    #[error("the books differ from what was ordered and answered: {0}")]
    Differs(String),
}

/// What a drill came to.
#[derive(Debug)]
struct Report {
    asked: Vec<Asked>,
    killed_at: Duration,
    promoted_at: Duration,
    home_after: Duration,
    resent: usize,
    counts: Counts,
    differences: Differences,
}

/// Everything goes under `root`, which is made anew.
pub fn hop(root: &Path, sources: &Sources, options: &HopOptions, now: Timestamp) -> Result<(), DrillFault> {
    Layout::at(root).erase()?;
    let layout = Layout::create(root)?;
    let place = Place::prepare(&layout)?;
    let drilled = drill(&layout, &place, sources, options, now);
    place.erase()?;
    let report = drilled?;
    report.print();
    report.check()
}

fn drill(
    layout: &Layout,
    place: &Place,
    sources: &Sources,
    options: &HopOptions,
    now: Timestamp,
) -> Result<Report, DrillFault> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("caller")
        .enable_all()
        .build()
        .map_err(DrillFault::Runtime)?;
    let mut steps = Steps::new(STEPS);
    let (mut first, standby, second) = steps.step("start two primaries and a standby", || servers(place, sources))?;
    let hosts = [vec![first.host(), standby.host()], vec![second.host()]];
    let site = steps.step("start the ledger", || Site::start(layout, sources, SHARDS, &hosts))?;
    let _entered = runtime.enter();
    let client = LedgerClient::connect(site.endpoint())?;
    let shards = ShardCount::new(SHARDS).expect("a count of shards that is allowed");
    let bank = Arc::new(Bank {
        shards,
        accounts: options.accounts,
        now: ChinaTime::from_unix_seconds(now.as_second()).expect("a time before the year 9999"),
    });
    steps.step("load the accounts", || runtime.block_on(load_accounts(&client, &bank)))?;
    let calm = Duration::from_secs(options.seconds.into());
    let callers = Callers::start(&client, &bank, options.clients);
    steps.step("load", || {
        pause(&runtime, calm);
        Ok::<_, DrillFault>(())
    })?;
    let killed_at = callers.elapsed();
    steps.step("kill the first primary, load", || {
        first.kill()?;
        pause(&runtime, Duration::from_secs(options.outage_seconds.into()));
        Ok::<_, DrillFault>(())
    })?;
    let promoted_at = callers.elapsed();
    steps.step("promote its standby, load", || {
        standby.promote()?;
        pause(&runtime, calm);
        Ok::<_, DrillFault>(())
    })?;
    let asked = runtime.block_on(callers.stop());
    let ended = Instant::now();
    let resent = steps.step("send again what was not posted", || {
        runtime.block_on(load::resend(&client, &asked))
    })?;
    steps.step("wait until every hop is home", || runtime.block_on(come_home(&client)))?;
    let home_after = ended.elapsed();
    let (counts, differences) = steps.step("read the journals", || {
        let books = runtime.block_on(books::read(&client))?;
        Ok::<_, DrillFault>((books.counts, books.compare(&asked)))
    })?;
    drop(client);
    site.stop()?;
    for server in [standby, second] {
        server.stop()?;
    }
    Ok(Report {
        asked,
        killed_at,
        promoted_at,
        home_after,
        resent,
        counts,
        differences,
    })
}

fn servers(place: &Place, sources: &Sources) -> Result<(Server, Server, Server), ServerFault> {
    let first = place.primary("postgres-a", sources)?;
    let standby = place.standby("postgres-a-standby", &first)?;
    let second = place.primary("postgres-b", sources)?;
    Ok((first, standby, second))
}

fn pause(runtime: &Runtime, time: Duration) {
    runtime.block_on(tokio::time::sleep(time));
}

async fn load_accounts(client: &LedgerClient, bank: &Bank) -> Result<(), DrillFault> {
    use futures::StreamExt as _;
    let numbers: Vec<u64> = (0..bank.accounts).collect();
    let batches: Vec<LoadBatch> = numbers
        .chunks(LOAD_BATCH)
        .map(|numbers| LoadBatch {
            accounts: numbers.iter().map(|number| Bank::account(*number)).collect(),
            agreements: numbers.iter().map(|number| bank.agreement(*number)).collect(),
        })
        .collect();
    let mut replies = Box::pin(client.load(futures::stream::iter(batches)).await?);
    while let Some(reply) = replies.next().await {
        if let Some(refused) = reply?.refused.first() {
            return Err(DrillFault::Load(refused.reason.clone()));
        }
    }
    Ok(())
}

async fn come_home(client: &LedgerClient) -> Result<(), DrillFault> {
    let until = Instant::now() + HOMECOMING_LIMIT;
    loop {
        let hops = client.hops().await?;
        if hops.open == 0 && hops.unseen_shards.is_empty() {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(DrillFault::NotHome(hops.open));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Report {
    fn check(&self) -> Result<(), DrillFault> {
        let wrong = self.asked.iter().find_map(|asked| match &asked.told {
            Told::Wrong(told) => Some(told),
            _ => None,
        });
        if let Some(told) = wrong {
            return Err(DrillFault::Differs(format!("an order was told {told}")));
        }
        if !self.differences.is_none() {
            return Err(DrillFault::Differs(format!("{:?}", self.differences)));
        }
        if self.counts.hopped == 0 || self.counts.unapplied > 0 {
            return Err(DrillFault::Differs(format!("{:?}", self.counts)));
        }
        Ok(())
    }

    /// From the first to the last order of these that was answered otherwise than posted.
    fn window(&self, is_meant: impl Fn(&Asked) -> bool) -> Option<(Duration, Duration)> {
        let not_posted = |asked: &&Asked| is_meant(asked) && !matches!(asked.told, Told::Posted(_));
        let times = || self.asked.iter().filter(not_posted).map(|asked| asked.answered_at);
        Some((times().min()?, times().max()?))
    }

    fn print(&self) {
        let told = |is_it: fn(&Told) -> bool| self.asked.iter().filter(|asked| is_it(&asked.told)).count();
        let mut table = Table::new(["what", "count"]);
        let answers = [
            ("orders asked for", self.asked.len()),
            ("answered posted", told(|told| matches!(told, Told::Posted(_)))),
            (
                "answered nothing posted: home down",
                told(|told| *told == Told::HomeDown),
            ),
            ("answered nothing posted: other", told(|told| *told == Told::Nothing)),
            ("answered in process", told(|told| *told == Told::InProcess)),
            ("sent again until posted", self.resent),
        ];
        for (what, count) in answers {
            table.row([what.to_owned(), count.to_string()]);
        }
        let Counts {
            records,
            posted,
            hopped,
            settled,
            compensated,
            unapplied,
        } = self.counts;
        let booked = [
            ("journal records, all shards", records),
            ("decided at home", posted),
            ("hopped", hopped),
            ("settled at home", settled),
            ("compensated", compensated),
            ("unapplied", unapplied),
        ];
        for (what, count) in booked {
            table.row([what.to_owned(), count.to_string()]);
        }
        say(table);
        let since = |time: Duration| seconds(time.saturating_sub(self.killed_at));
        say(format!("without a primary: {}", since(self.promoted_at)));
        for (kind, is_payout) in [("payouts", true), ("payments", false)] {
            let is_meant =
                |asked: &Asked| matches!(asked.order.instruction, ledger_model::Instruction::Payout(_)) == is_payout;
            match self.window(is_meant) {
                None => say(format!("error window of {kind}: none, every one was posted at once")),
                Some((first, last)) => say(format!(
                    "error window of {kind}: {} long, from {} to {} after the kill",
                    seconds(last.saturating_sub(first)),
                    since(first),
                    since(last)
                )),
            }
        }
        let slowest = self.asked.iter().map(|asked| asked.took).max().unwrap_or_default();
        say(format!("longest any caller waited for an answer: {}", seconds(slowest)));
        say(format!(
            "all hops home {} after the load ended",
            seconds(self.home_after)
        ));
        let Differences {
            orders,
            serials,
            strangers,
            uneven_shards,
            suspense_minor,
            advance_minor,
        } = self.differences;
        say(format!(
            "orders not exactly once: {orders}; answers in no book: {serials}; postings nobody ordered: {strangers}; \
             shards out of balance: {uneven_shards}; left in suspense: {suspense_minor}, in advances: {advance_minor}"
        ));
    }
}
