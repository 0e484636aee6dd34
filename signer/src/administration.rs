//! What the bank's operators have done over the endpoint, and the other end of it for the command line.

use std::time::Duration;

use operations::endpoint::{Endpoint, EndpointFault};
use signer_protocol::wire;
use thiserror::Error;
use tonic::{Request, Response, Status};

use crate::callers::Callers;
use crate::policy::Right;
use crate::reload::{ReloadFault, Reloaded, Reloader};

const ASK_LIMIT: Duration = Duration::from_mins(1);

#[derive(Debug, Clone)]
pub(crate) struct AdministrationService {
    pub(crate) callers: Callers,
    pub(crate) reloader: Reloader,
}

#[tonic::async_trait]
impl wire::administration_server::Administration for AdministrationService {
    async fn reload(&self, request: Request<wire::ReloadRequest>) -> Result<Response<wire::ReloadReply>, Status> {
        let caller = self.callers.with(&request, Right::Administer).await?;
        let reply = match self.reloader.reload_for(caller.name()).await {
            Ok(reloaded) => taken(&reloaded),
            Err(ReloadFault::Busy) => return Err(Status::resource_exhausted("too many reloads wait")),
            Err(ReloadFault::Stopping) => return Err(Status::unavailable("the signer is stopping")),
            Err(fault @ (ReloadFault::Config(_) | ReloadFault::Keys(_) | ReloadFault::Audit(_))) => wire::ReloadReply {
                taken: false,
                refusal: fault.reason(),
                ..wire::ReloadReply::default()
            },
        };
        Ok(Response::new(reply))
    }
}

fn taken(reloaded: &Reloaded) -> wire::ReloadReply {
    wire::ReloadReply {
        taken: true,
        refusal: String::new(),
        generation: reloaded.generation,
        keys: u32::try_from(reloaded.keys).unwrap_or(u32::MAX),
        certificates: u32::try_from(reloaded.certificates).unwrap_or(u32::MAX),
    }
}

/// Why nothing is known of a reload.
#[derive(Debug, Error)]
pub enum AskFault {
    #[error(transparent)]
    Endpoint(#[from] EndpointFault),
    #[error("the signer does not answer in {} s", ASK_LIMIT.as_secs())]
    Late,
    #[error("the signer refuses: {0}")]
    Refused(String),
    #[error("the signer cannot be asked: {0}")]
    Lost(String),
}

/// Asks the signer at an endpoint to read its keys anew. Call inside a tokio runtime.
pub async fn ask_to_reload(endpoint: &Endpoint) -> Result<wire::ReloadReply, AskFault> {
    let mut client = wire::administration_client::AdministrationClient::new(endpoint.channel()?);
    let asked = tokio::time::timeout(ASK_LIMIT, client.reload(wire::ReloadRequest {})).await;
    match asked.map_err(|_| AskFault::Late)? {
        Ok(reply) => Ok(reply.into_inner()),
        Err(status) if status.code() == tonic::Code::PermissionDenied => {
            Err(AskFault::Refused(status.message().to_owned()))
        }
        Err(status) => Err(AskFault::Lost(status.message().to_owned())),
    }
}
