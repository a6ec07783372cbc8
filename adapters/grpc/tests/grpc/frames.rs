//! What no library would send: broken frames, floods, and messages that break off, at the socket.

use crate::support::frames::*;
use crate::support::{Counting, Running, append, command};
use core::time::Duration;
use portolan_kernel::ports::{CommandBus as _, EventStore as _};
use portolan_kernel::values::{Query, Read};
use rstest::rstest;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const WINDOW: u32 = 65_535;

fn open(path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, &headers(path))
}

fn noise(mut seed: u64, length: usize) -> Vec<u8> {
    let step = |_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(seed >> 56).unwrap()
    };
    (0..length).map(step).collect()
}

/// Others are served as ever.
async fn is_well(server: &Running) {
    server.client().await.dispatch(command("echo")).await.unwrap();
}

#[rstest]
#[case::a_frame_of_no_kind_that_is_too_long([&[0xff; 5][..], &[0; 4]].concat())]
#[case::headers_that_are_none(frame(HEADERS, END_HEADERS, 1, &[0xff; 32]))]
#[case::headers_of_a_servers_stream(frame(HEADERS, END_HEADERS, 2, &headers(APPEND)))]
#[case::headers_of_no_stream(frame(HEADERS, END_HEADERS, 0, &headers(APPEND)))]
#[case::data_of_no_stream(frame(DATA, 0, 0, b"x"))]
#[case::data_of_a_stream_that_nobody_opened(frame(DATA, 0, 1, b"x"))]
#[case::data_that_is_padded_by_more_than_it_has([open(APPEND), frame(DATA, 8, 1, &[200, 0])].concat())]
#[case::a_continuation_of_nothing(frame(CONTINUATION, END_HEADERS, 1, &headers(APPEND)))]
#[case::headers_that_another_frame_breaks_into(
    [frame(HEADERS, 0, 1, &headers(APPEND)), frame(PING, 0, 0, &[0; 8])].concat()
)]
#[case::a_window_that_grows_by_nothing(frame(WINDOW_UPDATE, 0, 0, &[0; 4]))]
#[case::a_window_that_overflows(frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]).repeat(2))]
#[case::settings_that_break_off(frame(SETTINGS, 0, 0, &[0; 5]))]
#[case::settings_of_a_stream(frame(SETTINGS, 0, 1, &[]))]
#[case::a_ping_that_breaks_off(frame(PING, 0, 0, &[0; 7]))]
#[case::a_reset_of_what_nobody_opened(frame(RST_STREAM, 0, 1, &[0; 4]))]
#[case::a_promise_of_a_client(frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]))]
#[case::noise(noise(1, 100_000))]
#[case::other_noise(noise(2, 100_000))]
#[tokio::test]
async fn what_breaks_http2_ends_its_connection_and_no_other(#[case] bytes: Vec<u8>) {
    let store = Counting::new();
    let server = Running::over(store.clone(), |server| server.with_raw_appends(true)).await;
    let client = server.client().await;
    let mut raw = Raw::connect(server.address, WINDOW).await;
    raw.send(&bytes).await;
    raw.rest().await;
    assert_eq!((server.reached(), store.asked.load(Ordering::Relaxed)), (0, 0));
    // Who was there before stays, and who comes is let in.
    client.append(append()).await.unwrap();
    is_well(&server).await;
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    let server = Running::start().await;
    let mut raw = Raw::connect(server.address, WINDOW).await;
    raw.send(&frame(HEADERS, 0, 1, &headers(APPEND))).await;
    // A name and a value, again and again.
    let block = [&[0, 1, b'x', 100][..], &[b'y'; 100]].concat().repeat(150);
    let more = frame(CONTINUATION, 0, 1, &block);
    let sent = async {
        let mut frames = 0;
        while frames < 100_000 && raw.send(&more).await {
            frames += 1;
        }
        frames
    };
    let frames = tokio::time::timeout(Duration::from_secs(30), sent).await.expect("it is neither read nor closed");
    assert!(frames < 10_000, "{frames} frames of {} bytes were taken", more.len());
    is_well(&server).await;
}

#[tokio::test]
async fn calls_that_are_given_up_at_once_are_not_gathered() {
    let server = Running::start().await;
    let mut raw = Raw::connect(server.address, WINDOW).await;
    let mut sent = 0;
    for stream in (1..100_000).step_by(2) {
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &headers("/portolan.v1.EventStore/Subscribe"));
        bytes.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
        if !raw.send(&bytes).await {
            break;
        }
        sent += 1;
    }
    // It is cut off, as one who does nothing else.
    assert!(sent < 49_999, "{sent}");
    is_well(&server).await;
}

/// What a message is cut to, and how the client goes.
#[rstest]
#[case::in_the_head_of_the_message(3)]
#[case::after_the_head(5)]
#[case::in_the_message(500)]
#[case::before_the_last_byte(usize::MAX)]
#[tokio::test]
async fn a_message_that_breaks_off_did_not_happen(#[case] cut: usize) {
    let server = Running::start().await;
    let whole = message(&append_request(1_000));
    let part = &whole[..cut.min(whole.len() - 1)];
    // Ended as if it were whole.
    let mut ended = Raw::connect(server.address, WINDOW).await;
    ended.send(&[open(APPEND), frame(DATA, END_STREAM, 1, part)].concat()).await;
    // Given up.
    let mut reset = Raw::connect(server.address, WINDOW).await;
    reset.send(&[open(APPEND), frame(DATA, 0, 1, part), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])].concat()).await;
    // Gone, with its connection, once in the frame and once after it.
    let framed = frame(DATA, 0, 1, part);
    for bytes in [&framed[..], &framed[..framed.len() - 1]] {
        let mut gone = Raw::connect(server.address, WINDOW).await;
        gone.send(&[&open(APPEND), bytes].concat()).await;
        gone.0.shutdown().await.unwrap();
        gone.rest().await;
    }
    // A call on each connection that is left, after what was sent on it: the server has seen that.
    for raw in [&mut ended, &mut reset] {
        raw.send(&frame(PING, 0, 0, b"are you?")).await;
        let mut seen = Vec::new();
        let answered = async {
            while !seen.windows(8).any(|eight| eight == b"are you?") {
                assert_ne!(raw.0.read_buf(&mut seen).await.unwrap(), 0, "it was closed");
            }
        };
        tokio::time::timeout(Duration::from_secs(20), answered).await.expect("no answer to a ping");
    }
    is_well(&server).await;
    assert!(server.store.read(Read::log(Query::all())).await.unwrap().events.is_empty());
    // The same by hand and whole is an append, so that it is the cut that makes it none.
    let mut raw = Raw::connect(server.address, WINDOW).await;
    raw.send(&[open(APPEND), frame(DATA, END_STREAM, 1, &whole)].concat()).await;
    let written = async {
        server.store.changed(Query::all(), None).await.unwrap();
        while server.store.read(Read::log(Query::all())).await.unwrap().events.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.expect("it is not written");
}

#[tokio::test]
async fn a_message_of_four_gigabytes_is_refused_by_its_head() {
    let server = Running::start().await;
    let mut raw = Raw::connect(server.address, WINDOW).await;
    raw.send(&[open(APPEND), frame(DATA, 0, 1, &[0, 0xff, 0xff, 0xff, 0xff])].concat()).await;
    // Not a byte of it has come, and there is an answer: headers of stream 1.
    let mut seen = Vec::new();
    let answered = async {
        while !seen.windows(6).any(|six| six[0] == HEADERS && six[2..] == [0, 0, 0, 1]) {
            assert_ne!(raw.0.read_buf(&mut seen).await.unwrap(), 0, "it was closed");
        }
    };
    tokio::time::timeout(Duration::from_secs(20), answered).await.expect("it is waited for");
    is_well(&server).await;
}
