//! Portolan's storage on one SQLite file.
