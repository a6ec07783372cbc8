//! The signals by which an operator stops a process.

/// Ready on the first SIGTERM or Ctrl-C. A signal that cannot be listened for is left to the system.
pub async fn shutdown_signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            core::future::pending().await
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(_) => core::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = core::future::pending();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
