//! Tests across adapters: layering, crash, transports, README.
