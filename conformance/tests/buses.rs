//! The laws of command buses, proven by wrong ones.

use portolan_conformance::{Served, command_bus_laws};

command_bus_laws! {
    open: async |served: &Served| Ok::<_, String>(served.ports().commands),
}
