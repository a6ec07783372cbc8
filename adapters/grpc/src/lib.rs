//! Portolan's ports over gRPC: [`GrpcServer`] offers them, and [`GrpcClient`] is them, so that an application that moves to
//! another process changes one line.
//!
//! Keeps the laws TR-1 to TR-4 of transports; through it a store and a command bus keep their own.
//!
//! # Services
//!
//! The package `portolan.v1` has five, each in a file of its own in `proto/`, with what they share in `values.proto`:
//!
//! | service | methods |
//! |---|---|
//! | `EventStore` | `Append`, `Read` (a page), `Recall`, `Checkpoint`, `Changed`, `Capabilities`: the port `EventStore`, whole; `Subscribe`, a stream |
//! | `Commands` | `Dispatch`, `Describe` |
//! | `Queries` | `Ask`, `Describe` |
//! | `Projections` | `List`, `Status`, `Act`, `Parked`, `Rows`, `WaitFor`: the port `ProjectionRegistry`, whole |
//! | `Sagas` | `Start`, `List`, `Status`, `Timeline`, `Act`, `Describe`: the port `SagaOrchestrator`, whole |
//!
//! The schemas of events and commands (the port `SchemaRegistry`) travel over HTTP alone.
//!
//! Beside them stand `grpc.health.v1.Health`, which asks the store how it is, and `grpc.reflection` in the versions `v1` and
//! `v1alpha`, so that a client needs no files:
//!
//! ```text
//! grpcurl -plaintext 127.0.0.1:50051 list
//! grpcurl -plaintext 127.0.0.1:50051 describe portolan.v1.Commands
//! grpcurl -plaintext -H 'idempotency-key: k-1' -d '{"name":"deposit","body":"eyJhY2NvdW50X2lkIjoiYW5uIiwiYW1vdW50Ijo1MDB9"}' \
//!     127.0.0.1:50051 portolan.v1.Commands/Dispatch
//! grpcurl -plaintext -d '{}' 127.0.0.1:50051 portolan.v1.EventStore/Subscribe
//! grpcurl -plaintext -d '{"phases":["SAGA_PHASE_NEEDS_OPERATOR"]}' 127.0.0.1:50051 portolan.v1.Sagas/List
//! ```
//!
//! Bodies and payloads are `bytes`, which JSON has in Base64; inputs of sagas, and what is told of these, are JSON as text. `Append` bypasses the domain, and is `PERMISSION_DENIED` unless
//! the server is built [with it](GrpcServer::with_raw_appends). The Rust code of messages and services is checked in, and
//! public as [`proto`], for clients and servers of one's own; no `protoc` is needed.
//!
//! # Metadata
//!
//! | key | on | says |
//! |---|---|---|
//! | `grpc-timeout` | every call | how long the caller waits: gRPC's own deadline. A command or a question is told of it, less a tenth, at most 100 ms, for the way back: so the answer that time is up, and what has happened, comes before it is |
//! | `idempotency-key` | `Dispatch` | the id of the command, where the message has none |
//! | `x-correlation-id` | `Dispatch`, `Ask`, `Start`, `Sagas/Act` | what belongs together, where the message does not say |
//! | `traceparent` | `Dispatch`, `Ask`, `Start`, `Sagas/Act` | the trace (W3C Trace Context), where the message does not say. One of another form counts for nothing |
//! | `authorization` | every call | who calls: `Bearer …`. Given at most once, in visible ASCII |
//!
//! # Who calls
//!
//! A server built with an [admission](GrpcServer::with_admission) finds out who calls before anything of a request is read.
//! What is not let in is `UNAUTHENTICATED` (or, by an authenticator's own decision, `PERMISSION_DENIED`) and reaches no port.
//! Each call is served with the ports as its caller may use them: what the policy does not allow is `PERMISSION_DENIED`, and
//! the caller's actor and tenant stand in commands, questions and events, and in what is done to sagas, whatever these
//! claim. `Subscribe` ends when the
//! caller's credentials do; a call that has begun does not. Health and reflection are open to all. Built without one, a
//! server lets everybody in, and believes what he says of actor and tenant.
//!
//! A client shows [`ClientConfig::authorization`] with every call. Where it is not let in, every port answers `Denied` with
//! the server's words: nothing has happened.
//!
//! # Errors
//!
//! A status that is not OK carries a `google.rpc.Status` in `grpc-status-details-bin`. Its first detail is the port's error,
//! whole: `portolan.v1.AppendError`, `ReadError`, `SubscribeError`, `CommandError`, `QueryError`, `ProjectionError`,
//! `WaitError` or `SagaError`, so that a client has it back as it was. Those that follow tell others: `ErrorInfo` with a stable `reason` in
//! the domain `portolan.v1`, and, as long as there is room (some clients take 8 KiB of metadata), `BadRequest` with each
//! wrong field, `PreconditionFailure`, and `RetryInfo` where trying again is safe.
//!
//! | code | reasons |
//! |---|---|
//! | `INVALID_ARGUMENT` | `INVALID_REQUEST`: a field holds what it cannot, and did not reach the port; `INVALID`, `NONCONFORMING`, `MALFORMED`, `INVALID_COMMAND`, `INVALID_QUERY`, `INVALID_SAGA_REQUEST` |
//! | `NOT_FOUND` | `UNKNOWN_COMMAND`, `UNKNOWN_QUERY`, `UNKNOWN_PROJECTION`, `NOT_FOUND`; `UNKNOWN_SAGA`: no such definition, `NO_SUCH_SAGA` |
//! | `ALREADY_EXISTS` | `KEY_REUSED`; `SAGA_STARTED_OTHERWISE`: with another input |
//! | `FAILED_PRECONDITION` | `REJECTED` by the domain; `WRONG_STORE`, `INLINE_REFUSED`, `AHEAD_OF_LOG`, `PROJECTION_STOPPED`, `PROJECTION_STALLED`, `EVENT_PARKED`; `SAGA_NOT_NOW`: not as the saga stands |
//! | `ABORTED`: read again, and decide anew | `STREAM_CONFLICT`, `GUARD_FAILED`, `CHECKPOINT_MOVED`, `COMMAND_CONFLICT`, `GONE` |
//! | `UNAUTHENTICATED` | `UNAUTHENTICATED`: the credentials are missing, no good, or have expired |
//! | `PERMISSION_DENIED` | `DENIED` by a policy or by the authenticator; `RAW_APPENDS_OFF` |
//! | `OUT_OF_RANGE` | `TOO_LARGE` for the store or for one answer; without details: too large for the server |
//! | `RESOURCE_EXHAUSTED` | `TOO_MANY_BYTES` in all requests under way; without details: too large once decompressed |
//! | `UNIMPLEMENTED` | `UNSUPPORTED` by the store; without details: no such method |
//! | `DEADLINE_EXCEEDED` | `DEADLINE_PASSED`: the command had no effect |
//! | `UNAVAILABLE`: nothing happened, try again | `BUSY`, `NOT_READY`, `SHUTTING_DOWN`, `SLOW_REQUEST` |
//! | `UNKNOWN` | `OUTCOME_UNKNOWN`: repeat it under the same key |
//! | `DATA_LOSS` | `CORRUPT`: the store is damaged. The place stays with the server, which writes it to its error output |
//! | `INTERNAL` | `FAILED`; `PANICKED`, of unknown outcome |
//!
//! A command that took effect and waited for projections in vain is a success with `not_caught_up`: whoever knows nothing of
//! it must not send the command again.
//!
//! For a client of this crate, a status without a port's error that comes to something that writes is of unknown outcome,
//! unless it says that no port was reached: `UNIMPLEMENTED`, `PERMISSION_DENIED`, `UNAUTHENTICATED`. The last two are
//! `Denied`. An error that takes more
//! than 384 KiB has its code, its reason and its message, and no more.
//!
//! # Compatibility
//!
//! Fields that a server does not know it leaves out of account, as protocol buffers have it. Kinds that it does not know
//! (an expectation, a move, a format, an action, a phase) it refuses. So does a client: what it does not know of a newer
//! server's answer is an error that says so, and after something that writes of unknown outcome. But one saga in a phase that it
//! does not know spoils neither a page nor an action: it is shown as one that needs an operator, and the reason says so.
//!
//! # Limits
//!
//! [`ServerConfig`] has them: connections and calls at once, bytes of a request and of all together, time for a request to
//! arrive. Answers are compressed with gzip for those who take it, and requests may be. A connection that has died is noticed
//! by its silence. A subscriber who reads slowly is given no more than his window; the log's shared tail leaves him behind,
//! and he catches up from the store.
//!
//! # TLS
//!
//! With the feature `tls`: `GrpcServer::with_tls` and `GrpcClient::connect_with_tls`, also with certificates of clients.

mod client;
mod config;
mod error;
pub mod proto;
mod server;
#[cfg(feature = "tls")]
mod tls;
mod wire;

pub use client::GrpcClient;
pub use config::{ClientConfig, ServerConfig};
pub use error::{ConnectError, ServeError};
pub use server::{BoundServer, GrpcServer};
#[cfg(feature = "tls")]
pub use tls::{ClientTls, ServerTls};
