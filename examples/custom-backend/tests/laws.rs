//! The laws, run on the stranger's store: all that its proof takes.

use portolan_conformance::{Place, event_store_laws};
use portolan_example_custom_backend::JournalStore;

event_store_laws! {
    open: async |place: &Place| JournalStore::open(place.dir().join("log.journal")),
    lacks: { SeveralProcesses: "one handle at a time holds the lock file" },
    blind_to: { Tail: "a torn last line is an append that nobody was told of" },
}
