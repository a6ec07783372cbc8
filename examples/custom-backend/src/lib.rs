//! A stranger's event store, proven by the conformance suite.
