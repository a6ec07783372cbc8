//! Statuses with details: `google.rpc.Status` in `grpc-status-details-bin`.
//!
//! The first detail is a message of `portolan.v1` that holds the error whole. Those that follow tell what fits of it to
//! clients that know only `google.rpc`.

use super::Wrong;
use crate::proto;
use core::time::Duration;
use portolan_kernel::ports::Violation;
use prost::Message;
use prost_types::Any;
use std::collections::HashMap;
use tonic::{Code, Status};
use tonic_types::pb;

/// The domain of `ErrorInfo`.
pub(crate) const DOMAIN: &str = "portolan.v1";

/// Reasons of statuses that need not be an error of a port.
pub(crate) mod reason {
    pub(crate) const INVALID_REQUEST: &str = "INVALID_REQUEST";
    pub(crate) const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
    pub(crate) const DENIED: &str = "DENIED";
    pub(crate) const BUSY: &str = "BUSY";
    pub(crate) const RAW_APPENDS_OFF: &str = "RAW_APPENDS_OFF";
    pub(crate) const SHUTTING_DOWN: &str = "SHUTTING_DOWN";
    pub(crate) const TOO_MANY_BYTES: &str = "TOO_MANY_BYTES";
    pub(crate) const SLOW_REQUEST: &str = "SLOW_REQUEST";
    pub(crate) const PANICKED: &str = "PANICKED";
}

/// What a detail may have at most: past it the status comes without, and so as less than the error. A client of this crate
/// takes headers of twice that.
const DETAIL_BYTES: usize = 384 << 10;

/// What standard details may have at most, with the whole one: some clients take no more than 8 KiB of metadata, in base64.
const STANDARD_BYTES: usize = 4 << 10;

/// What a message may have at most.
const MESSAGE_CHARS: usize = 500;

/// What is told with an error to clients that know only `google.rpc`.
pub(crate) struct Told {
    code: Code,
    reason: &'static str,
    message: String,
    info: HashMap<String, String>,
    detail: Option<Any>,
    standard: Vec<Any>,
}

impl Told {
    pub(crate) fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), info: HashMap::new(), detail: None, standard: Vec::new() }
    }

    /// The same, with this in the metadata of its `ErrorInfo`.
    pub(crate) fn info(mut self, key: &str, value: impl ToString) -> Self {
        self.info.insert(key.to_owned(), value.to_string());
        self
    }

    /// The same, with the error itself.
    pub(crate) fn detail(self, name: &str, detail: &impl Message) -> Self {
        Self { detail: Some(any(&format!("portolan.v1.{name}"), detail)), ..self }
    }

    /// The same, for what can be tried again after a pause.
    pub(crate) fn retry(mut self) -> Self {
        const PAUSE: Duration = Duration::from_secs(1);
        let retry = pb::RetryInfo { retry_delay: Some(super::duration(PAUSE)) };
        self.standard.push(any("google.rpc.RetryInfo", &retry));
        self
    }

    /// The same, for what the state of this subject does not allow.
    pub(crate) fn precondition(mut self, subject: impl ToString) -> Self {
        let violation = pb::precondition_failure::Violation {
            r#type: self.reason.to_owned(),
            subject: subject.to_string(),
            description: self.message.clone(),
        };
        let failure = pb::PreconditionFailure { violations: vec![violation] };
        self.standard.push(any("google.rpc.PreconditionFailure", &failure));
        self
    }

    /// The same, for a request with wrong fields.
    pub(crate) fn violations(mut self, violations: &[Violation]) -> Self {
        let of = |violation: &Violation| pb::bad_request::FieldViolation {
            field: violation.path.clone(),
            description: violation.message.clone(),
            reason: violation.code.to_uppercase().replace('-', "_"),
            localized_message: None,
        };
        let request = pb::BadRequest { field_violations: violations.iter().map(of).collect() };
        self.standard.push(any("google.rpc.BadRequest", &request));
        self
    }

    pub(crate) fn into_status(self) -> Status {
        let message = match self.message.char_indices().nth(MESSAGE_CHARS) {
            Some((end, _)) => format!("{}…", &self.message[..end]),
            None => self.message,
        };
        let mut details: Vec<_> = self.detail.into_iter().filter(|detail| detail.value.len() <= DETAIL_BYTES).collect();
        let mut room = STANDARD_BYTES.saturating_sub(details.iter().map(Message::encoded_len).sum());
        let mut info = pb::ErrorInfo { reason: self.reason.to_owned(), domain: DOMAIN.to_owned(), metadata: self.info };
        // Why, every client is told, however long the error is.
        if info.encoded_len() > room {
            info.metadata.clear();
        }
        room = room.saturating_sub(info.encoded_len());
        details.push(any("google.rpc.ErrorInfo", &info));
        for detail in self.standard {
            if let Some(left) = room.checked_sub(detail.encoded_len()) {
                room = left;
                details.push(detail);
            }
        }
        let status = pb::Status { code: self.code.into(), message: message.clone(), details };
        Status::with_details(self.code, message, status.encode_to_vec().into())
    }
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

/// The status of a request of which a field is wrong.
pub(crate) fn invalid_request(wrong: Wrong) -> Status {
    let told = Told::new(Code::InvalidArgument, reason::INVALID_REQUEST, format!("the request is invalid: {wrong}"));
    let violations = [wrong.violation()];
    told.detail("Violations", &proto::Violations::from(&violations[..])).violations(&violations).into_status()
}

/// The status of a call whose sender is not known.
pub(crate) fn unauthenticated(message: impl Into<String>) -> Status {
    Told::new(Code::Unauthenticated, reason::UNAUTHENTICATED, message).into_status()
}

/// The status of a server that stops.
pub(crate) fn shutting_down() -> Status {
    let told =
        Told::new(Code::Unavailable, reason::SHUTTING_DOWN, "the server is shutting down; ask another, or later");
    told.retry().into_status()
}

/// The details of a status; none when it has none that can be read.
pub(crate) struct Details(Vec<Any>);

impl Details {
    pub(crate) fn of(status: &Status) -> Self {
        Self(pb::Status::decode(status.details()).map(|status| status.details).unwrap_or_default())
    }

    /// The detail of this message of `portolan.v1`.
    pub(crate) fn own<M: Message + Default>(&self, name: &str) -> Option<M> {
        self.find(&format!("portolan.v1.{name}"))
    }

    /// Why, for a status of a Portolan server.
    pub(crate) fn reason(&self) -> Option<String> {
        let info: pb::ErrorInfo = self.find("google.rpc.ErrorInfo")?;
        (info.domain == DOMAIN).then_some(info.reason)
    }

    fn find<M: Message + Default>(&self, name: &str) -> Option<M> {
        let is_it = |any: &&Any| any.type_url.rsplit('/').next() == Some(name);
        let any = self.0.iter().find(is_it)?;
        M::decode(&*any.value).ok()
    }
}
