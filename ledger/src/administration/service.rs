//! The gRPC face of administration. Every call is judged before it is read; who it came from is recorded beside the name
//! the operator gives.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::Stream;
use ledger_model::{Instruction, Operator};
use ledger_protocol::{
    Adjusted, Adjustment, AdjustmentMode, AdministerOrder, CloseDayOrder, Closing, DayStatus, Evidence, Malformed,
    NothingPosted, OrderedRegrouping, Regrouped, ReleaseOrder, wire,
};
use operations::stop::Stop;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::groups;
use crate::calendar::Calendar;
use crate::clock::Clock;
use crate::hopping::regrouping::Standing;
use crate::outcome::{Answer, Outcome, ReplyTo};
use crate::router::Ledger;
use crate::service::administrator;
use crate::shard::adjusted;

/// How long an adjustment may take.
const ADJUSTMENT_LIMIT: Duration = Duration::from_secs(10);

/// What tells which business date it is.
#[derive(Clone)]
pub struct Days {
    pub calendar: Arc<Calendar>,
    pub clock: Clock,
}

#[derive(Debug, Clone)]
pub struct AdministrationService {
    pub ledger: Arc<Ledger>,
    pub days: Days,
    pub stop: Stop,
}

#[tonic::async_trait]
impl wire::administration_server::Administration for AdministrationService {
    async fn administer(
        &self,
        request: Request<wire::AdministerRequest>,
    ) -> Result<Response<wire::AdministerReply>, Status> {
        let by = administrator(&request)?;
        let order: AdministerOrder = request.into_inner().try_into().map_err(malformed)?;
        let operator = recorded(&order.operator, &by)?;
        let done = self.ledger.administer(order.act, operator, order.reason).await;
        Ok(Response::new(done.map_err(not_known)?.into()))
    }

    async fn adjust(&self, request: Request<wire::AdjustRequest>) -> Result<Response<wire::AdjustReply>, Status> {
        let by = administrator(&request)?;
        let adjustment: Adjustment = request.into_inner().try_into().map_err(malformed)?;
        if adjustment.maker == adjustment.checker {
            return Err(Status::invalid_argument("maker and checker are two people"));
        }
        let outcome = match adjustment.mode {
            AdjustmentMode::DryRun => self.ledger.rehearse(adjustment.order).await.map_err(not_known)?,
            AdjustmentMode::Post => self.post(adjustment, &by).await?,
        };
        Ok(Response::new(reply(outcome)))
    }

    async fn show_account(
        &self,
        request: Request<wire::ShowAccountRequest>,
    ) -> Result<Response<wire::ShowAccountReply>, Status> {
        administrator(&request)?;
        let token = ledger_model::AccountToken::from_slice(&request.into_inner().account);
        let token = token.ok_or_else(|| malformed(Malformed { field: "account" }))?;
        let account = self.ledger.account(token).await.map_err(not_known)?;
        let account = account.as_ref().map(Into::into);
        Ok(Response::new(wire::ShowAccountReply { account }))
    }

    async fn show_agreement(
        &self,
        request: Request<wire::ShowAgreementRequest>,
    ) -> Result<Response<wire::ShowAgreementReply>, Status> {
        administrator(&request)?;
        let number = request.into_inner().number.parse();
        let number = number.map_err(|_| malformed(Malformed { field: "number" }))?;
        let agreement = self.ledger.agreement(number).await.map_err(not_known)?;
        let agreement = agreement.as_ref().map(Into::into);
        Ok(Response::new(wire::ShowAgreementReply { agreement }))
    }

    async fn close_day(
        &self,
        request: Request<wire::CloseDayRequest>,
    ) -> Result<Response<wire::CloseDayReply>, Status> {
        let by = administrator(&request)?;
        let order: CloseDayOrder = request.into_inner().try_into().map_err(malformed)?;
        let operator = recorded(&order.operator, &by)?;
        let today = self.days.today();
        let closing = if order.date < today {
            let closed = self.ledger.close_through(order.date, &operator, &order.reason).await;
            Closing::Closed(closed.map_err(not_known)?)
        } else {
            Closing::Refused(format!("{} has not ended: it is the business date {today}", order.date))
        };
        Ok(Response::new(closing.into()))
    }

    type RegroupStream = Pin<Box<dyn Stream<Item = Result<wire::RegroupReply, Status>> + Send>>;

    async fn list_groups(
        &self,
        request: Request<wire::ListGroupsRequest>,
    ) -> Result<Response<wire::ListGroupsReply>, Status> {
        administrator(&request)?;
        Ok(Response::new(self.ledger.shard_groups().into()))
    }

    async fn regroup(&self, request: Request<wire::RegroupRequest>) -> Result<Response<Self::RegroupStream>, Status> {
        let by = administrator(&request)?;
        let ordered: OrderedRegrouping = request.into_inner().try_into().map_err(malformed)?;
        let operator = recorded(&ordered.operator, &by)?;
        tracing::info!(%operator, reason = %ordered.reason, order = ?ordered.order, "shard groups are to change");
        let (told, replies) = mpsc::channel(1);
        match self.ledger.regroup(ordered.order) {
            Ok(standing) => {
                tokio::spawn(tell(standing, self.stop.clone(), told));
            }
            Err(refused) => {
                // there is room for one
                let _taken = told.try_send(Ok(Regrouped::Refused(refused).into()));
            }
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(replies))))
    }

    async fn release(&self, request: Request<wire::ReleaseRequest>) -> Result<Response<wire::ReleaseReply>, Status> {
        let by = administrator(&request)?;
        let mut order: ReleaseOrder = request.into_inner().try_into().map_err(malformed)?;
        order.operator = recorded(&order.operator, &by)?;
        let released = self.ledger.release(order, (self.days.clock)()).await;
        Ok(Response::new(released.map_err(not_known)?.into()))
    }

    async fn day_status(
        &self,
        request: Request<wire::DayStatusRequest>,
    ) -> Result<Response<wire::DayStatusReply>, Status> {
        administrator(&request)?;
        let shards = self.ledger.closed();
        let shards = shards.ok_or_else(|| Status::unavailable("a shard could not be asked since the ledger began"))?;
        let status = DayStatus {
            business_date: self.days.today(),
            shards,
        };
        Ok(Response::new((&status).into()))
    }
}

/// Tells how an order stands, whenever that changes, until it is over. As fast as it is listened to: what is not read in
/// time is passed over for what is true then.
async fn tell(
    mut standing: watch::Receiver<Standing>,
    stop: Stop,
    told: mpsc::Sender<Result<wire::RegroupReply, Status>>,
) {
    loop {
        let now = standing.borrow_and_update().clone();
        let is_over = now.is_over();
        if let Some(reply) = groups::told(now)
            && told.send(Ok(reply.into())).await.is_err()
        {
            return;
        }
        if is_over {
            return;
        }
        tokio::select! {
            () = stop.requested() => return,
            changed = standing.changed() => if changed.is_err() {
                let text = "moving shards panicked; order it again".to_owned();
                let _listener_has_gone = told.send(Ok(Regrouped::BrokeOff(text).into())).await;
                return;
            },
        }
    }
}

impl AdministrationService {
    async fn post(&self, adjustment: Adjustment, by: &str) -> Result<Adjusted, Status> {
        let evidence = order_as_evidence(&adjustment, by);
        let Adjustment {
            order,
            maker,
            checker,
            reason,
            ..
        } = adjustment;
        let key = *order.key();
        tracing::info!(id = %key.id, kind = order.kind().name(), %maker, %checker, %reason, by, "an adjustment is ordered");
        let (answer, mut answers) = mpsc::channel::<Answer>(1);
        let place = answer.reserve_owned().await;
        let place = place.map_err(|_| Status::internal("an answer has no place"))?;
        let ledger = Arc::clone(&self.ledger);
        let posting = tokio::task::spawn_blocking(move || {
            let deadline = Instant::now() + ADJUSTMENT_LIMIT;
            ledger.post(order, &evidence, deadline, ReplyTo { number: 0, place });
        });
        posting.await.map_err(|_| not_known(NothingPosted::Store))?;
        let outcome = answers.recv().await.map_or(Outcome::InProcess, |answer| answer.outcome);
        tracing::info!(id = %key.id, ?outcome, "an adjustment was answered");
        Ok(adjusted(outcome))
    }
}

impl Days {
    fn today(&self) -> ledger_model::BusinessDate {
        self.calendar.business_date((self.clock)())
    }
}

impl std::fmt::Debug for Days {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Days")
            .field("calendar", &self.calendar)
            .finish_non_exhaustive()
    }
}

/// The operator's name with the connection the order came over, which the operator cannot choose.
fn recorded(operator: &Operator, by: &str) -> Result<Operator, Status> {
    let recorded = format!("{operator} ({by})");
    recorded
        .parse()
        .map_err(|_| Status::invalid_argument("the operator's name is too long"))
}

/// What is kept of an adjustment as its evidence: the order itself, as text. Nobody has signed it.
fn order_as_evidence(adjustment: &Adjustment, by: &str) -> Evidence {
    let Adjustment {
        order,
        maker,
        checker,
        reason,
        ..
    } = adjustment;
    let key = order.key();
    let mut text = format!(
        "kind: {}\nkey: {} {} {}\namount: {}\nbatch: {}\ninstitution: {}\nordered at: {}\n",
        order.kind().name(),
        key.issuer,
        key.category,
        key.id,
        order.amount().money(),
        order.batch(),
        order.institution(),
        order.ordered_at(),
    );
    let more = match order {
        Instruction::Reversal(reversal) => {
            let original = reversal.original;
            format!("original: {} {} {}\n", original.issuer, original.category, original.id)
        }
        Instruction::Supplement(supplement) => format!(
            "account: {}\nside: {}\nagainst: {}\n",
            supplement.account,
            supplement.side.name(),
            supplement.against.name()
        ),
        Instruction::Payment(_) | Instruction::Refund(_) | Instruction::Payout(_) => String::new(),
    };
    text.push_str(&more);
    write!(text, "maker: {maker}\nchecker: {checker}\nreason: {reason}\nby: {by}\n").expect("text can be written");
    Evidence {
        signed: text.into_bytes(),
        signature: Vec::new(),
        signing_serial: String::new(),
    }
}

fn reply(adjusted: Adjusted) -> wire::AdjustReply {
    use wire::adjust_reply::Outcome as Told;
    let told = match adjusted {
        Adjusted::Decided { transfer, repeat } => Told::Decided(wire::Decided {
            transfer: Some((&transfer).into()),
            repeat,
        }),
        Adjusted::Conflict(field) => Told::Conflict(field.into()),
        Adjusted::InProcess => Told::InProcess(wire::InProcess {}),
        Adjusted::NothingPosted(reason) => Told::NothingPosted(crate::outcome::nothing_posted(reason)),
        Adjusted::Rehearsed(rehearsed) => Told::Rehearsed((&rehearsed).into()),
    };
    wire::AdjustReply { outcome: Some(told) }
}

fn malformed(malformed: Malformed) -> Status {
    Status::invalid_argument(malformed.to_string())
}

fn not_known(_reason: NothingPosted) -> Status {
    Status::unavailable("it may not have been done; order it again")
}
