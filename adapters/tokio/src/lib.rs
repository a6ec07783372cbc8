//! Portolan's runtime on tokio: clock, ids, sleep and spawn.
