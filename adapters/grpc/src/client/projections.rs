//! The port `ProjectionRegistry`.

use super::GrpcClient;
use super::transport::{Failure, denied, had_no_effect, may_pass, source_of};
use crate::proto::{
    ActRequest, ListProjectionsRequest, ParkedRequest, ProjectionStatus as WireStatus, ProjectionStatusRequest,
    RowsRequest, WaitForRequest,
};
use crate::wire::errors::PortError as _;
use crate::wire::status::{Details, reason};
use crate::wire::{Wrong, decode_list, required};
use async_trait::async_trait;
use portolan_kernel::ports::{
    ParkedPage, ProjectionAction, ProjectionError, ProjectionRegistry, ProjectionStatus, RowsAnswer, RowsQuestion,
    Source, WaitError,
};
use portolan_kernel::values::{Name, Position};
use prost::Message as _;
use tonic::{Request, Response, Status};

#[async_trait]
impl ProjectionRegistry for GrpcClient {
    async fn list(&self) -> Result<Vec<ProjectionStatus>, ProjectionError> {
        let mut projections = self.shared.transport.projections();
        let response = self.told(ListProjectionsRequest {}, async |asked| projections.list(asked).await).await?;
        decode_list("projections", response.projections, WireStatus::checked).map_err(not_understood)
    }

    async fn status(&self, projection: Name) -> Result<ProjectionStatus, ProjectionError> {
        let message = ProjectionStatusRequest { projection: projection.to_string() };
        let mut projections = self.shared.transport.projections();
        let response = self.told(message, async |asked| projections.status(asked).await).await?;
        required("status", response.status).and_then(WireStatus::checked).map_err(not_understood)
    }

    async fn act(&self, projection: Name, action: ProjectionAction) -> Result<(), ProjectionError> {
        let request = Request::new(ActRequest::new(&projection, action));
        let mut projections = self.shared.transport.projections();
        match self.shared.transport.write(request, None, async |asked| projections.act(asked).await).await {
            Ok(_) => Ok(()),
            Err(Failure::NotSent(source)) => Err(ProjectionError::Busy(source)),
            Err(Failure::Lost(source)) => Err(ProjectionError::Unknown(source)),
            Err(Failure::Answered(status)) => Err(of_status(&status).unwrap_or_else(|| {
                if had_no_effect(&status) {
                    ProjectionError::Other(source_of(&status))
                } else {
                    ProjectionError::Unknown(source_of(&status))
                }
            })),
        }
    }

    async fn parked(
        &self,
        projection: Name,
        after: Option<Position>,
        limit: u32,
    ) -> Result<ParkedPage, ProjectionError> {
        let after = after.map(Position::get);
        let message = ParkedRequest { projection: projection.to_string(), after, limit: Some(limit) };
        let mut projections = self.shared.transport.projections();
        let page = self.told(message, async |asked| projections.parked(asked).await).await?;
        page.checked().map_err(not_understood)
    }

    async fn rows(&self, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
        let message = RowsRequest::from(&question);
        let (size, limit) = (message.encoded_len() as u64, self.shared.about.request_bytes);
        if size > limit {
            return Err(ProjectionError::TooLarge { what: "bytes of the request".into(), size, limit });
        }
        let mut projections = self.shared.transport.projections();
        let rows = self.told(message, async |asked| projections.rows(asked).await).await?;
        rows.checked().map_err(not_understood)
    }

    async fn wait_for(&self, projection: Name, position: Position) -> Result<(), WaitError> {
        let message = WaitForRequest { projection: projection.to_string(), position: position.get() };
        let mut projections = self.shared.transport.projections();
        loop {
            // The server answers after a while in any case.
            let asked = self.shared.transport.read(message.clone(), async |asked| projections.wait_for(asked).await);
            match asked.await {
                Ok(response) if response.applied => return Ok(()),
                Ok(_) => {}
                Err(Failure::NotSent(source) | Failure::Lost(source)) => return Err(WaitError::Busy(source)),
                Err(Failure::Answered(status)) => {
                    let known = WaitError::from_status(&status).or_else(|| denied(&status).map(WaitError::Denied));
                    return Err(known.unwrap_or_else(|| {
                        let (passes, source) = (may_pass(&status), source_of(&status));
                        if passes { WaitError::Busy(source) } else { WaitError::Other(source) }
                    }));
                }
            }
        }
    }
}

impl GrpcClient {
    async fn told<M, T>(
        &self,
        message: M,
        call: impl AsyncFnOnce(Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, ProjectionError> {
        self.shared.transport.read(message, call).await.map_err(|failure| match failure {
            Failure::NotSent(source) | Failure::Lost(source) => ProjectionError::Busy(source),
            Failure::Answered(status) => of_status(&status).unwrap_or_else(|| {
                let (passes, source) = (may_pass(&status), source_of(&status));
                if passes { ProjectionError::Busy(source) } else { ProjectionError::Other(source) }
            }),
        })
    }
}

/// The port's error, or what a server says before the port is asked.
fn of_status(status: &Status) -> Option<ProjectionError> {
    let known = ProjectionError::from_status(status).or_else(|| denied(status).map(ProjectionError::Denied));
    known.or_else(|| match Details::of(status).reason().as_deref() {
        Some(reason::INVALID_REQUEST) => Some(ProjectionError::Invalid(status.message().to_owned())),
        Some(reason::BUSY | reason::SHUTTING_DOWN | reason::TOO_MANY_BYTES | reason::SLOW_REQUEST) => {
            Some(ProjectionError::Busy(source_of(status)))
        }
        _ => None,
    })
}

fn not_understood(wrong: Wrong) -> ProjectionError {
    ProjectionError::Other(Source::new(format!("the server's answer is not understood: {wrong}")))
}
