//! 500 subscribers who do not read hold up no writer, and take a bounded part of the memory: a process of its own, since
//! that is measured.

#[cfg(test)]
mod support;

#[cfg(test)]
mod tests {
    use super::support::frames::*;
    use super::support::{Running, new_event};
    use core::time::Duration;
    use futures::StreamExt as _;
    use portolan_grpc::proto;
    use portolan_kernel::drivers::{Delivery, From};
    use portolan_kernel::ports::EventStore as _;
    use portolan_kernel::values::{Append, Format, Query};

    const CONNECTIONS: u32 = 5;
    const EACH: u32 = 100;
    const SUBSCRIBERS: u64 = (CONNECTIONS * EACH) as u64;
    const WRITERS: u64 = 4;
    const APPENDS: u64 = 2_000;
    const PAYLOAD: u64 = 4 << 10;
    /// What a subscriber may take: what HTTP/2 buffers of an answer, 400 KiB of bytes, and what these stand in.
    const BUFFERS: u64 = 1 << 20;

    /// The most memory that this process has had, in bytes.
    fn peak() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("this is measured on Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Subscriptions to everything on one connection, with all the window that HTTP/2 knows; what is live has begun.
    async fn subscribed(server: &Running) -> Raw {
        const MOST: u32 = (1 << 31) - 1;
        let mut raw = Raw::connect(server.address, MOST).await;
        raw.send(&frame(WINDOW_UPDATE, 0, 0, &(MOST - 65_535).to_be_bytes())).await;
        for n in 0..EACH {
            let stream = 2 * n + 1;
            let path = "/portolan.v1.EventStore/Subscribe";
            raw.send(&frame(HEADERS, END_HEADERS, stream, &headers(path))).await;
            raw.send(&frame(DATA, END_STREAM, stream, &message(&proto::SubscribeRequest::default()))).await;
        }
        // The head of each answer, and its first delivery: that it has caught up.
        let mut live = 0;
        while live < EACH {
            live += u32::from(raw.next().await.0 == DATA);
        }
        raw
    }

    #[cfg_attr(not(target_os = "linux"), ignore = "the memory of a process is measured on Linux")]
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn subscribers_who_do_not_read_hold_up_no_writer_and_take_bounded_memory() {
        let server = Running::start().await;
        let client = server.client().await;
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            silent.push(subscribed(&server).await);
        }
        // One who reads, and is not held up either.
        let mut reader = client.subscribe(&Query::all(), From::Beginning);
        assert!(matches!(reader.next().await, Some(Ok(Delivery::CaughtUp(None)))));
        let before = peak();
        let writing = (0..WRITERS).map(|writer| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut event = new_event(&format!("s-{writer}")).with_format(Format::Binary);
                event.payload = vec![b'x'; usize::try_from(PAYLOAD).unwrap()].into();
                for _ in 0..APPENDS / WRITERS {
                    client.append(Append::new([event.clone()])).await.unwrap();
                }
            })
        });
        let writing = futures::future::join_all(writing);
        let reading = async {
            let mut seen = 0;
            while seen < APPENDS {
                seen += u64::from(matches!(reader.next().await.unwrap().unwrap(), Delivery::Event(_)));
            }
        };
        let all = tokio::time::timeout(Duration::from_secs(300), async { tokio::join!(writing, reading) });
        let (written, ()) = all.await.expect("writers wait for readers");
        assert!(written.into_iter().all(|writer| writer.is_ok()));
        // Held for each of them, the log would be more than four times as much.
        let grown = peak() - before;
        assert!(grown < SUBSCRIBERS * BUFFERS, "{} MiB", grown >> 20);
        const { assert!(APPENDS * PAYLOAD > 4 * BUFFERS) };
        drop(silent);
    }
}
