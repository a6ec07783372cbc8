//! Subscriptions that the server makes.

use crate::support::{Running, append, new_event};
use core::time::Duration;
use futures::StreamExt as _;
use portolan_grpc::proto::{self, subscribe_request};
use portolan_kernel::drivers::{Delivery, From, SubscribeError};
use portolan_kernel::ports::{EventStore as _, ReadError};
use portolan_kernel::values::{Append, Position, Query, Read, StreamId};
use std::sync::Arc;
use tonic::Code;
use tonic_types::StatusExt as _;

async fn next<S: futures::Stream + Unpin>(stream: &mut S) -> S::Item {
    tokio::time::timeout(Duration::from_secs(10), stream.next()).await.expect("nothing came").expect("it ended")
}

#[tokio::test]
async fn from_the_beginning_and_on() {
    let server = Running::start().await;
    let client = server.client().await;
    client.append(append()).await.unwrap();
    let mut live = client.subscribe(&Query::all(), From::Beginning);
    let Ok(Delivery::Event(first)) = next(&mut live).await else { panic!() };
    let page = client.read(Read::log(Query::all())).await.unwrap();
    assert_eq!(first, page.events[0]);
    assert!(matches!(next(&mut live).await, Ok(Delivery::CaughtUp(Some(at))) if at == first.position));
    for n in 1..4 {
        client.append(append()).await.unwrap();
        let delivery = next(&mut live).await;
        assert!(matches!(&delivery, Ok(Delivery::Event(event)) if event.revision.get() == n), "{delivery:?}");
    }
    // Resumed after the first: nothing is missed or repeated.
    let resumed = client.subscribe(&Query::all(), From::After(first.position));
    let deliveries: Vec<_> = resumed.take(4).collect().await;
    let revisions: Vec<_> = deliveries
        .iter()
        .filter_map(|delivery| match delivery {
            Ok(Delivery::Event(event)) => Some(event.revision.get()),
            _ => None,
        })
        .collect();
    assert_eq!(revisions, [1, 2, 3]);
}

#[tokio::test]
async fn from_now_and_of_what_matches() {
    let server = Running::configured(|config| config.live_progress = Duration::from_millis(10)).await;
    let client = server.client().await;
    client.append(append()).await.unwrap();
    let query = Query::stream(StreamId::new("mine").unwrap());
    let mut live = client.subscribe(&query, From::Now);
    assert!(matches!(next(&mut live).await, Ok(Delivery::CaughtUp(Some(_)))));
    let other = client.append(append()).await.unwrap().last.unwrap();
    let delivery = next(&mut live).await;
    assert!(matches!(delivery, Ok(Delivery::Progress(at)) if at == other), "{delivery:?}");
    client.append(Append::new([new_event("mine")])).await.unwrap();
    assert!(matches!(next(&mut live).await, Ok(Delivery::Event(event)) if &*event.stream == "mine"));
}

#[tokio::test]
async fn a_start_past_the_frontier_is_an_error() {
    let server = Running::start().await;
    let client = server.client().await;
    let mut live = client.subscribe(&Query::all(), From::After(Position::MAX));
    let store = client.capabilities().identity;
    let error = next(&mut live).await.unwrap_err();
    assert!(
        matches!(error, SubscribeError::AheadOfLog { after: Position::MAX, store: of } if of == store),
        "{error:?}"
    );
    assert!(live.next().await.is_none());
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let mut server = Running::start().await;
    let client = server.client().await;
    let mut ours = client.subscribe(&Query::all(), From::Beginning);
    assert!(matches!(next(&mut ours).await, Ok(Delivery::CaughtUp(None))));
    let request = proto::SubscribeRequest::default();
    let mut theirs = server.strange_store().await.subscribe(request).await.unwrap().into_inner();
    assert!(theirs.message().await.unwrap().is_some());
    server.ended().await;
    let status = theirs.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.get_details_error_info().unwrap().reason, "SHUTTING_DOWN");
    let error = next(&mut ours).await.unwrap_err();
    assert!(matches!(error, SubscribeError::Read(ReadError::Busy(_))), "{error:?}");
}

#[tokio::test]
async fn a_slow_reader_holds_up_itself_alone_and_misses_nothing() {
    const APPENDS: u64 = 2_000;
    let server = Running::start().await;
    let client = server.client().await;
    // One that takes nothing of what comes, on a connection of its own with the smallest window there is.
    let channel = tonic::transport::Channel::from_shared(server.uri()).unwrap().initial_stream_window_size(65_535);
    let mut strange = proto::event_store_client::EventStoreClient::new(channel.connect().await.unwrap());
    let mut slow = strange.subscribe(proto::SubscribeRequest::default()).await.unwrap().into_inner();
    let mut fast = client.subscribe(&Query::all(), From::Beginning);
    assert!(matches!(next(&mut fast).await, Ok(Delivery::CaughtUp(None))));
    let writer = {
        let client = client.clone();
        tokio::spawn(async move {
            let mut event = new_event("s");
            event.payload = vec![b'x'; 1_000].into();
            for _ in 0..APPENDS {
                client.append(Append::new([event.clone()])).await.unwrap();
            }
        })
    };
    let mut seen = 0;
    while seen < APPENDS {
        if let Delivery::Event(event) = next(&mut fast).await.unwrap() {
            assert_eq!(event.revision.get(), seen);
            seen += 1;
        }
    }
    writer.await.unwrap();
    // Now it reads: all of it, in order, and it is told that it fell behind.
    let (mut seen, mut behind) = (0, false);
    while seen < APPENDS {
        use proto::subscribe_response::Delivery;
        match slow.message().await.unwrap().unwrap().delivery.unwrap() {
            Delivery::Event(event) => {
                assert_eq!(event.revision, seen);
                seen += 1;
            }
            Delivery::FellBehind(()) => behind = true,
            _ => {}
        }
    }
    assert!(behind);
}

#[tokio::test]
async fn five_hundred_idle_subscriptions_hold_up_nobody() {
    let server = Running::configured(|config| config.max_concurrent_streams = 1_000).await;
    let client = server.client().await;
    let query = Query::stream(StreamId::new("nobody").unwrap());
    let mut idle = Vec::new();
    for _ in 0..500 {
        let mut live = client.subscribe(&query, From::Now);
        assert!(matches!(next(&mut live).await, Ok(Delivery::CaughtUp(_))));
        idle.push(live);
    }
    for _ in 0..50 {
        client.append(append()).await.unwrap();
    }
    client.append(Append::new([new_event("nobody")])).await.unwrap();
    let got = futures::future::join_all(idle.iter_mut().map(async |live| {
        loop {
            if let Delivery::Event(event) = next(live).await.unwrap() {
                break event;
            }
        }
    }));
    let got: Vec<Arc<_>> = got.await;
    assert!(got.iter().all(|event| &*event.stream == "nobody"));
}

#[tokio::test]
async fn the_ways_to_begin() {
    let server = Running::start().await;
    let mut client = server.strange_store().await;
    server.store.append(append()).await.unwrap();
    for (from, events) in [
        (None, true),
        (Some(subscribe_request::From::Beginning(())), true),
        (Some(subscribe_request::From::Now(())), false),
    ] {
        let request = proto::SubscribeRequest { query: None, from };
        let mut live = client.subscribe(request).await.unwrap().into_inner();
        let first = live.message().await.unwrap().unwrap().delivery.unwrap();
        assert_eq!(matches!(first, proto::subscribe_response::Delivery::Event(_)), events, "{from:?}");
    }
    let from = Some(subscribe_request::From::After(u64::MAX));
    let status = client.subscribe(proto::SubscribeRequest { query: None, from }).await.unwrap_err();
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "after");
}
