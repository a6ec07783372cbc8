//! Portolan's ports over GraphQL: [`GraphqlServer`] offers them under a schema that is made of what is registered, and
//! [`GraphqlClient`] is them.
//!
//! Keeps the laws TR-1 to TR-4 of transports. Knows no other transport: [`GraphqlServer::service`] is a [`tower::Service`]
//! that any server of `http` types can mount, and [`GraphqlServer::serve`] is a server alone.
//!
//! # The schema
//!
//! It is built at start-up, and published at `/schema`.
//!
//! | registered | in the schema |
//! |---|---|
//! | command `open-account` | the mutation `openAccount(input: OpenAccountInput!, options: CommandOptions): CommandResult!` |
//! | question `account` | the query `account(…, options: QueryOptions)`, with an argument a parameter and the type of its answer |
//! | saga `transfer-money` | the mutation `startTransferMoney(id: String!, input: TransferMoneyInput!, options: SagaOptions): SagaStarted` |
//! | projection `balances` | the queries `balances(key:)`, `balancesList(…)` and, an index each, `balancesBy…(…)`; the subscription `balances(key:)` |
//! | always | the queries `stream`, `events`, `store`, `commands`, `queries`, `projections`, `projection`, `waitFor`, `sagas`, `saga`, `sagaTimeline`, `sagaDefinitions`; the subscriptions `stream` and `events` |
//! | always, for clients that learn names at run time | `dispatch`, `ask`, `rows`, `startSaga` |
//! | [if allowed](GraphqlServer::with_projection_actions) | the mutation `actOnProjection` |
//! | [if allowed](GraphqlServer::with_saga_actions) | the mutation `actOnSaga` |
//!
//! A name that is taken gets a number: a question `events` is `events2`; `commands` and `queries` tell which names there
//! are. Fields of inputs, answers and rows keep their names where GraphQL has such names; in others an underscore stands for
//! each other character, and the description tells the name in JSON. So it is with the values of enums.
//!
//! ## Types of JSON Schemas
//!
//! Objects with properties and nothing else, lists, enums of strings, `null`, references, also to themselves, and the scalars
//! have types. Whatever else a schema says is `JSON`, and the application judges it as it always does: a type is never
//! narrower than its schema.
//!
//! | scalar | |
//! |---|---|
//! | `Int` | a whole number whose schema keeps it within 32 bits |
//! | `Long` | any other whole number: a string of digits in answers, because a browser's numbers have 53 bits; given, also a number |
//! | `Position` | a place in the log: a string of digits |
//! | `JSON` | any JSON. Lists and objects are given in variables, because the document has no literals for them; where a whole command or all parameters are `JSON`, also as a text |
//! | `Bytes`, `DateTime` | base64; RFC 3339 |
//!
//! ## Projections that are not ready
//!
//! Columns and indexes are known once there are rows to read. A projection that is not ready when the schema is built has
//! `balances` and `balancesList` with rows of `key` and `columns` alone, which every row has; the schema is built anew with
//! a request, at most once a second, until all are ready. What was valid before stays valid.
//!
//! # Commands
//!
//! A command's result is a union: `Receipt`, or one of 13 types that implement `CommandFailure { message }`, each with the
//! fields of its error: `Rejection`, `Invalid`, `Malformed`, `UnknownCommand`, `Conflict`, `Denied`, `DeadlinePassed`,
//! `NotCaughtUp`, `KeyReused`, `ShuttingDown`, `Busy`, `OutcomeUnknown`, `Failed`. `NotCaughtUp` is a success. Several
//! commands of one document are carried out one after another, each by itself: whatever becomes of one, a panic included, is
//! its result, and hides nothing of the others.
//!
//! `options` are the `id`, the `correlation`, `within` (seconds), `waitFor`, and `metadata`, in which a client that is a bus
//! hands on all of it; actor and tenant are written over by those of the caller, unless it speaks for others. A command that
//! a document has twice under one name, as fragments do, is sent once. The headers
//! `X-Correlation-Id` and `traceparent` go for the whole request, and so does `Request-Timeout` or, before it,
//! `extensions: { timeout: 2.5 }` beside the query.
//!
//! # Sagas
//!
//! A saga is started by the mutation of its definition, whose newest version gives the type of its input, or by `startSaga`
//! with the input as a JSON text. `id` makes a repetition
//! harmless: the same input is `repeated`, another is the error `saga-started-otherwise`. What is started or acted on is
//! `null` with an error, or what was recorded; each of several in one document is done by itself, as commands are. What is
//! not recorded within `Request-Timeout` or `extensions: { timeout: 2.5 }`, which each of them has for itself, is
//! `outcome-unknown`: start it again under its id, or look at it before acting again.
//!
//! `options` are the `correlation`, without which the saga's own id is it, and `metadata`, as for commands. `sagas` and
//! `sagaTimeline` are pages of at most `first` entries, 100 where that is left out, and never more than
//! [`page_events`](ServerConfig::page_events): `next` is what `after` takes for the next page. Their entries are in
//! order of names and ids, and of the stream. A client shows a phase that only a newer server knows as one that needs an
//! operator, and the reason says so.
//!
//! # Who asks
//!
//! A server takes an [`Admission`](portolan_kernel::application::Admission):
//! [`with_admission`](GraphqlServer::with_admission). Without one it lets in everybody and believes them, for servers that
//! only the application's own nodes can reach. Fields are resolved with the ports as the caller may use them, and with no
//! others, so that a policy's word is the same here as on any wire. Callers never share an answer.
//!
//! | | shows who it is by | is refused with |
//! |---|---|---|
//! | a request | the header `Authorization` | 401 and `WWW-Authenticate`, 403, 503 |
//! | a WebSocket | that header, or else `connection_init` with the payload `{"authorization": "Bearer …"}` | the same; closed with 4401 (nothing was shown), 4403, 1013 |
//!
//! Credentials are shown once: a second header, or a header and a payload, are refused, and so is what is no visible ASCII.
//! A subscription ends with the credentials it was begun with, by an error `unauthenticated`; its socket is closed with 4403
//! when what else was asked has been answered, so that a client connects anew. `/schema` and GraphiQL's page are open: the
//! page has a header editor, and sends what is written there over WebSockets too.
//!
//! A page of anybody's can have a browser send things here. It gets no WebSocket: where a browser says that the page is of
//! another origin than the server's host, the answer is 403 `denied`, before anything is looked at, unless
//! [`allowed_origins`](ServerConfig::allowed_origins) has that origin; who is no page sends no `Origin`. A server behind a
//! proxy that changes `Host` allows its outer origin. `POST` needs no such rule: it takes `application/json` alone, for which
//! a browser asks first, and is never told yes. Nor does `GET`, which changes nothing, and whose answers no other page gets
//! to read.
//!
//! # Pages
//!
//! Connections after the Relay convention: `first` and `after`, or `last` and `before`; entries always in their order. Only
//! `pageInfo` tells whether there is more. A cursor of events is `17` or `17~40`: after revision or position 17, up to
//! position 40; so a known one is a cursor, and a walk sees one frontier. A cursor of rows keeps to its edition, or is
//! `gone`.
//!
//! Events are shown as they are stored, or with `form: CURRENT` as what they have become: what is retired is left out, one
//! that was split is several, which share id and places and are told apart by `part`, and `types` are those of now. Pages
//! are counted by stored events. Each of several has a cursor of its own, such as `17.1`, which is one in the stored form
//! too. An event whose current form is unknown is as it is stored, and has `notCurrent` to say why.
//!
//! However many fields of a document, or subscriptions, ask for rows by key, the port is asked once for each caller.
//!
//! # Subscriptions
//!
//! Over a WebSocket at the same path, with the subprotocol `graphql-transport-ws`. `events` and `stream` resume `after` a
//! position; with `states: true` they tell of progress, catching up and falling behind too. Of the several events that a
//! stored one has become only the last has a `position`: one resumes with all of them. A row comes at once and
//! whenever it has changed. A client that takes nothing holds up itself alone, and is cut off in time. What is no frame of
//! RFC 6455 closes the socket with 1002, text that is no UTF-8 with 1007, and a message that is too large with 1009.
//!
//! # Errors
//!
//! Each has a stable `extensions.code`, and the fields of the port's error beside it:
//!
//! | of | codes |
//! |---|---|
//! | who asks | `unauthenticated`, `denied`, `busy` |
//! | the request | `malformed`, `invalid-request` (with `violations`), `media-type`, `method-not-allowed`, `body-too-large`, `slow-request`, `no-such-route` |
//! | the document | `malformed`, `invalid-document`, `no-such-operation`, `too-deep`, `too-long`, `too-complex`, `not-here` |
//! | carrying it out | `timed-out` (queries alone), `panicked`, `shutting-down`, `busy` |
//! | questions | `unknown-query`, `malformed`, `invalid-query`, `not-found`, `denied`, `busy`, `failed` |
//! | sagas | `unknown-saga` (no such definition), `no-such-saga`, `invalid-saga-request`, `saga-started-otherwise`, `saga-not-now`, `denied`, `shutting-down`, `busy`, `outcome-unknown`, `corrupt`, `failed` |
//! | reads | `too-large`, `invalid-read`, `unsupported`, `denied`, `busy`, `ahead-of-log`, `no-current-form`, `corrupt`, `failed` |
//! | projections | `unknown-projection`, `not-found`, `not-ready`, `gone`, `invalid-request`, `too-large`, `projection-stopped`, `projection-stalled`, `event-parked`, `denied`, `busy`, `outcome-unknown`, `corrupt`, `failed` |
//!
//! Where a store is damaged stays with the server: `corrupt` does not name the place, and the process writes it to its error
//! output. A request that takes `application/graphql-response+json` gets 400 for a document that is not carried out; others
//! get 200, as is usual. A request is one operation, an object; batches are not offered.
//!
//! # GraphiQL
//!
//! For a browser the path is GraphiQL, whole in this crate; `assets/README.md` tells what it is made of.

#![recursion_limit = "256"]

mod client;
mod config;
mod error;
mod model;
mod scalar;
mod server;
mod wire;

pub use client::GraphqlClient;
pub use config::{ClientConfig, ServerConfig};
pub use error::{ConnectError, ServeError};
pub use server::{Answer, BoundServer, BoxError, GraphqlServer, GraphqlService};
