//! Portolan's storage in memory.
