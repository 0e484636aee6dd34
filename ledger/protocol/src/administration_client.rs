//! The client of administrators.

use futures::{Stream, StreamExt};
use ledger_model::{AccountToken, AgreementNumber};
use operations::endpoint::{Endpoint, EndpointFault};
use tonic::transport::Channel;

use crate::administration::{
    AccountState, Adjusted, Adjustment, AdministerOrder, Administered, AgreementState, CloseDayOrder, Closing,
    DayStatus, OrderedRegrouping, Regrouped, ReleaseOrder, Releasing, ShardGroups,
};
use crate::client::LedgerFault;
use crate::wire;
use crate::wire::administration_client::AdministrationClient as Rpc;

/// Cheap to clone; every clone shares one connection.
#[derive(Debug, Clone)]
pub struct AdministrationClient {
    rpc: Rpc<Channel>,
}

impl AdministrationClient {
    /// Connects when first used and again after a loss. Call inside a tokio runtime.
    pub fn connect(endpoint: &Endpoint) -> Result<Self, EndpointFault> {
        let rpc = Rpc::new(endpoint.channel()?);
        Ok(Self { rpc })
    }

    /// Doing the same twice changes nothing the second time, so an act without an answer is simply ordered again.
    pub async fn administer(&self, order: &AdministerOrder) -> Result<Administered, LedgerFault> {
        let request = wire::AdministerRequest::from(order);
        let reply = self.rpc.clone().administer(request).await?;
        Ok(reply.into_inner().try_into()?)
    }

    /// The same order again gets the same answer, and posts nothing twice.
    pub async fn adjust(&self, adjustment: &Adjustment) -> Result<Adjusted, LedgerFault> {
        let request = wire::AdjustRequest::from(adjustment);
        let reply = self.rpc.clone().adjust(request).await?;
        Ok(reply.into_inner().try_into()?)
    }

    /// `None`: there is no such account.
    pub async fn account(&self, token: AccountToken) -> Result<Option<AccountState>, LedgerFault> {
        let request = wire::ShowAccountRequest {
            account: token.bytes().to_vec(),
        };
        let reply = self.rpc.clone().show_account(request).await?;
        let state = reply.into_inner().account.map(TryInto::try_into);
        Ok(state.transpose()?)
    }

    /// `None`: there is no such agreement.
    pub async fn agreement(&self, number: AgreementNumber) -> Result<Option<AgreementState>, LedgerFault> {
        let request = wire::ShowAgreementRequest {
            number: number.to_string(),
        };
        let reply = self.rpc.clone().show_agreement(request).await?;
        let state = reply.into_inner().agreement.map(TryInto::try_into);
        Ok(state.transpose()?)
    }

    /// Closing a date twice changes nothing the second time.
    pub async fn close_day(&self, order: &CloseDayOrder) -> Result<Closing, LedgerFault> {
        let request = wire::CloseDayRequest::from(order);
        let reply = self.rpc.clone().close_day(request).await?;
        Ok(reply.into_inner().try_into()?)
    }

    /// The shard groups, and what moves between them.
    pub async fn groups(&self) -> Result<ShardGroups, LedgerFault> {
        let reply = self.rpc.clone().list_groups(wire::ListGroupsRequest {}).await?;
        Ok(reply.into_inner().try_into()?)
    }

    /// What is told of the order while it is carried out, and at last how it ended. It goes on when nobody listens.
    pub async fn regroup(
        &self,
        ordered: &OrderedRegrouping,
    ) -> Result<impl Stream<Item = Result<Regrouped, LedgerFault>> + use<>, LedgerFault> {
        let request = wire::RegroupRequest::from(ordered);
        let replies = self.rpc.clone().regroup(request).await?.into_inner();
        Ok(replies.map(|reply| Ok(reply?.try_into()?)))
    }

    /// Ordered twice it finds nothing more. It may take as long as reading the store's snapshots does.
    pub async fn release(&self, order: &ReleaseOrder) -> Result<Releasing, LedgerFault> {
        let reply = self.rpc.clone().release(wire::ReleaseRequest::from(order)).await?;
        Ok(reply.into_inner().try_into()?)
    }

    pub async fn day_status(&self) -> Result<DayStatus, LedgerFault> {
        let reply = self.rpc.clone().day_status(wire::DayStatusRequest {}).await?;
        Ok(reply.into_inner().try_into()?)
    }
}
