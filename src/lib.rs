//! Portolan, the facade: it re-exports the kernel and, by feature, the adapters.
