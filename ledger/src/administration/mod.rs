//! What the people of the bank have the ledger do, over all its shards, and its gRPC face ([`service`]).
//!
//! An act is recorded in the journal of the shard it changes; closing a business date in that of every shard. Where it is
//! not known whether an act was done, it is simply ordered again: done twice it changes nothing.

mod groups;
mod releasing;
pub mod service;

use std::sync::Arc;

use ledger_model::{
    AccountToken, Administration, AgreementNumber, BusinessDate, Instruction, Operator, Reason, ShardId,
};
use ledger_protocol::{AccountState, Adjusted, Administered, AgreementState, ClosedShard, NothingPosted};
use tokio::sync::oneshot;

use crate::router::Ledger;
use crate::shard::{Administer, Ask};
use crate::store::StoreFault;

impl Ledger {
    /// Does one act in the shard it belongs to; durable when it returns.
    pub async fn administer(
        self: &Arc<Self>,
        act: Administration,
        operator: Operator,
        reason: Reason,
    ) -> Result<Administered, NothingPosted> {
        let home = match (act.account(), act.agreement()) {
            (Some(account), _) => Some(self.count().of_account(account)),
            (None, Some(number)) => self.count().of_agreement(&number),
            (None, None) => return Err(NothingPosted::MalformedWork),
        };
        let Some(home) = home else {
            return Ok(Administered::Refused(
                "the agreement's number names no shard of this ledger".to_owned(),
            ));
        };
        self.administer_in(home, act, operator, reason).await
    }

    async fn administer_in(
        self: &Arc<Self>,
        home: ShardId,
        act: Administration,
        operator: Operator,
        reason: Reason,
    ) -> Result<Administered, NothingPosted> {
        let (reply, answer) = oneshot::channel();
        let ledger = Arc::clone(self);
        let queued = tokio::task::spawn_blocking(move || {
            ledger.shard(home).administer(Administer {
                act,
                operator,
                reason,
                reply,
            });
        });
        queued.await.map_err(|_| NothingPosted::Store)?;
        answer.await.unwrap_or(Err(NothingPosted::Store))
    }

    /// `None`: there is no such account.
    pub async fn account(self: &Arc<Self>, token: AccountToken) -> Result<Option<AccountState>, NothingPosted> {
        let (reply, answer) = oneshot::channel();
        self.ask(self.count().of_account(token), Ask::Account(token, reply))
            .await?;
        answer.await.unwrap_or(Err(NothingPosted::Store))
    }

    /// `None`: there is no such agreement.
    pub async fn agreement(self: &Arc<Self>, number: AgreementNumber) -> Result<Option<AgreementState>, NothingPosted> {
        let Some(home) = self.count().of_agreement(&number) else {
            return Ok(None);
        };
        let (reply, answer) = oneshot::channel();
        self.ask(home, Ask::Agreement(number, reply)).await?;
        answer.await.unwrap_or(Err(NothingPosted::Store))
    }

    /// What an instruction would come to now. Nothing is posted, and its key stays as it is.
    pub async fn rehearse(self: &Arc<Self>, instruction: Instruction) -> Result<Adjusted, NothingPosted> {
        let (reply, answer) = oneshot::channel();
        let ledger = Arc::clone(self);
        let queued = tokio::task::spawn_blocking(move || {
            let home = ledger.home(&instruction)?;
            let ask = Ask::Rehearsal(Box::new(instruction), reply);
            ledger.shard(home).ask(ask);
            Ok::<_, StoreFault>(())
        });
        let queued = queued.await.map_err(|_| NothingPosted::Store)?;
        queued.map_err(|_| NothingPosted::Store)?;
        answer.await.unwrap_or(Err(NothingPosted::Store))
    }

    pub(crate) async fn ask(self: &Arc<Self>, home: ShardId, ask: Ask) -> Result<(), NothingPosted> {
        let ledger = Arc::clone(self);
        let queued = tokio::task::spawn_blocking(move || ledger.shard(home).ask(ask));
        queued.await.map_err(|_| NothingPosted::Store)
    }

    /// Closes a business date in every shard. What some shards have closed when another cannot be written stays closed.
    pub async fn close_through(
        self: &Arc<Self>,
        date: BusinessDate,
        operator: &Operator,
        reason: &Reason,
    ) -> Result<Vec<ClosedShard>, NothingPosted> {
        let mut sequences = Vec::new();
        for shard in self.count().all() {
            let act = Administration::CloseThrough { date };
            let closed = self.administer_in(shard, act, operator.clone(), reason.clone()).await?;
            sequences.push(match closed {
                Administered::Done(place) => Some(place.sequence),
                Administered::Unchanged | Administered::Refused(_) => None,
            });
        }
        let closed = self.closed().ok_or(NothingPosted::HomeDown)?.into_iter().zip(sequences);
        Ok(closed
            .map(|(closed, sequence)| ClosedShard { sequence, ..closed })
            .collect())
    }

    /// How far each shard is closed, in order. `None` where one of them could not be asked since the ledger began.
    pub fn closed(&self) -> Option<Vec<ClosedShard>> {
        let shards = self.count().all();
        shards
            .map(|shard| {
                self.shard(shard).is_seen().then(|| ClosedShard {
                    shard: shard.number(),
                    closed_through: self.shard(shard).state().closed_through,
                    sequence: None,
                })
            })
            .collect()
    }
}
