//! Raw appends: on every condition, and with everything that an event can hold. GraphQL carries none; over it, the results
//! of appends to the store itself are read.

use super::application::{binary_event, event};
use super::outcome::{frontier, name, outcome, pages, position_of, stream};
use super::table::{come_out_alike, steps};
use portolan::prelude::*;
use portolan::values::{
    Append, Checkpoint, CheckpointState, Expected, Guard, IdempotencyKey, Item, Move, NewEvent, Read, StoreId, Token,
};

async fn appended(ports: &Ports, append: Append) -> String {
    outcome(ports.events.append(append).await)
}

fn noted(n: u8, of: &str) -> NewEvent {
    event(n, of, "note.taken", r#"{"n":1}"#)
}

async fn to_no_stream(ports: &Ports) -> String {
    appended(ports, Append::new([noted(20, "note-2")]).expect(stream("note-2"), Expected::NoStream)).await
}

async fn to_no_stream_that_is_one(ports: &Ports) -> String {
    appended(ports, Append::new([noted(21, "note-2")]).expect(stream("note-2"), Expected::NoStream)).await
}

async fn to_a_stream(ports: &Ports) -> String {
    appended(ports, Append::new([noted(22, "note-2")]).expect(stream("note-2"), Expected::StreamExists)).await
}

async fn to_a_stream_that_is_none(ports: &Ports) -> String {
    appended(ports, Append::new([noted(23, "note-3")]).expect(stream("note-3"), Expected::StreamExists)).await
}

async fn to_a_revision(ports: &Ports) -> String {
    let expected = Expected::Exact(Revision::new(1));
    appended(ports, Append::new([noted(24, "note-2")]).expect(stream("note-2"), expected)).await
}

async fn to_a_revision_that_has_passed(ports: &Ports) -> String {
    let expected = Expected::Exact(Revision::new(1));
    appended(ports, Append::new([noted(25, "note-2")]).expect(stream("note-2"), expected)).await
}

async fn to_several_streams(ports: &Ports) -> String {
    let append = Append::new([noted(26, "note-4"), binary_event(27, "scan-größer/1 ?"), noted(28, "note-4")]);
    let append = append.expect(stream("jar-a"), Expected::Exact(Revision::new(1)));
    appended(ports, append.expect(stream("note-4"), Expected::NoStream)).await
}

async fn nothing(ports: &Ports) -> String {
    appended(ports, Append::default()).await
}

async fn expected_twice(ports: &Ports) -> String {
    let append = Append::new([noted(29, "note-2")]).expect(stream("note-2"), Expected::NoStream);
    appended(ports, append.expect(stream("note-2"), Expected::StreamExists)).await
}

async fn too_large(ports: &Ports) -> String {
    let tags = (0..101).map(|n| format!("t-{n}").try_into().unwrap());
    appended(ports, Append::new([noted(30, "note-2").with_tags(tags)])).await
}

async fn guarded(ports: &Ports) -> String {
    let by_bob = Query::of(Item::new().tag("by:bob".parse().unwrap()));
    let guard = Guard::new(by_bob, Some(frontier(ports).await));
    appended(ports, Append::new([noted(31, "note-5")]).guard(guard)).await
}

async fn guard_failed(ports: &Ports) -> String {
    let by_bob = Query::of(Item::new().tag("by:bob".parse().unwrap()).category(name("jar")));
    let guard = Guard::new(by_bob, Some(position_of(ports, "jar-b").await));
    appended(ports, Append::new([noted(32, "note-5")]).guard(guard)).await
}

async fn guard_past_the_frontier(ports: &Ports) -> String {
    let guard = Guard::new(Query::all(), Some(Position::MAX));
    appended(ports, Append::new([noted(33, "note-5")]).guard(guard)).await
}

fn key(digest: u8) -> IdempotencyKey {
    IdempotencyKey::new(name("scope größer"), name("k/1"), [digest; 32]).with_note(&b"\xffnote"[..])
}

async fn under_a_key(ports: &Ports) -> String {
    appended(ports, Append::new([noted(34, "note-6")]).key(key(1))).await
}

async fn under_a_key_again(ports: &Ports) -> String {
    appended(ports, Append::new([noted(34, "note-6")]).key(key(1))).await
}

async fn under_a_key_of_something_else(ports: &Ports) -> String {
    appended(ports, Append::new([noted(35, "note-6")]).key(key(2))).await
}

async fn recalled(ports: &Ports) -> String {
    outcome(ports.events.recall(name("scope größer"), name("k/1")).await)
}

async fn checkpointed(ports: &Ports, token: u64, to: Move) -> String {
    let state = ports.events.checkpoint(name("reader")).await.unwrap();
    appended(ports, Append::default().checkpoint(Checkpoint::new(name("reader"), state, Token(token), to))).await
}

async fn checkpoint_claimed(ports: &Ports) -> String {
    checkpointed(ports, 2, Move::Claim).await
}

async fn checkpoint_moved(ports: &Ports) -> String {
    checkpointed(ports, 2, Move::At(position_of(ports, "jar-a").await)).await
}

async fn checkpoint_of_one_superseded(ports: &Ports) -> String {
    checkpointed(ports, 1, Move::At(frontier(ports).await)).await
}

async fn checkpoint_from_elsewhere(ports: &Ports) -> String {
    let state = ports.events.checkpoint(name("reader")).await.unwrap();
    let state = CheckpointState::new(state.store, None, state.token);
    let to = Move::At(frontier(ports).await);
    appended(ports, Append::default().checkpoint(Checkpoint::new(name("reader"), state, Token(2), to))).await
}

async fn checkpoint_backward(ports: &Ports) -> String {
    checkpointed(ports, 2, Move::At(position_of(ports, "jar-b").await)).await
}

async fn checkpoint_reset(ports: &Ports) -> String {
    checkpointed(ports, 3, Move::Reset(Some(position_of(ports, "jar-b").await))).await
}

async fn checkpoint_past_the_frontier(ports: &Ports) -> String {
    checkpointed(ports, 3, Move::At(Position::MAX)).await
}

async fn checkpoint_of_another_store(ports: &Ports) -> String {
    let state = CheckpointState::new(StoreId::from_bytes([7; 16]), None, Token(0));
    appended(ports, Append::default().checkpoint(Checkpoint::new(name("reader"), state, Token(9), Move::Claim))).await
}

async fn checkpoint(ports: &Ports) -> String {
    outcome(ports.events.checkpoint(name("reader")).await)
}

async fn log_of_it(ports: &Ports) -> String {
    outcome(pages(ports, Read::log(Query::all().with_system()).limit(5)).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_come_out_alike() {
    come_out_alike(&steps![
        to_no_stream => "Appended",
        to_no_stream_that_is_one => "Conflict",
        to_a_stream => "Appended",
        to_a_stream_that_is_none => "Conflict",
        to_a_revision => "Appended",
        to_a_revision_that_has_passed => "Conflict",
        to_several_streams => "Appended",
        nothing => "Appended",
        expected_twice => "Invalid",
        too_large => "TooLarge",
        guarded => "Appended",
        guard_failed => "GuardFailed",
        guard_past_the_frontier => "Invalid",
        under_a_key => "Appended",
        under_a_key_again => "Appended",
        under_a_key_of_something_else => "KeyReused",
        recalled => "Some(Recalled",
        checkpoint_claimed => "Appended",
        checkpoint_moved => "Appended",
        checkpoint_of_one_superseded => "CheckpointMoved",
        checkpoint_from_elsewhere => "CheckpointMoved",
        checkpoint_backward => "Invalid",
        checkpoint_reset => "Appended",
        checkpoint_past_the_frontier => "Invalid",
        checkpoint_of_another_store => "WrongStore",
        checkpoint => "CheckpointState",
        log_of_it => "[Page",
    ])
    .await;
}

#[tokio::test]
async fn graphql_says_that_it_carries_no_appends() {
    let application = super::application::application().await;
    let ports = application.ports();
    let server = GraphqlServer::new(ports.clone()).bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}/graphql", server.local_addr());
    tokio::spawn(server.serve(core::future::pending()));
    let client = GraphqlClient::connect(url).await.unwrap();
    let before = frontier(&ports).await;
    let said = outcome(client.append(Append::new([noted(20, "note-2")])).await);
    assert!(said.contains("GraphQL carries no appends"), "{said}");
    assert_eq!(frontier(&ports).await, before);
}
