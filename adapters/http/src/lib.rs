//! Portolan's ports over HTTP/1.1: [`HttpServer`] offers them, and [`HttpClient`] is them, so that an
//! application that moves to another process changes one line.
//!
//! Keeps the laws TR-1 to TR-3 and TR-5 of transports; through it a store keeps its own.
//!
//! # Routes
//!
//! | route | does |
//! |---|---|
//! | `POST /commands/{name}` | dispatches a command: a JSON body; `Idempotency-Key` is its id. The receipt, its first stream's revision as `ETag` |
//! | `GET /commands`, `GET /queries` | the names the buses know |
//! | `GET /queries/{name}` | asks; the parameters are strings. With `POST`, a JSON object |
//! | `GET /streams/{id}` | a page of a stream: `after` (a revision), `until` (a position), `limit`, `direction`. `ETag` is the revision; 404 for a missing stream |
//! | `GET /events` | a page of the log: `after` and `until` (positions), `limit`, `direction`; `type`, `category`, `stream`: any of those given, `tag`: all of them |
//! | these two with `Accept: text/event-stream` | live, see below |
//! | `POST /streams/{id}` | appends `{"events":[{"type","data"}]}`; `If-Match: "n"`, `If-Match: *`, `If-None-Match: *`, or no condition; `Idempotency-Key` |
//! | `POST /append`, `POST /read`, `GET /changed`, `GET /appends/{scope}/{id}`, `GET /checkpoints/{name}`, `GET /capabilities` | the port `EventStore`, whole |
//! | `GET /healthz`, `GET /readyz` | the process lives; the store answers a read, takes an append of nothing, and the server is not stopping |
//!
//! `POST /append` takes every event with its `id`; `POST /streams/{id}` makes one where it is left out.
//! Both bypass the domain, and answer 403 unless the server is built
//! [with them](HttpServer::with_raw_appends). Names stand percent-encoded in a path, a slash as `%2F`. What a route does
//! not know, a parameter or a field, it refuses.
//!
//! # The wire
//!
//! An event is `{id, type, version, stream, revision, position, recorded_at, tags, data | data_base64, metadata}`. Positions
//! are strings. `data` is the payload's own JSON text, byte for byte; a payload for which that is impossible is `data_base64`,
//! which is binary unless `"format":"json"` stands beside it. `metadata` is an object, `{}` for none, or
//! `metadata_base64`. Every payload and every metadata come back as they were given.
//!
//! A page is `{events, next, at_frontier}`: `next` is the path of the page that continues this one, up to the same
//! frontier, and `null` at the frontier. A receipt is `{stream, revision, position, events, streams, repeated}`.
//!
//! `Idempotency-Key` is taken as it is, or as a quoted string, whose quotes are not part of it. `X-Correlation-Id`
//! and `traceparent` reach every event. The header `Portolan-Metadata` (a JSON object, percent-encoded) carries all
//! metadata, actor and tenant included, for a client that is a command bus: until there is an authenticator, whoever
//! can reach the server is believed.
//!
//! # Live
//!
//! Each event is a server-sent event without a name, whose `id:` is its position; `Last-Event-ID` resumes after
//! it, and comes before `after`. `from=now` leaves out what was. Named events tell of the state: `caught-up`,
//! `fell-behind`, and `problem`, after which the stream ends. A frame with only an `id:` moves the place to resume from
//! past what does not match, at most once a second ([`ServerConfig::live_progress`]). A stream that is yet to come can be
//! listened to.
//!
//! # Errors
//!
//! Every error is `application/problem+json` (RFC 9457) with a stable `type`, `urn:portolan:problem:` and one of:
//!
//! | status | |
//! |---|---|
//! | 400 | `malformed`: no JSON, no UTF-8, no HTTP; `invalid-request` for a `Last-Event-ID` that is no position |
//! | 403 | `raw-appends-off` |
//! | 404 | `no-such-route`, `no-such-stream`, `unknown-command`, `unknown-query`, `not-found`, `not-recorded` |
//! | 405, 408, 415, 431 | `method-not-allowed`, `slow-request`, `media-type`, `head-too-long` (also 414, and for more than 100 headers) |
//! | 409 | `command-conflict`, `stream-conflict`, `guard-failed`, `checkpoint-moved`, `wrong-store`, `key-reused`, `ahead-of-log` |
//! | 412 | `stream-conflict`, where the condition stood in a header |
//! | 413 | `body-too-large` for the server, `too-large` for the store |
//! | 422 | `invalid-request`, `invalid-command`, `invalid-query` with `violations` of `{path, code, message}`; `rejected` with `code` and `fields`; `invalid-append`, `invalid-read` |
//! | 500 | `outcome-unknown` (repeat it under the same key), `corrupt`, `failed`, `panicked` |
//! | 501 | `unsupported` |
//! | 503 | `busy`, `shutting-down`, `not-ready`, with `Retry-After` |
//!
//! Their other members give a client back the port's error as it was. Only where a store is damaged stays with the
//! server: `corrupt` does not name the place, and the process writes it to its error output.

mod client;
mod config;
mod error;
mod server;
mod signal;
mod wire;

pub use client::HttpClient;
pub use config::{ClientConfig, ServerConfig};
pub use error::{ConnectError, ServeError};
pub use server::{BoundServer, BoxError, HttpServer, MountBody};
pub use signal::shutdown_signal;
