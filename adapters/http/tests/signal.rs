//! A signal between the call of `shutdown_signal` and its first poll. Alone in its process, which it would end.

#![cfg(unix)]

#[tokio::test]
async fn a_signal_before_the_first_poll_counts() {
    let shutdown = portolan_http::shutdown_signal();
    let me = std::process::id().to_string();
    let sent = std::process::Command::new("kill").args(["-TERM", &me]).status().unwrap();
    assert!(sent.success());
    tokio::time::timeout(core::time::Duration::from_secs(10), shutdown).await.expect("the signal is lost");
}
