//! Portolan's ports over HTTP/1.1: [`HttpServer`] offers them, and [`HttpClient`] is them, so that an
//! application that moves to another process changes one line.
//!
//! Keeps the laws TR-1 to TR-5 of transports; through it a store keeps its own.
//!
//! # Routes
//!
//! | route | does |
//! |---|---|
//! | `GET /openapi.json` | all of this as OpenAPI 3.1, with the commands and queries there are; services that are mounted are named in `x-mounted` |
//! | `POST /commands/{name}` | dispatches a command: a JSON body. The receipt, its first stream's revision as `ETag` |
//! | `GET /commands`, `GET /queries` | what the buses tell: `{name, description, schema}`, of queries `answer_schema` too |
//! | `GET /queries/{name}` | asks; see [below](#parameters). With `POST`, a JSON object. `ETag` is the revision, where it was made from one stream |
//! | `GET /streams/{id}` | a page of a stream: `after` (a revision), `until` (a position), `limit`, `direction`, [`form`](#forms). `ETag` is the revision; 404 for a missing stream |
//! | `GET /events` | a page of the log: `after` and `until` (positions), `limit`, `direction`, [`form`](#forms); `type`, `category`, `stream`: any of those given, `tag`: all of them. Events of the system's streams, such as `$saga-…`, come by `category` or `stream` alone: `type=$saga.started` finds none, `category=$saga&type=$saga.started` does |
//! | these two with `Accept: text/event-stream` | live, see [below](#live) |
//! | `POST /streams/{id}` | appends `{"events":[{"type","data"}]}`; `If-Match: "n"`, `If-Match: *`, `If-None-Match: *`, or no condition |
//! | `POST /append`, `POST /read`, `GET /changed`, `GET /appends/{scope}/{id}`, `GET /checkpoints/{name}`, `GET /capabilities` | the port `EventStore`, whole |
//! | `GET /schemas` | the types of events and commands that are known, see [below](#schemas) |
//! | `GET /schemas/{type}/{version}` | the JSON Schema of a version, as `application/schema+json` |
//! | `GET /projections`, `GET /projections/{name}` | how projections stand: state, position, frontier, lag, last error, editions |
//! | `POST /projections/{name}/{action}` | what operators do, see [below](#projections). 204 once it is recorded |
//! | `GET /projections/{name}/parked` | a page of the events it has parked: `after` (a position), `limit` |
//! | `GET /projections/{name}/wait` | 204 once it has applied every event up to `position` |
//! | `GET /projections/{name}/rows` | a page of its rows by key: `from` (that key and on), `to` (before that key) or `prefix`; `limit`, `direction`, `cursor`. Or those of `keys`, by repetition |
//! | `GET /projections/{name}/rows/{key}` | one row; 404 for a missing one |
//! | `GET /projections/{name}/rows/by/{index}` | a page of its rows by an index, see [below](#projections) |
//! | `POST /projections/{name}/rows` | rows, as the port `ProjectionRegistry` asks for them, whole |
//! | `GET /sagas` | a page of sagas: `name`, `phase` (any of those given), `limit`, `after` |
//! | `POST /sagas/{name}` | starts a saga: its input as a JSON object. 201, or 200 where it had been started; see [below](#sagas) |
//! | `GET /sagas/{name}/{id}` | how a saga stands |
//! | `GET /sagas/{name}/{id}/timeline` | a page of its facts: `after` (a revision), `limit` |
//! | `POST /sagas/{name}/{id}/{action}` | what operators do, see [below](#sagas). The saga as it stands then |
//! | `GET /saga-definitions` | the definitions there are: `{name, version, description, schema, plan}`, and of a process that stands still its `trouble` |
//! | `GET /healthz`, `GET /readyz` | the process lives; the store answers a read, takes an append of nothing, and the server is not stopping |
//!
//! `POST /append` takes every event with its `id`; `POST /streams/{id}` makes one where it is left out.
//! Both bypass the domain, and answer 405 unless the server is built
//! [with them](HttpServer::with_raw_appends). Names stand percent-encoded in a path, a slash as `%2F`. What a route does
//! not know, a parameter or a field, it refuses.
//!
//! # Headers
//!
//! | header | on | says |
//! |---|---|---|
//! | `Authorization` | every request | who sends it, see [below](#who-is-let-in) |
//! | `X-Correlation-Id` | every request and answer | what belongs together: it reaches every event. An answer carries the one that was given, or the receipt's, or one that was made for the request. One with control characters, which only `Portolan-Metadata` can hold, stands in no header |
//! | `traceparent` | every request and answer | the trace (W3C Trace Context): it reaches every event, and comes back as it was. One of another form counts for nothing |
//! | `Idempotency-Key` | commands, `POST /streams/{id}`, `POST /sagas/{name}` | the id, as it is or as a quoted string, whose quotes are not part of it: the same id, the same effect, once; each tenant has its own, but for sagas. A command's id of the form of a [step's key](portolan_kernel::values::SagaId::is_step_key) is `invalid`, unless the caller speaks for others |
//! | `Request-Timeout` | commands, queries, rows, sagas, `GET /projections/{name}/wait` | how long the caller waits for the answer: seconds above 0, with at most three decimals |
//! | `Portolan-Wait-For` | commands | the projections that are to have applied the command's events before it is answered: names with commas between them, percent-encoded where they have to be |
//! | `Portolan-At-Least` | queries, rows | a position, such as a receipt's, that the answer must not be older than |
//! | `Portolan-Metadata` | commands, queries, `POST` to sagas | all metadata, actor and tenant included: a JSON object, percent-encoded where it has to be. For a client that is a bus. Actor and tenant count only from one who [speaks for others](#who-is-let-in) |
//! | `If-None-Match` | queries, streams | a revision that the caller has: then the answer is 304 |
//! | `If-Match`, `If-None-Match` | `POST /streams/{id}` | the revision that the stream has to have |
//! | `Last-Event-ID` | live | the position after which it resumes |
//! | `Prefer: wait=25` | `GET /changed` | for how many seconds to wait for a change (RFC 7240); without it, not at all. `Preference-Applied` answers |
//! | the same | commands with `Portolan-Wait-For`, rows, `GET /projections/{name}/wait` | for how many seconds to wait for projections, where `Request-Timeout` says nothing |
//! | `ETag` | answers | the revision in quotes |
//! | `Location` | answers to `POST /sagas/{name}` | the path of the saga |
//! | `Retry-After` | answers with 503 | seconds |
//! | `Allow` | answers with 405 | what is possible there |
//! | `WWW-Authenticate` | answers with 401 | which credentials are wanted |
//!
//! # Who is let in
//!
//! Everybody, and whoever can reach the server is believed in what he says of actor and tenant, until the server is built
//! [with an admission](HttpServer::with_admission). From then on a request shows credentials in the header `Authorization`,
//! such as `Bearer` and a key, and is served with the ports as its sender may use them: events carry his actor and tenant,
//! whatever the request claims, except from a caller who
//! [speaks for others](portolan_kernel::ports::Caller::speaks_for_others), as another node of the application.
//!
//! Without credentials, or with some that are not accepted, the answer is 401 (`unauthenticated`); to a caller who is known
//! and not let in, and to one for whom the policy does not allow what he asks for, 403 (`denied`); and 503 (`busy`) while it
//! cannot be found out who he is. More than one such header, or one that is no visible ASCII, is not accepted, whoever is
//! let in. What is refused here reaches no port, and its body is not read.
//!
//! `/healthz`, `/readyz` and `/openapi.json` are open. Everything else is not, a path without a route included. Services that
//! are [mounted](HttpServer::mount) authenticate their requests themselves.
//!
//! A live stream ends when the credentials that it was begun with do, with a `problem` of the type `unauthenticated`. A
//! request that has begun by then is answered.
//!
//! A client shows what stands in [`ClientConfig::authorization`]. A 401 is `Denied` to each of its ports: nothing has
//! happened. Its subscriptions read the log whole, with the streams of the system, so that its caller has to be allowed to;
//! live streams ask only for what they find.
//!
//! # Parameters
//!
//! In a query string everything is text. A query that publishes a schema gets from `GET` what the schema wants: numbers,
//! `true` and `false`, a list by repetition (also of one), and as a JSON text whatever is none of these. Where a string may
//! stand, the text is one. What cannot be read so is `invalid-query`, which names the parameters. Without a schema all are
//! strings, repeated ones lists of strings.
//!
//! # The wire
//!
//! An event is `{id, type, version, stream, revision, position, recorded_at, tags, data | data_base64, metadata}`. Positions
//! are strings. `data` is the payload's own JSON text, byte for byte; a payload for which that is impossible is `data_base64`,
//! which is binary unless `"format":"json"` stands beside it. `metadata` is an object, `{}` for none, or
//! `metadata_base64`. Every payload and every metadata come back as they were given.
//!
//! A page is `{events, next, at_frontier}`: `next` is the path of the page that continues this one, up to the same
//! frontier, and `null` at the frontier. A receipt is `{stream, revision, position, events, streams, correlation_id,
//! command_id, repeated}`.
//!
//! A command that took effect and waited for projections in vain is answered with 202 and its receipt, with the names of
//! the projections as `waiting` beside it. Do not send it anew; sent again under its id, it waits again.
//!
//! # Forms
//!
//! Events are shown as they are stored (`form=stored`, if nothing is said), or by `form=current`, on pages and live, as what
//! they have become: with the type, version and payload that the application has now. What is retired is left out. One that
//! was split is several, one after another, which share `id`, `position` and `revision`; each has its `part`, from 1, and id
//! and part tell all apart. `type` means the type of now: it finds events that were stored under older names, and none that
//! has become something else.
//!
//! Each event says in `form` which form it is in. One whose current form is unknown is there as it is `stored`, wherever it
//! might be one of those asked for, and `not_current` says why, as `{code, message}`: `unknown-type` (no history of the
//! application tells of it), `unknown-version` (a newer application may have written it), `upcast-failed`.
//!
//! Pages are counted by stored events, and never end within one: a page may have more entries than `limit`, or none and a
//! `next`. There is no `ETag`, since a new version of the application may show the same events otherwise. Types that a hop
//! leads from count against the terms that the store takes in one query. A server that does not know what events have become,
//! as one that offers the ports of a client, answers 501 (`no-current-form`).
//!
//! The port's own routes, and so clients that are ports, carry stored events.
//!
//! # Projections
//!
//! A row is `{key, row}`, and `row` has a member a column: numbers as numbers, JSON as it is, bytes in base64, an infinite
//! number as `"inf"`. Answers with rows say of which `edition` they are: the version of the projection's code, and the
//! number of its rebuild if any (`3.2`). `version` prefers the rows of that version, once they are ready. `next` is a cursor
//! for the parameter of that name, and `null` at the end; a listing stays on its edition, or ends as `rows-gone`.
//!
//! By an index, values are given for its first columns, by `value`, repeated, or by the names of the columns
//! (`?owner=Ann&balance=5`); `null=owner` is one that has nothing in it. `from` and `to` bound the column that
//! follows: `from` is among the rows, `to` is not. Each value is read as its column's type says: a whole number, a number,
//! `true` or `false`, a text, base64. A column of the name of a parameter is given by `value`.
//!
//! With `Portolan-At-Least` rows wait for a position, for as long as `Request-Timeout` or `Prefer: wait` says, and 10 seconds
//! without them; `GET /projections/{name}/wait` waits for a second then. What has not come by then is `projection-behind`:
//! ask again. What will not come, because the projection has stopped, hangs or has parked the event, is an error of its
//! own, at once.
//!
//! | action | parameter | does |
//! |---|---|---|
//! | `pause`, `resume` | | ends its movement, and begins it again, also after it has stopped |
//! | `reset` | | empties its rows at once and makes them anew |
//! | `rebuild`, `cancel-rebuild` | | makes its rows anew beside those that are read, and gives that up |
//! | `activate` | `version` | readers who prefer none see the rows of this version; without it, the newest |
//! | `remove` | `edition` | removes the rows of an edition |
//! | `retry` | `position` | tries a parked event again; without it, all |
//! | `drop` | `position` | leaves an event out for good |
//!
//! [`HttpServer::with_projection_actions`] turns them off: then they answer 405.
//!
//! # Sagas
//!
//! A saga is `{name, id, self, version, phase, step, way, attempt, since, due, reason, is_overdue, started_at, deadline,
//! lacks}`: `phase` is `running`, `waiting`, `compensating`, `needs-operator`, `completed`, `compensated` or `aborted`, and
//! `self` its path. What there is nothing of is `null`.
//!
//! It is started under the id in `Idempotency-Key`, or under one that is made, which `Location` and the body tell:
//! `{name, id, self, version, position, repeated}`. Started again under its id, with the same input, it is `repeated`; with
//! another, that is `saga-started-otherwise`. An input that has a field twice is `invalid-saga-request`, as one with a wrong
//! field is. Ids of sagas are shared by all tenants. An `outcome-unknown` has `name` and `id`
//! too: start it again under them. Without a correlation the saga's own id is it.
//!
//! Pages of sagas and of facts have `after`, what the parameter of that name has to be for the next page, and `next`, its
//! path; both are `null` at the end. A fact is `{revision, at, type, data}`.
//!
//! | action | does |
//! |---|---|
//! | `retry` | what holds it up is tried anew; a pause ends at once. `saga-not-now` where it is unknown whether it has happened, and its key may be forgotten |
//! | `skip` | what holds it up counts as passed over |
//! | `compensate` | it turns back |
//! | `abort` | it ends as it is |
//!
//! An action may have a body, `{"note": "why"}`, and is recorded with its actor. What makes no sense as the saga stands is
//! `saga-not-now`, with the `reason`. [`HttpServer::with_saga_actions`] turns actions off: then they answer 405.
//!
//! A client shows a phase that only a newer server knows as one that needs an operator, and the reason says so.
//!
//! # Schemas
//!
//! `GET /schemas` lists every type with its `kind` (`event` or `command`), `name`, `category`, the version that is `current`
//! (each of these two may be `null`), and `versions`, each with the path of its `schema`. An event and a command may share a
//! name: `?kind=event` and `?kind=command` say which is meant, and without it that is the event of the name, or the command
//! where there is no such event in any version. `unknown-schema` is a version that nobody told of, and `no-schema` one that
//! is known without a schema.
//!
//! Like the lists of commands and questions, they are for everybody who is let in.
//!
//! Where the server's ports judge raw appends by these schemas (crate `portolan-schema`), what is not as they say is `nonconforming-append` with
//! `violations` of `{event, pointer, message}`: which event of the append, from 0, where in its `data` (a JSON Pointer, RFC
//! 6901), and why.
//!
//! # Deadlines
//!
//! A client tells the server a tenth less than it has itself, at most 100 ms less, so that the answer that time is up comes
//! in time. A command whose answer has not come by then is `Unknown`, and its id settles it.
//!
//! # Live
//!
//! Each event is a server-sent event without a name, whose `id:` is its position; `Last-Event-ID` resumes after
//! it, and comes before `after`. `from=now` leaves out what was. Named events tell of the state: `caught-up`,
//! `fell-behind`, and `problem`, after which the stream ends. A frame with only an `id:` moves the place to resume from
//! past what does not match, at most once a second ([`ServerConfig::live_progress`]). A stream that is yet to come can be
//! listened to.
//!
//! With `form=current` the parts of one stored event come one directly after another, and only the last has an `id:`. So a
//! connection that is cut between them resumes with all of them: keep what comes together with the `id:` that ends it, or
//! tell parts apart by `id` and `part` of the event. A retired event moves the place to resume from, as what does not match
//! does.
//!
//! # Errors
//!
//! Every error is `application/problem+json` (RFC 9457) with a stable `type`, `urn:portolan:problem:` and one of:
//!
//! | status | |
//! |---|---|
//! | 202 | `not-caught-up`: a success, with the receipt and `waiting` |
//! | 400 | `malformed`: no JSON, no UTF-8, no HTTP; `invalid-request` for a `Last-Event-ID` that is no position |
//! | 401 | `unauthenticated`: show credentials, or other ones; with `WWW-Authenticate` |
//! | 403 | `denied` by a policy; by who lets in; to a page of another origin that would act upon projections or sagas |
//! | 404 | `no-such-route`, `no-such-stream`, `unknown-command`, `unknown-query`, `not-found`, `not-recorded`, `unknown-projection`, `no-such-row`; `unknown-saga` (no such definition), `no-such-saga`; `unknown-schema`, `no-schema`; `projection-lacks` an edition or a parked event |
//! | 405, 408, 415, 431 | `method-not-allowed`, `raw-appends-off`, `projection-actions-off`, `saga-actions-off`; `slow-request`; `media-type`; `head-too-long` (also 414, and for more than 100 headers) |
//! | 409 | `command-conflict`, `stream-conflict`, `guard-failed`, `checkpoint-moved`, `wrong-store`, `key-reused`, `inline-refused`, `ahead-of-log`; `projection-stopped`, `projection-stalled`, `event-parked`: waiting is of no use, an operator has to look; `saga-started-otherwise`, `saga-not-now` |
//! | 410 | `rows-gone`: begin again without a cursor |
//! | 412 | `stream-conflict`, where the condition stood in a header |
//! | 413 | `body-too-large` for the server, `too-large` for the store |
//! | 422 | `invalid-request`, `invalid-command`, `invalid-query`, `invalid-saga-request` with `violations` of `{path, code, message}`; `rejected` with `code` and `fields`; `invalid-append`, `nonconforming-append`, `invalid-read`, `invalid-projection-request` |
//! | 500 | `outcome-unknown` (repeat it under the same key), `corrupt`, `failed`, `panicked` |
//! | 501 | `unsupported`; `no-current-form` |
//! | 503 | `busy`, `shutting-down`, `not-ready`, `projection-behind`, `projection-not-ready`, with `Retry-After` |
//! | 504 | `deadline-passed`: the command had no effect |
//!
//! Their other members give a client back the port's error as it was. Only where a store is damaged stays with the
//! server: `corrupt` does not name the place, and the process writes it to its error output. An error of waiting that a
//! question for rows met has `"while":"waiting"`.

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
