//! The ports `CommandBus` and `QueryBus`.

use super::GrpcClient;
use super::transport::{Failure, denied, had_no_effect, may_pass, source_of, tell, traced};
use crate::proto::{AskRequest, DispatchRequest, Violations};
use crate::wire::errors::PortError as _;
use crate::wire::status::{Details, reason};
use async_trait::async_trait;
use portolan_kernel::ports::{
    Answer, Body, CommandBus, CommandEnvelope, CommandError, CommandInfo, QueryBus, QueryEnvelope, QueryError,
    QueryInfo, Receipt, Source,
};
use portolan_kernel::values::Format;
use prost::Message;
use tonic::Status;

#[async_trait]
impl CommandBus for GrpcClient {
    async fn dispatch(&self, command: CommandEnvelope) -> Result<Receipt, CommandError> {
        if command.within.is_some_and(|within| within.is_zero()) {
            return Err(CommandError::DeadlinePassed);
        }
        let (body, format) = match &command.body {
            Body::Encoded(bytes, format) => (bytes.clone(), *format),
            Body::Typed(command) => (command.encode().map_err(CommandError::Other)?, Format::Json),
        };
        // A server that waits for projections says that it has waited in vain, if it gives up before this client does.
        let within = command.within;
        let told = within.or((!command.wait_for.is_empty()).then_some(self.shared.transport.config().request_timeout));
        let trace = command.metadata.traceparent.clone();
        let message = DispatchRequest::new(command, body, format);
        self.holds(&message).map_err(CommandError::Other)?;
        let mut request = traced(message, trace);
        if let Some(told) = told {
            tell(&mut request, told);
        }
        let mut commands = self.shared.transport.commands();
        let sent = self.shared.transport.write(request, within, async |asked| commands.dispatch(asked).await).await;
        match sent.map(|response| response.checked()) {
            Ok(Ok((receipt, None))) => Ok(receipt),
            Ok(Ok((receipt, Some(waiting)))) => Err(CommandError::NotCaughtUp { receipt: Box::new(receipt), waiting }),
            // What came back cannot be told, and yet it took effect.
            Ok(Err(wrong)) => Err(CommandError::Unknown(Source::new(wrong.to_string()))),
            Err(Failure::NotSent(source)) => Err(CommandError::Busy(source)),
            Err(Failure::Lost(source)) => Err(CommandError::Unknown(source)),
            Err(Failure::Answered(status)) => Err(command_error(&status)),
        }
    }

    fn commands(&self) -> Vec<CommandInfo> {
        self.shared.about.commands.clone()
    }
}

#[async_trait]
impl QueryBus for GrpcClient {
    async fn ask(&self, query: QueryEnvelope) -> Result<Answer, QueryError> {
        let within = query.within.filter(|within| *within < self.shared.transport.config().request_timeout);
        let trace = query.metadata.traceparent.clone();
        let message = AskRequest::from(query);
        self.holds(&message).map_err(QueryError::Other)?;
        let mut request = traced(message, trace);
        tell(&mut request, within.unwrap_or(self.shared.transport.config().request_timeout));
        let mut queries = self.shared.transport.queries();
        match self.shared.transport.write(request, within, async |asked| queries.ask(asked).await).await {
            Ok(response) => response.checked().map_err(|wrong| QueryError::Other(Source::new(wrong.to_string()))),
            Err(Failure::NotSent(source) | Failure::Lost(source)) => Err(QueryError::Busy(source)),
            Err(Failure::Answered(status)) => Err(query_error(&status)),
        }
    }

    fn queries(&self) -> Vec<QueryInfo> {
        self.shared.about.queries.clone()
    }
}

impl GrpcClient {
    /// Whether the server takes a request of this size: it would answer a larger one with less.
    pub(super) fn holds(&self, message: &impl Message) -> Result<(), Source> {
        let (size, limit) = (message.encoded_len() as u64, self.shared.about.request_bytes);
        if size > limit {
            return Err(Source::new(format!("the request has {size} bytes, and the server takes {limit}")));
        }
        Ok(())
    }
}

fn command_error(status: &Status) -> CommandError {
    if let Some(error) = CommandError::from_status(status) {
        return error;
    }
    if let Some(reason) = denied(status) {
        return CommandError::Denied(reason);
    }
    let details = Details::of(status);
    if let Some(violations) = details.own::<Violations>("Violations") {
        return CommandError::Invalid(violations.into_violations());
    }
    match details.reason().as_deref() {
        Some(reason::BUSY | reason::SHUTTING_DOWN | reason::TOO_MANY_BYTES | reason::SLOW_REQUEST) => {
            CommandError::Busy(source_of(status))
        }
        _ if had_no_effect(status) => CommandError::Other(source_of(status)),
        // A proxy's error, or a server that broke: the command may have come through.
        _ => CommandError::Unknown(source_of(status)),
    }
}

fn query_error(status: &Status) -> QueryError {
    if let Some(error) = QueryError::from_status(status) {
        return error;
    }
    if let Some(reason) = denied(status) {
        return QueryError::Denied(reason);
    }
    if let Some(violations) = Details::of(status).own::<Violations>("Violations") {
        return QueryError::Invalid(violations.into_violations());
    }
    if may_pass(status) { QueryError::Busy(source_of(status)) } else { QueryError::Other(source_of(status)) }
}
