//! Connections that are killed in the middle of an append.

use crate::support::{Running, new_event};
use core::time::Duration;
use portolan_grpc::GrpcClient;
use portolan_kernel::ports::{AppendError, EventStore as _};
use portolan_kernel::values::{Append, Format, IdempotencyKey, Name, Query, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that lets so many more bytes through to the server, and then kills the connection.
async fn cutting(behind: SocketAddr, left: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(behind).await.unwrap();
            let left = left.clone();
            tokio::spawn(async move {
                let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.into_split(), far.into_split());
                let back = async move { tokio::io::copy(&mut far_in, &mut near_out).await.map(drop) };
                let there = async move {
                    let mut bytes = vec![0; 16 << 10];
                    while let Ok(length @ 1..) = near_in.read(&mut bytes).await {
                        let may = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                            Some(left.saturating_sub(length))
                        });
                        let length = length.min(may.unwrap());
                        far_out.write_all(&bytes[..length]).await?;
                        if left.load(Ordering::Relaxed) == 0 {
                            break;
                        }
                    }
                    Ok::<_, std::io::Error>(())
                };
                // The first that ends takes both connections with it.
                tokio::select! { _ = back => {}, _ = there => {} }
            });
        }
    });
    address
}

#[tokio::test]
async fn an_append_that_is_cut_anywhere_is_settled_by_its_key() {
    const PAYLOAD: usize = 100_000;
    let server = Running::start().await;
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let client = GrpcClient::connect(format!("http://{}", cutting(server.address, left.clone()).await)).await.unwrap();
    let mut event = new_event("s").with_format(Format::Binary);
    event.payload = vec![b'x'; PAYLOAD].into();
    let keyed = |n: usize| {
        let key = IdempotencyKey::new("cut".parse().unwrap(), Name::new(n.to_string()).unwrap(), [7; 32]);
        Append::new([event.clone()]).key(key)
    };
    // In the head of the call, in each of its frames, and where nearly all has come.
    let cuts = [0, 1, 8, 9, 50, 150, 300, 1_000, 16_000, 17_000, 33_000, 66_000, 90_000, PAYLOAD - 1, PAYLOAD];
    for (n, cut) in cuts.into_iter().enumerate() {
        left.store(cut.max(1), Ordering::Relaxed);
        let error = client.append(keyed(n)).await.unwrap_err();
        assert!(matches!(error, AppendError::Unknown(_) | AppendError::Busy(_)), "{cut}: {error:?}");
        left.store(usize::MAX, Ordering::Relaxed);
        let settling = async {
            loop {
                match client.append(keyed(n)).await {
                    Ok(appended) => break appended,
                    // It may not have heard yet that its connection is gone.
                    Err(AppendError::Unknown(_) | AppendError::Busy(_)) => tokio::task::yield_now().await,
                    Err(other) => panic!("{cut}: {other:?}"),
                }
            }
        };
        let settled = tokio::time::timeout(Duration::from_secs(20), settling).await.expect("it is not settled");
        let recalled = client.recall("cut".parse().unwrap(), n.to_string().parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(recalled.appended.last, settled.last, "{cut}");
        // Once, and whole.
        let events = server.store.read(Read::log(Query::all())).await.unwrap().events;
        assert_eq!(events.len(), n + 1, "{cut}");
        assert_eq!(events[n].payload.len(), PAYLOAD);
    }
}
